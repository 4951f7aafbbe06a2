//! Learning rates over steps.

use ltv_core::config::{FitOptions, Schedule};
use ltv_nn::Rates;

/// The rates of step `step` (the first is 0) of at most `total`.
///
/// Warm-up: `rate (step + 1) / warmup`; then constant, or `rate (1 + cos(pi t)) / 2` with `t` the
/// share of the remaining steps that is done (Loshchilov and Hutter, ICLR 2017).
pub fn rates(options: &FitOptions, step: u64, total: u64) -> Rates {
    let factor = if step < options.warmup {
        (step + 1) as f64 / options.warmup as f64
    } else {
        match options.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let left = total.saturating_sub(options.warmup).max(1) as f64;
                let done = ((step - options.warmup) as f64 / left).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    };
    Rates {
        dense: options.rate * factor,
        tables: options.embedding_rate * factor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_half_a_wave() {
        let schedule = Schedule::Cosine;
        let options = FitOptions {
            rate: 1.0,
            warmup: 10,
            schedule,
            ..Default::default()
        };
        let rate = |step| rates(&options, step, 110).dense;
        assert!((rate(0) - 0.1).abs() < 1e-12 && (rate(9) - 1.0).abs() < 1e-12);
        assert!((rate(60) - 0.5).abs() < 1e-12 && rate(110) < 1e-12);
        let constant = FitOptions::default();
        assert_eq!(rates(&constant, 7, 10).tables, constant.embedding_rate);
    }
}
