//! Penalty on a pair that should be ordered and is not.

use super::Op;
use crate::{
    Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, parts, put},
};

struct Hinge {
    low: Node,
    high: Node,
    into: [Option<Edge>; 2],
    scale: f64,
    term: usize,
    coefficient: f64,
}

impl<T: Real> Builder<T> {
    /// Mean over all rows, each times its weight, of `max(low - high, 0) / scale`: one pair of the
    /// calibration loss (paper eq. 12; DESIGN 3.7). Rows with immature labels take part.
    ///
    /// # Shapes
    /// `low`, `high`: `[1]`; `scale`: positive.
    pub fn hinge(&mut self, name: &str, coefficient: f64, low: Node, high: Node, scale: f64) {
        assert!(
            low.width == 1 && high.width == 1 && scale > 0.0,
            "hinge of {low:?}, {high:?}"
        );
        let into = [self.edge(low), self.edge(high)];
        let term = self.term(name, coefficient);
        self.ops.push(Box::new(Hinge {
            low,
            high,
            into,
            scale,
            term,
            coefficient,
        }));
    }
}

impl<T: Real> Op<T> for Hinge {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().flatten().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (low, high) = (&t.values[t.at(self.low)], &t.values[t.at(self.high)]);
        let weights = t.batch.weight_rows(t.base, t.rows);
        let rows = low.iter().zip(high).zip(weights);
        let sum: f64 = rows
            .map(|((&a, &b), w)| (a - b).positive().f64() * w.f64())
            .sum();
        t.losses[self.term] += sum * t.mean.f64() / self.scale;
    }

    /// `dlow += w [low > high]`, `dhigh -= w [low > high]`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (rows, arch) = (t.rows, t.arch);
        let (low, high) = (&t.values[t.at(self.low)], &t.values[t.at(self.high)]);
        let weights = t.batch.weight_rows(t.base, rows);
        let w = t.mean * T::of(self.coefficient / self.scale);
        for (edge, w) in self.into.into_iter().zip([w, -w]) {
            let Some(edge) = edge else { continue };
            let (range, accumulate) = t.back(edge);
            let [d] = parts(t.grads, [range]);
            simd!(arch, {
                put(&mut d[..rows], accumulate, |r| {
                    if low[r] > high[r] {
                        w * weights[r]
                    } else {
                        T::ZERO
                    }
                });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf};

    fn case() -> Case {
        Case::new(|b| {
            let x = leaf(b, "x", 2);
            b.hinge("order", 1.5, x.slice(0..1), x.slice(1..2), 3.0);
        })
    }

    #[test]
    fn gradient() {
        assert!(case().check() > 0.0);
    }

    #[test]
    fn rows_weigh_what_they_are_given() {
        case().check_weights();
    }
}
