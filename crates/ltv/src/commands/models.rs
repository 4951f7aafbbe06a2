//! `ltv models`: the models of the daily loop, where they come from, and which of them serves.

use super::{Context, daily::today};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Facts, Report},
};
use clap::{Args, ValueEnum};
use ltv_daily::registry::{Entry, Registry};
use serde::{Deserialize, Serialize};
use std::{fmt::Write as _, path::PathBuf};

/// List the models of 'ltv daily', show where one comes from, choose which serves
///
/// A model that is promoted is gone on from, and compared with, from the next day on; what is published stays until
/// then ('ltv publish --rollback' puts the scores before live again).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv models list --work ltv-daily
  ltv models show 3f9a --work ltv-daily
  ltv models promote 3f9a --work ltv-daily
  ltv models rollback --work ltv-daily")]
pub(crate) struct Flags {
    /// What to do
    #[arg(value_enum)]
    what: What,
    /// The model, or how its id starts
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Work folder of 'ltv daily' [default: ltv-daily]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// All models, the latest first
    List,
    /// One model, where it comes from, and when it served
    Show,
    /// From the next day on this model serves
    Promote,
    /// From the next day on the model before serves again
    Rollback,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    work: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            work: "ltv-daily".into(),
        }
    }
}

/// Does it.
pub(crate) fn run(flags: &Flags, _: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("work", flags.work.as_ref())?;
    let options: Options = options.resolve()?;
    let mut registry = Registry::open(&options.work)?;
    let id = || {
        let message = "say which model; 'ltv models list' has their ids";
        flags.id.as_deref().ok_or_else(|| Failure::user(message))
    };
    match flags.what {
        What::List | What::Rollback if flags.id.is_some() => {
            Err(Failure::user("no id is wanted here; leave it out"))
        }
        What::List => {
            let all = registry.list()?;
            Report::new(listed(&all), &all)
        }
        What::Show => shown(&registry, id()?),
        What::Promote => {
            let entry = registry.promote(id()?, today(), "promoted")?;
            Report::new(facts(&entry), &entry)
        }
        What::Rollback => {
            let entry = registry.roll_back(today())?;
            Report::new(facts(&entry), &entry)
        }
    }
}

fn listed(all: &[Entry]) -> String {
    let mut text = format!(
        "{:16}  {:10}  {:16}  {:8}  {}\n",
        "model", "day", "parent", "verdict", ""
    );
    for entry in all {
        let model = &entry.model;
        let mark = match (entry.serves, entry.there) {
            (true, _) => "serves",
            (false, true) => "",
            (false, false) => "file removed",
        };
        let _ = writeln!(
            text,
            "{:16}  {:10}  {:16}  {:8}  {mark}",
            model.id,
            model.date.to_string(),
            model.parent.as_deref().unwrap_or("-"),
            model.verdict.as_deref().unwrap_or("-"),
        );
    }
    match all.is_empty() {
        true => "no models\n".to_owned(),
        false => text,
    }
}

fn shown(registry: &Registry, id: &str) -> Result<Report, Failure> {
    let entry = registry.find(id)?;
    let lineage = registry.lineage(&entry.model.id)?;
    let mut history = registry.history()?;
    history.retain(|row| row.model == entry.model.id);
    let mut text = facts(&entry);
    if lineage.len() > 1 {
        text += "comes from\n";
        for parent in &lineage[1..] {
            let _ = writeln!(text, "  {}  {}", parent.model.date, parent.model.id);
        }
    }
    for row in &history {
        let _ = writeln!(text, "began to serve {}: {}", row.date, row.why);
    }
    let lineage: Vec<&str> = lineage.iter().map(|e| e.model.id.as_str()).collect();
    let json = serde_json::json!({ "model": entry, "lineage": lineage, "served": history });
    Report::new(text, &json)
}

fn facts(entry: &Entry) -> String {
    let model = &entry.model;
    let mut facts = Facts::default();
    facts.add("trained for", model.date);
    facts.add("file", entry.path.display());
    if !entry.there {
        facts.add("", "the file has been removed");
    }
    facts.add(
        "went on from",
        model.parent.as_deref().unwrap_or("random weights"),
    );
    facts.add("dataset", &model.dataset);
    facts.add("configuration", &model.config);
    facts.add("gate", model.verdict.as_deref().unwrap_or("not judged"));
    facts.add("serves", if entry.serves { "yes" } else { "no" });
    facts.text(&model.id)
}
