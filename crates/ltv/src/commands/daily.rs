//! `ltv daily`: what runs every night.

use super::{Context, publish};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    page::daily_page,
    report::{Facts, count, print},
};
use clap::Args;
use ltv_core::Day;
use ltv_daily::{Call, DailyConfig, DailyError, Outcome, Summary};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

/// Run a day: new events to features, warm-start training, gates, scores, publishing, report
///
/// Every stage is done once: a run that was killed goes on behind the last one that is done, to the same bytes, and
/// a day that is done is not done again. A gate that fails keeps yesterday's model, or, where the data or the scores
/// cannot be believed, what is live; then the exit code is 3.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv daily --config daily.toml
  ltv daily --config daily.toml --date 2024-01-15 --json
  ltv daily --config daily.toml --backfill 2024-01-01..2024-01-15
  ltv daily --config daily.toml --dry-run

Prints one line of JSON for each day with --json. Options: docs/guide/daily.md.")]
pub(crate) struct Flags {
    /// The as-of date: the first day whose events are not fully known [default: today, in UTC]
    #[arg(long, value_name = "DATE", conflicts_with = "backfill")]
    date: Option<Day>,
    /// Run all these days, one after the other, the last one included
    #[arg(long, value_name = "FROM..TO")]
    backfill: Option<Span>,
    /// Folder of all that is made and remembered [default: ltv-daily]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Parquet files of the event log, or folders of them, here or below s3://bucket/prefix
    #[arg(long, value_name = "PATH", num_args = 1..)]
    events: Vec<PathBuf>,
    /// Parquet files of the user table, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1..)]
    users: Vec<PathBuf>,
    /// Where scores are published: a folder, or redis://host:port
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Let these gates pass whatever they find, for a change that is real; the next day is compared with this one
    #[arg(long, value_name = "GATE,..", value_delimiter = ',', value_parser = ["data", "model", "scores"])]
    accept: Vec<String>,
    /// Do days again that are done
    #[arg(long)]
    again: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Days from one to another, both included.
#[derive(Debug, Clone, Copy)]
struct Span(Day, Day);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "write two dates, such as 2024-01-01..2024-01-31";
        let (from, to) = text.split_once("..").ok_or(wanted)?;
        let day = |text: &str| text.parse::<Day>().map_err(|e| e.to_string());
        let (from, to) = (day(from)?, day(to)?);
        match from <= to {
            true => Ok(Self(from, to)),
            false => Err(format!("{to} is before {from}")),
        }
    }
}

impl Flags {
    fn days(&self) -> Vec<Day> {
        match self.backfill {
            Some(Span(from, to)) => (from.0..=to.0).map(Day).collect(),
            None => vec![self.date.unwrap_or_else(today)],
        }
    }

    fn resolve(&self) -> Result<DailyConfig, Failure> {
        let Some(path) = &self.common.config else {
            let message = "--config: give a file that says how features are made; docs/guide/daily.md has one";
            return Err(Failure::user(message));
        };
        let mut options = Overlay::default();
        // Models are judged on users who are never trained on.
        options.set("train.split.test", Some(0.1))?;
        let mut options = options.file(Some(path))?;
        let as_of = "features.dataset.as_of";
        if options.has(as_of) {
            let message = format!("{as_of}: is the date of the run; leave it out");
            return Err(Failure::user(message));
        }
        options.set(as_of, Some(Day(0)))?;
        options.set("work", self.work.as_ref())?;
        options.list("events", &self.events)?;
        options.list("users", &self.users)?;
        options.set("store", self.store.as_ref())?;
        let config: DailyConfig = options.resolve()?;
        config.check()?;
        Ok(config)
    }
}

/// Today in UTC.
pub(super) fn today() -> Day {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH);
    Day(passed.map_or(0, |passed| (passed.as_secs() / 86_400) as i32))
}

/// Runs the days and says what came of each. Fails where one of them did not pass.
pub(crate) fn run(flags: &Flags, context: &Context) -> Result<(), Failure> {
    let config = flags.resolve()?;
    let days = flags.days();
    if let Some(day) = days.iter().find(|day| **day > today()) {
        let message = format!("--date: {day} is in the future; its events are not known yet");
        return Err(Failure::user(message));
    }
    let say = |line: &str| {
        crate::signals::stop_if_asked();
        context.progress.say(line);
    };
    let publish = |store: &Path, snapshot: &Path, values_only: bool| {
        let found = publish::publish_snapshot(store, snapshot, values_only, &context.progress);
        found.map_err(elsewhere)
    };
    let page = |summary: &Summary| daily_page(summary, &config).map_err(elsewhere);
    let call = Call {
        threads: context.threads,
        seed: context.seed,
        again: flags.again,
        accept: &flags.accept,
        progress: &context.progress,
        say: &say,
        publish: &publish,
        page: &page,
    };
    let mut worst = Outcome::Published;
    for date in days {
        if flags.dry_run {
            let steps = ltv_daily::plan(&config, date, &call)?;
            print_plan(date, &steps, flags.common.json)?;
            continue;
        }
        let summary = ltv_daily::run(&config, date, &call);
        ltv_core::progress::Progress::finish(&context.progress);
        let summary = summary?;
        match flags.common.json {
            true => print(&serde_json::to_string(&summary).map_err(Failure::internal)?)?,
            false => print(&text(&summary))?,
        }
        if summary.outcome != Outcome::Published {
            // Of several days, the one that a person must look at.
            if worst != Outcome::Stopped {
                worst = summary.outcome;
            }
            context.progress.warn(&verdict(&summary));
        }
    }
    match worst {
        Outcome::Published => Ok(()),
        Outcome::Kept => Err(Failure::gate("a gate failed: the model before serves on")),
        Outcome::Stopped => Err(Failure::gate("a gate failed: nothing of that day is live")),
    }
}

fn elsewhere(failure: Failure) -> DailyError {
    let (message, fault) = failure.parts();
    DailyError::Elsewhere { message, fault }
}

fn print_plan(date: Day, steps: &[String], json: bool) -> Result<(), Failure> {
    if json {
        return print(&serde_json::json!({ "date": date, "would": steps }).to_string());
    }
    let mut text = format!("{date} would\n");
    for step in steps {
        let _ = writeln!(text, "  {step}");
    }
    print(&text)
}

/// What did not pass, in one line.
fn verdict(summary: &Summary) -> String {
    let date = summary.date;
    format!("{date}: {}", summary.reasons.join("; "))
}

fn text(summary: &Summary) -> String {
    let mut facts = Facts::default();
    facts.add("features", &summary.features);
    facts.add(
        "users",
        format!(
            "{}, {} rows made",
            count(summary.users),
            count(summary.made)
        ),
    );
    if let Some(candidate) = &summary.candidate {
        facts.add("trained", format!("{}, {}", candidate.model, candidate.how));
    }
    let passed = summary.checks.iter().filter(|check| check.passed).count();
    facts.add(
        "checks",
        format!("{passed} of {} passed", summary.checks.len()),
    );
    for reason in &summary.reasons {
        facts.add("  failed", reason);
    }
    for reason in &summary.accepted {
        facts.add("  accepted", reason);
    }
    if let (Some(model), Some(rows)) = (&summary.model, summary.scored) {
        facts.add("scored", format!("{} users by {model}", count(rows)));
        for (days, total) in summary.horizons.iter().zip(&summary.totals) {
            facts.add(format!("  ltv_{days}"), format!("{total:.2} in all"));
        }
    }
    let seconds: f64 = summary.stages.iter().map(|stage| stage.seconds).sum();
    facts.add("took", format!("{seconds:.1} s"));
    facts.text(&format!("{}: {}", summary.date, summary.outcome.name()))
}
