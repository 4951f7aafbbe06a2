//! The metrics: names, directions, formulas, and the reasons for which one may have no value.

use serde::{Deserialize, Serialize};

/// A metric of one horizon, over the rows whose label is mature.
///
/// Notation: `y` label, `p` prediction, `e = p - y`, `n` rows, `mu = mean(y)`. `L_x` is the Lorenz
/// curve of `x` sorted descending by itself, piecewise linear through `(i/n, share of the total in
/// the first i)`. `G` is the gain curve: the share of `sum(y)` in order of `p` descending, where `y`
/// of tied predictions is replaced by its mean. Nothing depends on the order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(
    clippy::upper_case_acronyms,
    reason = "the names under which the metrics are known"
)]
pub enum Metric {
    /// `sqrt(mean(e^2)) / mu` (paper section 4.1).
    NRMSE,
    /// `mean(|e|) / mu` (paper section 4.1). Predicting 0 for everybody scores 1.
    NMAE,
    /// `|mean(e)|`, in label units (paper section 4.1; DESIGN 3.11 on why it is not normalised).
    AMBE,
    /// `mean(e)`, in label units: positive when predictions are too high.
    Bias,
    /// Standard error of the bias, `sd(e) / sqrt(n)` with the population sd: an AMBE under twice
    /// this is noise.
    #[serde(rename = "BiasSE")]
    BiasSe,
    /// `sum(p) / sum(y)`.
    CalibrationRatio,
    /// Mean over the deciles with a positive mean label of `|mean p - mean y| / mean y` (Wang et
    /// al. 2019, "A deep probabilistic model for customer lifetime value prediction", section 5).
    #[serde(rename = "DecileMAPE")]
    DecileMape,
    /// `integral over [0, 1] of |L_y(x) - L_p(x)|`, exact, crossings included (paper eq. 16). Blind
    /// to permutation and to scale: read it beside [`Metric::NormGini`] and [`Metric::AMBE`].
    MutualGini,
    /// `(2 mean(G) - 1) / (2 mean(L_y) - 1)`, means over the points `i = 1..n` (the normalised model
    /// Gini of Wang et al. 2019).
    NormGini,
    /// Correlation of average ranks.
    Spearman,
    /// Probability that a row with `y > 0` is predicted above one with `y = 0`, ties counted half.
    #[serde(rename = "AUC")]
    Auc,
    /// Gini coefficient of the labels, `2 * area under L_y - 1`.
    LabelGini,
    /// Gini coefficient of the predictions, `2 * area under L_p - 1`: good when close to
    /// [`Metric::LabelGini`], not when high.
    PredGini,
    /// `G(0.01)`: share of the total value held by the 1 % predicted highest.
    Capture1,
    /// `L_y(0.01)`: the most that [`Metric::Capture1`] can be.
    IdealCapture1,
    /// `G(0.05)`.
    Capture5,
    /// `L_y(0.05)`.
    IdealCapture5,
    /// `G(0.10)`.
    Capture10,
    /// `L_y(0.10)`.
    IdealCapture10,
    /// `G(0.20)`.
    Capture20,
    /// `L_y(0.20)`.
    IdealCapture20,
}

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Lower is better.
    Lower,
    /// Higher is better.
    Higher,
    /// Closer to zero is better.
    Zero,
    /// Closer to one is better.
    One,
    /// Closer to the same quantity of the labels is better.
    Label,
    /// Not a merit of predictions: something to read others against.
    Reference,
}

impl Direction {
    /// A short mark for tables.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Lower => "↓",
            Self::Higher => "↑",
            Self::Zero => "→0",
            Self::One => "→1",
            Self::Label => "→label",
            Self::Reference => "",
        }
    }
}

impl Metric {
    /// All metrics, in the order of reports.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NRMSE,
        Self::NMAE,
        Self::AMBE,
        Self::Bias,
        Self::BiasSe,
        Self::CalibrationRatio,
        Self::DecileMape,
        Self::MutualGini,
        Self::NormGini,
        Self::Spearman,
        Self::Auc,
        Self::LabelGini,
        Self::PredGini,
        Self::Capture1,
        Self::IdealCapture1,
        Self::Capture5,
        Self::IdealCapture5,
        Self::Capture10,
        Self::IdealCapture10,
        Self::Capture20,
        Self::IdealCapture20,
    ];
    /// How many there are.
    pub const COUNT: usize = 21;
    /// Percentages of users for which captured value is reported.
    pub const TOP_PERCENT: [u32; 4] = [1, 5, 10, 20];
    /// Capture metric and ideal of each of [`Metric::TOP_PERCENT`].
    pub(crate) const CAPTURES: [(Self, Self); 4] = [
        (Self::Capture1, Self::IdealCapture1),
        (Self::Capture5, Self::IdealCapture5),
        (Self::Capture10, Self::IdealCapture10),
        (Self::Capture20, Self::IdealCapture20),
    ];

    /// Its name in documents and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NRMSE => "NRMSE",
            Self::NMAE => "NMAE",
            Self::AMBE => "AMBE",
            Self::Bias => "Bias",
            Self::BiasSe => "BiasSE",
            Self::CalibrationRatio => "CalibrationRatio",
            Self::DecileMape => "DecileMAPE",
            Self::MutualGini => "MutualGini",
            Self::NormGini => "NormGini",
            Self::Spearman => "Spearman",
            Self::Auc => "AUC",
            Self::LabelGini => "LabelGini",
            Self::PredGini => "PredGini",
            Self::Capture1 => "Capture1",
            Self::IdealCapture1 => "IdealCapture1",
            Self::Capture5 => "Capture5",
            Self::IdealCapture5 => "IdealCapture5",
            Self::Capture10 => "Capture10",
            Self::IdealCapture10 => "IdealCapture10",
            Self::Capture20 => "Capture20",
            Self::IdealCapture20 => "IdealCapture20",
        }
    }

    /// The metric of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// Which of its values are good.
    pub fn direction(self) -> Direction {
        match self {
            Self::NRMSE | Self::NMAE | Self::AMBE | Self::DecileMape | Self::MutualGini => {
                Direction::Lower
            }
            Self::NormGini | Self::Spearman | Self::Auc => Direction::Higher,
            Self::Capture1 | Self::Capture5 | Self::Capture10 | Self::Capture20 => {
                Direction::Higher
            }
            Self::Bias => Direction::Zero,
            Self::CalibrationRatio => Direction::One,
            Self::PredGini => Direction::Label,
            Self::BiasSe | Self::LabelGini => Direction::Reference,
            Self::IdealCapture1
            | Self::IdealCapture5
            | Self::IdealCapture10
            | Self::IdealCapture20 => Direction::Reference,
        }
    }

    /// The smallest and the largest value that it can have.
    pub(crate) fn range(self) -> (f64, f64) {
        match self {
            Self::Bias => (f64::NEG_INFINITY, f64::INFINITY),
            Self::NRMSE
            | Self::NMAE
            | Self::AMBE
            | Self::BiasSe
            | Self::CalibrationRatio
            | Self::DecileMape => (0.0, f64::INFINITY),
            Self::Spearman | Self::NormGini => (-1.0, 1.0),
            Self::MutualGini
            | Self::Auc
            | Self::LabelGini
            | Self::PredGini
            | Self::Capture1
            | Self::Capture5
            | Self::Capture10
            | Self::Capture20
            | Self::IdealCapture1
            | Self::IdealCapture5
            | Self::IdealCapture10
            | Self::IdealCapture20 => (0.0, 1.0),
        }
    }

    /// How bad `value` is: the lower, the better, whatever the direction. None for metrics that
    /// are no merit. `label` is the value of the labels' counterpart, used by [`Direction::Label`]
    /// only ([`Metric::LabelGini`] for [`Metric::PredGini`]).
    pub fn cost(self, value: f64, label: f64) -> Option<f64> {
        match self.direction() {
            Direction::Lower => Some(value),
            Direction::Higher => Some(-value),
            Direction::Zero => Some(value.abs()),
            Direction::One => Some((value - 1.0).abs()),
            Direction::Label => Some((value - label).abs()),
            Direction::Reference => None,
        }
    }
}

/// Why a metric has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Null {
    /// No row has a mature label.
    NoRows,
    /// The labels sum to zero.
    ZeroLabels,
    /// The predictions sum to zero.
    ZeroPredictions,
    /// All labels are equal.
    ConstantLabels,
    /// All predictions are equal.
    ConstantPredictions,
    /// The labels are all zero or all positive.
    OneClass,
    /// The numbers are too large for double precision.
    Overflow,
}

impl std::fmt::Display for Null {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoRows => "no row has a mature label",
            Self::ZeroLabels => "the labels sum to zero",
            Self::ZeroPredictions => "the predictions sum to zero",
            Self::ConstantLabels => "all labels are equal",
            Self::ConstantPredictions => "all predictions are equal",
            Self::OneClass => "the labels are all zero or all positive",
            Self::Overflow => "the numbers are too large for double precision",
        })
    }
}

/// A value for every metric, or the reason why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values([Result<f64, Null>; Metric::COUNT]);

impl Values {
    /// No values, for the given reason.
    pub(crate) fn none(reason: Null) -> Self {
        Self([Err(reason); Metric::COUNT])
    }

    /// Stores a value; one that is not finite becomes [`Null::Overflow`].
    pub(crate) fn put(&mut self, metric: Metric, value: Result<f64, Null>) {
        let checked = value.and_then(|v| {
            if v.is_finite() {
                Ok(v)
            } else {
                Err(Null::Overflow)
            }
        });
        self.0[metric as usize] = checked;
    }

    /// The value of a metric.
    pub(crate) fn get(&self, metric: Metric) -> Result<f64, Null> {
        self.0[metric as usize]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn order_names_and_documents_agree() {
        for (i, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, i);
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{}\"", metric.name()));
        }
    }

    #[test]
    fn cost_follows_direction() {
        assert!(Metric::NRMSE.cost(1.0, 0.0) < Metric::NRMSE.cost(2.0, 0.0));
        assert!(Metric::NormGini.cost(0.5, 0.0) < Metric::NormGini.cost(0.4, 0.0));
        assert!(Metric::Bias.cost(-0.1, 0.0) < Metric::Bias.cost(0.2, 0.0));
        assert!(Metric::CalibrationRatio.cost(0.9, 0.0) < Metric::CalibrationRatio.cost(1.2, 0.0));
        assert!(Metric::PredGini.cost(0.7, 0.8) < Metric::PredGini.cost(0.95, 0.8));
        assert_eq!(Metric::LabelGini.cost(0.7, 0.8), None);
    }
}
