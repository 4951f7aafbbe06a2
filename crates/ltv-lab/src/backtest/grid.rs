//! A titled table, drawn for a terminal or as Markdown, and the numbers in its cells.

use ltv_eval::{
    Paired, Psi,
    layout::{escape, pad, table},
};
use std::fmt::Write as _;

/// Widths on a terminal: of names and of cells.
const NAME: usize = 26;
pub(super) const CELL: usize = 12;

/// A titled table.
pub(super) struct Grid {
    pub(super) title: String,
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<(String, Vec<String>)>,
}

impl Grid {
    /// Aligned columns; nothing without a row.
    pub(super) fn plain(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut out = format!("\n{}\n{:NAME$}", self.title, "");
        let cells = |out: &mut String, cells: &[String]| {
            for cell in cells {
                let _ = write!(out, " {cell:>width$}", width = CELL - 1);
            }
            *out = out.trim_end().to_owned() + "\n";
        };
        cells(&mut out, &self.heads);
        for (name, row) in &self.rows {
            out += &pad(name, NAME);
            cells(&mut out, row);
        }
        out
    }

    /// Title and heads as they are: only rows hold what comes from files.
    pub(super) fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heads: Vec<String> = std::iter::once(String::new())
            .chain(self.heads.iter().cloned())
            .collect();
        let rows = self.rows.iter().map(|(name, row)| {
            let cells = std::iter::once(name).chain(row);
            cells.map(|cell| escape(cell)).collect()
        });
        table(&self.title, &heads, rows)
    }
}

pub(super) fn dash() -> String {
    "–".to_owned()
}

pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => dash(),
        Some(v) if v.abs() >= 1000.0 => format!("{v:.1}"),
        Some(v) => format!("{v:.4}"),
    }
}

/// A population stability index; one that chance alone would give is marked.
pub(super) fn index(psi: Psi) -> String {
    let mark = if psi.value <= psi.noise { "≈" } else { "" };
    format!("{mark}{:.3}", psi.value)
}

pub(super) fn percent(value: Option<f64>, sign: bool) -> String {
    match (value, sign) {
        (None, _) => dash(),
        (Some(v), true) => format!("{:+.1} %", 100.0 * v),
        (Some(v), false) => format!("{:.1} %", 100.0 * v),
    }
}

pub(super) fn gap(excess: Paired) -> String {
    match (excess.low, excess.high) {
        (Some(low), Some(high)) => format!("{:+.3} ({low:+.3}, {high:+.3})", excess.mean),
        _ => format!("{:+.3}", excess.mean),
    }
}
