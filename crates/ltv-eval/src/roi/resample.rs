//! Intervals: users are resampled and ads delivered again, under the same budget.
//!
//! Arms are resampled each by itself; on everybody, all policies see the same resamples, so that
//! differences between them are paired. Replicate `r` has a random stream of its own, made from the seed,
//! the purpose and `r`: nothing depends on threads.

use super::{deliver::Pool, document::Figure};
use crate::bootstrap::{Bootstrap, draw, percentiles};
use ltv_core::{progress::Progress, seed::derive};
use rayon::prelude::*;

/// Users in one order, under one budget.
pub(super) struct Plan<'a> {
    pub(super) pool: &'a Pool,
    pub(super) order: &'a [u32],
    pub(super) budget: f64,
}

/// Returns by outcome of several plans: as things were, and in each resample.
pub(super) struct Returns {
    /// By plan and outcome.
    point: Vec<Vec<f64>>,
    /// By replicate, plan and outcome.
    resampled: Vec<Vec<Vec<f64>>>,
}

impl Returns {
    /// Of plans that are resampled together, user by user, and so are all of the same pool.
    pub(super) fn paired(
        plans: &[Plan<'_>],
        (bootstrap, purpose): (Option<Bootstrap>, &str),
        progress: &dyn Progress,
    ) -> Self {
        let users = plans.first().map_or(0, |plan| plan.pool.len());
        let measure = |weights: Option<&[u8]>| -> Vec<Vec<f64>> {
            let one = |p: &Plan<'_>| p.pool.deliver(p.order, weights, p.budget).roi();
            plans.iter().map(one).collect()
        };
        let replicate = |seed: u64, weights: &mut Vec<u8>, stream: u32| {
            draw(weights, users, seed, stream);
            progress.advance(1);
            measure(Some(weights))
        };
        let resampled = bootstrap.map(|b| {
            let seed = derive(b.seed, purpose);
            let streams = (0..b.replicates).into_par_iter();
            let found =
                streams.map_init(Vec::new, |weights, stream| replicate(seed, weights, stream));
            found.collect()
        });
        Self {
            point: measure(None),
            resampled: resampled.unwrap_or_default(),
        }
    }

    /// These, with others that were resampled independently, replicate by replicate.
    pub(super) fn beside(mut self, other: Self) -> Self {
        self.point.extend(other.point);
        let pairs = self.resampled.iter_mut().zip(other.resampled);
        pairs.for_each(|(own, more)| own.extend(more));
        self
    }

    /// The returns of a plan.
    pub(super) fn roi(&self, plan: usize, outcomes: &[u32]) -> Vec<Figure> {
        self.figures(outcomes, |returns, t| returns[plan][t])
    }

    /// The return of a plan over that of another, minus 1.
    pub(super) fn uplift(&self, plan: usize, over: usize, outcomes: &[u32]) -> Vec<Figure> {
        self.figures(outcomes, |returns, t| {
            returns[plan][t] / returns[over][t] - 1.0
        })
    }

    /// Standard deviation over resamples of the log of a ratio of returns; `None` where fewer than half
    /// of them have one.
    pub(super) fn log_error(&self, plan: usize, over: usize, t: usize) -> Option<f64> {
        let logs = self
            .resampled
            .iter()
            .map(|r| (r[plan][t] / r[over][t]).ln());
        let logs: Vec<f64> = logs.filter(|log| log.is_finite()).collect();
        let n = logs.len() as f64;
        if n < 2.0 || logs.len() * 2 < self.resampled.len() {
            return None;
        }
        let mean = logs.iter().sum::<f64>() / n;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        Some((squares / (n - 1.0)).sqrt())
    }

    fn figures(&self, outcomes: &[u32], of: impl Fn(&[Vec<f64>], usize) -> f64) -> Vec<Figure> {
        let one = |(t, &days): (usize, &u32)| {
            let value = of(&self.point, t);
            let all: Vec<f64> = self.resampled.iter().map(|r| of(r, t)).collect();
            let of_all = all.len();
            Figure {
                days,
                value: value.is_finite().then_some(value),
                interval: percentiles(all, of_all).filter(|_| value.is_finite()),
            }
        };
        outcomes.iter().enumerate().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::roi::deliver::ranking;
    use ltv_core::progress::Silent;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Users whose value is 0 or 10 by a trait that a policy sees with some noise.
    fn arm(random: &mut ChaCha8Rng, users: usize, noise: f64) -> (Pool, Vec<u32>) {
        let (pool, [order, _]) = seen_twice(random, users, [noise, 0.0]);
        (pool, order)
    }

    /// The same users as two policies see them.
    fn seen_twice(random: &mut ChaCha8Rng, users: usize, noise: [f64; 2]) -> (Pool, [Vec<u32>; 2]) {
        let mut pool = Pool {
            values: vec![vec![]],
            ..Pool::default()
        };
        let mut scores = [vec![], vec![]];
        for _ in 0..users {
            let trait_ = random.random::<f64>();
            let lucky = f64::from(u8::from(random.random::<f64>() < trait_));
            pool.cost.push(0.5 + random.random::<f64>());
            pool.values[0].push(10.0 * lucky);
            for (scores, noise) in scores.iter_mut().zip(noise) {
                scores.push(trait_ + noise * (random.random::<f64>() - 0.5));
            }
        }
        let ties: Vec<u64> = (0..users as u64).collect();
        let orders = scores.map(|scores| ranking(&scores, &ties));
        (pool, orders)
    }

    fn plan<'a>((pool, order): &'a (Pool, Vec<u32>)) -> Plan<'a> {
        Plan {
            pool,
            order,
            budget: 0.3 * pool.len() as f64,
        }
    }

    /// The true uplift is that of very large arms. Of 200 experiments, the interval holds it in 95 %:
    /// 178 or more with probability 0.9995.
    #[test]
    fn intervals_hold_the_uplift_of_a_simulated_world() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let uplift = |random: &mut ChaCha8Rng, users: usize, replicates: Option<u32>| {
            let (control, treatment) = (arm(random, users, 1.5), arm(random, users, 0.2));
            let bootstrap = replicates.map(|replicates| Bootstrap {
                replicates,
                seed: random.random(),
            });
            let one = |a, purpose| Returns::paired(&[plan(a)], (bootstrap, purpose), &Silent);
            let both = one(&control, "control").beside(one(&treatment, "treatment"));
            both.uplift(1, 0, &[30])[0]
        };
        let truth = uplift(&mut random, 1_000_000, None).value.unwrap();
        assert!(truth > 0.1, "{truth}");
        let mut held = 0;
        for _ in 0..200 {
            let interval = uplift(&mut random, 400, Some(200)).interval.unwrap();
            held += i32::from(interval.low < truth && truth < interval.high);
        }
        assert!(held >= 178, "{held} of 200 hold {truth}");
    }

    /// The same of policies that see the same users, and are resampled together.
    #[test]
    fn paired_intervals_hold_the_uplift_of_a_simulated_world() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let uplift = |random: &mut ChaCha8Rng, users: usize, replicates: Option<u32>| {
            let (pool, orders) = seen_twice(random, users, [1.5, 0.8]);
            let plans = orders.each_ref().map(|order| Plan {
                pool: &pool,
                order,
                budget: 0.3 * users as f64,
            });
            let bootstrap = replicates.map(|replicates| Bootstrap {
                replicates,
                seed: random.random(),
            });
            Returns::paired(&plans, (bootstrap, "replay"), &Silent).uplift(1, 0, &[30])[0]
        };
        let truth = uplift(&mut random, 1_000_000, None).value.unwrap();
        let mut held = 0;
        for _ in 0..200 {
            let interval = uplift(&mut random, 500, Some(200)).interval.unwrap();
            held += i32::from(interval.low < truth && truth < interval.high);
        }
        assert!(held >= 178, "{held} of 200 hold {truth}");
    }

    /// The slow way: a resample as a list of users, sorted again.
    #[test]
    fn resamples_are_those_of_a_list() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let own = arm(&mut random, 60, 0.5);
        let bootstrap = Bootstrap {
            replicates: 20,
            seed: 9,
        };
        let found = Returns::paired(&[plan(&own)], (Some(bootstrap), "x"), &Silent);
        let mut weights = vec![];
        for r in 0..20 {
            draw(&mut weights, 60, derive(9, "x"), r);
            let copies = own
                .1
                .iter()
                .flat_map(|&row| vec![row; weights[row as usize].into()]);
            let copies: Vec<u32> = copies.collect();
            let listed = own.0.of(&copies);
            let order: Vec<u32> = (0..60).collect();
            let slow = listed.deliver(&order, None, 18.0).roi();
            assert_eq!(found.resampled[r as usize], [slow]);
        }
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let alone = one.install(|| Returns::paired(&[plan(&own)], (Some(bootstrap), "x"), &Silent));
        assert_eq!(alone.resampled, found.resampled);
    }

    #[test]
    fn what_is_paired_differs_by_nothing() {
        let own = arm(&mut ChaCha8Rng::seed_from_u64(4), 300, 0.5);
        let bootstrap = Some(Bootstrap {
            replicates: 50,
            seed: 1,
        });
        let twice = Returns::paired(&[plan(&own), plan(&own)], (bootstrap, "x"), &Silent);
        let figure = twice.uplift(1, 0, &[30])[0];
        let interval = figure.interval.unwrap();
        assert_eq!(
            (figure.value, interval.low, interval.high),
            (Some(0.0), 0.0, 0.0)
        );
        assert_eq!(twice.log_error(1, 0, 0), Some(0.0));
        assert_eq!(twice.roi(0, &[30])[0].interval.unwrap().replicates, 50);
    }
}
