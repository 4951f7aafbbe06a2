//! Training one contestant with one seed, and predicting with it.

mod peer;

pub use peer::fit_peer;

use crate::{
    LabError,
    config::{Contestant, Kind, slug, suffix, word},
    judged::Judged,
    run::{Draft, ModelRecord, Run, RunRecord, SetRecord, Sets},
};
use ltv_baselines::PurchaseLog;
use ltv_core::{
    config::{Split, TrainConfig},
    progress::Progress,
    seed,
};
use ltv_data::Dataset;
use ltv_model::{Bundle, Decoding, Model};
use ltv_train::{FitRun, fit_or_begin_anew};
use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    time::Duration,
};

/// What every training of a comparison shares.
pub(crate) struct Bench<'a> {
    pub(crate) train: &'a Dataset,
    pub(crate) judged: &'a Judged,
    pub(crate) events: &'a [PathBuf],
    pub(crate) split: &'a Split,
    /// What the training users have done, once somebody has asked.
    pub(crate) log: &'a OnceCell<PurchaseLog>,
    /// Where the runs go.
    pub(crate) runs: &'a Path,
    pub(crate) threads: usize,
    /// Time since some moment.
    pub(crate) clock: &'a dyn Fn() -> Duration,
    pub(crate) progress: &'a dyn Progress,
}

impl Bench<'_> {
    /// The folder of a run.
    pub(crate) fn folder(&self, contestant: &Contestant, seed: u64) -> PathBuf {
        self.runs.join(format!("{}@{seed}", slug(&contestant.name)))
    }

    /// Changes when the options, the seed, the version of the program, the manifests of the datasets
    /// (and with them any of their files) or the names of the event files do. The content of the
    /// log is that of the dataset made from it, whose manifest counts its events.
    pub(crate) fn fingerprint(
        &self,
        contestant: &Contestant,
        seed_: u64,
    ) -> Result<String, LabError> {
        let kind = match &contestant.kind {
            Kind::Network { configs, decodings } => serde_json::to_string(&(configs, decodings)),
            Kind::Peer { config, horizons } => {
                let events = if config.needs_events() {
                    self.events
                } else {
                    &[]
                };
                serde_json::to_string(&(config, horizons, events))
            }
        };
        let (train, judged) = (self.train.manifest(), self.judged.dataset().manifest());
        let data = serde_json::to_string(&(train, judged, self.split));
        let mut data = data.map_err(LabError::internal)?;
        if let Some(until) = self.judged.until() {
            data += &until.to_string();
        }
        let text = kind.map_err(LabError::internal)? + &data + env!("CARGO_PKG_VERSION");
        Ok(format!("{:016x}", seed::derive(seed_, &text)))
    }

    /// The run that is there already, made from the same.
    pub(crate) fn stored(
        &self,
        contestant: &Contestant,
        seed: u64,
    ) -> Result<Option<Run>, LabError> {
        let fingerprint = self.fingerprint(contestant, seed)?;
        let found = Run::stored(&self.folder(contestant, seed), &fingerprint)?;
        let whole = |run: &Run| {
            let record = &run.record;
            let rows: Vec<String> = record
                .sets
                .iter()
                .map(|s| format!("{}{}", record.name, s.suffix))
                .collect();
            record.name == contestant.name && record.seed == seed && rows == contestant.rows()
        };
        match found.filter(whole) {
            Some(run) if run.is_of(&self.judged.users)? => {
                self.forget_checkpoints(contestant, seed);
                Ok(Some(run))
            }
            _ => Ok(None),
        }
    }

    /// Trains, predicts and stores.
    pub(crate) fn run(&self, contestant: &Contestant, seed: u64) -> Result<Run, LabError> {
        let draft = Draft::create(&self.folder(contestant, seed))?;
        let mut record = RunRecord {
            name: contestant.name.clone(),
            seed,
            fingerprint: self.fingerprint(contestant, seed)?,
            ..RunRecord::default()
        };
        let sets = match &contestant.kind {
            Kind::Network { configs, decodings } => {
                self.networks((configs, decodings), seed, &draft, &mut record)?
            }
            Kind::Peer { config, horizons } => {
                self.peer((config, horizons), seed, &draft, &mut record)?
            }
        };
        let run = draft.commit(self.judged, sets, record)?;
        self.forget_checkpoints(contestant, seed);
        Ok(run)
    }

    fn networks(
        &self,
        (configs, decodings): (&[Vec<TrainConfig>], &[Decoding]),
        seed: u64,
        draft: &Draft,
        record: &mut RunRecord,
    ) -> Result<Sets, LabError> {
        let mut sets = Sets(decodings.iter().enumerate().map(set).collect());
        for (i, settings) in configs.iter().enumerate() {
            let begin = (self.clock)();
            let bundle = self.best(settings, seed, i, &record.name)?;
            record.train_seconds += ((self.clock)() - begin).as_secs_f64();
            record.models.push(save(&bundle, draft, configs.len())?);
            let begin = (self.clock)();
            for ((set, columns), &decoding) in sets.0.iter_mut().zip(decodings) {
                let model = Model::new(bundle.clone(), decoding)?;
                let (found, projected) = self.judged.predict(&model, self.progress)?;
                set.horizons.extend(bundle.document.horizons.days());
                set.projected = set.projected.max(projected);
                columns.extend(found);
            }
            record.predict_seconds += ((self.clock)() - begin).as_secs_f64();
        }
        Ok(sets)
    }

    /// Trains one network with each of its settings and takes that with the likeliest validation rows.
    fn best(
        &self,
        settings: &[TrainConfig],
        seed: u64,
        index: usize,
        name: &str,
    ) -> Result<Bundle, LabError> {
        let mut best: Option<(f64, Bundle)> = None;
        for (j, config) in settings.iter().enumerate() {
            let bundle = self.network(config, seed, self.checkpoint(name, seed, (index, j)))?;
            let looks = bundle.document.record.validations.iter();
            let loss = looks.map(|v| v.likelihood).fold(f64::INFINITY, f64::min);
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, bundle));
            }
        }
        let best = best.map(|(_, bundle)| bundle);
        best.ok_or_else(|| LabError::internal("a network without a setting"))
    }

    /// Trains one network, from where a run that was stopped left off.
    fn network(
        &self,
        config: &TrainConfig,
        seed: u64,
        checkpoint: PathBuf,
    ) -> Result<Bundle, LabError> {
        let run = FitRun {
            seed,
            threads: self.threads,
            checkpoint: Some(checkpoint),
            resume: true,
            cache: Some(self.runs.to_path_buf()),
            warm: None,
        };
        // One left by a run with other options is of no use to this one.
        Ok(fit_or_begin_anew(self.train, config, &run, self.progress)?)
    }

    fn checkpoint(&self, name: &str, seed: u64, (network, setting): (usize, usize)) -> PathBuf {
        let name = slug(name);
        self.runs
            .join(format!("{name}@{seed}.{network}.{setting}.checkpoint"))
    }

    /// A run that is stored needs them no more; one that cannot be removed is overwritten next time.
    fn forget_checkpoints(&self, contestant: &Contestant, seed: u64) {
        if let Kind::Network { configs, .. } = &contestant.kind {
            for (i, settings) in configs.iter().enumerate() {
                for j in 0..settings.len() {
                    let path = self.checkpoint(&contestant.name, seed, (i, j));
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }
}

/// The first decoding bears the contestant's name alone.
fn set((i, decoding): (usize, &Decoding)) -> (SetRecord, Vec<Vec<f64>>) {
    let record = SetRecord {
        suffix: suffix(i, decoding),
        decoding: word(decoding),
        horizons: vec![],
        projected: 0.0,
    };
    (record, vec![])
}

fn save(bundle: &Bundle, draft: &Draft, of: usize) -> Result<ModelRecord, LabError> {
    let document = &bundle.document;
    let file = match of {
        1 => "model.ltv".to_owned(),
        _ => format!("model-{}.ltv", document.horizons.longest()),
    };
    let id = bundle.save(draft.path().join(&file))?;
    Ok(ModelRecord {
        file,
        id,
        horizons: document.horizons.days().to_vec(),
        train_rows: document.record.train_rows,
        steps: document.record.steps,
        validations: document.record.validations.clone(),
    })
}
