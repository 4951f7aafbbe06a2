//! Yesterday's model goes on with what has become known, or a new one is trained.

use crate::{
    DailyError,
    config::DailyConfig,
    data::{self, Data},
    ledger::ModelRow,
    stage::{Line, Stage, checksum},
};
use ltv_core::{Day, artefact, config::TrainConfig};
use ltv_data::Dataset;
use ltv_model::Bundle;
use ltv_train::{FitRun, TrainError, fit_or_begin_anew};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Folder of the models, in the work folder.
pub(crate) const FOLDER: &str = "models";

/// The model of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trained {
    pub(crate) model: String,
    blake3: String,
    pub(crate) parent: Option<String>,
    /// Why it was trained as it was.
    pub(crate) how: String,
    pub(crate) train_rows: u64,
    pub(crate) steps: u64,
}

/// The file of a model.
pub(crate) fn file(config: &DailyConfig, id: &str) -> PathBuf {
    config.work.join(FOLDER).join(name(id))
}

fn name(id: &str) -> String {
    format!("{id}.ltv")
}

/// How a model will be trained.
pub(crate) enum Plan {
    /// From random weights, and why.
    Cold(String),
    /// From the weights of this model.
    Warm(String),
}

impl Plan {
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Cold(why) => format!("from the start, {why}"),
            Self::Warm(id) => format!("on from {id}"),
        }
    }
}

/// The plan of a day: on from the model that serves, unless that has been done for long enough.
pub(crate) fn plan(line: &Line<'_>, config: &DailyConfig) -> Result<Plan, DailyError> {
    let Some(id) = line.ledger.champion(line.date)? else {
        return Ok(Plan::Cold("the first time".into()));
    };
    if !file(config, &id).is_file() {
        return Ok(Plan::Cold(format!("because the file of {id} is gone")));
    }
    let days = config.refresh.model_days.get();
    match born(line, &id)? {
        Some(day) if line.date - day >= days as i32 => {
            Ok(Plan::Cold(format!("as every {days} days")))
        }
        _ => Ok(Plan::Warm(id)),
    }
}

/// The day on which the first of a model's line was trained from random weights.
fn born(line: &Line<'_>, id: &str) -> Result<Option<Day>, DailyError> {
    let models = line.ledger.models()?;
    let known: BTreeMap<&str, &ModelRow> = models.iter().map(|m| (m.id.as_str(), m)).collect();
    let (mut id, mut day) = (id, None);
    for _ in 0..=known.len() {
        let Some(model) = known.get(id) else {
            break;
        };
        day = Some(model.date);
        match &model.parent {
            Some(parent) => id = parent,
            None => break,
        }
    }
    Ok(day)
}

/// The stage `train`.
pub(crate) fn train(
    line: &mut Line<'_>,
    config: &DailyConfig,
    (data, known): (&Data, &[u64]),
) -> Result<Trained, DailyError> {
    let options = with_labels(config, data, known)?;
    let plan = plan(line, config)?;
    let what = plan.what();
    let stage = Stage {
        name: "train",
        what: &what,
        inputs: (&options, &what, line.call.seed),
    };
    let there = |trained: &Trained| {
        Bundle::load(file(config, &trained.model)).is_ok_and(|b| b.blake3 == trained.blake3)
    };
    line.stage(stage, there, |line| {
        fitted(line, config, (data, &options), plan)
    })
}

/// The options of a training: of the horizons that are asked for, those of which enough labels are known. A product
/// that is younger than a horizon does without it, until it is old enough.
fn with_labels(
    config: &DailyConfig,
    data: &Data,
    known: &[u64],
) -> Result<TrainConfig, DailyError> {
    let mut train = config.train.clone();
    let asked = train.chosen_horizons()?;
    let asked = asked.map_or(data.horizons.clone(), |chosen| chosen.days().to_vec());
    let rows = |days: &u32| {
        let place = data.horizons.iter().position(|n| n == days);
        place
            .and_then(|place| known.get(place))
            .copied()
            .unwrap_or(0)
    };
    let ready: Vec<u32> = asked
        .iter()
        .copied()
        .filter(|n| rows(n) >= LEAST_LABELS)
        .collect();
    // Where there are none, training says so better than we could.
    if !ready.is_empty() && ready.len() < asked.len() {
        train.horizons = ready;
    }
    Ok(train)
}

/// Users whose label of a horizon is known, for it to be learned.
const LEAST_LABELS: u64 = 500;

fn fitted(
    line: &mut Line<'_>,
    config: &DailyConfig,
    (data, options): (&Data, &TrainConfig),
    plan: Plan,
) -> Result<Trained, DailyError> {
    let dataset = Dataset::open(data::folder(config, line.date))?;
    let folder = config.work.join(FOLDER);
    artefact::create_folder(&folder)?;
    let mut how = plan.what();
    let loaded = match &plan {
        Plan::Warm(id) => Some(Bundle::load(file(config, id))),
        Plan::Cold(_) => None,
    };
    let warm = match loaded.transpose() {
        Ok(bundle) => bundle.map(Arc::new),
        Err(problem) => {
            how = format!("from the start, because of the model before: {problem}");
            None
        }
    };
    let checkpoint = config.work.join("training.part");
    let run = FitRun {
        seed: line.call.seed,
        threads: line.call.threads,
        checkpoint: Some(checkpoint.clone()),
        resume: true,
        cache: Some(config.work.clone()),
        warm,
    };
    let progress = line.call.progress;
    let bundle = match fit_or_begin_anew(&dataset, options, &run, progress) {
        // Features or options are others now.
        Err(TrainError::Warm { problem, .. }) => {
            how = format!("from the start, because of the model before: {problem}");
            let cold = FitRun { warm: None, ..run };
            fit_or_begin_anew(&dataset, options, &cold, progress)?
        }
        other => other?,
    };
    let id = bundle.save(folder.join(name(&bundle.id)))?;
    let row = ModelRow {
        id: id.clone(),
        date: line.date,
        file: name(&id),
        parent: bundle.document.record.parent.clone(),
        dataset: data.fingerprint.clone(),
        config: checksum(options)?,
        verdict: None,
    };
    line.ledger.add_model(&row)?;
    remove(&checkpoint)?;
    Ok(Trained {
        model: id,
        blake3: bundle.blake3,
        parent: row.parent,
        how,
        train_rows: bundle.document.record.train_rows,
        steps: bundle.document.record.steps,
    })
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), DailyError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ltv_core::Error::io(path, "remove", e).into())
        }
        _ => Ok(()),
    }
}
