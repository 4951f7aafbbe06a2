//! The distribution of a horizon's training labels, in bounded memory: what segmentation,
//! bucketing, output priors and loss scales are made from (DESIGN 3.5 to 3.7).

use std::collections::BTreeMap;

/// Labels seen, grouped by value.
///
/// Exact while there are at most [`LabelHistogram::EXACT`] distinct values (days, price points).
/// Beyond that, values that agree in sign, exponent and the first 10 bits of the mantissa share a
/// group: a relative width under 0.1 %. Counts, sums, smallest and largest stay exact in each
/// group. Merging is exact, commutative and associative but for rounding of sums. Where there are
/// many histograms, [`LabelHistogram::sized`] makes smaller ones.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelHistogram {
    groups: BTreeMap<u64, LabelGroup>,
    coarse: bool,
    exact: usize,
    dropped: u32,
}

impl Default for LabelHistogram {
    fn default() -> Self {
        Self::sized(Self::EXACT, 10)
    }
}

/// Labels that share a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelGroup {
    /// Smallest value in the group.
    pub low: f64,
    /// Largest value in the group; equal to `low` while the histogram is exact.
    pub high: f64,
    /// How many labels.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl LabelHistogram {
    /// Most distinct values kept exactly.
    pub const EXACT: usize = 1 << 15;

    /// A histogram that is exact for at most `exact` distinct values; beyond that, `bits` of the
    /// mantissa (at most 52) tell groups apart, which are then up to `2^-bits` of their value wide.
    /// A group takes about 50 bytes; a factor of two between values holds up to `2^bits` groups.
    pub fn sized(exact: usize, bits: u32) -> Self {
        Self {
            groups: BTreeMap::new(),
            coarse: false,
            exact,
            dropped: 52 - bits.min(52),
        }
    }

    /// Adds one label. NaN (immature) and negative values are ignored: labels are non-negative
    /// by construction.
    pub fn add(&mut self, value: f64) {
        if value >= 0.0 && value.is_finite() {
            // Adding 0.0 turns -0.0 into 0.0, which has another bit pattern.
            let value = value + 0.0;
            let group = LabelGroup {
                low: value,
                high: value,
                count: 1,
                sum: value,
            };
            self.add_group(group);
        }
    }

    /// Adds all labels of `other`, a histogram of the same size.
    pub fn merge(&mut self, other: &Self) {
        if other.coarse {
            self.coarsen();
        }
        for &group in other.groups.values() {
            self.add_group(group);
        }
    }

    fn add_group(&mut self, new: LabelGroup) {
        // Bits of non-negative floats sort like the floats themselves.
        let bits = new.low.to_bits();
        let key = if self.coarse {
            bits >> self.dropped
        } else {
            bits
        };
        self.groups
            .entry(key)
            .and_modify(|g| g.absorb(&new))
            .or_insert(new);
        if !self.coarse && self.groups.len() > self.exact {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        if !self.coarse {
            self.coarse = true;
            for group in std::mem::take(&mut self.groups).into_values() {
                self.add_group(group);
            }
        }
    }

    /// The groups, ascending by value, not overlapping.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &LabelGroup> + Clone {
        self.groups.values()
    }

    /// Number of labels.
    pub fn count(&self) -> u64 {
        self.groups.values().map(|g| g.count).sum()
    }

    /// Mean of the labels; 0 when there are none.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.groups.values().map(|g| g.sum).sum();
        sum / (self.count().max(1)) as f64
    }

    /// The value at or below which a share `p` of the labels lies: the mean of the group that
    /// reaches it. 0 when there are no labels.
    pub fn quantile(&self, p: f64) -> f64 {
        quantile(self.groups().map(|g| (g.mean(), g.count as f64)), p)
    }

    /// Share of labels above 0; 0 when there are none.
    pub fn positive(&self) -> f64 {
        let zeros = |g: &&LabelGroup| g.high == 0.0;
        let zeros: u64 = self.groups.values().filter(zeros).map(|g| g.count).sum();
        match self.count() {
            0 => 0.0,
            n => (n - zeros) as f64 / n as f64,
        }
    }

    /// Whether every group still holds one value.
    pub fn is_exact(&self) -> bool {
        !self.coarse
    }
}

/// The first value at which a share `p` of all weight is reached, of values in ascending order;
/// 0 when there are none.
pub fn quantile(weighted: impl Iterator<Item = (f64, f64)> + Clone, p: f64) -> f64 {
    let total: f64 = weighted.clone().map(|(_, weight)| weight).sum();
    let (mut reached, mut last) = (0.0, 0.0);
    for (value, weight) in weighted {
        reached += weight;
        last = value;
        if reached >= p * total {
            break;
        }
    }
    last
}

impl LabelGroup {
    /// Mean of the labels in the group.
    pub fn mean(&self) -> f64 {
        if self.low == self.high {
            return self.low;
        }
        self.sum / self.count as f64
    }

    fn absorb(&mut self, other: &Self) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.count += other.count;
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_for_few_values() {
        let mut h = LabelHistogram::default();
        [0.0, 3.0, -0.0, f64::NAN, 3.0, 7.5]
            .into_iter()
            .for_each(|x| h.add(x));
        let groups: Vec<_> = h.groups().map(|g| (g.low, g.count)).collect();
        assert_eq!(groups, [(0.0, 2), (3.0, 2), (7.5, 1)]);
        assert_eq!((h.count(), h.mean()), (5, 13.5 / 5.0));
    }

    #[test]
    fn bounded_for_many_values() {
        let mut h = LabelHistogram::default();
        (0..200_000).for_each(|i| h.add(f64::from(i) * 0.37));
        assert!(!h.is_exact());
        assert_eq!(h.count(), 200_000);
        assert!(h.groups().count() <= LabelHistogram::EXACT);
        assert!(h.groups().all(|g| g.high - g.low <= 1e-3 * g.high));
        let ordered: Vec<_> = h.groups().collect();
        assert!(ordered.windows(2).all(|w| w[0].high < w[1].low));
    }

    #[test]
    fn quantiles_and_positives() {
        let mut h = LabelHistogram::default();
        [0.0, 0.0, 1.0, 2.0, 10.0]
            .into_iter()
            .for_each(|x| h.add(x));
        let at: Vec<_> = [0.1, 0.4, 0.5, 0.8, 1.0]
            .iter()
            .map(|&p| h.quantile(p))
            .collect();
        assert_eq!(at, [0.0, 0.0, 1.0, 2.0, 10.0]);
        assert_eq!(h.positive(), 0.6);
        let empty = LabelHistogram::default();
        assert_eq!((empty.quantile(0.5), empty.positive()), (0.0, 0.0));
    }

    #[test]
    fn a_small_one_is_bounded_too() {
        let mut h = LabelHistogram::sized(16, 5);
        (1..=1000).for_each(|i| h.add(f64::from(i)));
        assert!(h.groups().count() <= 10 * 32);
        assert!(h.groups().all(|g| g.high - g.low <= g.low / 32.0));
        assert!((h.quantile(0.5) - 500.0).abs() <= 500.0 / 32.0);
    }

    proptest::proptest! {
        #[test]
        fn merging_equals_adding(values in proptest::collection::vec(0u16..500, 0..200), cut in 0usize..200) {
            let cut = cut.min(values.len());
            let fill = |v: &[u16]| {
                let mut h = LabelHistogram::default();
                v.iter().for_each(|&x| h.add(f64::from(x)));
                h
            };
            let mut merged = fill(&values[..cut]);
            merged.merge(&fill(&values[cut..]));
            proptest::prop_assert_eq!(merged, fill(&values));
        }
    }
}
