//! `ltv get`: users looked up in a store.

use super::Context;
use crate::{cli::Common, exit::Failure, options::Overlay, report::Report};
use clap::Args;
use ltv_online::{Answer, UserId, value::Horizon};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// Look users up in a store
///
/// Exit code 2 where a user is not in the version that is live.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv get 17 --store store
  ltv get 17 4711 --store store --json")]
pub(crate) struct Flags {
    /// Ids of users
    #[arg(value_name = "USER", required = true, allow_negative_numbers = true)]
    users: Vec<String>,
    /// Folder of the store, or redis://host:port
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    store: Option<PathBuf>,
}

/// Looks up and prints.
pub(crate) fn run(flags: Flags, _: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("store", flags.store)?;
    let options: Options = options.resolve()?;
    let store = super::publish::open(options.store.as_deref())?;
    let users: Vec<UserId> = flags.users.into_iter().map(UserId::Text).collect();
    let answer = store.get(&users)?;
    let unknown = users.iter().zip(&answer.predictions);
    if let Some((user, _)) = unknown.into_iter().find(|(_, found)| found.is_none()) {
        let message = format!(
            "user {user} is not in version {} of {}; nothing was scored for such a user by then",
            answer.version.id,
            store.name()
        );
        return Err(Failure::user(message));
    }
    Report::new(text(&users, &answer), &document(&users, &answer))
}

fn known<'a>(
    users: &'a [UserId],
    answer: &'a Answer,
) -> impl Iterator<Item = (&'a UserId, &'a str, Vec<Horizon>)> {
    let days = answer.version.horizons.days();
    let pairs = users.iter().zip(&answer.predictions);
    pairs.filter_map(move |(user, found)| {
        let found = found.as_ref()?;
        let status = answer.version.status(found.status);
        Some((user, status, found.horizons(days)))
    })
}

fn document(users: &[UserId], answer: &Answer) -> serde_json::Value {
    let results = known(users, answer).map(|(user, status, horizons)| {
        json!({ "user_id": user, "status": status, "horizons": horizons })
    });
    json!({
        "version": answer.version.id,
        "detail": answer.version.detail,
        "as_of": answer.version.as_of,
        "model_id": answer.version.model_id,
        "results": results.collect::<Vec<_>>(),
    })
}

fn text(users: &[UserId], answer: &Answer) -> String {
    let version = &answer.version;
    let mut out = format!(
        "version {}, as of {}, model {}\n",
        version.id, version.as_of, version.model_id
    );
    for (user, status, horizons) in known(users, answer) {
        let UserId::Text(user) = user else {
            continue;
        };
        let _ = writeln!(out, "\n{user}, {status}");
        let _ = writeln!(
            out,
            "{:>9}  {:>12}  {:>10}  {:>10}  {:>10}  P(value > 0)",
            "horizon", "value", "P10", "P50", "P90"
        );
        for h in horizons {
            let _ = write!(out, "{:>9}  {:>12.4}", h.days, h.ltv);
            if let Some(d) = h.distribution {
                let _ = write!(
                    out,
                    "  {:>10.4}  {:>10.4}  {:>10.4}  {:>12.4}",
                    d.p10, d.p50, d.p90, d.positive
                );
            }
            out.push('\n');
        }
    }
    out
}
