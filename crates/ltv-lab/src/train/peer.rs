//! Fitting a model that is no network.

use super::Bench;
use crate::{
    LabError,
    run::{Draft, ModelRecord, RunRecord, SetRecord, Sets},
};
use arrow::{
    array::AsArray,
    datatypes::{DataType, Date32Type},
};
use ltv_baselines::{Frame, Peer, PeerConfig, PurchaseLog, Streaming, TrainingRows};
use ltv_core::{
    Day, Horizons,
    config::{Part, Split},
    encoding::{Cells, Encoding},
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{
    Dataset,
    encoding::{EncodingPlan, Fitted, fit_with_progress},
    features::purchases,
    split::Rows,
    stream::{StreamOptions, stream, stream_with_raw},
};
use std::{cell::OnceCell, path::PathBuf, sync::Arc};

/// File of a peer in the folder of its run.
const FILE: &str = "model.json";

/// What a fit of a peer reads, and what it works with.
pub(crate) struct PeerFit<'a> {
    pub(crate) train: &'a Dataset,
    pub(crate) events: &'a [PathBuf],
    pub(crate) split: &'a Split,
    /// What the training users have done, once somebody has asked.
    pub(crate) log: &'a OnceCell<PurchaseLog>,
    pub(crate) threads: usize,
    pub(crate) progress: &'a dyn Progress,
}

/// Fits a peer on the training users of `split`. Buy-till-you-die models are fitted to what these have done in
/// the event log `events`, which nobody else reads.
///
/// # Errors
/// When the configuration, the dataset or the log cannot be used.
pub fn fit_peer(
    (train, split, events): (&Dataset, &Split, &[PathBuf]),
    (config, horizons): (&PeerConfig, &[u32]),
    (seed, threads): (u64, usize),
    progress: &dyn Progress,
) -> Result<Peer, LabError> {
    config.check()?;
    if config.needs_events() && events.is_empty() {
        let problem = "a buy-till-you-die model is fitted to the event log: give its files";
        return Err(ltv_core::Error::config("events", problem).into());
    }
    let fit = PeerFit {
        train,
        events,
        split,
        log: &OnceCell::new(),
        threads,
        progress,
    };
    let (frame, fitted) = fit.frame(horizons)?;
    fit.fit(config, frame, &fitted, seed)
}

impl Bench<'_> {
    fn peer_fit(&self) -> PeerFit<'_> {
        PeerFit {
            train: self.train,
            events: self.events,
            split: self.split,
            log: self.log,
            threads: self.threads,
            progress: self.progress,
        }
    }

    /// Fits, predicts and saves a peer.
    pub(super) fn peer(
        &self,
        (config, horizons): (&PeerConfig, &[u32]),
        seed: u64,
        draft: &Draft,
        record: &mut RunRecord,
    ) -> Result<Sets, LabError> {
        let begin = (self.clock)();
        let fit = self.peer_fit();
        let (frame, fitted) = fit.frame(horizons)?;
        let peer = fit.fit(config, frame, &fitted, seed)?;
        record.train_seconds = ((self.clock)() - begin).as_secs_f64();
        let id = peer.save(draft.path().join(FILE))?;
        let days = peer.horizons().days().to_vec();
        record.models.push(ModelRecord {
            file: FILE.to_owned(),
            id,
            horizons: days.clone(),
            train_rows: peer.document().record.train_rows,
            steps: 0,
            validations: vec![],
        });
        let begin = (self.clock)();
        let (columns, projected) = self.judged.predict(&peer, self.progress)?;
        record.predict_seconds = ((self.clock)() - begin).as_secs_f64();
        let set = SetRecord {
            suffix: String::new(),
            decoding: String::new(),
            horizons: days,
            projected,
        };
        Ok(Sets(vec![(set, columns)]))
    }
}

impl PeerFit<'_> {
    fn fit(
        &self,
        config: &PeerConfig,
        frame: Frame,
        fitted: &Fitted,
        seed: u64,
    ) -> Result<Peer, LabError> {
        if config.needs_events() {
            let baselines = fitted.baselines.clone();
            let history = self.history()?;
            self.progress.start("fit", None);
            let peer = ltv_baselines::fit_log(config, frame, baselines, history)?;
            self.progress.finish();
            return Ok(peer);
        }
        if config.needs_rows() {
            let rows = self.train.rows();
            self.progress.start("read rows", Some(2 * rows));
            let train = self.rows(Part::Train, &frame)?;
            let validation = self.rows(Part::Validation, &frame)?;
            self.progress.start("fit", None);
            let peer = ltv_baselines::fit(config, &frame, &train, &validation, seed, self.threads)?;
            self.progress.finish();
            return Ok(peer);
        }
        let mut fit = Streaming::new(config.clone(), frame.clone(), seed)?;
        for pass in 1.. {
            let stage = format!("fit, pass {pass}");
            self.progress.start(&stage, Some(self.train.rows()));
            let rows = stream(self.train, self.options(Part::Train, &frame))?;
            for block in rows.told(self.progress) {
                fit.add(&block?)?;
            }
            self.progress.finish();
            if !fit.again() {
                break;
            }
        }
        Ok(fit.finish(fitted.validation_rows)?)
    }

    /// What the columns mean to a peer: numbers as they are, categories as cells of a vocabulary.
    fn frame(&self, horizons: &[u32]) -> Result<(Frame, Fitted), LabError> {
        let manifest = self.train.manifest();
        let chosen = match horizons {
            [] => manifest.horizons.clone(),
            some => Horizons::new(some.to_vec())?,
        };
        let plan = EncodingPlan {
            horizons: Some(chosen.clone()),
            ..EncodingPlan::default()
        };
        let stage = "fit encoding";
        self.progress.start(stage, Some(self.train.rows()));
        let fitted = fit_with_progress(self.train, self.split, &plan, self.progress)?;
        self.progress.finish();
        let (numbers, categories): (Vec<_>, Vec<_>) = fitted
            .encoding
            .features
            .iter()
            .cloned()
            .partition(|f| matches!(f.cells, Cells::Bins { .. }));
        let frame = Frame {
            horizons: chosen,
            window_days: manifest.window_days,
            label: manifest.label,
            as_of: manifest.as_of,
            split: self.split.clone(),
            encoding: Encoding {
                features: categories,
                cohort: None,
                plain: numbers.into_iter().flat_map(|f| f.columns).collect(),
            },
        };
        Ok((frame, fitted))
    }

    fn options(&self, part: Part, frame: &Frame) -> StreamOptions {
        StreamOptions {
            rows: Rows::Part(part),
            split: self.split.clone(),
            horizons: Some(frame.horizons.clone()),
            ..StreamOptions::scoring(Arc::new(frame.encoding.clone()))
        }
    }

    /// All rows of a part, in memory.
    fn rows(&self, part: Part, frame: &Frame) -> Result<TrainingRows, LabError> {
        let mut rows = TrainingRows::default();
        let stream = stream_with_raw(self.train, self.options(part, frame))?;
        for item in stream.told(self.progress) {
            let (block, raw) = item?;
            let days = raw
                .column_by_name("reg_day")
                .map(|c| arrow::compute::cast(c, &DataType::Date32));
            let days = days.transpose().map_err(LabError::internal)?;
            let days = days.ok_or_else(|| LabError::internal("reg_day was not read"))?;
            let days = days.as_primitive::<Date32Type>().values().iter();
            rows.push(&block, &days.map(|&d| Day(d)).collect::<Vec<_>>());
        }
        Ok(rows)
    }

    /// What the training users have done, all of it that is known: read once, however many models
    /// are fitted to it.
    fn history(&self) -> Result<&PurchaseLog, LabError> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let config = &self.train.manifest().config;
        let mut history = PurchaseLog::default();
        let part = (self.split, Part::Train);
        purchases(self.events, config, part, self.progress, |p| {
            history.add(p.days, p.recency, p.age, p.paid);
        })?;
        Ok(self.log.get_or_init(|| history))
    }
}
