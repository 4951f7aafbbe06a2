//! `ltv conversions`: values of a snapshot for ad platforms, in their formats, or such a file checked.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    report::{Facts, Report, count},
};
use clap::{Args, builder::PossibleValuesParser};
use ltv_core::{Day, address::check_output, artefact, progress::Progress};
use ltv_score::conversions::{
    Checked, ConversionOptions, Exported, Platform, Scratch, check_conversions, conversions,
};
use std::path::{Path, PathBuf};

/// Write predicted values as conversions for ad platforms, and check such files
///
/// Joins a snapshot with a table of who came by which click, and writes what may be sent: a CSV file to upload to Google Ads, or bodies of
/// requests to the Conversions API of Meta, one a line. Rows that the platform would refuse are left out and counted by reason. E-mail addresses and
/// phone numbers are hashed as soon as they are read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv conversions snapshot --users users.parquet --platform google-ads --name 'pLTV 365' \\
    --currency EUR --time registered_at --click-id gclid --out google.csv
  ltv conversions today --since first --users users.parquet --platform google-ads-restatement \\
    --name 'pLTV 365' --currency EUR --time registered_at --click-id gclid --out restated.csv
  ltv conversions snapshot --users users.parquet --platform meta --name PredictedLTV \\
    --currency EUR --time last_bought_at --email email --fbc fbc --cap 0.99 --out meta.jsonl
  ltv conversions --check google.csv --as-of 2024-01-31")]
pub(crate) struct Flags {
    /// Folder of the snapshot, or s3://bucket/prefix
    #[arg(value_name = "SNAPSHOT", required_unless_present = "check")]
    snapshot: Option<PathBuf>,
    /// Parquet files of the user table, or folders with them; may be given several times
    #[arg(long, value_name = "PATH")]
    users: Vec<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// Only check this file, which was written before or by others; --as-of also checks times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["snapshot", "out", "users"])]
    check: Option<PathBuf>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    columns: ColumnFlags,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What is sent.
#[derive(Debug, Args)]
struct What {
    /// For whom
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Platform::ALL.map(Platform::name)))]
    platform: Option<String>,
    /// Name of the conversion action in Google Ads, or of the event for Meta
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Currency of the values, by ISO 4217
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Days that values are of [default: the longest horizon]
    #[arg(long, value_name = "DAYS")]
    horizon: Option<u32>,
    /// Day on which the file is sent, which decides what is too old [default: the snapshot's as-of date]
    #[arg(long, value_name = "DATE")]
    as_of: Option<Day>,
    /// Statuses of users to send, with commas between them [default: active,past_horizon]
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,
    /// What predictions are multiplied with, such as the worth of an active day [default: 1]
    #[arg(long, value_name = "X")]
    scale: Option<f64>,
    /// Cap values at this quantile of theirs, such as 0.99 [default: no cap]
    #[arg(long, value_name = "Q")]
    cap: Option<f64>,
    /// Leave out smaller values [default: none]
    #[arg(long, value_name = "X")]
    min_value: Option<f64>,
    /// Snapshot of the first upload, not of yesterday, for restatements
    #[arg(long, value_name = "DIR")]
    since: Option<PathBuf>,
    /// From which share of the first value on a change is restated, 0 or more [default: 0.1]
    #[arg(long, value_name = "X")]
    moved: Option<f64>,
    /// Where events came from, for Meta [default: system_generated]
    #[arg(long, value_name = "SOURCE")]
    action_source: Option<String>,
    /// Page of events that came from a website, for Meta
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// MiB of rows that are sorted at a time [default: 256]
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
    /// Folder of scratch files, which have no names [default: that of --out]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// Where it is in the user table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns of the user table")]
struct ColumnFlags {
    /// Id, as in the snapshot [default: user_id]
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// When the user converted, in UTC where it says no zone; a date counts as its last second
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Google click id
    #[arg(long, value_name = "COLUMN")]
    click_id: Option<String>,
    /// When the user clicked, for Google
    #[arg(long, value_name = "COLUMN")]
    click_time: Option<String>,
    /// Order id, for Google [default: a hash of the name and the user]
    #[arg(long, value_name = "COLUMN")]
    order_id: Option<String>,
    /// E-mail address or its SHA-256, for Meta
    #[arg(long, value_name = "COLUMN")]
    email: Option<String>,
    /// Phone number with the code of the country or its SHA-256, for Meta
    #[arg(long, value_name = "COLUMN")]
    phone: Option<String>,
    /// Id of your own, which is hashed, for Meta
    #[arg(long, value_name = "COLUMN")]
    external_id: Option<String>,
    /// Click id as the cookie _fbc has it, for Meta
    #[arg(long, value_name = "COLUMN")]
    fbc: Option<String>,
    /// Browser id as the cookie _fbp has it, for Meta
    #[arg(long, value_name = "COLUMN")]
    fbp: Option<String>,
    /// The browser's user agent, for Meta
    #[arg(long, value_name = "COLUMN")]
    user_agent: Option<String>,
    /// Whether the user agreed: true, or 'granted'; others are left out
    #[arg(long, value_name = "COLUMN")]
    consent: Option<String>,
}

impl What {
    fn lay_over(self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("platform", self.platform)?;
        options.set("name", self.name)?;
        options.set("currency", self.currency)?;
        options.set("horizon", self.horizon)?;
        options.set("as_of", self.as_of)?;
        options.list("status", &self.status)?;
        options.set("scale", self.scale)?;
        options.set("cap", self.cap)?;
        options.set("min_value", self.min_value)?;
        options.set("since", self.since)?;
        options.set("moved", self.moved)?;
        options.set("action_source", self.action_source)?;
        options.set("source_url", self.source_url)?;
        options.set("memory", self.memory)?;
        options.set("scratch", self.scratch)
    }
}

impl ColumnFlags {
    fn lay_over(self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("columns.user", self.user)?;
        options.set("columns.time", self.time)?;
        options.set("columns.click_id", self.click_id)?;
        options.set("columns.click_time", self.click_time)?;
        options.set("columns.order_id", self.order_id)?;
        options.set("columns.email", self.email)?;
        options.set("columns.phone", self.phone)?;
        options.set("columns.external_id", self.external_id)?;
        options.set("columns.fbc", self.fbc)?;
        options.set("columns.fbp", self.fbp)?;
        options.set("columns.user_agent", self.user_agent)?;
        options.set("columns.consent", self.consent)
    }
}

/// Writes a file, or checks one.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    flags.what.lay_over(&mut options)?;
    flags.columns.lay_over(&mut options)?;
    let options: ConversionOptions = options.resolve()?;
    if let Some(file) = &flags.check {
        return check(file, &options);
    }
    let (Some(snapshot), Some(out)) = (flags.snapshot, flags.out) else {
        return Err(Failure::internal(
            "neither a file to check nor one to write",
        ));
    };
    outputs::check(&out, Kind::Conversions)?;
    check_output(&out)?;
    if !artefact::parent(&out).is_dir() {
        let message = format!("{}: its folder is not there; make it first", out.display());
        return Err(Failure::user(message));
    }
    let progress = &context.progress;
    let found = conversions(&snapshot, &flags.users, &out, &options, progress);
    progress.finish();
    let found = found?;
    Report::new(text(&found, &out), &found)
}

fn check(file: &Path, options: &ConversionOptions) -> Result<Report, Failure> {
    let scratch = Scratch {
        folder: options.scratch.clone().unwrap_or_else(std::env::temp_dir),
        memory: u64::from(options.memory) << 20,
    };
    let found = check_conversions(file, options.as_of, &scratch)?;
    let Checked {
        platform,
        rows,
        total,
    } = &found;
    let mut text = format!(
        "{}: {} values for {platform}, {total:.2} in all; no rule is broken",
        file.display(),
        count(*rows)
    );
    if options.as_of.is_none() {
        text.push_str("\ntimes were not checked: --as-of says on which day it is sent");
    }
    Report::new(text, &found)
}

/// What was written, and what was left out.
fn text(found: &Exported, out: &Path) -> String {
    let mut facts = Facts::default();
    facts.add("name", &found.name);
    facts.add(
        "snapshot",
        format!("as of {}, model {}", found.snapshot_as_of, found.model_id),
    );
    facts.add("horizon", format!("{} days", found.horizon));
    facts.add("to be sent on", found.as_of);
    facts.add("users", count(found.users));
    facts.add("  sent", count(found.rows));
    for (reason, users) in &found.left_out {
        facts.add(format!("  {}", reason.words()), count(*users));
    }
    facts.add("not in the snapshot", count(found.not_scored));
    facts.add("total", format!("{:.2} {}", found.total, found.currency));
    if let Some(cap) = found.cap {
        facts.add("capped at", format!("{cap} {}", found.currency));
    }
    let unusable = &found.unusable;
    for (what, rows) in [
        ("unusable e-mail addresses", unusable.email),
        ("unusable phone numbers", unusable.phone),
        ("unusable click ids (fbc)", unusable.fbc),
        ("unusable browser ids (fbp)", unusable.fbp),
        ("user agents with an address", unusable.user_agent),
    ] {
        if rows > 0 {
            facts.add(what, count(rows));
        }
    }
    for warning in &found.warnings {
        facts.add("warning", warning);
    }
    facts.text(&format!("{}: values for {}", out.display(), found.platform))
}
