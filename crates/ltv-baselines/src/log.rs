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
use std::collections::HashMap;

/// What users have done by the as-of day, from the first event on.
///
/// A purchase day is any day with an event, one whose events are free too: counts and spend are
/// fitted on the same days, so that their product is a value.
///
/// Equal users are counted once. Each distinct `(days, recency, age)` and each distinct
/// `(days, total)` is an entry of 25 bytes in a hash table of its own; a table has room for up to
/// 2.3 times its entries, and for half as many again while it grows: some 30 to 90 bytes an entry.
/// Histories are few different ones, however many users there are. Totals may all differ, so that
/// those of paying users are what memory grows with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PurchaseLog {
    users: u64,
    /// By days, recency and age.
    histories: HashMap<[u32; 3], u64>,
    /// By days and the bits of the total.
    spends: HashMap<(u32, u64), u64>,
}

impl PurchaseLog {
    /// Adds a user: days with events (at least 1), days from the first event to the last and to the
    /// last known day, and the total value of all these days, in value units. Days without value
    /// add nothing to the total, and count; a day that returns outweigh is left out of the total.
    pub fn add(&mut self, days: u32, recency: u32, age: u32, total: f64) {
        self.users += 1;
        *self.histories.entry([days, recency, age]).or_default() += 1;
        // Adding zero turns -0 into 0.
        let total = (total + 0.0).to_bits();
        *self.spends.entry((days, total)).or_default() += 1;
    }

    /// Users so far.
    pub fn users(&self) -> u64 {
        self.users
    }

    fn histories(&self, config: &BtydConfig) -> Result<Histories, BtydError> {
        let unit = config.unit.days();
        let history = |(&[days, recency, age], &users): (&[u32; 3], &u64)| {
            let history = History {
                repeats: days.saturating_sub(1),
                recency: f64::from(recency) / unit,
                age: f64::from(age) / unit,
            };
            (history, users)
        };
        Histories::counted(config.unit, self.histories.iter().map(history))
    }

    /// Users whose total is not positive are skipped.
    fn spends(&self) -> Result<Spends, BtydError> {
        let spend = |(&(days, total), &users): (&(u32, u64), &u64)| {
            let mean = f64::from_bits(total) / f64::from(days.max(1));
            (Spend { days, mean }, users)
        };
        Spends::counted(self.spends.iter().map(spend))
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
        train_rows: log.users(),
        ..Record::default()
    };
    let model = Fitted::Btyd(Box::new(Parameters { counts, spend }));
    Peer::from_parts(frame, config.clone(), record, baselines, model)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::btyd::{Reader, TimeUnit, testing::bgnbd_customers};
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
            log.add(days, last, age, each * f64::from(days));
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

    /// Users of up to `window` days, of which every other one is free, as a log and as rows of a window.
    fn users_with_free_days(window: u32) -> (PurchaseLog, EncodedRows) {
        let mut log = PurchaseLog::default();
        let mut rows = EncodedRows::default();
        let most = f64::from(window - 1);
        let customers = bgnbd_customers([0.6, 20.0, 0.9, 3.0], 4000, 9);
        for (i, one) in (0u32..).zip(&customers) {
            let repeats = one.repeats.min(window - 1);
            let last = (one.recency / one.age * most).round();
            let recency = last.clamp(f64::from(repeats), most) as u32 * repeats.min(1);
            let days = repeats + 1;
            let paid = days.div_ceil(2);
            // Users differ, by a factor of some hundreds.
            let each = 3.0 * (1.5 * f64::from(i % 101) / 50.0).exp() + f64::from(i % 13);
            let total = each * f64::from(paid);
            log.add(days, recency, window - 1, total);
            rows.rows += 1;
            rows.plain
                .extend([f64::from(recency), total, f64::from(days)]);
        }
        (log, rows)
    }

    #[test]
    fn free_days_are_purchase_days_in_fit_and_prediction() {
        let (log, rows) = users_with_free_days(14);
        let reader = Reader::new(&frame(Label::Value).encoding, Label::Value, 14).unwrap();
        let read = Spends::new(reader.read(&rows).flatten().filter_map(|seen| seen.spend)).unwrap();
        assert_eq!(log.spends().unwrap(), read);
        // A prediction is expected days times the value of a day: the mean of the users' means.
        let peer = |label| {
            let config = PeerConfig::Btyd(BtydConfig::default());
            fit_log(&config, frame(label), baselines(), &log).unwrap()
        };
        let (days, value) = (peer(Label::ActiveDays), peer(Label::Value));
        let (days, value) = (days.predict(&rows), value.predict(&rows));
        let each = value.values.iter().zip(&days.values).map(|(v, d)| v / d);
        let predicted = each.sum::<f64>() / days.values.len() as f64;
        let means = rows.plain.chunks(3).map(|row| row[1] / row[2]);
        let seen = means.sum::<f64>() / rows.rows as f64;
        assert!((predicted / seen - 1.0).abs() < 0.05, "{predicted} {seen}");
    }

    #[test]
    fn equal_users_are_kept_once() {
        let users = [
            (1, 0, 9, 0.0),
            (3, 5, 9, 7.5),
            (3, 5, 9, -1.25),
            (3, 6, 9, 7.5),
        ];
        let mut log = PurchaseLog::default();
        for _ in 0..1000 {
            for (days, recency, age, total) in users {
                log.add(days, recency, age, total);
            }
        }
        assert_eq!(log.users(), 4000);
        assert_eq!((log.histories.len(), log.spends.len()), (3, 3));
        let spends = log.spends().unwrap();
        assert_eq!((spends.customers(), spends.skipped()), (2000, 2000));
        let [only] = spends.groups() else {
            panic!("{spends:?}")
        };
        assert_eq!(
            (only.spend.days, only.spend.mean, only.customers),
            (3, 2.5, 2000.0)
        );
        let histories = log.histories(&BtydConfig::default()).unwrap();
        let customers: Vec<_> = histories.groups().iter().map(|g| g.customers).collect();
        assert_eq!(customers, [1000.0, 2000.0, 1000.0]);
        assert_eq!(std::mem::size_of::<([u32; 3], u64)>(), 24);
        assert_eq!(std::mem::size_of::<((u32, u64), u64)>(), 24);
    }

    /// Registered 14 days before the as-of day with a first event: the log and the row of a window
    /// of 14 days tell the same history.
    #[test]
    fn a_user_read_both_ways_has_one_history() {
        let (log, rows) = users_with_free_days(14);
        let reader = Reader::new(&frame(Label::Value).encoding, Label::Value, 14).unwrap();
        let read = reader.read(&rows).flatten().map(|seen| seen.history);
        let day = BtydConfig {
            unit: TimeUnit::Day,
            ..BtydConfig::default()
        };
        assert_eq!(
            log.histories(&day).unwrap(),
            Histories::new(TimeUnit::Day, read).unwrap()
        );
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
        once.add(1, 0, 50, 3.0);
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
