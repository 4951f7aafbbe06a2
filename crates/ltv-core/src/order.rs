//! Order across horizons: a longer horizon is worth at least as much (DESIGN 3.10).

/// Makes `values` non-decreasing by the nearest such sequence in weighted least squares (pool
/// adjacent violators), and says whether it had to change anything. `weights`: positive and finite,
/// one for each value; only their ratios matter, and more than 1e200 is as good as 1e200.
///
/// Projecting two sequences of which one lies nowhere above the other keeps it so: quantiles that
/// are projected each on their own do not cross.
pub fn project(values: &mut [f64], weights: &[f64]) -> bool {
    if values.windows(2).all(|w| w[0] <= w[1]) {
        return false;
    }
    let mut pools: Vec<Pool> = Vec::with_capacity(values.len());
    for (&value, weight) in values.iter().zip(in_proportion(weights)) {
        pools.push(Pool {
            mean: value,
            weight,
            count: 1,
        });
        while let [.., a, b] = pools[..]
            && a.mean > b.mean
        {
            pools.truncate(pools.len() - 2);
            pools.push(a.join(b));
        }
    }
    let mut at = 0;
    for pool in pools {
        values[at..at + pool.count].fill(pool.mean);
        at += pool.count;
    }
    true
}

/// The weights that [`project`] works with: in the same proportion, neither so large that sums of their
/// products with values overflow nor so small that they vanish.
pub fn in_proportion(weights: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let unit = power_of_two(weights.iter().copied().fold(0.0, f64::max));
    weights.iter().map(move |w| (w / unit).max(LEAST_RATIO))
}

/// Weights below this share of the largest count as this share.
const LEAST_RATIO: f64 = 1e-200;

/// The largest power of two that is not above `x`, which is positive: division by it rounds nothing.
fn power_of_two(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7FF << 52;
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

/// Neighbours that share one value.
#[derive(Clone, Copy)]
struct Pool {
    mean: f64,
    weight: f64,
    count: usize,
}

impl Pool {
    fn join(self, next: Self) -> Self {
        let weight = self.weight + next.weight;
        Self {
            mean: (self.mean * self.weight + next.mean * next.weight) / weight,
            weight,
            count: self.count + next.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Their ratio decides, whatever their size.
    #[test]
    fn extreme_weights() {
        for (weights, expected) in [
            ([1e308, 1e308], 2.0),
            ([1e308, 5e307], 7.0 / 3.0),
            ([1e-308, 1e-308], 2.0),
            ([5e-324, 5e-324], 2.0),
            ([1e308, 1e-308], 3.0),
            ([1e-308, 1e308], 1.0),
        ] {
            let mut values = [3.0, 1.0];
            assert!(project(&mut values, &weights));
            let near = values.iter().all(|v| (v - expected).abs() < 1e-12);
            assert!(near, "{weights:?}: {values:?}");
        }
        let mut values = [3.0, 1.0, 0.5];
        project(&mut values, &[1e-308, 1e-308, 1e308]);
        assert!(values.iter().all(|v| (v - 0.5).abs() < 1e-12), "{values:?}");
    }

    proptest! {
        /// A power of two in all weights changes no bit.
        #[test]
        fn a_power_of_two_changes_no_bit(
            values in prop::collection::vec(0.0f64..10.0, 4),
            weights in prop::collection::vec(0.01f64..100.0, 4),
            exponent in -40i32..40,
        ) {
            let scaled: Vec<f64> = weights.iter().map(|w| w * 2f64.powi(exponent)).collect();
            let (mut a, mut b) = (values.clone(), values);
            project(&mut a, &weights);
            project(&mut b, &scaled);
            prop_assert_eq!(a, b);
        }

        /// Against the definition: non-decreasing, and no other non-decreasing sequence of a
        /// large random sample is nearer.
        #[test]
        fn projection(
            pairs in prop::collection::vec((0.0f64..10.0, 0.01f64..100.0), 1..6),
            mut others in prop::collection::vec(prop::collection::vec(0.0f64..10.0, 6), 50),
        ) {
            let (values, weights): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let mut projected = values.clone();
            let touched = project(&mut projected, &weights);
            prop_assert!(projected.windows(2).all(|w| w[0] <= w[1]));
            prop_assert_eq!(touched, projected != values);
            let distance = |x: &[f64]| {
                let each = x.iter().zip(&values).zip(&weights);
                each.map(|((a, b), w)| w * (a - b).powi(2)).sum::<f64>()
            };
            for other in &mut others {
                other.truncate(values.len());
                other.sort_by(f64::total_cmp);
                prop_assert!(distance(&projected) <= distance(other) + 1e-9);
            }
            prop_assert!(!project(&mut projected, &weights), "a second projection changes nothing");
        }

        #[test]
        fn projected_quantiles_do_not_cross(
            low in prop::collection::vec(0.0f64..10.0, 4),
            gap in prop::collection::vec(0.0f64..3.0, 4),
            weights in prop::collection::vec(0.01f64..100.0, 4),
        ) {
            let (mut a, mut b) = (low.clone(), low.iter().zip(gap).map(|(x, g)| x + g).collect::<Vec<_>>());
            project(&mut a, &weights);
            project(&mut b, &weights);
            prop_assert!(a.iter().zip(&b).all(|(x, y)| x <= &(y + 1e-12)));
        }
    }
}
