//! `ltv prune`: the latest snapshots stay.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Report, count},
};
use clap::Args;
use ltv_core::address::is_address;
use ltv_score::prune::{Found, Pruned};
use serde::{Deserialize, Serialize};
use std::{fmt::Write as _, num::NonZero, path::PathBuf};

/// Remove old snapshots: all in a folder but the latest
///
/// Only whole snapshots of 'ltv score' are counted and removed; whatever else the folder holds stays, and so does a
/// snapshot that holds other files, cannot be read or is pointed to by a link in the folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv prune snapshots --keep 7 --dry-run
  ltv prune snapshots --keep 7")]
pub(crate) struct Flags {
    /// Folder that snapshots lie in side by side
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// How many stay, the latest by as-of date, and of one date by name
    #[arg(long, value_name = "N")]
    keep: Option<NonZero<u32>>,
    /// Remove nothing, only say what would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    keep: Option<NonZero<u32>>,
    dry_run: bool,
}

/// Removes, and says what.
pub(crate) fn run(flags: Flags, _: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("keep", flags.keep)?;
    options.set("dry_run", flags.dry_run.then_some(true))?;
    let options: Options = options.resolve()?;
    let folder = &flags.folder;
    let Some(keep) = options.keep else {
        return Err(Failure::user(
            "keep: say how many snapshots stay, with --keep N",
        ));
    };
    if is_address(folder) {
        let message = format!(
            "{}: snapshots in an object store are not pruned; give them an expiry there",
            folder.display()
        );
        return Err(Failure::user(message));
    }
    let keep = NonZero::new(keep.get() as usize).unwrap_or(NonZero::<usize>::MIN);
    let pruned = ltv_score::prune::prune(folder, keep, options.dry_run)?;
    Report::new(text(&pruned, options.dry_run), &pruned)
}

fn text(pruned: &Pruned, dry_run: bool) -> String {
    let mut out = String::new();
    let removed = if dry_run { "would go" } else { "removed" };
    for (what, snapshots) in [("kept", &pruned.kept), (removed, &pruned.removed)] {
        for Found {
            path, as_of, bytes, ..
        } in snapshots
        {
            let bytes = count(*bytes);
            let _ = writeln!(
                out,
                "{what:8}  as of {as_of}  {}, {bytes} bytes",
                path.display()
            );
        }
    }
    for passed in &pruned.passed {
        let _ = writeln!(
            out,
            "left      {}: {}",
            passed.path.display(),
            passed.reason
        );
    }
    match out.is_empty() {
        true => "no snapshots\n".to_owned(),
        false => out,
    }
}
