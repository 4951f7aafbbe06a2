//! Lorenz and gain curves: piecewise linear, descending, with tied rows as one straight piece.
//!
//! A curve is given by its pieces in order; nothing here needs the rows themselves. All functions
//! are one pass over the pieces and exact but for rounding.

use crate::sum::Sum;

/// One straight piece of a curve: rows that share its mass evenly.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Piece {
    /// Number of rows, a whole number; 0 is allowed.
    pub(crate) rows: f64,
    /// What they hold together.
    pub(crate) mass: f64,
}

/// Total mass of a curve.
pub(crate) fn total(pieces: impl Iterator<Item = Piece>) -> f64 {
    pieces.map(|piece| piece.mass).collect::<Sum>().value()
}

/// Gini coefficient, `2 * area - 1`, of a curve over `rows` rows with positive `total` mass.
pub(crate) fn gini(pieces: impl Iterator<Item = Piece>, rows: f64, total: f64) -> f64 {
    let mut before = Sum::default();
    let mut area = Sum::default();
    for Piece { rows, mass } in pieces {
        area.add(rows * (before.value() + mass / 2.0));
        before.add(mass);
    }
    2.0 * (area.value() / rows / total) - 1.0
}

/// Area between two curves over the same rows, with positive totals (paper eq. 16).
pub(crate) fn area_between(
    first: impl Iterator<Item = Piece>,
    first_total: f64,
    second: impl Iterator<Item = Piece>,
    second_total: f64,
    rows: f64,
) -> f64 {
    let (mut first, mut second) = (Walk::new(first), Walk::new(second));
    let mut area = Sum::default();
    let mut gap = 0.0;
    while let (Some(a), Some(b)) = (first.left(), second.left()) {
        let run = a.min(b);
        first.advance(run);
        second.advance(run);
        let next = first.mass() / first_total - second.mass() / second_total;
        area.add(run * mean_abs(gap, next));
        gap = next;
    }
    area.value() / rows
}

/// Mean of `|g|` for `g` linear from `start` to `end`, which may cross zero.
fn mean_abs(start: f64, end: f64) -> f64 {
    let reach = start.abs() + end.abs();
    if start * end < 0.0 {
        (start * start + end * end) / (2.0 * reach)
    } else {
        reach / 2.0
    }
}

/// Masses between 0 and the first of `ends`, the first and the second, and so on; `ends` count
/// rows, ascend and do not exceed the number of rows; a cut piece is shared evenly.
///
/// Each is summed by itself, so that a small one keeps its digits and an empty one is 0.
pub(crate) fn masses_between<const K: usize>(
    pieces: impl Iterator<Item = Piece>,
    ends: [f64; K],
) -> [f64; K] {
    // This runs over all rows in every resample, so it carries less than a Walk: nothing but what
    // is left of the current piece.
    let mut pieces = pieces;
    let (mut piece, mut used) = (Piece::default(), 0.0);
    let mut at = 0.0;
    ends.map(|end| {
        let mut mass = Sum::default();
        while at < end {
            if used >= piece.rows {
                match pieces.next() {
                    Some(next) => (piece, used) = (next, 0.0),
                    None => break,
                }
                continue;
            }
            let left = piece.rows - used;
            if left <= end - at {
                let whole = used == 0.0;
                mass.add(if whole {
                    piece.mass
                } else {
                    piece.mass * (left / piece.rows)
                });
                at += left;
                used = piece.rows;
            } else {
                let run = end - at;
                mass.add(piece.mass * (run / piece.rows));
                used += run;
                at = end;
            }
        }
        mass.value()
    })
}

/// Masses of the first `ends` rows; see [`masses_between`].
pub(crate) fn masses_at<const K: usize>(
    pieces: impl Iterator<Item = Piece>,
    ends: [f64; K],
) -> [f64; K] {
    let mut sum = Sum::default();
    masses_between(pieces, ends).map(|mass| {
        sum.add(mass);
        sum.value()
    })
}

/// A position on a curve.
struct Walk<I> {
    pieces: I,
    piece: Piece,
    used: f64,
    before: Sum,
}

impl<I: Iterator<Item = Piece>> Walk<I> {
    fn new(pieces: I) -> Self {
        Self {
            pieces,
            piece: Piece::default(),
            used: 0.0,
            before: Sum::default(),
        }
    }

    /// Rows left in the current piece, more than 0; None at the end.
    fn left(&mut self) -> Option<f64> {
        while self.used >= self.piece.rows {
            self.before.add(self.piece.mass);
            self.used = 0.0;
            self.piece = Piece::default();
            self.piece = self.pieces.next()?;
        }
        Some(self.piece.rows - self.used)
    }

    /// What `rows` rows of the current piece hold.
    fn share(&self, rows: f64) -> f64 {
        self.piece.mass * (rows / self.piece.rows)
    }

    /// Moves on by at most what is left.
    fn advance(&mut self, rows: f64) {
        self.used += rows;
    }

    /// Mass up to here.
    fn mass(&self) -> f64 {
        let mut sum = self.before;
        if self.used >= self.piece.rows {
            sum.add(self.piece.mass);
        } else {
            sum.add(self.share(self.used));
        }
        sum.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f64]) -> impl Iterator<Item = Piece> + Clone {
        values.iter().map(|&mass| Piece { rows: 1.0, mass })
    }

    #[test]
    fn gini_by_hand() {
        // One of four rows holds everything: area = (1/2 + 3) / 4.
        assert_eq!(gini(rows(&[8.0, 0.0, 0.0, 0.0]), 4.0, 8.0), 0.75);
        assert_eq!(gini(rows(&[1.0; 5]), 5.0, 5.0), 0.0);
    }

    #[test]
    fn crossing_area_by_hand() {
        // [3,1,0] rises to 3/4, [2,2,0] to 1/2; both reach 1 after two rows: two triangles.
        let area = area_between(
            rows(&[3.0, 1.0, 0.0]),
            4.0,
            rows(&[2.0, 2.0, 0.0]),
            4.0,
            3.0,
        );
        assert!((area - 0.25 / 3.0).abs() < 1e-16);
        // Gap +1/10 after one row and -1/10 after two: triangle, bow tie, triangle.
        let (a, b) = (rows(&[5.0, 2.0, 2.0, 1.0]), rows(&[4.0, 4.0, 1.0, 1.0]));
        let expected = (0.05 + 0.05 + 0.05) / 4.0;
        assert!((area_between(a, 10.0, b, 10.0, 4.0) - expected).abs() < 1e-16);
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let one = std::iter::once(Piece {
            rows: 4.0,
            mass: 8.0,
        });
        let cut = rows(&[2.0, 2.0, 2.0, 2.0]);
        assert_eq!(area_between(one.clone(), 8.0, cut.clone(), 8.0, 4.0), 0.0);
        assert_eq!(gini(one.clone(), 4.0, 8.0), gini(cut.clone(), 4.0, 8.0));
        assert_eq!(masses_at(one, [0.0, 0.5, 4.0]), [0.0, 1.0, 8.0]);
        assert_eq!(masses_at(cut, [0.0, 0.5, 4.0]), [0.0, 1.0, 8.0]);
    }
}
