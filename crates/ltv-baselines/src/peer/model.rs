//! What was fitted, as it is stored, and ready to predict.

use super::Document;
use crate::{
    btyd::{BuyTillYouDie, Parameters, Settings},
    config::{Categories, Form, PeerConfig},
    engine::Trees,
    error::BaselineError,
    forest::{Columns, Groups},
    matrix::{Layout, Matrix},
    rfm::RfmTable,
    rows::Frame,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ltv_core::{
    encoding::EncodedRows,
    labels::LabelHistogram,
    order,
    predictor::{Predictions, Predictor},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What was fitted. Its kind is that of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fitted {
    /// One regression for each horizon.
    Xgboost {
        /// In order of horizon.
        horizons: Vec<Part>,
    },
    /// Two stages for each horizon.
    TwoStage {
        /// In order of horizon.
        horizons: Vec<Two>,
    },
    /// Two stages for each horizon and group.
    Forest {
        /// Who belongs to which group.
        groups: Groups,
        /// `[horizons][groups]`.
        horizons: Vec<Vec<Two>>,
    },
    /// Cells.
    Rfm(RfmTable),
    /// The parameters of buy-till-you-die models.
    Btyd(Box<Parameters>),
    /// Nothing but the baselines' means.
    TrivialSort {},
    /// The training labels.
    TrainMean {
        /// In order of horizon.
        horizons: Vec<Spread>,
    },
}

/// One model of one number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The same for everybody.
    Constant(f64),
    /// An XGBoost model in its format UBJ, in base64.
    Trees(String),
}

/// The models of two stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Two {
    /// P(value > 0).
    pub positive: Part,
    /// The value of users above 0.
    pub amount: Part,
}

/// A distribution in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The mean.
    pub value: f64,
    /// P(value > 0).
    pub positive: f64,
    /// P10, P50, P90.
    pub quantiles: [f64; 3],
}

impl Part {
    pub(crate) fn from_bytes(model: &[u8]) -> Self {
        Self::Trees(STANDARD.encode(model))
    }

    fn load(&self, layout: &Layout) -> Result<Loaded, BaselineError> {
        let text = match self {
            Self::Constant(value) => return Ok(Loaded::Constant(*value)),
            Self::Trees(text) => text,
        };
        let model = STANDARD.decode(text).map_err(|e| BaselineError::Xgboost {
            action: "read a model",
            problem: e.to_string(),
        })?;
        Trees::load(&model, &layout.types).map(Loaded::Trees)
    }
}

impl Two {
    /// Pairs of stages that follow each other.
    pub(crate) fn pairs(parts: Vec<Part>) -> Vec<Self> {
        let mut pairs = vec![];
        let mut parts = parts.into_iter();
        while let (Some(positive), Some(amount)) = (parts.next(), parts.next()) {
            pairs.push(Self { positive, amount });
        }
        pairs
    }
}

impl Spread {
    /// The probabilities of [`Spread::quantiles`].
    pub const RANKS: [f64; 3] = [0.1, 0.5, 0.9];

    /// The distribution of labels.
    pub fn of(labels: &LabelHistogram) -> Self {
        Self {
            value: labels.mean(),
            positive: labels.positive(),
            quantiles: Self::RANKS.map(|p| labels.quantile(p)),
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        let numbers = [
            self.value,
            self.quantiles[0],
            self.quantiles[1],
            self.quantiles[2],
        ];
        let numbers = numbers.iter().all(|x| x.is_finite() && *x >= 0.0);
        let ascending = self.quantiles.windows(2).all(|w| w[0] <= w[1]);
        numbers && ascending && (0.0..=1.0).contains(&self.positive)
    }
}

/// One model of one number, ready to predict.
#[derive(Debug)]
pub(super) enum Loaded {
    Constant(f64),
    Trees(Trees),
}

impl Loaded {
    fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        match self {
            Self::Constant(value) => vec![*value; matrix.rows],
            Self::Trees(trees) => trees.predict(matrix),
        }
    }
}

/// Two stages, ready to predict.
#[derive(Debug)]
pub(super) struct LoadedTwo {
    positive: Loaded,
    amount: Loaded,
}

impl LoadedTwo {
    fn load(two: &Two, layout: &Layout) -> Result<Self, BaselineError> {
        Ok(Self {
            positive: two.positive.load(layout)?,
            amount: two.amount.load(layout)?,
        })
    }

    /// P(value > 0) and value.
    fn predict(&self, matrix: &Matrix, form: Form) -> Vec<(f64, f64)> {
        let (p, r) = (self.positive.predict(matrix), self.amount.predict(matrix));
        let both = p.into_iter().zip(r);
        both.map(|(p, r)| (p.clamp(0.0, 1.0), r.max(0.0)))
            .map(|(p, r)| (p, form.value(p, r)))
            .collect()
    }
}

/// A document's model, ready to predict.
#[derive(Debug)]
pub(super) enum Ready {
    Boosted(Layout, Vec<Loaded>),
    TwoStage(Layout, Form, Vec<LoadedTwo>),
    Forest {
        layout: Layout,
        form: Form,
        columns: Columns,
        groups: Groups,
        horizons: Vec<Vec<LoadedTwo>>,
    },
    /// The columns of the axes.
    Rfm(Vec<usize>),
    /// The column of the signal.
    TrivialSort(usize),
    TrainMean,
    Btyd(Box<BuyTillYouDie>),
}

/// Rows that one thread predicts at once.
const BLOCK: usize = 4096;

impl Ready {
    pub(super) fn new(document: &Document) -> Result<Self, BaselineError> {
        let frame = Frame {
            horizons: document.horizons.clone(),
            window_days: document.window_days,
            label: document.label,
            as_of: document.as_of,
            split: document.split.clone(),
            encoding: document.encoding.clone(),
        };
        let layout = |categories: Categories| Layout::new(&frame.encoding, categories);
        let place = |name: &str| frame.needed(name, "the peer");
        Ok(match (&document.config, &document.model) {
            (PeerConfig::Xgboost(config), Fitted::Xgboost { horizons }) => {
                let layout = layout(config.trees.categories);
                let loaded: Result<_, _> = horizons.iter().map(|p| p.load(&layout)).collect();
                Self::Boosted(layout, loaded?)
            }
            (PeerConfig::TwoStage(config), Fitted::TwoStage { horizons }) => {
                let layout = layout(config.trees.categories);
                let two = horizons.iter().map(|t| LoadedTwo::load(t, &layout));
                let loaded: Result<_, _> = two.collect();
                Self::TwoStage(layout, config.form, loaded?)
            }
            (PeerConfig::Forest(config), Fitted::Forest { groups, horizons }) => {
                let layout = layout(config.categories);
                let load = |two: &Vec<Two>| -> Result<Vec<_>, _> {
                    two.iter().map(|t| LoadedTwo::load(t, &layout)).collect()
                };
                let loaded: Result<_, _> = horizons.iter().map(load).collect();
                Self::Forest {
                    horizons: loaded?,
                    form: config.form,
                    columns: Columns::new(&frame)?,
                    groups: *groups,
                    layout,
                }
            }
            (_, Fitted::Rfm(table)) => {
                let places: Result<_, _> = table.axes.iter().map(|a| place(&a.column)).collect();
                Self::Rfm(places?)
            }
            (_, Fitted::TrainMean { .. }) => Self::TrainMean,
            (_, Fitted::Btyd(parameters)) => {
                let settings = Settings {
                    model_id: String::new(),
                    horizons: frame.horizons.clone(),
                    encoding: frame.encoding.clone(),
                    window: frame.window_days,
                    label: frame.label,
                };
                Self::Btyd(Box::new(BuyTillYouDie::new(**parameters, settings)?))
            }
            (_, Fitted::TrivialSort {}) => Self::TrivialSort(place(&document.baselines.signal)?),
            (config, _) => {
                let problem = format!("its model is not of kind '{}'", config.kind());
                return Err(BaselineError::internal(problem));
            }
        })
    }

    pub(super) fn predict(&self, document: &Document, rows: &EncodedRows) -> Predictions {
        let mut out = match self {
            Self::Btyd(model) => model.predict(rows),
            _ => self.blocks(document, rows),
        };
        out.values.iter_mut().for_each(|v| *v = sound(*v));
        out.quantiles.iter_mut().for_each(|q| *q = sound(*q));
        out.positive
            .iter_mut()
            .for_each(|p| *p = sound(*p).min(1.0));
        if document.config.ordered() {
            put_in_order(&mut out, document);
        }
        out
    }

    fn blocks(&self, document: &Document, rows: &EncodedRows) -> Predictions {
        let blocks: Vec<Predictions> = (0..rows.rows.div_ceil(BLOCK))
            .into_par_iter()
            .map(|b| {
                let range = b * BLOCK..((b + 1) * BLOCK).min(rows.rows);
                self.block(document, rows, range)
            })
            .collect();
        let mut out = Predictions::default();
        for block in blocks {
            out.rows += block.rows;
            out.values.extend(block.values);
            out.quantiles.extend(block.quantiles);
            out.positive.extend(block.positive);
        }
        out.projected = vec![false; out.rows];
        out
    }

    fn block(
        &self,
        document: &Document,
        rows: &EncodedRows,
        range: std::ops::Range<usize>,
    ) -> Predictions {
        let mut out = Predictions {
            rows: range.len(),
            ..Predictions::default()
        };
        let width = document.encoding.plain.len();
        let plain = |r: usize| &rows.plain[r * width..][..width];
        match (self, &document.model) {
            (Self::Boosted(layout, horizons), _) => {
                let matrix = layout.gather(rows, range);
                let columns: Vec<_> = horizons.iter().map(|h| h.predict(&matrix)).collect();
                out.values = by_row(&columns);
            }
            (Self::TwoStage(layout, form, horizons), _) => {
                let matrix = layout.gather(rows, range);
                let two = horizons.iter().map(|h| h.predict(&matrix, *form));
                split(&mut out, &two.collect::<Vec<_>>());
            }
            (Self::Forest { .. }, _) => split(&mut out, &self.groups(rows, range)),
            (Self::Rfm(places), Fitted::Rfm(table)) => {
                for r in range {
                    let cell = table.of(places.iter().map(|&p| plain(r)[p]));
                    spread(&mut out, &table.cells[cell]);
                }
            }
            (Self::TrivialSort(place), _) => {
                for r in range {
                    let signal = Some(plain(r)[*place]);
                    let means = document.baselines.horizons.iter();
                    out.values.extend(means.map(|h| h.trivial(signal)));
                }
            }
            (_, Fitted::TrainMean { horizons }) => range.for_each(|_| spread(&mut out, horizons)),
            // Ready::new pairs them.
            _ => out.values = vec![0.0; out.rows * document.horizons.len()],
        }
        out
    }

    /// P(value > 0) and value, `[horizons][rows]`: each row by its group's models.
    fn groups(&self, rows: &EncodedRows, range: std::ops::Range<usize>) -> Vec<Vec<(f64, f64)>> {
        let Self::Forest {
            layout,
            form,
            columns,
            groups,
            horizons,
        } = self
        else {
            return vec![];
        };
        let start = range.start;
        let mut out = vec![vec![(0.0, 0.0); range.len()]; horizons.len()];
        for group in 0..crate::forest::GROUPS.len() {
            let own = |r: &usize| groups.of(*columns, rows, *r) == group;
            let members: Vec<usize> = range.clone().filter(own).collect();
            if members.is_empty() {
                continue;
            }
            let matrix = layout.gather(rows, members.iter().copied());
            for (out, models) in out.iter_mut().zip(horizons) {
                let found = models[group].predict(&matrix, *form);
                for (&r, both) in members.iter().zip(found) {
                    out[r - start] = both;
                }
            }
        }
        out
    }
}

/// Finite and not negative: a regression may predict less than nothing, and the exponential of
/// Tweedie's log link may overflow. NaN, which only a library that fails or a product of 0 and an
/// overflow can bring, is 0.
fn sound(value: f64) -> f64 {
    if value > 0.0 {
        value.min(f64::from(f32::MAX))
    } else {
        0.0
    }
}

fn by_row<T: Copy>(columns: &[Vec<T>]) -> Vec<T> {
    let rows = columns.first().map_or(0, Vec::len);
    let row = |r: usize| columns.iter().map(move |c| c[r]);
    (0..rows).flat_map(row).collect()
}

fn split(out: &mut Predictions, columns: &[Vec<(f64, f64)>]) {
    (out.positive, out.values) = by_row(columns).into_iter().unzip();
}

fn spread(out: &mut Predictions, horizons: &[Spread]) {
    for one in horizons {
        out.values.push(one.value);
        out.positive.push(one.positive);
        out.quantiles.extend(one.quantiles);
    }
}

/// Puts values, quantiles and probabilities in order across horizons. Weights are one over the
/// squared training mean, so that a day of a short horizon weighs more than one of a long horizon;
/// probabilities weigh the same.
fn put_in_order(out: &mut Predictions, document: &Document) {
    let n = document.horizons.len();
    let weight = |mean: f64| (mean * mean).max(f64::MIN_POSITIVE).recip();
    let means = document.baselines.horizons.iter();
    let weights: Vec<f64> = means.map(|h| weight(h.label_mean)).collect();
    let even = vec![1.0; n];
    for r in 0..out.rows {
        out.projected[r] = order::project(&mut out.values[r * n..][..n], &weights);
        if !out.positive.is_empty() {
            order::project(&mut out.positive[r * n..][..n], &even);
        }
        if !out.quantiles.is_empty() {
            let own = &mut out.quantiles[r * n * 3..][..n * 3];
            for q in 0..3 {
                let mut line: Vec<f64> = (0..n).map(|t| own[t * 3 + q]).collect();
                order::project(&mut line, &weights);
                (0..n).for_each(|t| own[t * 3 + q] = line[t]);
            }
        }
    }
}
