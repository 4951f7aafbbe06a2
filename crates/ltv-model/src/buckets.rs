//! Segmentation and bucketing: the label range of one horizon cut into sub-distributions, and
//! each of those into buckets (paper section 3.3; DESIGN 3.4 to 3.6).
//!
//! Everything comes from the training labels, once; the same edges encode labels and decode
//! predictions.

use crate::ModelError;
use ltv_core::{
    config::{Cut, Label, ModelConfig},
    labels::{LabelGroup, LabelHistogram},
};
use serde::{Deserialize, Serialize};

/// The buckets of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// Sub-distributions, ascending; at least two.
    pub segments: Vec<Segment>,
    /// Mean of the mature training labels, positive: the scale of the calibration loss.
    pub mean: f64,
    /// Share of the training label mass above the last edge: what labels exceed it by, over the sum
    /// of all labels. Predictions cannot hold it. Not zero only for unbounded values.
    pub mass_above: f64,
    /// The largest mature training label; 0 in models written before it was kept. See
    /// [`Buckets::largest_label`].
    #[serde(default)]
    pub largest: f64,
}

/// One sub-distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Its buckets, ascending; at least one.
    pub buckets: Vec<Bucket>,
}

/// One bucket: the training labels in `[left, left + width]`; in the last bucket of an unbounded
/// value, those above as well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Smallest training label in it.
    pub left: f64,
    /// Largest minus smallest (in the last bucket, see [`QUANTILE`]); 0 for a single value, which
    /// then has no bias.
    pub width: f64,
    /// Training rows in it.
    pub rows: u64,
    /// Mean of `(label - left) / width` over them, each at most 1; 0 when the width is 0.
    pub bias: f64,
}

/// A label in terms of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Sub-distribution.
    pub segment: usize,
    /// Bucket in it.
    pub bucket: usize,
    /// Position in the bucket, in `[0, 1]`.
    pub bias: f64,
}

/// The quantile of the training labels that is the last edge of an unbounded value (revenue): one
/// row in 10,000 may lie above. With fewer rows, and for active days, it is the largest label.
pub const QUANTILE: f64 = 0.9999;

impl Buckets {
    /// Cuts the training labels of a horizon. `label` says whether they are unbounded.
    ///
    /// # Errors
    /// When there are fewer than two distinct labels, or a given cut point leaves a
    /// sub-distribution empty.
    pub fn fit(
        horizon: u32,
        label: Label,
        labels: &LabelHistogram,
        config: &ModelConfig,
    ) -> Result<Self, ModelError> {
        let groups: Vec<LabelGroup> = labels.groups().copied().collect();
        if groups.len() < 2 || labels.mean() <= 0.0 {
            let (distinct, rows) = (groups.len(), labels.count());
            return Err(ModelError::Labels {
                horizon,
                distinct,
                rows,
            });
        }
        let starts = segment_starts(&groups, config);
        let mut segments = vec![];
        for (s, from) in starts.iter().enumerate() {
            let to = starts.get(s + 1).copied().unwrap_or(groups.len());
            if *from >= to {
                return Err(ModelError::EmptySegment {
                    horizon,
                    segment: s,
                });
            }
            segments.push(Segment {
                buckets: cut_buckets(&groups[*from..to], config.buckets),
            });
        }
        let mut fitted = Self {
            segments,
            mean: labels.mean(),
            mass_above: 0.0,
            largest: groups[groups.len() - 1].high,
        };
        if label == Label::Value {
            fitted.trim_tail(&groups);
        }
        Ok(fitted)
    }

    /// Lowers the upper edge of the top bucket to the training quantile, so that one extreme label
    /// does not stretch the bucket in which the best users are predicted.
    fn trim_tail(&mut self, groups: &[LabelGroup]) {
        let Some(top) = self.segments.last_mut().and_then(|s| s.buckets.last_mut()) else {
            return;
        };
        let rows: u64 = groups.iter().map(|g| g.count).sum();
        // In whole rows, so that rounding cannot trim a small training set.
        let may_lie_above = (rows as f64 * (1.0 - QUANTILE) + 1e-6) as u64;
        let mut above = 0;
        let is_edge = |g: &&LabelGroup| {
            above += g.count;
            above > may_lie_above
        };
        let Some(edge) = groups.iter().rev().find(is_edge).map(|g| g.high) else {
            return;
        };
        let width = edge - top.left;
        if width <= 0.0 || width >= top.width {
            return;
        }
        top.width = width;
        let (mut bias, mut over) = (0.0, 0.0);
        for group in groups.iter().filter(|g| g.low >= top.left) {
            let count = group.count as f64;
            let inside = group.sum.min(count * edge);
            bias += (inside - count * top.left) / width;
            over += group.sum - inside;
        }
        top.bias = (bias / top.rows.max(1) as f64).clamp(0.0, 1.0);
        self.mass_above = over / groups.iter().map(|g| g.sum).sum::<f64>();
    }

    /// The largest mature training label, where it is known, and the last edge at least.
    pub fn largest_label(&self) -> f64 {
        let edge = |b: &Bucket| b.left + b.width;
        self.flat().map(edge).fold(self.largest, f64::max)
    }

    /// Number of buckets over all sub-distributions.
    pub fn count(&self) -> usize {
        self.segments.iter().map(|s| s.buckets.len()).sum()
    }

    /// All buckets, ascending.
    pub fn flat(&self) -> impl Iterator<Item = &Bucket> {
        self.segments.iter().flat_map(|s| &s.buckets)
    }

    /// Where a label lies. A value between two buckets belongs to the lower one, at its upper edge;
    /// one beyond the last edge to the last bucket, at its edge; one below the first to the first.
    pub fn place(&self, value: f64) -> Place {
        let starts = |b: &Bucket| b.left <= value;
        let last = |n: usize| n.saturating_sub(1);
        let segment = last(self.segments.partition_point(|s| starts(&s.buckets[0])));
        let buckets = &self.segments[segment].buckets;
        let bucket = last(buckets.partition_point(starts));
        let b = &buckets[bucket];
        let bias = if b.width > 0.0 {
            ((value - b.left) / b.width).clamp(0.0, 1.0)
        } else {
            0.0
        };
        Place {
            segment,
            bucket,
            bias,
        }
    }
}

impl Segment {
    /// Training rows in it.
    pub fn rows(&self) -> u64 {
        self.buckets.iter().map(|b| b.rows).sum()
    }

    /// For every bucket, which bias it owns; none for single values.
    pub fn slots(&self) -> Vec<Option<usize>> {
        let mut next = 0;
        let slot = |b: &Bucket| {
            (b.width > 0.0).then(|| {
                next += 1;
                next - 1
            })
        };
        self.buckets.iter().map(slot).collect()
    }
}

/// Index of the first group of each sub-distribution.
fn segment_starts(groups: &[LabelGroup], config: &ModelConfig) -> Vec<usize> {
    let total: u64 = groups.iter().map(|g| g.count).sum();
    let zeros = if groups[0].high == 0.0 {
        groups[0].count
    } else {
        0
    };
    let common_zero = zeros as f64 >= total as f64 / config.segments as f64 / 2.0;
    match &config.cut {
        Cut::At(cuts) => {
            let start = |c: &f64| groups.partition_point(|g| g.low < *c);
            std::iter::once(0).chain(cuts.iter().map(start)).collect()
        }
        Cut::Zero | Cut::Auto if zeros > 0 && (config.cut == Cut::Zero || common_zero) => {
            let rest = quantile_starts(&groups[1..], config.segments - 1);
            std::iter::once(0)
                .chain(rest.into_iter().map(|i| i + 1))
                .collect()
        }
        Cut::Median => {
            // The median of the positive values ends the first; the rest at equal frequency.
            let positive = usize::from(zeros > 0);
            let half = quantile_starts(&groups[positive..], 2);
            let start = half.get(1).map_or(positive, |i| i + positive).max(1);
            let rest = quantile_starts(&groups[start..], config.segments - 1);
            std::iter::once(0)
                .chain(rest.into_iter().map(|i| i + start))
                .collect()
        }
        _ => quantile_starts(groups, config.segments),
    }
}

/// Starts of up to `parts` runs of groups with about equal counts, each with a group at least.
fn quantile_starts(groups: &[LabelGroup], parts: usize) -> Vec<usize> {
    let parts = parts.min(groups.len()).max(1);
    let mut starts = vec![0];
    let mut left: u64 = groups.iter().map(|g| g.count).sum();
    let (mut in_run, mut target) = (0u64, left as f64 / parts as f64);
    for (i, group) in groups.iter().enumerate() {
        let must_start = groups.len() - i == parts - starts.len();
        let may_start = i > starts[starts.len() - 1] && starts.len() < parts;
        // Start a new run where adding the group would overshoot more than stopping short.
        let over = (in_run + group.count) as f64 - target;
        if may_start && (must_start || (over > 0.0 && over > target - in_run as f64)) {
            left -= in_run;
            target = left as f64 / (parts - starts.len()) as f64;
            starts.push(i);
            in_run = 0;
        }
        in_run += group.count;
    }
    starts
}

/// Cuts a sub-distribution: zero and heavy values alone (else P(value > 0) could not be told from
/// the buckets), the runs between at equal frequency.
///
/// Since every run is a bucket at least, there can be more than `about`: with heavy values and runs
/// alternating, twice as many and two.
fn cut_buckets(groups: &[LabelGroup], about: usize) -> Vec<Bucket> {
    let total: u64 = groups.iter().map(|g| g.count).sum();
    let target = total as f64 / about as f64;
    let heavy = |g: &LabelGroup| g.high == 0.0 || (g.low == g.high && g.count as f64 >= target);
    let mut buckets = vec![];
    let mut from = 0;
    while from < groups.len() {
        if heavy(&groups[from]) {
            buckets.push(bucket(&groups[from..=from]));
            from += 1;
            continue;
        }
        let light = groups[from..].iter().take_while(|g| !heavy(g)).count();
        let run = &groups[from..from + light];
        let rows: u64 = run.iter().map(|g| g.count).sum();
        let parts = ((rows as f64 / target).round() as usize).max(1);
        let starts = quantile_starts(run, parts);
        for (i, &start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).copied().unwrap_or(run.len());
            buckets.push(bucket(&run[start..end]));
        }
        from += light;
    }
    buckets
}

fn bucket(groups: &[LabelGroup]) -> Bucket {
    let (left, right) = (groups[0].low, groups[groups.len() - 1].high);
    let rows: u64 = groups.iter().map(|g| g.count).sum();
    let sum: f64 = groups.iter().map(|g| g.sum).sum();
    let width = right - left;
    let bias = if width > 0.0 {
        ((sum / rows as f64 - left) / width).clamp(0.0, 1.0)
    } else {
        0.0
    };
    Bucket {
        left,
        width,
        rows,
        bias,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: impl IntoIterator<Item = f64>) -> LabelHistogram {
        let mut h = LabelHistogram::default();
        values.into_iter().for_each(|v| h.add(v));
        h
    }

    fn twenty() -> ModelConfig {
        ModelConfig {
            buckets: 20,
            ..ModelConfig::default()
        }
    }

    #[test]
    fn a_common_zero_stands_alone() {
        let values = (0..100).map(|i| if i < 60 { 0.0 } else { f64::from(i - 59) });
        let b = Buckets::fit(30, Label::Value, &histogram(values), &twenty()).unwrap();
        assert_eq!(b.segments.len(), 2);
        assert_eq!(b.segments[0].buckets.len(), 1);
        assert_eq!(b.segments[0].slots(), [None]);
        assert_eq!(b.segments[1].buckets.len(), 20);
        assert_eq!(b.segments[1].buckets[0].left, 1.0);
        assert_eq!(
            b.place(0.0),
            Place {
                segment: 0,
                bucket: 0,
                bias: 0.0
            }
        );
        assert_eq!(b.place(1e9).bias, 1.0);
    }

    #[test]
    fn heavy_values_are_buckets_of_their_own() {
        let values = (0..200).map(|i| {
            if i % 4 == 0 {
                9.99
            } else {
                f64::from(i) / 10.0
            }
        });
        let config = ModelConfig {
            buckets: 5,
            cut: Cut::At(vec![5.0]),
            ..Default::default()
        };
        let b = Buckets::fit(30, Label::Value, &histogram(values), &config).unwrap();
        let price = b.segments[1]
            .buckets
            .iter()
            .find(|b| b.left == 9.99)
            .unwrap();
        assert_eq!((price.width, price.rows), (0.0, 50));
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let fit = |h, c: &ModelConfig| {
            Buckets::fit(90, Label::ActiveDays, &h, c)
                .unwrap_err()
                .to_string()
        };
        let one = fit(histogram([0.0; 10]), &ModelConfig::default());
        assert!(
            one.starts_with("ltv_90: the training labels hold 1 distinct"),
            "{one}"
        );
        let config = ModelConfig {
            cut: Cut::At(vec![100.0]),
            ..Default::default()
        };
        let empty = fit(histogram([1.0, 2.0]), &config);
        assert!(empty.contains("sub-distribution 1"), "{empty}");
    }

    /// One zero among a thousand rows, no sub-distribution of its own: still a bucket.
    #[test]
    fn a_rare_zero_is_a_bucket() {
        let values = (0..1000).map(f64::from);
        let b = Buckets::fit(30, Label::ActiveDays, &histogram(values), &twenty()).unwrap();
        let first = b.segments[0].buckets[0];
        assert_eq!((first.left, first.width, first.rows), (0.0, 0.0, 1));
        assert_eq!(b.segments[0].buckets.len(), 21);
        assert_eq!(b.segments[0].buckets[1].left, 1.0);
    }

    /// 50,000 rows, exact or grouped: five may lie above the edge, and what they exceed it by is
    /// told. Days are left alone.
    #[test]
    fn the_tail_of_money_is_trimmed() {
        for distinct in [1000, 40_000] {
            let extremes = [1e6, 2e6, 3e6, 4e6, 5e6];
            let values = (0..49_995u32).map(|i| f64::from(i % distinct) + 1.0);
            let h = histogram(values.chain(extremes));
            assert_eq!(h.is_exact(), distinct == 1000);
            let config = ModelConfig::default();
            let b = Buckets::fit(30, Label::Value, &h, &config).unwrap();
            let top = *b.flat().last().unwrap();
            let edge = f64::from(distinct);
            assert!((top.left + top.width - edge).abs() < 1e-3 * edge);
            let total = h.mean() * 50_000.0;
            let over = extremes.iter().map(|x| x - edge).sum::<f64>() / total;
            assert!((b.mass_above - over).abs() < 1e-3 * over, "{over}");
            assert_eq!(b.place(4e6).bias, 1.0);
            assert_eq!(b.largest_label(), 5e6);
            // The rows inside, evenly spread, and the five at the edge.
            let inside = top.rows as f64 - 5.0;
            let bias = (0.5 * inside + 5.0) / top.rows as f64;
            assert!((top.bias - bias).abs() < 0.01, "{top:?}");

            let days = Buckets::fit(30, Label::ActiveDays, &h, &config).unwrap();
            let top = days.flat().last().unwrap();
            assert_eq!((top.left + top.width, days.mass_above), (5e6, 0.0));
        }
    }

    #[test]
    fn a_small_training_set_keeps_its_largest_label() {
        let values = (0..9_999u32).map(|i| f64::from(i).powi(2));
        let b = Buckets::fit(
            30,
            Label::Value,
            &histogram(values),
            &ModelConfig::default(),
        )
        .unwrap();
        let top = b.flat().last().unwrap();
        assert_eq!(
            (top.left + top.width, b.mass_above),
            (9_998f64.powi(2), 0.0)
        );
    }

    proptest! {
        /// Buckets are ordered and disjoint, hold every row, and decode what they encode.
        #[test]
        fn partition(
            values in prop::collection::vec(prop_oneof![Just(0u32), 0u32..40, 0u32..100_000], 2..400),
            buckets in 2usize..30,
            segments in 2usize..5,
            cut in 0usize..3,
            label in prop_oneof![Just(Label::ActiveDays), Just(Label::Value)],
        ) {
            let cut = [Cut::Auto, Cut::Zero, Cut::Median][cut].clone();
            let config = ModelConfig { buckets, segments, cut, ..Default::default() };
            let h = histogram(values.iter().map(|&v| f64::from(v)));
            let Ok(b) = Buckets::fit(30, label, &h, &config) else { return Ok(()) };
            let flat: Vec<_> = b.flat().copied().collect();
            prop_assert!(flat.windows(2).all(|w| w[0].left + w[0].width < w[1].left));
            prop_assert_eq!(flat.iter().map(|b| b.rows).sum::<u64>(), values.len() as u64);
            prop_assert!(b.segments.len() <= segments.max(2));
            prop_assert!(b.segments.iter().all(|s| s.buckets.len() <= 2 * buckets + 2));
            let first = flat[0];
            prop_assert!(first.left > 0.0 || first.width == 0.0, "a zero stands alone");
            for v in values {
                let place = b.place(f64::from(v));
                let bucket = b.segments[place.segment].buckets[place.bucket];
                let back = bucket.left + place.bias * bucket.width;
                prop_assert!((back - f64::from(v)).abs() < 1e-6 * (1.0 + f64::from(v)));
            }
        }
    }
}
