//! Bids: what acquiring a user of each kind may cost, and whether that would have been right.
//!
//! With mean prediction `P`, mean realised value `Y` and a target return on ad spend `T`, the highest
//! cost per acquisition is `P / T`; `Y / T` would have been right, and `P / Y` says by which factor the
//! bid is too high. Intervals are normal: of a mean, `1.96 sd / sqrt(n)`; of the ratio, by the delta
//! method, `1.96 sd(p - (P / Y) y) / (Y sqrt(n))`, which knows that both are of the same users.

use super::{
    deliver::Pool,
    document::{Bid, Bids, Mean, Offer, Verdict},
};
use crate::{
    segment::{MIN_SEGMENT_ROWS, Segments},
    sum::Sum,
};

/// Normal quantile of 97.5 %.
const Z: f64 = 1.959_963_984_540_054;

/// Bids of everybody and of each value of each segment; `t` is the place of the horizon among outcomes.
pub(super) fn bids(
    pool: &Pool,
    t: usize,
    predicted: [&[f64]; 2],
    (segments, target_roas): (&[Segments], f64),
) -> Bids {
    let everybody: Vec<u32> = (0..pool.len() as u32).collect();
    let one = |(column, label): (&str, &str), rows: &[u32]| {
        let pick = |column: &[f64]| rows.iter().map(|&r| column[r as usize]).collect::<Vec<_>>();
        let values = pick(&pool.values[t]);
        let [control, treatment] = predicted.map(|p| offer(&pick(p), &values, target_roas));
        let realised = mean(&values, 1.0);
        Bid {
            column: column.to_owned(),
            label: label.to_owned(),
            users: rows.len() as u64,
            cost: mean(&pick(&pool.cost), 1.0).value,
            worth: realised.value / target_roas,
            realised,
            control,
            treatment,
        }
    };
    let mut values = vec![one(("all", "all"), &everybody)];
    for segment in segments {
        let parts = segment.split(&everybody);
        let named = segment.labels.iter().zip(&parts);
        let named = named.filter(|(_, rows)| !rows.is_empty());
        values.extend(named.map(|(label, rows)| one((&segment.name, label), rows)));
    }
    Bids {
        target_roas,
        values,
    }
}

fn offer(predicted: &[f64], values: &[f64], target: f64) -> Offer {
    let ratio = ratio(predicted, values);
    Offer {
        max_cpa: mean(predicted, target),
        verdict: match ratio {
            Some(Mean { low: Some(low), .. }) if low > 1.0 => Verdict::Over,
            Some(Mean {
                high: Some(high), ..
            }) if high < 1.0 => Verdict::Under,
            Some(Mean { low: Some(_), .. }) => Verdict::Level,
            _ => Verdict::Unknown,
        },
        ratio,
    }
}

/// Mean of values over a divisor.
fn mean(values: &[f64], divisor: f64) -> Mean {
    let n = values.len() as f64;
    let mean = values.iter().copied().collect::<Sum>().value() / n;
    around(
        mean / divisor,
        half(values.iter().map(|v| v - mean), n) / divisor,
        n,
    )
}

/// Mean prediction over mean value.
fn ratio(predicted: &[f64], values: &[f64]) -> Option<Mean> {
    let n = values.len() as f64;
    let sums = [predicted, values].map(|c| c.iter().copied().collect::<Sum>().value());
    if sums[1] <= 0.0 {
        return None;
    }
    let ratio = sums[0] / sums[1];
    let errors = predicted.iter().zip(values).map(|(p, y)| p - ratio * y);
    Some(around(ratio, half(errors, n) * n / sums[1], n))
}

/// Half the width of the interval of the mean of what has mean 0.
fn half(errors: impl Iterator<Item = f64>, n: f64) -> f64 {
    let squares: Sum = errors.map(|e| e * e).collect();
    Z * (squares.value() / (n - 1.0) / n).sqrt()
}

fn around(value: f64, half: f64, n: f64) -> Mean {
    let known = |end: f64| (n >= MIN_SEGMENT_ROWS as f64).then_some(end);
    Mean {
        value,
        low: known((value - half).max(0.0)),
        high: known(value + half),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// 100 users worth 0 and 4 in turn, predicted 3 each, at a target of 1.5: bid 2, worth 4 / 3; sd of
    /// values is 2 sqrt(100 / 99).
    #[test]
    fn a_bid_by_hand() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 2) * 4.0).collect();
        let pool = Pool {
            cost: vec![0.5; 100],
            values: vec![values],
        };
        let flat = vec![3.0; 100];
        let halves = Segments {
            name: "half".into(),
            codes: (0..100).map(|i| i % 2).collect(),
            labels: vec!["poor".into(), "rich".into()],
        };
        let found = bids(&pool, 0, [&flat, &flat], (&[halves], 1.5));
        let [all, poor, rich] = &found.values[..] else {
            panic!("{found:?}")
        };
        assert_eq!((all.users, all.cost, all.realised.value), (100, 0.5, 2.0));
        assert!((all.worth - 4.0 / 3.0).abs() < 1e-12);
        let wide = 1.96 * 2.0 * (100.0f64 / 99.0).sqrt() / 10.0;
        assert!((all.realised.high.unwrap() - 2.0 - wide).abs() < 1e-4);
        let offer = all.control;
        assert_eq!((offer.max_cpa.value, offer.max_cpa.low), (2.0, Some(2.0)));
        // 3 - 1.5 y is 3 and -3 in turn: 1.96 * 3 sqrt(100 / 99) / 10 / 2 around 1.5.
        let ratio = offer.ratio.unwrap();
        let wide = 1.96 * 3.0 * (100.0f64 / 99.0).sqrt() / 20.0;
        assert!((ratio.value - 1.5).abs() < 1e-12);
        assert!((ratio.low.unwrap() - 1.5 + wide).abs() < 1e-4);
        assert_eq!(offer.verdict, Verdict::Over);
        assert_eq!(
            (poor.control.ratio, poor.control.verdict),
            (None, Verdict::Unknown)
        );
        assert_eq!(rich.control.verdict, Verdict::Under);
    }

    /// The ratio's interval holds the truth in 95 % of samples, here of 1,000 within four standard
    /// errors, with predictions that know something of the values.
    #[test]
    fn ratios_lie_in_their_intervals() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut held = 0;
        for _ in 0..1000 {
            let values: Vec<f64> = (0..400).map(|_| random.random::<f64>() * 4.0).collect();
            let noisy = |y: &f64| 1.2 * y + 0.6 * (random.random::<f64>() - 0.5);
            let predicted: Vec<f64> = values.iter().map(noisy).collect();
            let found = ratio(&predicted, &values).unwrap();
            held += i32::from(found.low.unwrap() < 1.2 && 1.2 < found.high.unwrap());
        }
        assert!(
            (f64::from(held) - 950.0).abs() < 4.0 * (1000.0f64 * 0.0475).sqrt(),
            "{held}"
        );
    }
}
