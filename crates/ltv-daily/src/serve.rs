//! Everyone's scores, whether they can be believed, and their way to whoever looks them up.

use crate::{
    DailyError,
    config::DailyConfig,
    data,
    gate::{self, Check, Verdict},
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
use ltv_score::{Diff, DiffOptions, PAST_HORIZON, PastHorizon, ScoreOptions, score};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
    pub(crate) horizons: Vec<u32>,
    pub(crate) totals: Vec<f64>,
    order_violations: u64,
    monotone: bool,
}

/// The stage `score`: everyone, by the model `id`.
pub(crate) fn scores(
    line: &mut Line<'_>,
    config: &DailyConfig,
    (name, id): (&'static str, &str),
) -> Result<Scored, DailyError> {
    let out = folder(config, line.date);
    let what = format!("everyone, by {id}");
    let stage = Stage {
        name,
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
            horizons: manifest.horizons.days().to_vec(),
            totals: manifest.totals,
            order_violations: manifest.order_violations,
            monotone: manifest.monotone,
        })
    })
}

/// The stage `movement`: the gate of the scores, beside those that were published last.
pub(crate) fn movement(
    line: &mut Line<'_>,
    config: &DailyConfig,
    (name, scored): (&'static str, &Scored),
) -> Result<Verdict, DailyError> {
    let published = line.ledger.publications(Some(line.date))?;
    let first = published.is_empty();
    let there = |day: &Day| folder(config, *day).join(MANIFEST).is_file();
    let last = published.into_iter().find(there);
    let accept = line.call.accepts("scores");
    let stage = Stage {
        name,
        what: "how far values have moved since they were published last",
        inputs: (&config.gate, last, accept),
    };
    line.stage(
        stage,
        |_| true,
        |line| {
            let (found, mut checks) = match last {
                Some(day) => compared(line, config, day),
                None if first => (None, vec![]),
                None => {
                    let what = "no published snapshot is there to compare with".to_owned();
                    (None, vec![Check::blind("scores", what, false)])
                }
            };
            let violations = scored.monotone.then_some(scored.order_violations);
            let aged_out = found.as_ref().map_or(0, |(_, aged_out)| *aged_out);
            let diff = found.as_ref().map(|(diff, _)| diff);
            checks.extend(gate::scores(diff, violations, aged_out, &config.gate));
            Ok(Verdict::of(checks, accept))
        },
    )
}

/// What moved since a day, and how many users have become too old to be scored; and what is to be said where it
/// cannot be known.
fn compared(line: &Line<'_>, config: &DailyConfig, day: Day) -> (Option<(Diff, u64)>, Vec<Check>) {
    let (old, new) = (folder(config, day), folder(config, line.date));
    let options = DiffOptions {
        scratch: config.work.clone(),
        ..DiffOptions::default()
    };
    let progress = line.call.progress;
    let found = || -> Result<Option<(Diff, u64)>, DailyError> {
        let [before, after] = [SnapshotManifest::read(&old)?, SnapshotManifest::read(&new)?];
        if before.horizons != after.horizons || before.decoding != after.decoding {
            return Ok(None);
        }
        let dropped = |m: &SnapshotManifest| m.dropped.get(PAST_HORIZON).copied().unwrap_or(0);
        let aged_out = dropped(&after).saturating_sub(dropped(&before));
        Ok(Some((
            ltv_score::diff(&old, &new, &options, progress)?,
            aged_out,
        )))
    };
    let compared = found();
    progress.finish();
    match compared {
        Ok(Some(found)) => (Some(found), vec![]),
        Ok(None) => {
            let what = format!("horizons or decoding are others than on {day}: not compared");
            (None, vec![Check::blind("scores", what, true)])
        }
        Err(error) => {
            let what = format!("the snapshot of {day} cannot be compared with: {error}");
            (None, vec![Check::blind("scores", what, false)])
        }
    }
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
    // Done again where it is asked for: what is there is only put live.
    let again = line.call.again;
    line.stage(
        stage,
        |_| !again,
        |line| {
            let published = match &config.store {
                Some(store) => Some((line.call.publish)(store, &snapshot, config.values_only)?),
                None => None,
            };
            line.ledger.published(line.date, &scored.model)?;
            line.ledger.promote(&scored.model, line.date, GATE)?;
            Ok(published)
        },
    )
}
