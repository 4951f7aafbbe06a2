//! `ltv diff`: what moved from one snapshot to another.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    report::{Report, count},
};
use clap::Args;
use ltv_core::{artefact, progress::Progress};
use ltv_eval::drift::Reading;
use ltv_score::{
    DiffOptions,
    diff::{Diff, Movement, Side},
};
use serde::{Deserialize, Serialize};
use std::{fmt::Write as _, path::PathBuf};

/// Say what moved from one snapshot to another: users, totals, values, distributions
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv diff yesterday today
  ltv diff yesterday today --moved 0.25 --json --out diff.json")]
pub(crate) struct Flags {
    /// Folder of the snapshot to compare with, or s3://bucket/prefix
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Folder of the snapshot to compare, or s3://bucket/prefix
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// From which share of the old value on a user counts as moved, 0 or more [default: 0.1]
    #[arg(long, value_name = "X")]
    moved: Option<f64>,
    /// File for everything, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// MiB that users may take while they are met; more of them go to scratch files [default: 256]
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
    /// Folder of scratch files [default: that of --out, else the system's]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    moved: f64,
    memory: u32,
    scratch: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            moved: 0.1,
            memory: 256,
            scratch: None,
        }
    }
}

/// Compares and says what moved.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("moved", flags.moved)?;
    options.set("memory", flags.memory)?;
    options.set("scratch", flags.scratch)?;
    let options: Options = options.resolve()?;
    if options.memory == 0 {
        return Err(Failure::user("memory: 0; give 1 MiB or more"));
    }
    if let Some(out) = &flags.out {
        outputs::check(out, Kind::Diff)?;
        let folder = artefact::parent(out);
        if !folder.is_dir() {
            let message = format!("{}: its folder is not there; make it first", out.display());
            return Err(Failure::user(message));
        }
    }
    let how = DiffOptions {
        moved: options.moved,
        memory: u64::from(options.memory) << 20,
        scratch: options
            .scratch
            .unwrap_or_else(|| super::evaluate::scratch(&[&flags.out])),
    };
    let progress = &context.progress;
    let found = ltv_score::diff(&flags.old, &flags.new, &how, progress);
    progress.finish();
    let found = found?;
    if let Some(out) = &flags.out {
        artefact::write_json(out, &found)?;
    }
    Report::new(text(&found), &found)
}

/// What moved, on less than a screen.
pub(super) fn text(diff: &Diff) -> String {
    let mut out = String::new();
    for (name, side) in [("old", &diff.old), ("new", &diff.new)] {
        let _ = writeln!(out, "{name}  {}", side_text(side));
    }
    let _ = writeln!(
        out,
        "{} users in both, {} gone, {} arrived\n",
        count(diff.both),
        count(diff.gone),
        count(diff.arrived)
    );
    let by = format!("{} %", (10_000.0 * diff.moved_by).round() / 100.0);
    let _ = writeln!(
        out,
        "{:>9}  {:>9}  {:>9}  {:>10}  {:>10}  {:>23}  PSI",
        "horizon",
        "total",
        "of both",
        format!("up {by}"),
        format!("down {by}"),
        "moved by: P50, P90, P99",
    );
    for movement in &diff.horizons {
        let _ = writeln!(out, "{}", line(movement, diff.both));
    }
    out
}

fn side_text(side: &Side) -> String {
    format!(
        "as of {}, model {}, {}, {} users",
        side.as_of,
        side.model_id,
        side.decoding,
        count(side.rows)
    )
}

fn line(movement: &Movement, both: u64) -> String {
    let share = |users: u64| match both {
        0 => "-".to_owned(),
        both => format!("{:.1} %", 100.0 * users as f64 / both as f64),
    };
    let relative = movement.relative.map_or("-".to_owned(), |levels| {
        let levels = levels.map(|x| format!("{:.1} %", 100.0 * x));
        levels.join(", ")
    });
    let psi = match (&movement.psi, movement.reading) {
        (Some(psi), Some(reading)) => format!("{:.3}, {}", psi.value, words(reading)),
        _ => "-".to_owned(),
    };
    format!(
        "{:>9}  {:>9}  {:>9}  {:>10}  {:>10}  {:>23}  {psi}",
        movement.horizon,
        change(movement.old_total, movement.new_total),
        change(movement.old_of_both, movement.new_of_both),
        share(movement.up),
        share(movement.down),
        relative,
    )
}

/// The change from one total to another.
fn change(old: f64, new: f64) -> String {
    if old > 0.0 {
        // Not a minus before nothing.
        let percent = (10_000.0 * (new - old) / old).round() / 100.0 + 0.0;
        format!("{percent:+.2} %")
    } else {
        "-".to_owned()
    }
}

fn words(reading: Reading) -> &'static str {
    match reading {
        Reading::Stable => "stable",
        Reading::Moved => "moved",
        Reading::Changed => "changed",
    }
}
