//! The simplest predictions, which every model has to beat: fitted on training rows, kept with the
//! model, evaluated next to it.

use crate::config::Label;
use serde::{Deserialize, Serialize};

/// What the baselines know of the training rows.
///
/// *Trivial sort* predicts a user's own `signal` in the observation window, times the ratio of the
/// training means of label and signal; *train mean* predicts the training mean for everybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baselines {
    /// The dataset column that sorts users, see [`Baselines::signal_of`].
    pub signal: String,
    /// The training means, one for each horizon.
    pub horizons: Vec<BaselineHorizon>,
}

/// Means over the training rows whose label of this horizon is mature.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BaselineHorizon {
    /// The horizon in days.
    pub days: u32,
    /// Mean label, in label units, at least 0.
    pub label_mean: f64,
    /// Mean of the signal, missing read as 0.
    pub signal_mean: f64,
}

impl Baselines {
    /// The column that says how much of the label's kind a user did in the observation window.
    pub fn signal_of(label: Label) -> &'static str {
        match label {
            Label::ActiveDays => "active_days",
            Label::Value => "value_sum",
        }
    }

    /// The means of a horizon, if they are known.
    pub fn horizon(&self, days: u32) -> Option<&BaselineHorizon> {
        self.horizons.iter().find(|h| h.days == days)
    }
}

impl BaselineHorizon {
    /// The trivial prediction for a user with this signal. A missing or negative signal counts as
    /// 0, since no label is negative; so does every signal when the training mean is not positive.
    pub fn trivial(&self, signal: Option<f64>) -> f64 {
        match signal {
            Some(x) if x.is_finite() && x > 0.0 && self.signal_mean > 0.0 => {
                x * (self.label_mean / self.signal_mean)
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trivial_sort_is_the_signal_scaled_to_the_label() {
        let means = BaselineHorizon {
            days: 30,
            label_mean: 6.0,
            signal_mean: 2.0,
        };
        let trivial = |x| means.trivial(Some(x));
        assert_eq!([trivial(0.0), trivial(1.0), trivial(2.0)], [0.0, 3.0, 6.0]);
        assert_eq!(
            [trivial(-1.0), trivial(f64::NAN), means.trivial(None)],
            [0.0; 3]
        );
        assert_eq!(BaselineHorizon::default().trivial(Some(1.0)), 0.0);
        assert_eq!(Baselines::signal_of(Label::Value), "value_sum");
    }
}
