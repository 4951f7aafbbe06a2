//! All metrics of one horizon from one tally.

use crate::{
    deciles, lorenz,
    metric::{Metric, Null, Values},
    sample::{Ranking, Sample},
    tally::Tally,
};

/// Metrics of the rows of `sample`, each counted `weights[row]` times.
pub(crate) fn measure(
    sample: &Sample,
    ranking: &Ranking,
    weights: &[u8],
    tally: &mut Tally,
) -> Values {
    tally.fill(sample, ranking, weights);
    let mut values = Values::none(Null::NoRows);
    if tally.rows > 0.0 {
        errors(tally, &mut values);
        curves(sample, tally, &mut values);
        captures(sample, tally, &mut values);
        values.put(Metric::Spearman, tally.spearman.value());
        values.put(Metric::Auc, tally.auc.value());
        values.put(Metric::DecileMape, deciles::mape(tally));
    }
    values
}

fn errors(tally: &Tally, values: &mut Values) {
    let (rows, sums) = (tally.rows, &tally.errors);
    let by_labels = positive(tally.label_total, Null::ZeroLabels);
    let square = sums.mean_square(rows);
    values.put(
        Metric::NRMSE,
        by_labels.map(|total| square.sqrt() / (total / rows)),
    );
    values.put(Metric::NMAE, by_labels.map(|total| sums.absolute() / total));
    values.put(
        Metric::CalibrationRatio,
        by_labels.map(|total| tally.prediction_total / total),
    );
    let bias = sums.mean(rows);
    values.put(Metric::Bias, Ok(bias));
    values.put(Metric::AMBE, Ok(bias.abs()));
    values.put(Metric::BiasSe, Ok((sums.variance(rows) / rows).sqrt()));
}

fn curves(sample: &Sample, tally: &Tally, values: &mut Values) {
    let rows = tally.rows;
    let labels = positive(tally.label_total, Null::ZeroLabels);
    let predictions = positive(tally.prediction_total, Null::ZeroPredictions);
    let label_gini = labels.map(|total| lorenz::gini(tally.label_pieces(sample), rows, total));
    let gain_gini = labels.map(|total| lorenz::gini(tally.gain_pieces(), rows, total));
    let prediction_gini =
        predictions.map(|total| lorenz::gini(tally.prediction_pieces(), rows, total));
    values.put(Metric::LabelGini, label_gini);
    values.put(Metric::PredGini, prediction_gini);
    let mutual = labels.and_then(|first| {
        let second = predictions?;
        let pieces = (tally.label_pieces(sample), tally.prediction_pieces());
        Ok(lorenz::area_between(
            pieces.0, first, pieces.1, second, rows,
        ))
    });
    values.put(Metric::MutualGini, mutual);
    // The mean over points i = 1..n exceeds the area under the curve by 1 / (2 n).
    let over_points = |gini: f64| gini + 1.0 / rows;
    let normalised = label_gini.and_then(|ideal| {
        let different = tally
            .label_pieces(sample)
            .filter(|piece| piece.rows > 0.0)
            .nth(1);
        different.ok_or(Null::ConstantLabels)?;
        gain_gini.map(|gain| over_points(gain) / over_points(ideal))
    });
    values.put(Metric::NormGini, normalised);
}

fn captures(sample: &Sample, tally: &Tally, values: &mut Values) {
    let places = Metric::TOP_PERCENT.map(|percent| tally.rows * f64::from(percent) / 100.0);
    let gain = lorenz::masses_at(tally.gain_pieces(), places);
    let ideal = lorenz::masses_at(tally.label_pieces(sample), places);
    let labels = positive(tally.label_total, Null::ZeroLabels);
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
