//! `ltv features`: event log and user table to a dataset.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Facts, Report, count, label_words},
};
use clap::{Args, ValueEnum};
use ltv_core::{
    Day,
    config::{FeatureConfig, Label, Measure, Sequence},
    manifest::DatasetManifest,
};
use ltv_data::{
    BuildOptions, Updated, build_dataset, features::printed_sql, simulate::SimulateConfig,
    update_dataset,
};
use std::path::{Path, PathBuf};

/// Turn events and users into a dataset: one row for each user, with features and labels
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv features --events orders.parquet --event-value amount --label value --as-of 2024-01-01 \\
      --out data
  ltv features --events events/ --users users/ --config features.toml --out data
  ltv features --events events/ --config features.toml --as-of 2024-01-02 --update data --out data
  ltv features --config features.toml --print-sql")]
pub(crate) struct Flags {
    /// Parquet files of the event log, or folders of them, here or below s3://bucket/prefix
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "print_sql")]
    events: Vec<PathBuf>,
    /// Parquet files of the user table, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1..)]
    users: Vec<PathBuf>,
    /// Folder to write to, or s3://bucket/prefix; a dataset that is there is replaced when the new one is complete
    #[arg(long, value_name = "DIR", required_unless_present = "print_sql")]
    out: Option<PathBuf>,
    /// A dataset of an earlier day with the same options, whose rows are taken over where they cannot have changed.
    /// What has come late is counted; what has changed in the user table is missing in those rows
    #[arg(long, value_name = "DIR", conflicts_with = "partitions")]
    update: Option<PathBuf>,
    /// Options to start from
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Parts to work on the users in; more need less memory [default: from the size of the input]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    partitions: Option<u16>,
    /// Folder of scratch files, about as large as the events, where --out is an address [default: the system's]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Print the SQL statement that makes the dataset, below comments on the tables that it reads, and
    /// stop
    #[arg(long)]
    print_sql: bool,
    #[command(flatten)]
    dataset: DatasetFlags,
    #[command(flatten)]
    columns: ColumnFlags,
    #[command(flatten)]
    aggregates: AggregateFlags,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options to start from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// Every column that 'ltv simulate' writes
    Simulator,
}

/// The `[dataset]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the dataset is about")]
struct DatasetFlags {
    /// First day whose events are not fully known; nothing on or after it is read
    #[arg(long, value_name = "DATE")]
    as_of: Option<Day>,
    /// Days of observation, 1 to 365 [default: 7]
    #[arg(long, value_name = "N")]
    window_days: Option<u32>,
    /// Days to predict, ascending [default: 30,90,180,365]
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = days)]
    horizons: Vec<u32>,
    /// What a user is worth
    #[arg(long, value_enum)]
    label: Option<LabelFlag>,
    /// Only users registered on or after this day
    #[arg(long, value_name = "DATE")]
    registered_from: Option<Day>,
    /// Only users registered before this day
    #[arg(long, value_name = "DATE")]
    registered_before: Option<Day>,
}

/// The label, as a flag.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum LabelFlag {
    /// Days with at least one event
    ActiveDays,
    /// The sum of the value column, floored at 0
    Value,
}

impl From<LabelFlag> for Label {
    fn from(flag: LabelFlag) -> Self {
        match flag {
            LabelFlag::ActiveDays => Self::ActiveDays,
            LabelFlag::Value => Self::Value,
        }
    }
}

/// The `[events]` and `[users]` tables.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
struct ColumnFlags {
    /// Event log: who [default: user_id]
    #[arg(long, value_name = "COLUMN")]
    event_user: Option<String>,
    /// Event log: when [default: timestamp]
    #[arg(long, value_name = "COLUMN")]
    event_time: Option<String>,
    /// Event log: how much; needed with --label value
    #[arg(long, value_name = "COLUMN")]
    event_value: Option<String>,
    /// Event log: breaks ties among events of one time
    #[arg(long, value_name = "COLUMN")]
    event_order: Option<String>,
    /// User table: who [default: user_id]
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// User table: date or time of registration [default: the day of the first event]
    #[arg(long, value_name = "COLUMN")]
    registration: Option<String>,
    /// User table: columns that become features
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    profile: Vec<String>,
    /// User table: columns carried along, never shown to the model
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    keep: Vec<String>,
}

/// `[[sequences]]`, `[aggregates]` and `[holidays]`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Features of events in the window")]
struct AggregateFlags {
    /// One number a day: NAME=count or NAME=sum:COLUMN; may be repeated [default: cnt=count]
    #[arg(long, value_name = "NAME=MEASURE", value_parser = sequence)]
    sequence: Vec<Sequence>,
    /// Means of these columns
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    mean: Vec<String>,
    /// Largest values of these columns
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    max: Vec<String>,
    /// Values at the first event, as categories
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    first: Vec<String>,
    /// Values at the first event, as numbers
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    first_numeric: Vec<String>,
    /// Most frequent values of these columns
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    mode: Vec<String>,
    /// Holidays, one by one
    #[arg(long, value_name = "DATE,..", value_delimiter = ',')]
    holidays: Vec<Day>,
    /// Text file of holidays, one date on each line
    #[arg(long, value_name = "FILE")]
    holiday_file: Option<PathBuf>,
    /// Use the holidays of 'ltv simulate'
    #[arg(long, value_name = "BOOL")]
    holiday_simulator: Option<bool>,
}

fn days(text: &str) -> Result<u32, String> {
    let wanted = "write whole days, such as 30,90,180,365";
    text.parse().map_err(|_| wanted.to_owned())
}

fn sequence(text: &str) -> Result<Sequence, String> {
    let wanted = "write NAME=count or NAME=sum:COLUMN";
    let (name, measure) = text.split_once('=').ok_or(wanted)?;
    let measure = match measure.split_once(':') {
        None if measure == "count" => Measure::Count,
        Some(("sum", column)) if !column.is_empty() => Measure::Sum(column.into()),
        _ => return Err(wanted.into()),
    };
    Ok(Sequence {
        name: name.into(),
        measure,
    })
}

/// Keys without a default: how to give each as a flag and as a line, and a value that would do.
const NEEDED: [(&str, &str, &str, &str); 2] = [
    (
        "dataset.as_of",
        "--as-of YYYY-MM-DD",
        "as_of = \"YYYY-MM-DD\"",
        "2000-01-01",
    ),
    (
        "dataset.label",
        "--label active_days or --label value",
        "label = \"active_days\"",
        "active_days",
    ),
];

impl Flags {
    fn resolve(&self) -> Result<FeatureConfig, Failure> {
        let base = match self.preset {
            Some(Preset::Simulator) => {
                let mut overlay = Overlay::over(&SimulateConfig::feature_config(Day(0)))?;
                overlay.unset("dataset.as_of");
                overlay
            }
            None => Overlay::default(),
        };
        let mut options = base.file(self.common.config.as_deref())?;
        self.dataset.apply(&mut options)?;
        self.columns.apply(&mut options)?;
        self.aggregates.apply(&mut options)?;
        let mut missing = NEEDED.to_vec();
        missing.retain(|(key, ..)| !options.has(key));
        // A key with a typing error is better called unknown than missing.
        for (key, _, _, any) in &missing {
            options.set(key, Some(any))?;
        }
        let config: FeatureConfig = options.resolve()?;
        if let Some((key, flag, line, _)) = missing.first() {
            let message = format!(
                "{key} is not set: give {flag}, or {line} under [dataset] in the --config file"
            );
            return Err(Failure::user(message));
        }
        config.check()?;
        Ok(config)
    }
}

impl DatasetFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("dataset.as_of", self.as_of)?;
        options.set("dataset.window_days", self.window_days)?;
        options.list("dataset.horizons", &self.horizons)?;
        options.set("dataset.label", self.label.map(Label::from))?;
        options.set("dataset.registered_from", self.registered_from)?;
        options.set("dataset.registered_before", self.registered_before)
    }
}

impl ColumnFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("events.user", self.event_user.as_ref())?;
        options.set("events.time", self.event_time.as_ref())?;
        options.set("events.value", self.event_value.as_ref())?;
        options.set("events.order", self.event_order.as_ref())?;
        options.set("users.user", self.user.as_ref())?;
        options.set("users.registration", self.registration.as_ref())?;
        options.list("users.profile", &self.profile)?;
        options.list("users.keep", &self.keep)
    }
}

impl AggregateFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.list("sequences", &self.sequence)?;
        options.list("aggregates.mean", &self.mean)?;
        options.list("aggregates.max", &self.max)?;
        options.list("aggregates.first", &self.first)?;
        options.list("aggregates.first_numeric", &self.first_numeric)?;
        options.list("aggregates.mode", &self.mode)?;
        options.list("holidays.days", &self.holidays)?;
        options.set("holidays.file", self.holiday_file.as_ref())?;
        options.set("holidays.simulator", self.holiday_simulator)
    }
}

/// Builds the dataset, or prints how it would be built.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let config = flags.resolve()?;
    let Some(out) = flags.out.as_ref().filter(|_| !flags.print_sql) else {
        let sql = printed_sql(&config, reads_users(&flags, &config));
        return Report::new(sql.clone(), &serde_json::json!({ "sql": sql }));
    };
    let options = BuildOptions {
        partitions: flags.partitions.map(usize::from),
        threads: context.threads,
        scratch: flags.scratch.clone(),
    };
    let users = (!flags.users.is_empty()).then_some(flags.users.as_slice());
    let progress = &context.progress;
    let Some(earlier) = &flags.update else {
        let manifest = build_dataset(&flags.events, users, &config, out, &options, progress)?;
        return Report::new(summary(out, &manifest), &manifest);
    };
    let updated = update_dataset(
        (earlier, out),
        &flags.events,
        users,
        &config,
        &options,
        progress,
    )?;
    let text = summary(out, &updated.manifest) + &update_text(&updated);
    let mut json = serde_json::to_value(&updated.manifest).map_err(Failure::internal)?;
    json["updated"] = serde_json::json!({
        "made": updated.made, "late_events": updated.late_events, "late_users": updated.late_users,
    });
    Report::new(text, &json)
}

/// What was made anew, and what came too late for it.
fn update_text(updated: &Updated) -> String {
    let mut text = format!("made anew: {} rows\n", count(updated.made));
    if !updated.is_exact() {
        text += &format!(
            "note: {} events and {} users came late and are missing where rows were taken over; leave --update out \
             to have them\n",
            updated.late_events,
            count(updated.late_users)
        );
    }
    text
}

/// Whether there is a user table: given, or taken for granted by the options where only the query
/// is asked for.
fn reads_users(flags: &Flags, config: &FeatureConfig) -> bool {
    let users = &config.users;
    !flags.users.is_empty()
        || users.registration.is_some()
        || !users.profile.is_empty()
        || !users.keep.is_empty()
}

/// What a dataset holds, on less than a screen.
pub(super) fn summary(folder: &Path, manifest: &DatasetManifest) -> String {
    let mut facts = Facts::default();
    facts.add("as of", manifest.as_of);
    facts.add("users", count(manifest.rows));
    for (status, users) in &manifest.statuses {
        facts.add(format!("  {status}"), count(*users));
    }
    facts.add("events", count(manifest.events));
    for (reason, n) in &manifest.dropped {
        facts.add(format!("  left out: {reason}"), count(*n));
    }
    let label = label_words(manifest.label);
    facts.add(
        "label",
        format!("{label} in {:?} days", manifest.horizons.days()),
    );
    facts.add("window", format!("{} days", manifest.window_days));
    let columns: usize = manifest.features.iter().map(|f| f.columns.len()).sum();
    facts.add(
        "features",
        format!("{} in {columns} columns", manifest.features.len()),
    );
    facts.add("files", manifest.files.len());
    let title = format!(
        "{}: a dataset, version {}",
        folder.display(),
        manifest.version
    );
    facts.text(&title)
}
