//! New events to a dataset of the day, and whether it can be believed.

use crate::{
    DailyError,
    census::Census,
    config::{DailyConfig, Late},
    gate::{self, Verdict},
    stage::{Line, Stage},
};
use ltv_core::{Day, config::FeatureConfig, manifest::DatasetManifest};
use ltv_data::{BuildOptions, DataError, Dataset, build_dataset, update_dataset};
use ltv_files::Stores;
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

/// A dataset of an earlier day that passed, if it is still there.
pub(crate) fn earlier(
    line: &Line<'_>,
    config: &DailyConfig,
) -> Result<Option<(Day, Data)>, DailyError> {
    let found = line.ledger.result_before(line.date, "data", "check")?;
    let Some((day, result)) = found else {
        return Ok(None);
    };
    let data: Data = serde_json::from_str(&result).map_err(DailyError::internal)?;
    Ok(is_there(&folder(config, day), &data).then_some((day, data)))
}

/// Whether the dataset that is remembered is the one on disk, by its manifest.
fn is_there(folder: &Path, data: &Data) -> bool {
    let found = Dataset::open(folder).and_then(|dataset| dataset.fingerprint());
    found.is_ok_and(|fingerprint| fingerprint == data.fingerprint)
}

/// The stage `data`.
pub(crate) fn data(line: &mut Line<'_>, config: &DailyConfig) -> Result<Data, DailyError> {
    let before = earlier(line, config)?;
    let files = listed(&config.events)?;
    let people = listed(&config.users)?;
    let plan = plan(line.date, config, before.as_ref(), &files);
    let features = features(config, line.date);
    let from = before
        .as_ref()
        .map(|(day, data)| (*day, data.fingerprint.clone()));
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
    let before = earlier(line, config)?;
    Ok(plan(
        line.date,
        config,
        before.as_ref(),
        &listed(&config.events)?,
    ))
}

fn plan(
    date: Day,
    config: &DailyConfig,
    before: Option<&(Day, Data)>,
    files: &[InputFile],
) -> Plan {
    let Some((day, data)) = before else {
        return Plan::Whole("the first time".into());
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
    Plan::Update(*day)
}

type Known = (Plan, Option<(Day, Data)>, Vec<InputFile>);

fn make(
    line: &mut Line<'_>,
    config: &DailyConfig,
    features: &FeatureConfig,
    (plan, before, files): Known,
) -> Result<Data, DailyError> {
    let out = folder(config, line.date);
    let options = BuildOptions {
        threads: line.call.threads,
        ..BuildOptions::default()
    };
    let users = (!config.users.is_empty()).then_some(config.users.as_slice());
    let progress = line.call.progress;
    let whole = |why: String| -> Result<_, DailyError> {
        let manifest = build_dataset(&config.events, users, features, &out, &options, progress)?;
        let made = manifest.rows;
        Ok((
            manifest,
            made,
            format!("from the whole log, {why}"),
            line.date,
        ))
    };
    let (manifest, made, how, whole) = match plan {
        Plan::Whole(why) => whole(why)?,
        Plan::Update(day) => {
            let from = folder(config, day);
            let events = &config.events;
            match update_dataset((&from, &out), events, users, features, &options, progress) {
                Ok(found) if found.is_exact() || config.refresh.late_events == Late::Wait => {
                    let how = format!("only what has changed since {day}{}", late(&found));
                    let last = before.map_or(line.date, |(_, data)| data.whole);
                    (found.manifest, found.made, how, last)
                }
                Ok(found) => whole(format!("because of what came late{}", late(&found)))?,
                Err(DataError::NotEarlier { problem, .. }) => whole(format!("because {problem}"))?,
                Err(error) => return Err(error.into()),
            }
        }
    };
    Ok(Data {
        fingerprint: Dataset::open(&out)?.fingerprint()?,
        users: manifest.rows,
        events: manifest.events,
        horizons: manifest.horizons.days().to_vec(),
        made,
        how,
        whole,
        files,
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
            // An object cannot be asked; its name and that it is there must do.
            let found = fs::metadata(&path);
            let changed = found.as_ref().ok().and_then(|m| m.modified().ok());
            let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            files.push(InputFile {
                bytes: found.map_or(0, |m| m.len()),
                changed: since.map_or(0, |time| time.as_nanos() as u64),
                path,
            });
        }
    }
    Ok(files)
}

/// The stage `check`: the gate of the data.
pub(crate) fn check(
    line: &mut Line<'_>,
    config: &DailyConfig,
    data: &Data,
) -> Result<Verdict, DailyError> {
    let before = earlier(line, config)?;
    let from = before.as_ref().map(|(day, data)| (day, &data.fingerprint));
    let stage = Stage {
        name: "check",
        what: "whether the data can be believed",
        inputs: (&config.judge.by, &config.gate, from),
    };
    line.stage(
        stage,
        |_| true,
        |line| {
            let progress = line.call.progress;
            let by = &config.judge.by;
            let dataset = Dataset::open(folder(config, line.date))?;
            let since = before.as_ref().map_or(line.date + -1, |(day, _)| *day);
            let new = Census::take(&dataset, since, by, progress)?;
            let old = match &before {
                Some((day, _)) => {
                    let dataset = Dataset::open(folder(config, *day))?;
                    same_columns(dataset.manifest(), by)
                        .then(|| Census::take(&dataset, *day, by, progress))
                        .transpose()?
                }
                None => None,
            };
            Ok(Verdict::of(gate::data(
                old.as_ref(),
                &new,
                &data.horizons,
                &config.gate,
            )))
        },
    )
}

/// Whether the columns that are reported by were there.
fn same_columns(manifest: &DatasetManifest, by: &[String]) -> bool {
    let mut features = manifest
        .features
        .iter()
        .flat_map(|f| &f.columns)
        .chain(&manifest.keep);
    by.iter().all(|column| features.any(|name| name == column))
}
