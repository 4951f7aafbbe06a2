//! Fitting a buy-till-you-die model to all that training users have done, as a peer.

use crate::{
    btyd::{
        BgNbd, BtydError, Counts, FitOptions, GammaGamma, Histories, History, Parameters,
        ParetoNbd, Spend, Spends,
    },
    config::{BtydConfig, CountModel, PeerConfig},
    error::BaselineError,
    peer::{Fitted, Peer, Record},
    rows::Frame,
};
use ltv_core::{baseline::Baselines, config::Label};

/// What users have done by the as-of day, from the first event on: 32 bytes for each user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PurchaseLog {
    users: Vec<One>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct One {
    days: u32,
    recency: u32,
    age: u32,
    paid_days: u32,
    paid: f64,
}

impl PurchaseLog {
    /// Adds a user: days with events (at least 1), days from the first event to the last and to the
    /// last known day, and on how many days the value added up to more than zero, and to what.
    pub fn add(&mut self, days: u32, recency: u32, age: u32, (paid_days, paid): (u32, f64)) {
        self.users.push(One {
            days,
            recency,
            age,
            paid_days,
            paid,
        });
    }

    /// Users so far.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    fn histories(&self, config: &BtydConfig) -> Result<Histories, BtydError> {
        let unit = config.unit.days();
        let history = |one: &One| History {
            repeats: one.days.saturating_sub(1),
            recency: f64::from(one.recency) / unit,
            age: f64::from(one.age) / unit,
        };
        Histories::new(config.unit, self.users.iter().map(history))
    }

    fn spends(&self) -> Result<Spends, BtydError> {
        let spend = |one: &One| Spend {
            days: one.paid_days,
            mean: one.paid / f64::from(one.paid_days.max(1)),
        };
        Spends::new(self.users.iter().map(spend))
    }
}

/// Fits a peer of kind `btyd`. `baselines` are those of the training rows.
///
/// # Errors
/// When the configuration is of another kind or out of range, a column is missing, or the log
/// cannot tell the parameters.
pub fn fit_log(
    config: &PeerConfig,
    frame: Frame,
    baselines: Baselines,
    log: &PurchaseLog,
) -> Result<Peer, BaselineError> {
    config.check()?;
    let PeerConfig::Btyd(own) = config else {
        return Err(BaselineError::internal("not a buy-till-you-die model"));
    };
    let options = FitOptions {
        penalty: own.penalty,
        ..FitOptions::default()
    };
    let histories = log.histories(own)?;
    let counts = match own.model {
        CountModel::BgNbd => Counts::BgNbd(BgNbd::fit(&histories, &options)?),
        CountModel::ParetoNbd => Counts::ParetoNbd(ParetoNbd::fit(&histories, &options)?),
    };
    let spend = match frame.label {
        Label::ActiveDays => None,
        Label::Value => Some(GammaGamma::fit(&log.spends()?, &options)?),
    };
    let record = Record {
        train_rows: log.users() as u64,
        ..Record::default()
    };
    let model = Fitted::Btyd(Box::new(Parameters { counts, spend }));
    Peer::from_parts(frame, config.clone(), record, baselines, model)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::btyd::testing::bgnbd_customers;
    use ltv_core::{
        Horizons,
        baseline::BaselineHorizon,
        encoding::{EncodedRows, Encoding},
        predictor::Predictor,
    };

    fn frame(label: Label) -> Frame {
        Frame {
            horizons: Horizons::new(vec![30, 90]).unwrap(),
            window_days: 14,
            label,
            as_of: "2024-01-01".parse().unwrap(),
            split: Default::default(),
            encoding: Encoding {
                plain: ["recency", "value_sum", "active_days"]
                    .map(String::from)
                    .into(),
                ..Encoding::default()
            },
        }
    }

    /// Customers of a BG/NBD model, times in days.
    fn log() -> PurchaseLog {
        let mut log = PurchaseLog::default();
        for (i, one) in bgnbd_customers([0.6, 20.0, 0.9, 3.0], 2000, 5)
            .iter()
            .enumerate()
        {
            let days = one.repeats + 1;
            let last = (one.recency.ceil() as u32).max(one.repeats);
            let age = (one.age.ceil() as u32).max(last);
            let each = 5.0 + (i % 11) as f64 + f64::from(days % 4);
            log.add(days, last, age, (days, each * f64::from(days)));
        }
        log
    }

    fn baselines() -> Baselines {
        let horizon = |days, label_mean| BaselineHorizon {
            days,
            label_mean,
            signal_mean: 1.0,
        };
        Baselines {
            signal: "active_days".into(),
            horizons: vec![horizon(30, 1.0), horizon(90, 2.0)],
        }
    }

    fn rows() -> EncodedRows {
        EncodedRows {
            rows: 3,
            plain: vec![f64::NAN, 0.0, 0.0, 0.0, 9.0, 1.0, 11.0, 60.0, 4.0],
            ..EncodedRows::default()
        }
    }

    #[test]
    fn it_is_a_peer_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        for model in [CountModel::BgNbd, CountModel::ParetoNbd] {
            for label in [Label::ActiveDays, Label::Value] {
                let config = PeerConfig::Btyd(BtydConfig {
                    model,
                    ..BtydConfig::default()
                });
                let peer = fit_log(&config, frame(label), baselines(), &log()).unwrap();
                let found = peer.predict(&rows());
                assert_eq!((found.values.len(), found.quantiles.len()), (6, 18));
                assert!(found.values.iter().all(|v| v.is_finite() && *v >= 0.0));
                // Who came back often is worth most, and a longer horizon is worth more.
                assert!(found.values[4] > found.values[2] && found.values[5] > found.values[4]);
                assert_eq!(peer.document().record.train_rows, 2000);
                let id = peer.save(&path).unwrap();
                let loaded = Peer::load(&path).unwrap();
                assert_eq!(loaded.model_id(), id);
                assert_eq!(loaded.predict(&rows()), found);
            }
        }
    }

    #[test]
    fn what_cannot_be_fitted_says_why() {
        let config = PeerConfig::Btyd(BtydConfig::default());
        let failed = |log: &PurchaseLog| {
            let fit = fit_log(&config, frame(Label::ActiveDays), Baselines::default(), log);
            fit.unwrap_err().to_string()
        };
        assert!(failed(&PurchaseLog::default()).contains("no customers"));
        let mut once = PurchaseLog::default();
        once.add(1, 0, 50, (1, 3.0));
        assert!(failed(&once).contains("repeat purchase"));
        let wrong = PeerConfig::Btyd(BtydConfig {
            penalty: -1.0,
            ..BtydConfig::default()
        });
        assert!(
            wrong
                .check()
                .unwrap_err()
                .to_string()
                .contains("peer.penalty")
        );
    }
}
