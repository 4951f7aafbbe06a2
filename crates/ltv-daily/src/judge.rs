//! The new model and the one that serves, on users whom neither was ever trained on: of each horizon, the last
//! cohorts whose labels are known.

use crate::{
    DailyError,
    config::DailyConfig,
    data,
    gate::{self, CANDIDATE, CHAMPION, TRIVIAL, Verdict},
    model::{self, Trained},
    stage::{Line, Stage},
};
use arrow::{
    array::AsArray,
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use ltv_core::{
    Day, Horizons, artefact,
    baseline::Baselines,
    config::{Mature, Part, Split},
    encoding::Encoding,
    predictor::Predictor,
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream, stream_with_columns},
};
use ltv_eval::{Bootstrap, EvalInput, HorizonResult, NamedPredictions, Segments, evaluate};
use ltv_model::{Bundle, Model};
use ltv_score::{check_fit, evaluate::Coder};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// Folder of the evaluations, in the work folder.
pub(crate) const FOLDER: &str = "evaluations";

/// How models did: `evaluations/<date>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// Always `ltv-daily-evaluation`.
    pub(crate) format: String,
    /// Version of the layout: 1.
    pub(crate) version: u32,
    /// The new model.
    pub(crate) candidate: String,
    /// The model that serves, where there is one that can read the features.
    pub(crate) champion: Option<String>,
    /// One for each horizon of which a label is known, ascending.
    pub(crate) horizons: Vec<Cohort>,
    /// Horizons of which no test user has a label yet, in days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown: Vec<u32>,
}

/// The results of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cohort {
    /// First day of registration.
    pub(crate) from: Day,
    /// Last day of registration.
    pub(crate) to: Day,
    /// The sets are `candidate`, `champion` and `trivial sort`; differences are to the champion.
    pub(crate) result: HorizonResult,
}

/// The file of a day's evaluation.
pub(crate) fn file(config: &DailyConfig, date: Day) -> PathBuf {
    config.work.join(FOLDER).join(format!("{date}.json"))
}

/// What the ledger keeps of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluated {
    blake3: String,
    pub(crate) champion: Option<String>,
}

/// The stage `judge`.
pub(crate) fn judge(
    line: &mut Line<'_>,
    config: &DailyConfig,
    trained: &Trained,
) -> Result<Evaluated, DailyError> {
    let champion = line.ledger.champion(line.date)?;
    let champion = champion.filter(|id| *id != trained.model && model::file(config, id).is_file());
    let stage = Stage {
        name: "judge",
        what: "the new model and the one that serves, on the last cohorts",
        inputs: (&config.judge, &config.score, champion.clone()),
    };
    let out = file(config, line.date);
    let there = |found: &Evaluated| artefact::checksum(&out).is_ok_and(|sum| sum == found.blake3);
    line.stage(stage, there, |line| {
        let judged = judged(line, config, trained, champion)?;
        artefact::create_folder(artefact::parent(&out))?;
        artefact::write_json(&out, &judged)?;
        Ok(Evaluated {
            blake3: artefact::checksum(&out)?,
            champion: judged.champion,
        })
    })
}

/// The stage `gate`.
pub(crate) fn gate(
    line: &mut Line<'_>,
    config: &DailyConfig,
    trained: &Trained,
) -> Result<Verdict, DailyError> {
    let accept = line.call.accepts("model");
    let stage = Stage {
        name: "gate",
        what: "whether the new model may serve",
        inputs: (&config.gate, accept),
    };
    let path = file(config, line.date);
    line.stage(
        stage,
        |_| true,
        |line| {
            let judged: Judged = artefact::read_json(&path)?;
            let verdict = Verdict::of(gate::model(&judged, &config.gate), accept);
            line.ledger.judged(&trained.model, verdict.passed)?;
            Ok(verdict)
        },
    )
}

fn judged(
    line: &Line<'_>,
    config: &DailyConfig,
    trained: &Trained,
    champion: Option<String>,
) -> Result<Judged, DailyError> {
    let dataset = Dataset::open(data::folder(config, line.date))?;
    let open = |id: &str| {
        Model::new(
            Bundle::load(model::file(config, id))?,
            config.score.decoding,
        )
    };
    let candidate = open(&trained.model)?;
    // One that is damaged, knows other features or horizons, or was trained on users who judge, cannot be asked.
    let champion = champion.as_deref().and_then(|id| open(id).ok());
    let shares = |split: &Split| (split.test, split.validation);
    let champion = champion.filter(|model| {
        check_fit(&dataset, model, None).is_ok()
            && model.horizons() == candidate.horizons()
            && shares(&model.document().config.split) == shares(&config.train.split)
    });
    let progress = line.call.progress;
    progress.start("judge models", Some(candidate.horizons().len() as u64));
    let (mut horizons, mut unknown) = (vec![], vec![]);
    for (t, &days) in candidate.horizons().days().iter().enumerate() {
        let models = [(CANDIDATE, Some(&candidate)), (CHAMPION, champion.as_ref())];
        match Jury::new(&dataset, config, (&candidate, t))? {
            Some(jury) => {
                horizons.push(jury.verdict(&dataset, config, (models, t), line.call.seed)?);
            }
            None => unknown.push(days),
        }
        progress.advance(1);
    }
    progress.finish();
    Ok(Judged {
        format: "ltv-daily-evaluation".into(),
        version: 1,
        candidate: trained.model.clone(),
        champion: champion.map(|model| model.model_id().to_owned()),
        horizons,
        unknown,
    })
}

/// Those on whom models are judged by one horizon.
struct Jury {
    horizons: Horizons,
    split: Split,
    from: Day,
    to: Day,
    labels: Vec<f64>,
    trivial: Vec<f64>,
    segments: Vec<Segments>,
}

impl Jury {
    /// Nobody where no label is known yet.
    fn new(
        dataset: &Dataset,
        config: &DailyConfig,
        (model, t): (&Model, usize),
    ) -> Result<Option<Self>, DailyError> {
        let manifest = dataset.manifest();
        let horizon = model.horizons().days()[t];
        let to = manifest.as_of + -((manifest.window_days + horizon) as i32);
        let from = to + (1 - config.judge.days.get() as i32);
        let split = Split {
            mature: Mature::Shortest,
            registered_from: config.train.split.registered_from.max(Some(from)),
            registered_before: Some(to + 1),
            ..config.train.split.clone()
        };
        let mut jury = Self {
            horizons: Horizons::new(vec![horizon])?,
            split,
            from,
            to,
            labels: vec![],
            trivial: vec![],
            segments: vec![],
        };
        jury.read(dataset, config)?;
        Ok((!jury.labels.is_empty()).then_some(jury))
    }

    fn options(&self, encoding: Encoding) -> StreamOptions {
        StreamOptions {
            rows: Rows::Part(Part::Test),
            split: self.split.clone(),
            horizons: Some(self.horizons.clone()),
            ..StreamOptions::scoring(Arc::new(encoding))
        }
    }

    fn read(&mut self, dataset: &Dataset, config: &DailyConfig) -> Result<(), DailyError> {
        let signal = Baselines::signal_of(dataset.manifest().label);
        let coders = config
            .judge
            .by
            .iter()
            .map(|column| Coder::new(dataset, column));
        let mut coders = coders.collect::<Result<Vec<_>, _>>()?;
        let mut columns = vec![signal.to_owned()];
        columns.extend(config.judge.by.iter().cloned());
        for item in stream_with_columns(dataset, self.options(Encoding::default()), &columns)? {
            let (encoded, raw) = item?;
            self.labels.extend_from_slice(&encoded.labels);
            let column = raw
                .column_by_name(signal)
                .map(|c| cast(c, &DataType::Float64));
            let column = column.and_then(Result::ok);
            let column = column.ok_or_else(|| DailyError::internal("the signal was not read"))?;
            let signal = column.as_primitive::<Float64Type>().iter();
            self.trivial
                .extend(signal.map(|x| x.unwrap_or(0.0).max(0.0)));
            coders.iter_mut().try_for_each(|coder| coder.add(&raw))?;
        }
        self.segments = coders.into_iter().map(Coder::finish).collect();
        Ok(())
    }

    fn predictions(
        &self,
        dataset: &Dataset,
        model: &Model,
        t: usize,
    ) -> Result<Vec<f64>, DailyError> {
        let width = model.horizons().len();
        let mut values = Vec::with_capacity(self.labels.len());
        for block in stream(dataset, self.options(model.encoding().clone()))? {
            let found = model.predict(&block?).values;
            values.extend(found.iter().skip(t).step_by(width));
        }
        Ok(values)
    }

    fn verdict(
        &self,
        dataset: &Dataset,
        config: &DailyConfig,
        (models, t): ([(&str, Option<&Model>); 2], usize),
        seed: u64,
    ) -> Result<Cohort, DailyError> {
        let mut predictions = vec![];
        let mut push = |name: &str, values| {
            predictions.push(NamedPredictions {
                name: name.to_owned(),
                values,
            });
        };
        for (name, model) in models {
            if let Some(model) = model {
                push(name, self.predictions(dataset, model, t)?);
            }
        }
        push(TRIVIAL, self.trivial.clone());
        let input = EvalInput {
            horizons: &self.horizons,
            labels: &self.labels,
            predictions: &predictions,
            segments: &self.segments,
            bootstrap: Some(Bootstrap {
                replicates: config.judge.bootstrap,
                seed,
            }),
            reference: models[1].1.map(|_| CHAMPION),
        };
        let mut results = evaluate(&input)?.results;
        let result = results
            .pop()
            .ok_or_else(|| DailyError::internal("nothing was evaluated"))?;
        Ok(Cohort {
            from: self.from,
            to: self.to,
            result,
        })
    }
}
