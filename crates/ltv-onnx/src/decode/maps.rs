//! What follows an expectation.

use crate::{
    OnnxError,
    graph::{Graph, Value},
    search::count_below,
};
use ltv_model::{
    decoder::Map,
    matching::{Curve, LEAST_SLOPE},
    recalibration::Recalibration,
};

/// Every horizon through its map, `[rows, horizons]`. All maps are of one kind.
pub(super) fn apply(g: &mut Graph, x: Value, maps: &[Map]) -> Result<Value, OnnxError> {
    let (mut curves, mut powers) = (vec![], vec![]);
    for map in maps {
        match map {
            Map::Matched(curve) => curves.push(curve),
            Map::Recalibrated(by, largest) => powers.push((by, *largest)),
        }
    }
    match (curves.is_empty(), powers.is_empty()) {
        (false, true) => Ok(matched(g, x, &curves)),
        (true, false) => Ok(recalibrated(g, x, &powers)),
        _ => Err(OnnxError::internal("maps of two kinds")),
    }
}

/// [`Recalibration::at`].
fn recalibrated(g: &mut Graph, x: Value, maps: &[(&Recalibration, f64)]) -> Value {
    let [slopes, factors, largest] = [
        |m: &(&Recalibration, f64)| m.0.slope,
        |m: &(&Recalibration, f64)| m.0.factor,
        |m: &(&Recalibration, f64)| m.1,
    ]
    .map(|of| {
        let values: Vec<f64> = maps.iter().map(of).collect();
        g.doubles(&[1, values.len()], &values)
    });
    let power = g.op("Pow", &[x, slopes]);
    let value = g.op("Mul", &[factors, power]);
    let most = g.op("Max", &[largest, x]);
    g.op("Min", &[value, most])
}

/// The lines of a curve: for as many knots as are below an expectation, where its line starts and how it
/// rises.
struct Lines {
    from: Vec<f64>,
    value: Vec<f64>,
    slope: Vec<f64>,
}

impl Lines {
    /// [`Curve::at`], with `size` lines, of which those past the last one are never met.
    fn of(curve: &Curve, size: usize) -> Self {
        let mut all = Self {
            from: vec![],
            value: vec![],
            slope: vec![],
        };
        let (mut from, mut value) = (0.0, 0.0);
        for &[x, v] in curve.knots() {
            // A first knot at zero: what is not above it has its value.
            let flat = x <= from;
            all.from.push(from);
            all.value.push(if flat { v } else { value });
            all.slope
                .push(if flat { 0.0 } else { (v - value) / (x - from) });
            (from, value) = (x, v);
        }
        all.from.resize(size, from);
        all.value.resize(size, value);
        all.slope.resize(size, LEAST_SLOPE);
        all
    }
}

fn matched(g: &mut Graph, x: Value, curves: &[&Curve]) -> Value {
    let knots: Vec<Vec<f64>> = curves
        .iter()
        .map(|c| c.knots().iter().map(|k| k[0]).collect())
        .collect();
    let tables: Vec<&[f64]> = knots.iter().map(Vec::as_slice).collect();
    let below = count_below(g, x, &tables);
    let size = tables.iter().map(|t| t.len()).max().unwrap_or(0) + 1;
    let starts: Vec<i64> = (0..curves.len()).map(|t| (t * size) as i64).collect();
    let starts = g.ints(&[1, starts.len()], &starts);
    let line = g.op("Add", &[below, starts]);
    let lines: Vec<Lines> = curves.iter().map(|c| Lines::of(c, size)).collect();
    let column = |g: &mut Graph, of: fn(&Lines) -> &Vec<f64>| {
        let flat: Vec<f64> = lines.iter().flat_map(|l| of(l).iter().copied()).collect();
        let flat = g.doubles(&[flat.len()], &flat);
        g.gather(flat, line, 0)
    };
    let from = column(g, |l| &l.from);
    let value = column(g, |l| &l.value);
    let slope = column(g, |l| &l.slope);
    let run = g.op("Sub", &[x, from]);
    let rise = g.op("Mul", &[run, slope]);
    g.op("Add", &[value, rise])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(knots: &[[f64; 2]]) -> Curve {
        let text = format!("{knots:?}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn lines_are_the_curve() {
        for knots in [
            vec![[0.5, 0.0005], [3.25, 6.5], [20.0, 90.0]],
            vec![[0.0, 0.25], [2.0, 1.0]],
            vec![[1.0, 3.0]],
        ] {
            let curve = curve(&knots);
            let lines = Lines::of(&curve, knots.len() + 1);
            for i in 0..400 {
                let x = f64::from(i) / 10.0;
                let line = knots.iter().filter(|k| k[0] < x).count();
                let found = lines.value[line] + (x - lines.from[line]) * lines.slope[line];
                let expected = curve.at(x);
                assert!(
                    (found - expected).abs() <= 1e-14 * expected,
                    "{knots:?} at {x}"
                );
            }
        }
    }
}
