//! The gradient of the absolute error (docs/decisions/0014).

/// Gradient and curvature of the absolute error, made smooth near 0.
///
/// ```text
/// c_i = d / sqrt(d^2 + r_i^2)     r_i = prediction - label
/// d   = SHARPNESS * (mean of sqrt|r|)^2
/// gradient r_i c_i / mean(c)      curvature c_i / mean(c)
/// ```
///
/// This is the quadratic bound by which XGBoost 3.4 minimises the absolute error, with two changes.
/// XGBoost's `d` is ten times as wide, so that on labels with a long tail it stops far from the
/// median; and its curvatures are not divided by their mean, so that `min_child_weight` and
/// `lambda` weigh the more the longer the tail. Divided, they count rows, as they do for squared
/// error and did for the absolute error before XGBoost 3.4.
#[cfg_attr(
    not(feature = "xgboost"),
    allow(dead_code, reason = "only the library calls it")
)]
pub(super) fn absolute_error(predictions: &[f32], labels: &[f32]) -> (Vec<f32>, Vec<f32>) {
    const SHARPNESS: f64 = 0.1;
    let residuals: Vec<f64> = predictions
        .iter()
        .zip(labels)
        .map(|(&p, &y)| f64::from(p) - f64::from(y))
        .collect();
    let n = residuals.len().max(1) as f64;
    let roots = residuals.iter().map(|r| r.abs().sqrt()).sum::<f64>() / n;
    // Where every residual is 0 the gradient is too, whatever the width.
    let width = (SHARPNESS * roots * roots).max(f64::MIN_POSITIVE);
    let curvature = |r: &f64| width / width.hypot(*r);
    let mean = residuals.iter().map(curvature).sum::<f64>() / n;
    let scaled = |r: &f64| curvature(r) / mean;
    (
        residuals.iter().map(|r| (r * scaled(r)) as f32).collect(),
        residuals.iter().map(|r| scaled(r) as f32).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::absolute_error;

    #[test]
    fn by_hand() {
        // Residuals 0 and 4: d = 0.1 * 1, curvatures 1 and 0.1 / sqrt(0.01 + 16).
        let (gradient, curvature) = absolute_error(&[1.0, 4.0], &[1.0, 0.0]);
        let far = 0.1 / 16.01f64.sqrt();
        let mean = (1.0 + far) / 2.0;
        let close = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-6;
        assert!(close(curvature[0], 1.0 / mean) && close(curvature[1], far / mean));
        assert!(gradient[0] == 0.0 && close(gradient[1], 4.0 * far / mean));
    }

    /// Newton's steps from the mean end near the median.
    #[test]
    fn steps_lead_to_the_median() {
        let labels: Vec<f32> = (0..101).map(|i| (i as f32 * 0.05).exp()).collect();
        let mut at = labels.iter().sum::<f32>() / 101.0;
        for _ in 0..200 {
            let (g, h) = absolute_error(&[at; 101], &labels);
            at -= g.iter().sum::<f32>() / h.iter().sum::<f32>();
        }
        // Within one of 101 ranks.
        assert!((at / labels[50]).ln().abs() < 0.15, "{at} {}", labels[50]);
    }

    #[test]
    fn a_perfect_prediction_stays() {
        let (gradient, curvature) = absolute_error(&[2.0; 3], &[2.0; 3]);
        assert_eq!((gradient, curvature), (vec![0.0; 3], vec![1.0; 3]));
    }
}
