//! Everyone's scores, whether they can be believed, and their way to whoever looks them up.

use crate::{
    DailyError,
    config::DailyConfig,
    data,
    gate::{self, Verdict},
    ledger::GATE,
    model,
    stage::{Line, Stage},
};
use ltv_core::{
    Day, artefact,
    manifest::{MANIFEST, SnapshotManifest},
};
use ltv_data::Dataset;
use ltv_model::{Bundle, Model};
use ltv_score::{DiffOptions, PastHorizon, ScoreOptions, diff, score};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Folder of the snapshots, in the work folder.
pub(crate) const FOLDER: &str = "snapshots";

/// The folder of a day's snapshot.
pub(crate) fn folder(config: &DailyConfig, date: Day) -> PathBuf {
    config.work.join(FOLDER).join(date.to_string())
}

/// The scores of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scored {
    pub(crate) model: String,
    /// Checksum of the manifest.
    manifest: String,
    pub(crate) rows: u64,
    pub(crate) totals: Vec<f64>,
    order_violations: u64,
    monotone: bool,
}

/// The stage `score`: everyone, by the model `id`.
pub(crate) fn scores(
    line: &mut Line<'_>,
    config: &DailyConfig,
    id: &str,
) -> Result<Scored, DailyError> {
    let out = folder(config, line.date);
    let what = format!("everyone, by {id}");
    let stage = Stage {
        name: "score",
        what: &what,
        inputs: (id, &config.score),
    };
    let there = |scored: &Scored| {
        artefact::checksum(out.join(MANIFEST)).is_ok_and(|sum| sum == scored.manifest)
    };
    line.stage(stage, there, |line| {
        let model = Model::new(
            Bundle::load(model::file(config, id))?,
            config.score.decoding,
        )?;
        let document = model.document();
        let options = ScoreOptions {
            threads: line.call.threads,
            decoding: model.decoding().to_string(),
            monotone: document.config.model.monotone,
            expected_window: Some(document.window_days),
            model_blake3: Some(model.blake3().to_owned()),
            past_horizon: match config.score.drop_past_horizon {
                true => PastHorizon::Drop,
                false => PastHorizon::Keep,
            },
            ..ScoreOptions::default()
        };
        let dataset = Dataset::open(data::folder(config, line.date))?;
        let progress = line.call.progress;
        let manifest = score(&dataset, &model, &out, &options, progress);
        progress.finish();
        let manifest: SnapshotManifest = manifest?;
        Ok(Scored {
            model: id.to_owned(),
            manifest: artefact::checksum(out.join(MANIFEST))?,
            rows: manifest.rows,
            totals: manifest.totals,
            order_violations: manifest.order_violations,
            monotone: manifest.monotone,
        })
    })
}

/// The stage `movement`: the gate of the scores, beside those of the last day that was published.
pub(crate) fn movement(
    line: &mut Line<'_>,
    config: &DailyConfig,
    scored: &Scored,
) -> Result<Verdict, DailyError> {
    let last = line.ledger.last(&["published", "kept"], Some(line.date))?;
    let last = last.filter(|day| folder(config, *day).join(MANIFEST).is_file());
    let stage = Stage {
        name: "movement",
        what: "how far values have moved since they were published last",
        inputs: (&config.gate, last),
    };
    line.stage(
        stage,
        |_| true,
        |line| {
            let found = match last {
                Some(day) => Some(compared(line, config, day)?),
                None => None,
            };
            let (violations, monotone) = (scored.order_violations, scored.monotone);
            Ok(Verdict::of(gate::scores(
                found.as_ref(),
                violations,
                monotone,
                &config.gate,
            )))
        },
    )
}

fn compared(line: &Line<'_>, config: &DailyConfig, day: Day) -> Result<diff::Diff, DailyError> {
    let options = DiffOptions {
        scratch: config.work.clone(),
        ..DiffOptions::default()
    };
    let (old, new) = (folder(config, day), folder(config, line.date));
    let found = ltv_score::diff(&old, &new, &options, line.call.progress);
    line.call.progress.finish();
    Ok(found?)
}

/// The stage `publish`: the scores go live, and from now on the model serves if it is a new one.
pub(crate) fn publish(
    line: &mut Line<'_>,
    config: &DailyConfig,
    scored: &Scored,
) -> Result<Option<serde_json::Value>, DailyError> {
    let snapshot = folder(config, line.date);
    let stage = Stage {
        name: "publish",
        what: "the scores go live",
        inputs: (&config.store, config.values_only),
    };
    line.stage(
        stage,
        |_| true,
        |line| {
            let published = match &config.store {
                Some(store) => Some(live(line, store, &snapshot, config.values_only)?),
                None => None,
            };
            line.ledger.promote(&scored.model, line.date, GATE)?;
            Ok(published)
        },
    )
}

fn live(
    line: &Line<'_>,
    store: &Path,
    snapshot: &Path,
    values_only: bool,
) -> Result<serde_json::Value, DailyError> {
    (line.call.publish)(store, snapshot, values_only)
}
