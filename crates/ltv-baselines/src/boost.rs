//! Boosted trees by XGBoost: one regression for each horizon, or two stages (Drachen et al. 2018,
//! the paper's reference 4).
//!
//! Two stages: a classifier gives `p = P(value > 0)` (logistic loss on all users), a regression
//! gives `r`, the value of users above 0 (squared error on them alone); [`crate::config::Form`]
//! makes one value of both.
//!
//! A regression of the absolute error starts at the median and follows a gradient of ours
//! (`engine::absolute`): XGBoost's own, since 3.4, ends far from the median of labels with a
//! long tail (docs/decisions/0014).

use crate::{
    config::{BoostConfig, Choose, Objective, Setting, TreeOptions, TwoStageConfig},
    error::BaselineError,
    matrix::Layout,
    peer::{Fitted, Stage, StageRecord, Two},
    rows::{Frame, TrainingRows},
    search::{Candidate, Problem, Source, solve},
};

/// Everything a fit reads.
pub(crate) struct Data<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) train: &'a TrainingRows,
    pub(crate) validation: &'a TrainingRows,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
}

/// What was fitted, and how it went.
pub(crate) type Outcome = Result<(Fitted, Vec<StageRecord>), BaselineError>;

/// One regression for each horizon.
pub(crate) fn fit(config: &BoostConfig, data: &Data<'_>) -> Outcome {
    let options = &config.trees;
    let problems: Result<Vec<_>, BaselineError> = (0..data.frame.horizons.len())
        .map(|t| {
            let rows = Rows::new(data, t, options.recent_days)?;
            Ok(rows.problem(data, options, Stage::Value, Some(config.objective)))
        })
        .collect();
    let (parts, records) = grow(&problems?, options, data)?;
    Ok((Fitted::Xgboost { horizons: parts }, records))
}

/// Two stages for each horizon.
pub(crate) fn fit_two_stage(config: &TwoStageConfig, data: &Data<'_>) -> Outcome {
    let options = &config.trees;
    let mut problems = vec![];
    for t in 0..data.frame.horizons.len() {
        let rows = Rows::new(data, t, options.recent_days)?;
        problems.push(rows.problem(data, options, Stage::Positive, None));
        let squared = Some(Objective::SquaredError);
        problems.push(rows.problem(data, options, Stage::Amount, squared));
    }
    let (parts, records) = grow(&problems, options, data)?;
    let horizons = Two::pairs(parts);
    Ok((Fitted::TwoStage { horizons }, records))
}

fn grow(
    problems: &[Problem],
    options: &TreeOptions,
    data: &Data<'_>,
) -> Result<(Vec<crate::peer::Part>, Vec<StageRecord>), BaselineError> {
    let layout = Layout::new(&data.frame.encoding, options.categories);
    let source = Source {
        layout: &layout,
        train: &data.train.rows,
        validation: &data.validation.rows,
    };
    Ok(solve(problems, &source, data.threads)?.into_iter().unzip())
}

/// The mature rows of one horizon, recent ones if asked for.
pub(crate) struct Rows {
    horizon: u32,
    pub(crate) train: Vec<(usize, f32)>,
    pub(crate) validation: Vec<(usize, f32)>,
}

impl Rows {
    /// # Errors
    /// When the horizon has no mature training row.
    pub(crate) fn new(
        data: &Data<'_>,
        t: usize,
        recent_days: Option<u32>,
    ) -> Result<Self, BaselineError> {
        let width = data.frame.horizons.len();
        let horizon = data.frame.horizons.days()[t];
        let all = data.train.mature(t, width, None);
        if all.is_empty() {
            let part = "training";
            return Err(BaselineError::NoRows { horizon, part });
        }
        let since = data.train.since(&all, recent_days);
        let labelled = |rows: &TrainingRows| {
            let take = rows.mature(t, width, since);
            let label = |r: usize| (r, rows.rows.labels[r * width + t] as f32);
            take.into_iter().map(label).collect()
        };
        Ok(Self {
            horizon,
            train: labelled(data.train),
            validation: labelled(data.validation),
        })
    }

    /// The labels of a stage.
    pub(crate) fn labels(stage: Stage, rows: &[(usize, f32)]) -> Vec<(usize, f32)> {
        let rows = rows.iter().copied();
        match stage {
            Stage::Value => rows.collect(),
            Stage::Positive => rows.map(|(r, y)| (r, f32::from(y > 0.0))).collect(),
            Stage::Amount => rows.filter(|(_, y)| *y > 0.0).collect(),
        }
    }

    /// A boosting problem; no objective means the classifier.
    fn problem(
        &self,
        data: &Data<'_>,
        options: &TreeOptions,
        stage: Stage,
        objective: Option<Objective>,
    ) -> Problem {
        let tweedie = objective == Some(Objective::Tweedie);
        let absolute = objective == Some(Objective::AbsoluteError);
        let train = Self::labels(stage, &self.train);
        let start = absolute.then(|| median(&train));
        let candidate = |setting: Setting| {
            let mut list = parameters(objective, &setting, options.max_bin, data.seed);
            list.extend(start.map(|m| ("base_score", m.to_string())));
            Candidate {
                setting: Some(setting),
                parameters: list,
            }
        };
        Problem {
            horizon: self.horizon,
            stage,
            group: None,
            train,
            validation: Self::labels(stage, &self.validation),
            candidates: options
                .settings(tweedie)
                .into_iter()
                .map(candidate)
                .collect(),
            absolute,
            rounds: options.rounds,
            patience: Some(options.early_stopping_rounds),
            by_errors: objective.is_some() && options.choose == Choose::Errors,
        }
    }
}

/// XGBoost's parameters. The seed is given to it as it is (its lower 31 bits), so that other
/// programs can repeat a model.
fn parameters(
    objective: Option<Objective>,
    setting: &Setting,
    max_bin: u32,
    seed: u64,
) -> Vec<(&'static str, String)> {
    let name = match objective {
        None => "binary:logistic",
        Some(Objective::SquaredError) => "reg:squarederror",
        Some(Objective::Tweedie) => "reg:tweedie",
        Some(Objective::AbsoluteError) => "reg:absoluteerror",
    };
    let mut list = vec![
        ("objective", name.to_string()),
        ("max_depth", setting.max_depth.to_string()),
        ("eta", setting.eta.to_string()),
        ("min_child_weight", setting.min_child_weight.to_string()),
        ("subsample", setting.subsample.to_string()),
        ("colsample_bytree", setting.colsample_bytree.to_string()),
        ("lambda", setting.lambda.to_string()),
        ("max_bin", max_bin.to_string()),
        ("seed", short(seed)),
    ];
    if objective == Some(Objective::Tweedie) {
        list.push(("tweedie_variance_power", setting.power.to_string()));
    }
    list
}

/// The lower median of labels; 0 for none.
fn median(rows: &[(usize, f32)]) -> f32 {
    let mut labels: Vec<f32> = rows.iter().map(|r| r.1).collect();
    if labels.is_empty() {
        return 0.0;
    }
    let middle = (labels.len() - 1) / 2;
    *labels.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// A seed as XGBoost takes it.
pub(crate) fn short(seed: u64) -> String {
    (seed & 0x7fff_ffff).to_string()
}
