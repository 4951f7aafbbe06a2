//! All metrics of one horizon from its sums.

use crate::{
    deciles, lorenz,
    metric::{Metric, Null, Values},
    tally::Sums,
};

/// Metrics of the rows that `sums` holds.
pub(crate) fn measure(sums: &impl Sums) -> Values {
    let mut values = Values::none(Null::NoRows);
    if sums.rows() > 0.0 {
        errors(sums, &mut values);
        curves(sums, &mut values);
        captures(sums, &mut values);
        values.put(Metric::Spearman, sums.spearman().value());
        values.put(Metric::Auc, sums.auc().value());
        values.put(Metric::DecileMape, deciles::mape(sums));
    }
    values
}

fn errors(sums: &impl Sums, values: &mut Values) {
    let (rows, errors) = (sums.rows(), sums.errors());
    let by_labels = positive(sums.label_total(), Null::ZeroLabels);
    let square = errors.mean_square(rows);
    values.put(
        Metric::NRMSE,
        by_labels.map(|total| square.sqrt() / (total / rows)),
    );
    values.put(
        Metric::NMAE,
        by_labels.map(|total| errors.absolute() / total),
    );
    values.put(
        Metric::CalibrationRatio,
        by_labels.map(|total| sums.prediction_total() / total),
    );
    let bias = errors.mean(rows);
    values.put(Metric::Bias, Ok(bias));
    values.put(Metric::AMBE, Ok(bias.abs()));
    values.put(Metric::BiasSe, Ok((errors.variance(rows) / rows).sqrt()));
}

fn curves(sums: &impl Sums, values: &mut Values) {
    let rows = sums.rows();
    let labels = positive(sums.label_total(), Null::ZeroLabels);
    let predictions = positive(sums.prediction_total(), Null::ZeroPredictions);
    let label_gini = labels.map(|total| lorenz::gini(sums.label_pieces(), rows, total));
    let gain_gini = labels.map(|total| lorenz::gini(sums.gain_pieces(), rows, total));
    let prediction_gini =
        predictions.map(|total| lorenz::gini(sums.prediction_pieces(), rows, total));
    values.put(Metric::LabelGini, label_gini);
    values.put(Metric::PredGini, prediction_gini);
    let mutual = labels.and_then(|first| {
        let second = predictions?;
        let pieces = (sums.label_pieces(), sums.prediction_pieces());
        Ok(lorenz::area_between(
            pieces.0, first, pieces.1, second, rows,
        ))
    });
    values.put(Metric::MutualGini, mutual);
    // The mean over points i = 1..n exceeds the area under the curve by 1 / (2 n).
    let over_points = |gini: f64| gini + 1.0 / rows;
    let normalised = label_gini.and_then(|ideal| {
        let different = sums.label_pieces().filter(|piece| piece.rows > 0.0).nth(1);
        different.ok_or(Null::ConstantLabels)?;
        gain_gini.map(|gain| over_points(gain) / over_points(ideal))
    });
    values.put(Metric::NormGini, normalised);
}

fn captures(sums: &impl Sums, values: &mut Values) {
    let places = Metric::TOP_PERCENT.map(|percent| sums.rows() * f64::from(percent) / 100.0);
    let gain = lorenz::masses_at(sums.gain_pieces(), places);
    let ideal = lorenz::masses_at(sums.label_pieces(), places);
    let labels = positive(sums.label_total(), Null::ZeroLabels);
    for (i, (capture, best)) in Metric::CAPTURES.into_iter().enumerate() {
        values.put(capture, labels.map(|total| gain[i] / total));
        values.put(best, labels.map(|total| ideal[i] / total));
    }
}

/// `total` when it is positive. NaN from an overflow passes, to be refused as a value later.
fn positive(total: f64, otherwise: Null) -> Result<f64, Null> {
    if total <= 0.0 {
        Err(otherwise)
    } else {
        Ok(total)
    }
}
