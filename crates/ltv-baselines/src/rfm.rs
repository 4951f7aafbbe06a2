//! RFM cells (Fader, Hardie, Lee 2005, the paper's reference 6): users who were last active, how
//! often and for how much alike are predicted alike.
//!
//! Recency is the last active day of the window, frequency the number of active days, monetary
//! value the window's `value_sum`, where the dataset has one. Each is cut at training quantiles:
//! with `n` cells, at the quantiles `1/n, 2/n, ...`. A cut belongs to the cell below it, so equal
//! users always share a cell, and cuts that coincide are one: a feature with few values has fewer
//! cells. Missing and negative values are read as 0.
//!
//! A cell of `n` users with mean `m` predicts `(n * m + k * M) / (n + k)`: `M` is the mean of all
//! users, `k` the configured `prior_rows`. P(value > 0) is shrunk in the same way, and quantiles
//! are those of the same mixture: every user of the cell counts once, every user at all `k / N`
//! times.

use crate::{
    config::RfmConfig,
    error::BaselineError,
    peer::{Spread, sound_edges},
    rows::Frame,
};
use ltv_core::{
    encoding::EncodedRows,
    labels::{self, LabelHistogram},
};
use serde::{Deserialize, Serialize};

const PEER: &str = "a peer of kind 'rfm'";

/// Fitted cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfmTable {
    /// Recency, frequency and monetary value, in this order.
    pub axes: Vec<Axis>,
    /// Training rows of each cell. The last axis runs fastest.
    pub rows: Vec<u64>,
    /// Predictions, `[cells][horizons]`.
    pub cells: Vec<Vec<Spread>>,
}

/// One feature, cut into cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// The dataset column.
    pub column: String,
    /// Upper edges of all cells but the last, strictly increasing: cell `i` holds values
    /// `edges[i-1] < x <= edges[i]`.
    pub edges: Vec<f64>,
}

impl Axis {
    /// Number of cells.
    pub fn count(&self) -> usize {
        self.edges.len() + 1
    }

    /// The cell of a value.
    pub fn of(&self, value: f64) -> usize {
        let value = read(value);
        self.edges.partition_point(|&e| e < value)
    }
}

fn read(value: f64) -> f64 {
    if value > 0.0 { value } else { 0.0 }
}

impl RfmTable {
    /// The cell of a row, given its values on the axes.
    pub fn of(&self, values: impl Iterator<Item = f64>) -> usize {
        cell(&self.axes, values)
    }

    /// Whether predicting from the table is safe, whoever wrote it.
    pub(crate) fn check(&self, horizons: usize) -> Result<(), String> {
        let mut cells = 1usize;
        for axis in &self.axes {
            sound_edges(&axis.edges)?;
            cells = cells.saturating_mul(axis.count());
        }
        if self.cells.len() != cells || self.rows.len() != cells {
            return Err(format!(
                "{} cells where the axes have {cells}",
                self.cells.len()
            ));
        }
        let whole = |c: &Vec<Spread>| c.len() == horizons && c.iter().all(Spread::is_sound);
        if self.cells.iter().all(whole) {
            return Ok(());
        }
        Err("a cell is not a prediction for every horizon".into())
    }
}

fn cell(axes: &[Axis], values: impl Iterator<Item = f64>) -> usize {
    let of = |cell: usize, (axis, value): (&Axis, f64)| cell * axis.count() + axis.of(value);
    axes.iter().zip(values).fold(0, of)
}

/// First pass: where to cut.
#[derive(Debug, Clone)]
pub(crate) struct Cuts {
    axes: Vec<(String, usize, usize, LabelHistogram)>,
    plain: usize,
}

impl Cuts {
    pub(crate) fn new(config: &RfmConfig, frame: &Frame) -> Result<Self, BaselineError> {
        let mut list = vec![
            ("recency", frame.needed("recency", PEER)?, config.recency),
            (
                "active_days",
                frame.needed("active_days", PEER)?,
                config.frequency,
            ),
        ];
        if let Some(place) = frame.column("value_sum") {
            list.push(("value_sum", place, config.monetary));
        }
        let axis = |(name, place, cells): (&str, usize, usize)| {
            (name.to_string(), place, cells, LabelHistogram::default())
        };
        Ok(Self {
            axes: list.into_iter().map(axis).collect(),
            plain: frame.encoding.plain.len(),
        })
    }

    pub(crate) fn add(&mut self, rows: &EncodedRows) {
        for r in 0..rows.rows {
            for (_, place, _, seen) in &mut self.axes {
                seen.add(read(rows.plain[r * self.plain + *place]));
            }
        }
    }

    pub(crate) fn finish(self, horizons: usize) -> Sums {
        let mut places = vec![];
        let mut axes = vec![];
        for (column, place, cells, seen) in self.axes {
            places.push(place);
            let edges = edges(&seen, cells);
            axes.push(Axis { column, edges });
        }
        let count = axes.iter().map(Axis::count).product();
        Sums {
            axes,
            places,
            plain: self.plain,
            rows: vec![0; count],
            seen: vec![vec![LabelHistogram::sized(256, 5); horizons]; count],
            all: vec![LabelHistogram::default(); horizons],
        }
    }
}

/// Quantiles, each once, without the largest value: nothing lies above it.
fn edges(seen: &LabelHistogram, cells: usize) -> Vec<f64> {
    let largest = seen.groups().next_back().map_or(0.0, |g| g.high);
    let cuts = (1..cells).map(|i| seen.quantile(i as f64 / cells as f64));
    let mut edges: Vec<f64> = cuts.filter(|&e| e < largest).collect();
    edges.dedup();
    edges
}

/// Second pass: the labels of each cell, at most about 0.1 MB for each cell and horizon.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    axes: Vec<Axis>,
    places: Vec<usize>,
    plain: usize,
    rows: Vec<u64>,
    seen: Vec<Vec<LabelHistogram>>,
    all: Vec<LabelHistogram>,
}

impl Sums {
    pub(crate) fn add(&mut self, rows: &EncodedRows) {
        let width = self.all.len();
        for r in 0..rows.rows {
            let plain = &rows.plain[r * self.plain..][..self.plain];
            let cell = cell(&self.axes, self.places.iter().map(|&p| plain[p]));
            self.rows[cell] += 1;
            for t in 0..width {
                let label = rows.labels[r * width + t];
                self.seen[cell][t].add(label);
                self.all[t].add(label);
            }
        }
    }

    pub(crate) fn finish(self, prior_rows: f64) -> RfmTable {
        let spread = |own: &LabelHistogram, all: &LabelHistogram| shrunk(own, all, prior_rows);
        let cell = |own: &Vec<LabelHistogram>| {
            let pairs = own.iter().zip(&self.all);
            pairs.map(|(own, all)| spread(own, all)).collect()
        };
        RfmTable {
            cells: self.seen.iter().map(cell).collect(),
            rows: self.rows,
            axes: self.axes,
        }
    }
}

/// What a cell predicts: its own labels, mixed with `prior` labels of everybody.
fn shrunk(own: &LabelHistogram, all: &LabelHistogram, prior: f64) -> Spread {
    let n = own.count() as f64;
    if n == 0.0 {
        return Spread::of(all);
    }
    let mix = |own: f64, all: f64| (n * own + prior * all) / (n + prior);
    let each = prior / all.count().max(1) as f64;
    let weigh = |h: &LabelHistogram, weight: f64| {
        let group = |g: &labels::LabelGroup| (g.mean(), g.count as f64 * weight);
        h.groups().map(group).collect::<Vec<_>>()
    };
    let mut both = weigh(own, 1.0);
    both.extend(weigh(all, each));
    both.sort_by(|a, b| a.0.total_cmp(&b.0));
    Spread {
        value: mix(own.mean(), all.mean()),
        positive: mix(own.positive(), all.positive()),
        quantiles: Spread::RANKS.map(|p| labels::quantile(both.iter().copied(), p)),
    }
}

#[cfg(test)]
mod tests;
