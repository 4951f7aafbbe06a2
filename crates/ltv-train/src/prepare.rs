//! What there is before the first step: encoding, buckets, network, weights. They are fitted, or taken from an
//! earlier model.

use crate::{FitRun, TrainError, warm};
use ltv_core::{
    Horizons,
    config::{ClassFactors, TrainConfig},
    progress::Progress,
    seed,
};
use ltv_data::{
    Dataset,
    encoding::{EncodingPlan, Fitted},
    split::News,
};
use ltv_model::{
    Bundle,
    buckets::Buckets,
    bundle::{Document, Record},
    init,
    odmn::{self, HorizonColumns},
    spec::Spec,
};
use ltv_nn::{Adam, Trainer, TrainerOptions};
use std::sync::Arc;

/// A network about to be trained.
pub(crate) struct Prepared {
    pub(crate) trainer: Trainer<f32>,
    pub(crate) columns: Vec<HorizonColumns>,
    pub(crate) document: Document,
    /// How often users of each class are drawn, and what they count.
    pub(crate) factors: ClassFactors,
    /// Training rows without and with value.
    pub(crate) classes: [u64; 2],
    /// Which training rows are learned from, where not all of them, and how many they are.
    pub(crate) news: Option<(Arc<News>, u64)>,
}

impl Prepared {
    /// How often users are drawn, where not once.
    pub(crate) fn draws(&self) -> Option<ClassFactors> {
        let ClassFactors { zero, positive } = self.factors;
        (zero.copies != 1.0 || positive.copies != 1.0).then_some(self.factors)
    }

    /// Rows of an epoch, about, where chance has a say.
    pub(crate) fn epoch_rows(&self) -> u64 {
        let all: u64 = self.classes.iter().sum();
        let share = match &self.news {
            Some((_, rows)) => *rows as f64 / all.max(1) as f64,
            None => 1.0,
        };
        let [zeros, positives] = self.classes.map(|n| (n as f64 * share).round() as u64);
        self.factors.draws(zeros, positives).round().max(1.0) as u64
    }
}

/// Fits encoding and buckets on the training rows, and draws the first weights; those of an earlier model stay,
/// where there is one. The units of the stage are the dataset's rows.
pub(crate) fn prepare(
    dataset: &Dataset,
    config: &TrainConfig,
    run: &FitRun,
    progress: &dyn Progress,
) -> Result<Prepared, TrainError> {
    let earlier = run.warm.as_deref();
    if let Some(earlier) = earlier {
        warm::check(earlier, dataset, config)?;
    }
    let news = earlier.map(|earlier| Arc::new(warm::news(earlier, dataset, config, run.seed)));
    let plan = EncodingPlan {
        cells: config.encoding.clone(),
        numbers: config.model.numbers,
        cohort: config.model.trend,
        horizons: config.chosen_horizons()?,
        news: news.clone(),
    };
    let fitted = ltv_data::encoding::fit_with_progress(dataset, &config.split, &plan, progress)?;
    if fitted.validation_rows == 0 {
        let dataset = dataset.folder().to_path_buf();
        return Err(TrainError::NoValidationRows { dataset });
    }
    config.model.check_horizons(fitted.horizons.days().len())?;
    let (classes, new) = (fitted.classes, fitted.news_rows);
    let document = document(dataset, config, fitted, (run.seed, earlier))?;
    let net = odmn::training::<f32>(&document.spec);
    let adam = Adam {
        decay: config.fit.decay,
        ..Adam::default()
    };
    let options = TrainerOptions {
        threads: run.threads,
        adam,
        ..TrainerOptions::default()
    };
    let mut trainer = Trainer::new(net.graph, options)
        .map_err(|e| ltv_model::ModelError::Threads(e.to_string()))?;
    let first = seed::derive(run.seed, "weights");
    trainer.state_mut().weights = match earlier {
        Some(earlier) => earlier.weights.clone(),
        None => init::weights(&document.spec, trainer.graph().layout(), first),
    };
    Ok(Prepared {
        trainer,
        columns: net.columns,
        document,
        factors: config.fit.balance.factors(classes[0], classes[1]),
        classes,
        news: news.map(|news| (news, new)),
    })
}

fn document(
    dataset: &Dataset,
    config: &TrainConfig,
    fitted: Fitted,
    (seed, earlier): (u64, Option<&Bundle>),
) -> Result<Document, TrainError> {
    let manifest = dataset.manifest();
    let horizons: &Horizons = &fitted.horizons;
    let cut = |(&n, labels)| Buckets::fit(n, manifest.label, labels, &config.model);
    let buckets = horizons
        .days()
        .iter()
        .zip(&fitted.labels)
        .map(cut)
        .collect::<Result<_, _>>()?;
    let rows = fitted.train_rows;
    let record = Record {
        seed,
        batch: config.fit.batch_rows(rows),
        train_rows: rows,
        validation_rows: fitted.validation_rows,
        parent: earlier.map(|earlier| earlier.id.clone()),
        ..Record::default()
    };
    let (encoding, spec) = match earlier {
        Some(earlier) => warm::kept(earlier, fitted.encoding),
        None => {
            let model = config.model.clone().for_rows(rows);
            let spec = Spec::new(&fitted.encoding, model, buckets)?;
            (fitted.encoding, spec)
        }
    };
    Ok(Document {
        window_days: manifest.window_days,
        label: manifest.label,
        as_of: manifest.as_of,
        spec,
        config: config.clone(),
        record,
        baselines: fitted.baselines,
        recalibration: None,
        matching: None,
        horizons: fitted.horizons,
        encoding,
    })
}
