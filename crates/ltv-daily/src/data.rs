//! New events to a dataset of the day, and whether it can be believed.

use crate::{
    DailyError,
    census::Census,
    config::{DailyConfig, Late},
    gate::{self, Check, Verdict},
    stage::{Line, Stage},
};
use ltv_core::{Day, config::FeatureConfig, manifest::DatasetManifest};
use ltv_data::{BuildOptions, DataError, Dataset, features::LogDay, make_dataset};
use ltv_files::Stores;
use ltv_score::evaluate::Coder;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Folder of the datasets, in the work folder.
pub(crate) const FOLDER: &str = "datasets";

/// The dataset of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) fingerprint: String,
    pub(crate) users: u64,
    pub(crate) events: u64,
    pub(crate) horizons: Vec<u32>,
    /// Rows that were made.
    pub(crate) made: u64,
    /// How it was made, in words.
    pub(crate) how: String,
    /// The last day for which everything was made.
    whole: Day,
    /// The files of the event log.
    files: Vec<InputFile>,
    /// The last days of the log.
    last_days: Vec<LogDay>,
}

/// A file, as far as one can tell whether it is still the same without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InputFile {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970; 0 for objects, which are told apart by name and size.
    changed: u64,
}

/// The folder of a day's dataset.
pub(crate) fn folder(config: &DailyConfig, date: Day) -> PathBuf {
    config.work.join(FOLDER).join(date.to_string())
}

/// The feature configuration of a day.
fn features(config: &DailyConfig, date: Day) -> FeatureConfig {
    let mut features = config.features.clone();
    features.dataset.as_of = date;
    features
}

/// What there is of the days before.
pub(crate) enum Before {
    /// Nothing: this is the first day.
    Nothing,
    /// The dataset of the last day that passed and is there.
    There(Dataset, Box<Data>),
    /// Days passed, but none of their datasets is there.
    Gone,
}

impl Before {
    pub(crate) fn of(line: &Line<'_>, config: &DailyConfig) -> Result<Self, DailyError> {
        let found = line.ledger.results_before(line.date, "data", "check")?;
        let first = found.is_empty();
        for (day, result) in found {
            let mut data: Data = serde_json::from_str(&result).map_err(DailyError::internal)?;
            // Users may have been forgotten since, so that it is not what it was made as.
            let found = Dataset::open(folder(config, day)).ok();
            if let Some(dataset) = found.filter(|found| found.manifest().as_of == day) {
                data.fingerprint = dataset.fingerprint()?;
                return Ok(Self::There(dataset, Box::new(data)));
            }
        }
        Ok(if first { Self::Nothing } else { Self::Gone })
    }

    fn day(&self) -> Option<Day> {
        match self {
            Self::There(dataset, _) => Some(dataset.manifest().as_of),
            _ => None,
        }
    }

    /// What tells it from others.
    fn key(&self) -> Option<(Day, String)> {
        match self {
            Self::There(dataset, data) => {
                Some((dataset.manifest().as_of, data.fingerprint.clone()))
            }
            _ => None,
        }
    }
}

/// Whether the dataset that is remembered is the one on disk, by its manifest.
fn is_there(folder: &Path, data: &Data) -> bool {
    let found = Dataset::open(folder).and_then(|dataset| dataset.fingerprint());
    found.is_ok_and(|fingerprint| fingerprint == data.fingerprint)
}

/// The stage `data`.
pub(crate) fn data(
    line: &mut Line<'_>,
    config: &DailyConfig,
    before: &Before,
) -> Result<Data, DailyError> {
    let files = listed(&config.events)?;
    let people = listed(&config.users)?;
    let plan = plan(line.date, config, before, &files);
    let features = features(config, line.date);
    let from = before.key();
    let out = folder(config, line.date);
    let what = plan.what();
    let stage = Stage {
        name: "data",
        what: &what,
        inputs: (&features, &files, &people, from, &what),
    };
    line.stage(
        stage,
        |data| is_there(&out, data),
        |line| make(line, config, &features, (plan, before, files.clone())),
    )
}

/// How the dataset of a day will be made.
pub(crate) enum Plan {
    /// From the whole log, and why.
    Whole(String),
    /// From the one of this day.
    Update(Day),
}

impl Plan {
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Whole(why) => format!("from the whole log, {why}"),
            Self::Update(day) => format!("only what has changed since {day}"),
        }
    }
}

/// The plan of a day, for whoever wants to know before.
pub(crate) fn foreseen(line: &Line<'_>, config: &DailyConfig) -> Result<Plan, DailyError> {
    let before = Before::of(line, config)?;
    Ok(plan(line.date, config, &before, &listed(&config.events)?))
}

fn plan(date: Day, config: &DailyConfig, before: &Before, files: &[InputFile]) -> Plan {
    let (dataset, data) = match before {
        Before::There(dataset, data) => (dataset, data),
        Before::Nothing => return Plan::Whole("the first time".into()),
        Before::Gone => return Plan::Whole("because no earlier dataset is there".into()),
    };
    let since = date - data.whole;
    if since >= config.refresh.features_days.get() as i32 {
        return Plan::Whole(format!("as every {} days", config.refresh.features_days));
    }
    let now: BTreeMap<&Path, &InputFile> = files.iter().map(|f| (f.path.as_path(), f)).collect();
    for file in &data.files {
        match now.get(file.path.as_path()) {
            Some(found) if *found == file => {}
            Some(_) => return Plan::Whole(format!("because {} has changed", file.path.display())),
            None => return Plan::Whole(format!("because {} is gone", file.path.display())),
        }
    }
    Plan::Update(dataset.manifest().as_of)
}

type Known<'a> = (Plan, &'a Before, Vec<InputFile>);

fn make(
    line: &mut Line<'_>,
    config: &DailyConfig,
    features: &FeatureConfig,
    (plan, before, files): Known<'_>,
) -> Result<Data, DailyError> {
    let out = folder(config, line.date);
    let options = BuildOptions {
        threads: line.call.threads,
        ..BuildOptions::default()
    };
    let users = (!config.users.is_empty()).then_some(config.users.as_slice());
    let progress = line.call.progress;
    let make = |earlier: Option<&Path>| {
        let (events, places) = (&config.events, (earlier, out.as_path()));
        make_dataset(places, events, users, features, &options, progress)
    };
    let whole = |why: String| -> Result<_, DailyError> {
        Ok((make(None)?, format!("from the whole log, {why}"), line.date))
    };
    let (found, how, whole) = match (plan, before) {
        (Plan::Update(day), Before::There(_, data)) => match make(Some(&folder(config, day))) {
            Ok(found) if found.is_exact() || config.refresh.late_events == Late::Wait => {
                let how = format!("only what has changed since {day}{}", late(&found));
                (found, how, data.whole)
            }
            Ok(found) => whole(format!("because of what came late{}", late(&found)))?,
            Err(DataError::NotEarlier { problem, .. }) => whole(format!("because {problem}"))?,
            // What is damaged is not needed.
            Err(DataError::Earlier(problem)) => whole(format!("because of {problem}"))?,
            Err(error) => return Err(error.into()),
        },
        (Plan::Whole(why), _) => whole(why)?,
        (Plan::Update(_), _) => return Err(DailyError::internal("nothing to go on from")),
    };
    Ok(Data {
        fingerprint: Dataset::open(&out)?.fingerprint()?,
        users: found.manifest.rows,
        events: found.manifest.events,
        horizons: found.manifest.horizons.days().to_vec(),
        made: found.made,
        how,
        whole,
        files,
        last_days: found.last_days,
    })
}

fn late(found: &ltv_data::Updated) -> String {
    match found.is_exact() {
        true => String::new(),
        false => format!(
            " ({} events, {} users)",
            found.late_events, found.late_users
        ),
    }
}

/// The Parquet files below some paths.
fn listed(paths: &[PathBuf]) -> Result<Vec<InputFile>, DailyError> {
    let stores = Stores::default();
    let mut files = vec![];
    for path in paths {
        for entry in stores
            .place(path)?
            .files(|part| !part.starts_with(['.', '_']))?
        {
            let path = entry.path().to_path_buf();
            // Of an object no time is known.
            let found = fs::metadata(&path);
            let changed = found.as_ref().ok().and_then(|m| m.modified().ok());
            let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let bytes = entry
                .object_bytes()
                .or(found.as_ref().ok().map(|m| m.len()));
            files.push(InputFile {
                bytes: bytes.unwrap_or(0),
                changed: since.map_or(0, |time| time.as_nanos() as u64),
                path,
            });
        }
    }
    Ok(files)
}

/// What the gate of the data found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checked {
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// Users whose label is known, one number for each horizon; 0 where nobody has any value.
    pub(crate) known: Vec<u64>,
}

/// The stage `check`: the gate of the data.
pub(crate) fn check(
    line: &mut Line<'_>,
    config: &DailyConfig,
    (data, before): (&Data, &Before),
) -> Result<Checked, DailyError> {
    let accept = line.call.accepts("data");
    let stage = Stage {
        name: "check",
        what: "whether the data can be believed",
        inputs: (&config.judge.by, &config.gate, before.key(), accept),
    };
    line.stage(
        stage,
        |_| true,
        |line| {
            let by = &config.judge.by;
            let dataset = Dataset::open(folder(config, line.date))?;
            by.iter()
                .try_for_each(|column| Coder::new(&dataset, column).map(drop))?;
            let since = before.day().unwrap_or(line.date + -1);
            let new = Census::take(&dataset, since, by, line.call.progress)?;
            let (old, mut checks) = history(line, config, (before, &dataset));
            let days = (&new, data.last_days.as_slice(), since);
            checks.extend(gate::data(old.as_ref(), days, &data.horizons, &config.gate));
            Ok(Checked {
                verdict: Verdict::of(checks, accept),
                known: new.labels(),
            })
        },
    )
}

/// What was counted of the day before, where it can be compared; and what is to be said where it cannot.
fn history(
    line: &Line<'_>,
    config: &DailyConfig,
    (before, dataset): (&Before, &Dataset),
) -> (Option<Census>, Vec<Check>) {
    let by = &config.judge.by;
    let old = match before {
        Before::There(dataset, _) => dataset,
        Before::Nothing => return (None, vec![]),
        Before::Gone => {
            let what = "no dataset of an earlier day is there to compare with".to_owned();
            return (None, vec![Check::blind("data", what, false)]);
        }
    };
    let day = old.manifest().as_of;
    let same = alike(old.manifest(), dataset.manifest(), by);
    let counted = same.then(|| Census::take(old, day, by, line.call.progress));
    let counted = counted.transpose();
    match counted {
        Ok(Some(census)) => (Some(census), vec![]),
        Ok(None) => {
            let what = format!("features or labels are others than on {day}: not compared");
            (None, vec![Check::blind("data", what, true)])
        }
        Err(error) => {
            let what = format!("the dataset of {day} cannot be compared with: {error}");
            (None, vec![Check::blind("data", what, false)])
        }
    }
}

/// Whether labels mean the same, and the columns that are reported by are in both.
fn alike(old: &DatasetManifest, new: &DatasetManifest, by: &[String]) -> bool {
    let has = |column: &String| {
        let features = old.features.iter().flat_map(|f| &f.columns);
        features.chain(&old.keep).any(|name| name == column)
    };
    let labels = |m: &DatasetManifest| (m.horizons.clone(), m.window_days, m.label);
    labels(old) == labels(new) && by.iter().all(has)
}
