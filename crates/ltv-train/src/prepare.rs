//! What is fitted before the first step: encoding, buckets, network, first weights.

use crate::TrainError;
use ltv_core::{
    Horizons,
    config::{ClassFactors, TrainConfig},
    progress::Progress,
    seed,
};
use ltv_data::{
    Dataset,
    encoding::{EncodingPlan, Fitted},
};
use ltv_model::{
    buckets::Buckets,
    bundle::{Document, Record},
    init,
    odmn::{self, HorizonColumns},
    spec::Spec,
};
use ltv_nn::{Adam, Trainer, TrainerOptions};

/// A network about to be trained.
pub(crate) struct Prepared {
    pub(crate) trainer: Trainer<f32>,
    pub(crate) columns: Vec<HorizonColumns>,
    pub(crate) document: Document,
    /// How often users of each class are drawn, and what they count.
    pub(crate) factors: ClassFactors,
    /// Training rows without and with value.
    pub(crate) classes: [u64; 2],
}

impl Prepared {
    /// How often users are drawn, where not once.
    pub(crate) fn draws(&self) -> Option<ClassFactors> {
        let ClassFactors { zero, positive } = self.factors;
        (zero.copies != 1.0 || positive.copies != 1.0).then_some(self.factors)
    }

    /// Rows of an epoch, about, where chance has a say.
    pub(crate) fn epoch_rows(&self) -> u64 {
        let [zeros, positives] = self.classes;
        self.factors.draws(zeros, positives).round().max(1.0) as u64
    }
}

/// Fits encoding and buckets on the training rows, and draws the first weights. The units of the
/// stage are the dataset's rows.
pub(crate) fn prepare(
    dataset: &Dataset,
    config: &TrainConfig,
    (seed_, threads): (u64, usize),
    progress: &dyn Progress,
) -> Result<Prepared, TrainError> {
    let plan = EncodingPlan {
        cells: config.encoding.clone(),
        numbers: config.model.numbers,
        cohort: config.model.trend,
        horizons: config.chosen_horizons()?,
    };
    let fitted = ltv_data::encoding::fit_with_progress(dataset, &config.split, &plan, progress)?;
    if fitted.validation_rows == 0 {
        let dataset = dataset.folder().to_path_buf();
        return Err(TrainError::NoValidationRows { dataset });
    }
    config.model.check_horizons(fitted.horizons.days().len())?;
    let classes = fitted.classes;
    let document = document(dataset, config, fitted, seed_)?;
    let net = odmn::training::<f32>(&document.spec);
    let adam = Adam {
        decay: config.fit.decay,
        ..Adam::default()
    };
    let options = TrainerOptions {
        threads,
        adam,
        ..TrainerOptions::default()
    };
    let mut trainer = Trainer::new(net.graph, options)
        .map_err(|e| ltv_model::ModelError::Threads(e.to_string()))?;
    let first = seed::derive(seed_, "weights");
    trainer.state_mut().weights = init::weights(&document.spec, trainer.graph().layout(), first);
    Ok(Prepared {
        trainer,
        columns: net.columns,
        document,
        factors: config.fit.balance.factors(classes[0], classes[1]),
        classes,
    })
}

fn document(
    dataset: &Dataset,
    config: &TrainConfig,
    fitted: Fitted,
    seed: u64,
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
        ..Record::default()
    };
    let model = config.model.clone().for_rows(rows);
    Ok(Document {
        window_days: manifest.window_days,
        label: manifest.label,
        as_of: manifest.as_of,
        spec: Spec::new(&fitted.encoding, model, buckets)?,
        config: config.clone(),
        record,
        baselines: fitted.baselines,
        recalibration: None,
        matching: None,
        horizons: fitted.horizons,
        encoding: fitted.encoding,
    })
}
