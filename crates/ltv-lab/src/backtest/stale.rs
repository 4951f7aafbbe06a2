//! Models of earlier dates on later users: what age costs, and how much predictions move from one
//! date to the next.

use super::document::{Aged, Ageing, Backtest, Stability, Stale};
use crate::{
    LabError, Outcome,
    compare::Labelled,
    config::{Contestant, Kind},
    judged::Judged,
    open::open,
    run::Run,
};
use ltv_core::{Day, progress::Progress};
use ltv_eval::{Metric, score};
use ltv_model::Decoding;
use std::collections::BTreeMap;

/// The metrics by which age is judged.
pub const AGED: [Metric; 3] = [Metric::NRMSE, Metric::NormGini, Metric::CalibrationRatio];

/// The runs of one date: of each contestant, one for each seed.
pub(super) struct Trained {
    pub(super) day: Day,
    pub(super) runs: Vec<Vec<Run>>,
}

/// The users of one date.
pub(super) struct Later<'a> {
    pub(super) day: Day,
    pub(super) outcome: &'a Outcome,
    pub(super) contestants: &'a [Contestant],
    pub(super) progress: &'a dyn Progress,
}

/// Sums over seeds of what is found of one model, horizon and training date.
#[derive(Default)]
struct Found {
    aged: Vec<[Option<f64>; 3]>,
    moved: Vec<Moved>,
}

impl Later<'_> {
    /// Lets the models of `earlier` dates, ascending, predict too, and adds what is found of them and
    /// of the fresh ones.
    ///
    /// # Errors
    /// When a stored model or its predictions cannot be read.
    pub(super) fn judge(
        &self,
        earlier: &[Trained],
        document: &mut Backtest,
    ) -> Result<(), LabError> {
        for (c, contestant) in self.contestants.iter().enumerate() {
            // By set, horizon and training date.
            let mut found: BTreeMap<(usize, usize, Day), Found> = BTreeMap::new();
            for (r, run) in self.outcome.runs[c].iter().enumerate() {
                let fresh = self.fresh(run)?;
                self.add(&mut found, self.day, &fresh, None)?;
                for (i, old) in earlier.iter().enumerate() {
                    let stale = self.stale(contestant, old.day, &old.runs[c][r])?;
                    let last = i + 1 == earlier.len();
                    self.add(&mut found, old.day, &stale, last.then_some(&fresh))?;
                }
            }
            let previous = earlier.last().map(|old| old.day);
            self.write(c, found, previous, document);
        }
        Ok(())
    }

    /// Predictions that are stored already.
    fn fresh(&self, run: &Run) -> Result<Vec<Columns>, LabError> {
        let sets = run.record.sets.iter().enumerate();
        let one = |(set, record): (usize, &crate::run::SetRecord)| {
            let horizons = record.horizons.iter();
            horizons
                .map(|&days| Ok((self.place(days)?, run.column(set, days)?)))
                .collect()
        };
        sets.map(one).collect()
    }

    /// What the models of a run of an earlier date predict, decoded as its sets are.
    fn stale(
        &self,
        contestant: &Contestant,
        trained: Day,
        run: &Run,
    ) -> Result<Vec<Columns>, LabError> {
        let (name, seed) = (&contestant.name, run.record.seed);
        let progress = Labelled {
            label: format!("{name} of {trained}, seed {seed}"),
            inner: self.progress,
        };
        let decodings = match &contestant.kind {
            Kind::Network { decodings, .. } => decodings.clone(),
            Kind::Peer { .. } => vec![Decoding::Expectation],
        };
        let mut sets = vec![];
        for decoding in decodings {
            let mut set = vec![];
            for model in &run.record.models {
                let opened = open(&run.folder.join(&model.file), decoding)?;
                let predictor = opened.predictor.as_ref();
                let (columns, _) = self.judged().predict(predictor, &progress)?;
                for (&days, column) in predictor.horizons().days().iter().zip(columns) {
                    set.push((self.place(days)?, column));
                }
            }
            sets.push(set);
        }
        Ok(sets)
    }

    fn judged(&self) -> &Judged {
        &self.outcome.judged
    }

    /// Where a horizon stands among those of the labels.
    fn place(&self, days: u32) -> Result<usize, LabError> {
        let place = self.judged().horizons.position(days);
        place.ok_or_else(|| LabError::internal("a horizon that is none"))
    }

    fn add(
        &self,
        found: &mut BTreeMap<(usize, usize, Day), Found>,
        trained: Day,
        sets: &[Columns],
        fresh: Option<&Vec<Columns>>,
    ) -> Result<(), LabError> {
        for (s, set) in sets.iter().enumerate() {
            for (i, (t, column)) in set.iter().enumerate() {
                let cell = found.entry((s, *t, trained)).or_default();
                let scores = score("predictions", &self.judged().column(*t), column)?;
                cell.aged.push(AGED.map(|metric| scores.value(metric)));
                if let Some(fresh) = fresh {
                    cell.moved.push(Moved::new(column, &fresh[s][i].1)?);
                }
            }
        }
        Ok(())
    }

    fn write(
        &self,
        contestant: usize,
        found: BTreeMap<(usize, usize, Day), Found>,
        previous: Option<Day>,
        document: &mut Backtest,
    ) {
        for ((set, t, trained), found) in found {
            let horizon = self.judged().horizons.days()[t];
            let Some(model) = self.outcome.row_name(contestant, set) else {
                continue;
            };
            let of = |m: usize| -> Vec<Option<f64>> { found.aged.iter().map(|a| a[m]).collect() };
            document.staleness.push(Stale {
                model: model.to_owned(),
                horizon,
                as_of: self.day,
                trained,
                age_days: self.day - trained,
                values: (0..AGED.len())
                    .map(|m| super::mean_of_all(&of(m)))
                    .collect(),
            });
            if previous == Some(trained) {
                let (model, days) = (model.to_owned(), (trained, self.day));
                document
                    .stability
                    .push(Moved::mean(&found.moved, model, horizon, days));
            }
        }
    }
}

/// Places of horizons and their columns.
type Columns = Vec<(usize, Vec<f64>)>;

/// How much predictions for the same users have moved.
struct Moved {
    spearman: Option<f64>,
    mean_change: Option<f64>,
    decile_changed: f64,
}

impl Moved {
    fn new(before: &[f64], after: &[f64]) -> Result<Self, LabError> {
        let scores = score("predictions", before, after)?;
        let ratio = scores.value(Metric::CalibrationRatio);
        let (old, new) = (deciles(before), deciles(after));
        let changed = old.iter().zip(&new).filter(|(a, b)| a != b).count();
        Ok(Self {
            spearman: scores.value(Metric::Spearman),
            mean_change: ratio.map(|r| r - 1.0),
            decile_changed: changed as f64 / before.len().max(1) as f64,
        })
    }

    fn mean(all: &[Self], model: String, horizon: u32, (from, to): (Day, Day)) -> Stability {
        let mean = |get: &dyn Fn(&Self) -> Option<f64>| {
            super::mean_of_all(&all.iter().map(get).collect::<Vec<_>>())
        };
        Stability {
            model,
            horizon,
            from,
            to,
            spearman: mean(&|m| m.spearman),
            mean_change: mean(&|m| m.mean_change),
            decile_changed: mean(&|m| Some(m.decile_changed)).unwrap_or(0.0),
        }
    }
}

/// The decile of each value, 0 the lowest: by the middle rank of all that are equal, so that equal
/// predictions share a decile whatever the order of rows.
fn deciles(values: &[f64]) -> Vec<u8> {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut deciles = vec![0; n];
    let mut start = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let middle = start as f64 + group.len() as f64 / 2.0;
        let decile = (10.0 * middle / n as f64) as u8;
        group.iter().for_each(|&row| deciles[row] = decile.min(9));
        start += group.len();
    }
    deciles
}

/// Staleness by age: over all dates whose users a model of that age has predicted.
pub(super) fn ageing(staleness: &[Stale], dates: &[Day]) -> Vec<Ageing> {
    let place = |day: Day| dates.iter().position(|&d| d == day).unwrap_or(0);
    let mut groups: Vec<(&str, u32, usize, Vec<&Stale>)> = vec![];
    for stale in staleness {
        let steps = place(stale.as_of) - place(stale.trained);
        let key = (stale.model.as_str(), stale.horizon, steps);
        match groups.iter_mut().find(|g| (g.0, g.1, g.2) == key) {
            Some(group) => group.3.push(stale),
            None => groups.push((key.0, key.1, key.2, vec![stale])),
        }
    }
    let fresh = |old: &Stale| {
        let same = |s: &&Stale| {
            s.age_days == 0
                && s.as_of == old.as_of
                && s.horizon == old.horizon
                && s.model == old.model
        };
        staleness.iter().find(same)
    };
    let one = |(model, horizon, steps, all): (&str, u32, usize, Vec<&Stale>)| Ageing {
        model: model.to_owned(),
        horizon,
        steps: steps as u32,
        age_days: all.iter().map(|s| f64::from(s.age_days)).sum::<f64>() / all.len() as f64,
        dates: all.len() as u32,
        metrics: AGED
            .iter()
            .enumerate()
            .map(|(m, &metric)| {
                // Dates on which both have a value.
                let pairs: Vec<(f64, f64)> = all
                    .iter()
                    .filter_map(|s| Some((s.values[m]?, fresh(s)?.values[m]?)))
                    .collect();
                Aged {
                    metric,
                    stale: super::mean(pairs.iter().map(|p| Some(p.0))),
                    fresh: super::mean(pairs.iter().map(|p| Some(p.1))),
                }
            })
            .collect(),
    };
    let mut all: Vec<Ageing> = groups.into_iter().map(one).collect();
    // By model and horizon as they came, then by age.
    let first = |a: &Ageing| {
        staleness
            .iter()
            .position(|s| s.model == a.model && s.horizon == a.horizon)
    };
    all.sort_by_key(|a| (first(a), a.steps));
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn deciles_are_tenths_and_ties_stay_together() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100)).collect();
        let found = deciles(&values);
        for (value, decile) in values.iter().zip(found) {
            assert_eq!(f64::from(decile), (value / 10.0).floor());
        }
        assert_eq!(deciles(&[1.0; 7]), [5; 7]);
        assert_eq!(deciles(&[0.0, 0.0, 0.0, 9.0]), [3, 3, 3, 8]);
        assert!(deciles(&[]).is_empty());
    }

    #[test]
    fn what_moved_is_counted() {
        let before: Vec<f64> = (1..=100).map(f64::from).collect();
        let same = Moved::new(&before, &before).unwrap();
        assert_eq!(
            (same.spearman, same.mean_change, same.decile_changed),
            (Some(1.0), Some(0.0), 0.0)
        );
        // Doubling moves the mean and nobody's place.
        let double: Vec<f64> = before.iter().map(|x| 2.0 * x).collect();
        let moved = Moved::new(&before, &double).unwrap();
        assert_eq!((moved.mean_change, moved.decile_changed), (Some(1.0), 0.0));
        // Upside down: everybody moves.
        let down: Vec<f64> = before.iter().map(|x| 101.0 - x).collect();
        let moved = Moved::new(&before, &down).unwrap();
        assert_eq!((moved.spearman, moved.decile_changed), (Some(-1.0), 1.0));
        assert_eq!(Moved::new(&before, &[3.0; 100]).unwrap().spearman, None);
    }

    #[test]
    fn old_models_are_set_against_fresh_ones_on_the_same_users() {
        let stale = |as_of: i32, trained: i32, nrmse: Option<f64>| Stale {
            model: "m".to_owned(),
            horizon: 30,
            as_of: Day(as_of),
            trained: Day(trained),
            age_days: as_of - trained,
            values: vec![nrmse, Some(0.5), None],
        };
        let all = [
            stale(0, 0, Some(9.0)),
            stale(10, 0, Some(3.0)),
            stale(10, 10, Some(2.0)),
            stale(30, 0, Some(7.0)),
            stale(30, 10, None),
            stale(30, 30, Some(4.0)),
        ];
        let found = ageing(&all, &[Day(0), Day(10), Day(30)]);
        let shown: Vec<_> = found
            .iter()
            .map(|a| (a.steps, a.age_days, a.dates))
            .collect();
        assert_eq!(shown, [(0, 0.0, 3), (1, 15.0, 2), (2, 30.0, 1)]);
        // One date alone has a value for both.
        assert_eq!(
            (found[1].metrics[0].stale, found[1].metrics[0].fresh),
            (Some(3.0), Some(2.0))
        );
        assert_eq!(
            (found[2].metrics[0].stale, found[2].metrics[0].fresh),
            (Some(7.0), Some(4.0))
        );
        assert_eq!(found[0].metrics[0].stale, Some(5.0));
        assert_eq!(found[0].metrics[2].stale, None);
    }
}
