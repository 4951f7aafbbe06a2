//! What a report page is made from: plain data, every part optional.

pub use super::input_horizon::{
    DecilePoint, GroupTotal, HorizonPart, LabelHistogram, QuantileCount, SetCurves, SetDeciles,
    SetQuantiles, SetScores, SetTotal, Totals,
};
use super::table::Table;

/// A part of a report, or why it is not there.
#[derive(Debug, Clone, PartialEq)]
pub enum Part<T> {
    /// The part.
    Given(T),
    /// Left out, for this reason: a clause such as `no label is mature yet`, listed at the end of
    /// the page. With an empty reason the part is left out without a word.
    Absent(String),
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self::Absent(String::new())
    }
}

impl<T> Part<T> {
    /// Left out, for this reason.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent(reason.into())
    }

    /// The part, if it is there.
    pub fn given(&self) -> Option<&T> {
        match self {
            Self::Given(part) => Some(part),
            Self::Absent(_) => None,
        }
    }
}

impl<T> From<T> for Part<T> {
    fn from(part: T) -> Self {
        Self::Given(part)
    }
}

/// A report of an evaluation, or of a comparison of models.
///
/// [`ReportInput::from_evaluation`](Self::from_evaluation) fills what an evaluation holds; the rest
/// is up to the caller. All text is shown as it is, whatever is in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportInput {
    /// Title of the page.
    pub title: String,
    /// One sentence under the title: what was evaluated.
    pub subtitle: String,
    /// What is counted, in words for axes (`USD`, `active days`); empty if nobody said.
    pub unit: String,
    /// Names of models and other prediction sets. The order decides the colours, the same in every
    /// chart; sets named elsewhere but not here follow in order of appearance. The first is the one
    /// that the report is about.
    pub sets: Vec<String>,
    /// Model id, as-of date, users, horizons, seed: what one must know to read the page.
    pub facts: Vec<Fact>,
    /// One for each horizon, for somebody with one minute.
    pub headlines: Part<Vec<Headline>>,
    /// Tables and charts of models side by side.
    pub comparison: Part<Comparison>,
    /// Sections of the caller's own: lines and tables.
    pub sections: Vec<Section>,
    /// One for each horizon, in their order.
    pub horizons: Vec<HorizonPart>,
    /// How often a longer horizon was predicted lower than a shorter one.
    pub order: Part<Vec<OrderShares>>,
    /// Losses while training; several seeds are several runs.
    pub training: Part<Vec<TrainingRun>>,
    /// What the model is worse without.
    pub importance: Part<Importance>,
    /// What is needed to make the same numbers again.
    pub reproduce: Part<Reproduce>,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Name.
    pub name: String,
    /// Value, ready to be shown.
    pub value: String,
}

impl Fact {
    /// A fact.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// What a horizon comes down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// `Next 90 days`.
    pub title: String,
    /// The one number, ready to be shown: `48 %`.
    pub figure: String,
    /// What that number is, in one sentence.
    pub text: String,
    /// A few numbers more.
    pub facts: Vec<Fact>,
}

/// Models side by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// Tables: models x metrics, ablations, significance.
    pub tables: Vec<Table>,
    /// One chart for each metric, with its interval for each model.
    pub dots: Vec<MetricDots>,
    /// Lorenz curves of several models in one chart, one for each horizon.
    pub curves: Vec<CurvesOfModels>,
}

/// One metric of several models.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricDots {
    /// `Normalised Gini, 90 days`.
    pub title: String,
    /// Name of the axis, with its unit: `normalised Gini (1 = perfect order)`.
    pub axis: String,
    /// Which values are good: `higher is better`.
    pub note: String,
    /// Value that would be perfect or neutral, drawn as a line: 0 for a bias, 1 for a ratio.
    pub target: Option<f64>,
    /// The models, first at the top.
    pub rows: Vec<Dot>,
}

/// A value with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    /// Name of the model.
    pub set: String,
    /// Value.
    pub value: f64,
    /// Lower and upper end of the interval.
    pub interval: Option<(f64, f64)>,
}

/// A section of the caller's own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    /// Identifier in the page, of letters, digits and dashes; no other section's.
    pub id: String,
    /// Its name in the navigation.
    pub link: String,
    /// Its title.
    pub title: String,
    /// A sentence or two below the title; may be empty.
    pub lead: String,
    /// Charts.
    pub lines: Vec<Lines>,
    /// Tables, below the charts.
    pub tables: Vec<Table>,
}

/// Values of several sets at the same places, one line for each set: over dates, cohorts, ages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lines {
    /// `Normalised Gini, 365 days`.
    pub title: String,
    /// Which values are good, or what else one should know: `higher is better`.
    pub note: String,
    /// What the places are: `as-of date`.
    pub places: String,
    /// Their names, in order.
    pub names: Vec<String>,
    /// Name of the axis of values.
    pub axis: String,
    /// Value that would be perfect or neutral, drawn as a line.
    pub target: Option<f64>,
    /// The sets.
    pub curves: Vec<Curve>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Name of the set.
    pub set: String,
    /// A value for each place, NaN where there is none.
    pub values: Vec<f64>,
}

/// Lorenz curves of several models on one horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct CurvesOfModels {
    /// Days.
    pub days: u32,
    /// The curves.
    pub curves: Vec<SetCurves>,
}

/// Order violations of one prediction set.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderShares {
    /// Name of the set.
    pub set: String,
    /// One for each pair of neighbouring horizons.
    pub pairs: Vec<OrderPair>,
    /// Share of users with at least one crossing before the projection, in `[0, 1]`.
    pub any: Option<f64>,
    /// Share of users whose predictions the projection moved, in `[0, 1]`.
    pub projected: Option<f64>,
}

/// Crossings of a pair of horizons.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderPair {
    /// Shorter horizon, in days.
    pub shorter: u32,
    /// Longer horizon, in days.
    pub longer: u32,
    /// Share of users predicted lower on the longer one, before the projection, in `[0, 1]`.
    pub before: f64,
    /// The same after the projection: 0, or something is broken.
    pub after: Option<f64>,
}

/// Losses of one training run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRun {
    /// Name of the run: the model, or `seed 3`.
    pub name: String,
    /// The set of [`ReportInput::sets`] whose colour the run takes.
    pub set: String,
    /// Step and training loss.
    pub training: Vec<(u64, f64)>,
    /// Step and validation loss.
    pub validation: Vec<(u64, f64)>,
    /// Step whose weights were kept.
    pub best_step: Option<u64>,
}

/// How much worse a model is without each feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// What the drop is measured in: `loss of normalised Gini, 90 days, when the feature is shuffled`.
    pub measure: String,
    /// The features, most important first.
    pub features: Vec<FeatureDrop>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureDrop {
    /// Its name.
    pub name: String,
    /// How much worse the model is without it.
    pub drop: f64,
    /// Lower and upper end of the interval.
    pub interval: Option<(f64, f64)>,
}

/// What is needed to make the same numbers again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reproduce {
    /// Version of the program, fingerprints of dataset and model, seed.
    pub facts: Vec<Fact>,
    /// The command line.
    pub command: String,
    /// The resolved configuration, as TOML.
    pub config: String,
}
