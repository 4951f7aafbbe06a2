//! Fitted buy-till-you-die models as a predictor over encoded rows.

use super::{
    BgNbd, BtydError, Fit, GammaGamma, History, ParetoNbd, Spend, TimeUnit,
    counts::CountDistribution,
};
use ltv_core::{
    Horizons,
    config::Label,
    encoding::{EncodedRows, Encoding},
    predictor::{Predictions, Predictor},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// A fitted count model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// A customer may leave after any purchase.
    BgNbd(Fit<BgNbd>),
    /// A customer may leave at any time.
    ParetoNbd(Fit<ParetoNbd>),
}

impl Counts {
    fn unit(&self) -> TimeUnit {
        match self {
            Self::BgNbd(fit) => fit.unit,
            Self::ParetoNbd(fit) => fit.unit,
        }
    }

    /// Expected purchases in `(T, T + t]`.
    fn expected_after(&self, h: &History, t: f64) -> f64 {
        match self {
            Self::BgNbd(fit) => fit.model.expected_after(h, t),
            Self::ParetoNbd(fit) => fit.model.expected_after(h, t),
        }
    }

    fn distribution(&self, h: &History, t: f64, most: u32) -> CountDistribution {
        match self {
            Self::BgNbd(fit) => fit.model.distribution(h, t, most),
            Self::ParetoNbd(fit) => fit.model.distribution(h, t, most),
        }
    }

    fn check(&self) -> Result<(), BtydError> {
        match self {
            Self::BgNbd(fit) => fit.model.check(),
            Self::ParetoNbd(fit) => fit.model.check(),
        }
    }
}

/// All that has to be kept of fitted models: a part of a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// How many purchase days follow.
    pub counts: Counts,
    /// What a purchase day is worth; needed for value labels only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Fit<GammaGamma>>,
}

/// What is predicted, and from which rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Identifies the model.
    pub model_id: String,
    /// The horizons to predict.
    pub horizons: Horizons,
    /// The encoding of the rows; its `plain` columns hold what [`Reader`] reads.
    pub encoding: Encoding,
    /// Days of the observation window, at least 1.
    pub window: u32,
    /// What the labels count.
    pub label: Label,
}

/// Reads histories from rows: `active_days`, `recency` (days from registration to the last event
/// of the window) and, for value labels, `value_sum`.
///
/// A purchase day is a day with an event. A window of `W` days has age `W - 1`: its first day is
/// time 0, as the first purchase is in the literature.
///
/// Rows do not tell the day of the first event. It is taken to be that of registration; of a user
/// whose first event is later, `t_x` and `T` are both too long by as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    width: usize,
    active_days: usize,
    recency: usize,
    value_sum: Option<usize>,
    window: u32,
}

/// What is known of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Purchases in days; the age is one less than the days of the window.
    pub history: History,
    /// Value of all its purchase days; `None` without a positive one, and for active days.
    pub spend: Option<Spend>,
}

impl Reader {
    /// Finds the columns.
    ///
    /// # Errors
    /// When a column is missing, or the window has no days.
    pub fn new(encoding: &Encoding, label: Label, window: u32) -> Result<Self, BtydError> {
        if window == 0 {
            return Err(BtydError::Window);
        }
        let find = |column: &'static str| {
            let found = encoding.plain.iter().position(|c| c == column);
            found.ok_or(BtydError::Column { column })
        };
        Ok(Self {
            width: encoding.plain.len(),
            active_days: find("active_days")?,
            recency: find("recency")?,
            value_sum: match label {
                Label::Value => Some(find("value_sum")?),
                Label::ActiveDays => None,
            },
            window,
        })
    }

    /// Every row's history, in order: what to fit to and what to predict from.
    ///
    /// A row without a day with events, or in which they are missing, has no history: buy till you
    /// die begins with a first purchase. One whose last day is missing is that of a customer who
    /// never came back. `x` repeat days end on day `x` at the earliest and on the window's last day
    /// at the latest; numbers that contradict this are moved to the nearest that do not.
    pub fn read<'a>(&self, rows: &'a EncodedRows) -> impl Iterator<Item = Option<Seen>> + 'a {
        let reader = *self;
        let blocks = rows.plain.chunks_exact(reader.width).take(rows.rows);
        blocks.map(move |row| reader.one(row))
    }

    fn one(&self, row: &[f64]) -> Option<Seen> {
        let (days, last) = (row[self.active_days].round(), row[self.recency].round());
        if !(days.is_finite() && days >= 1.0) {
            return None;
        }
        let age = self.window - 1;
        let mut history = History {
            age: f64::from(age),
            ..History::default()
        };
        let days = days.min(f64::from(self.window)) as u32;
        if days > 1 && last.is_finite() {
            history.repeats = days - 1;
            history.recency = last.clamp(f64::from(days - 1), f64::from(age));
        }
        let sum = self.value_sum.map_or(f64::NAN, |i| row[i]);
        let mean = sum / f64::from(days);
        let spend = (mean.is_finite() && mean > 0.0).then_some(Spend { days, mean });
        Some(Seen { history, spend })
    }
}

/// What follows in one horizon.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    days: f64,
    positive: f64,
    /// Of the days, or of the value in units of its scale.
    quantiles: [f64; 3],
}

/// What follows in every horizon, worked out once.
type Cell = OnceLock<Vec<Ahead>>;

/// The levels of [`Predictions::quantiles`].
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

/// A buy-till-you-die model that predicts encoded rows.
///
/// A value is `expected purchase days in the horizon` for active days, times the
/// `expected value of a purchase day` for value labels. A day counts once: expected days are at
/// most the days of the horizon. Both are non-decreasing over horizons, so that nothing needs to
/// be projected.
///
/// `positive` is P(a purchase in the horizon), closed for both count models. Quantiles are those of
/// the predicted distribution: of the number of purchase days (BG/NBD exact, Pareto/NBD by
/// quadrature over the time of leaving), and for value labels of the sum of that many Gamma values,
/// whose distribution given their number is beta prime; it is inverted by bisection. The
/// distribution holds what is not known about the customer's own rates too, but takes the fitted
/// parameters for true.
///
/// Whoever has no day with an event in the window has not begun to buy, and no model of this kind
/// knows whether they will: every number predicted for them is 0.
///
/// Rows are few different ones: what depends on the purchase days alone is worked out once for each
/// `(x, t_x)` and kept.
#[derive(Debug)]
pub struct BuyTillYouDie {
    parameters: Parameters,
    settings: Settings,
    reader: Reader,
    /// By repeats; rows are allocated when first needed, then by recency and known spend.
    known: Vec<OnceLock<Vec<[Cell; 2]>>>,
}

impl BuyTillYouDie {
    /// Puts a fitted model to work.
    ///
    /// # Errors
    /// When a parameter is not positive, a value label lacks a Gamma-Gamma model or that has no
    /// mean, the encoding lacks a column, or the window has no days.
    pub fn new(parameters: Parameters, settings: Settings) -> Result<Self, BtydError> {
        parameters.counts.check()?;
        if settings.label == Label::Value {
            parameters
                .spend
                .ok_or(BtydError::NoSpendModel)?
                .model
                .check()?;
        }
        let reader = Reader::new(&settings.encoding, settings.label, settings.window)?;
        let known = (0..settings.window).map(|_| OnceLock::new()).collect();
        Ok(Self {
            parameters,
            settings,
            reader,
            known,
        })
    }

    /// The models it predicts with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn spend(&self) -> Option<&GammaGamma> {
        let fit = self.parameters.spend.as_ref();
        fit.map(|f| &f.model)
            .filter(|_| self.settings.label == Label::Value)
    }

    fn ahead(&self, seen: &Seen) -> &[Ahead] {
        let History {
            repeats, recency, ..
        } = seen.history;
        let width = self.settings.window as usize;
        let row = self.known[repeats as usize]
            .get_or_init(|| (0..width).map(|_| Default::default()).collect());
        let cell = &row[recency as usize][usize::from(seen.spend.is_some())];
        cell.get_or_init(|| self.work_out(seen))
    }

    fn work_out(&self, seen: &Seen) -> Vec<Ahead> {
        let unit = self.parameters.counts.unit().days();
        let history = History {
            recency: seen.history.recency / unit,
            age: seen.history.age / unit,
            ..seen.history
        };
        let shapes = self.spend().map(|m| (m.p, m.posterior(seen.spend).1));
        let mut previous = Ahead::default();
        let mut all = Vec::with_capacity(self.settings.horizons.len());
        for &days in self.settings.horizons.days() {
            let t = f64::from(days) / unit;
            let counts = &self.parameters.counts;
            let law = counts.distribution(&history, t, days);
            let mut now = Ahead {
                days: counts.expected_after(&history, t).min(f64::from(days)),
                positive: law.positive(),
                quantiles: LEVELS.map(|level| match shapes {
                    Some((shape, tail)) => law.sum_quantile(level, shape, tail),
                    None => law.quantile(level),
                }),
            };
            // True of the exact numbers; rounding must not undo it where they are equal.
            now.days = now.days.max(previous.days);
            now.positive = now.positive.max(previous.positive);
            for (q, before) in now.quantiles.iter_mut().zip(previous.quantiles) {
                *q = q.max(before);
            }
            all.push(now);
            previous = now;
        }
        all
    }
}

impl Predictor for BuyTillYouDie {
    fn model_id(&self) -> &str {
        &self.settings.model_id
    }

    fn horizons(&self) -> &Horizons {
        &self.settings.horizons
    }

    fn encoding(&self) -> &Encoding {
        &self.settings.encoding
    }

    fn predict(&self, rows: &EncodedRows) -> Predictions {
        let mut out = Predictions {
            rows: rows.rows,
            projected: vec![false; rows.rows],
            ..Predictions::default()
        };
        let all: Vec<Option<Seen>> = self.reader.read(rows).collect();
        // Cells are worth a thread each, copying them is not.
        all.par_iter().flatten().for_each(|seen| {
            self.ahead(seen);
        });
        let horizons = self.settings.horizons.len();
        for seen in &all {
            let Some(seen) = seen else {
                out.values.extend(vec![0.0; horizons]);
                out.positive.extend(vec![0.0; horizons]);
                out.quantiles.extend(vec![0.0; 3 * horizons]);
                continue;
            };
            let (each, scale) = self.spend().map_or((1.0, 1.0), |model| {
                (model.expected(seen.spend), model.posterior(seen.spend).0)
            });
            for ahead in self.ahead(seen) {
                out.values.push(ahead.days * each);
                out.positive.push(ahead.positive);
                out.quantiles.extend(ahead.quantiles.map(|q| q * scale));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
