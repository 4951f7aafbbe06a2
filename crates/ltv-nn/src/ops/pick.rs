//! Squared error of the one output that belongs to a row's class.

use super::Op;
use crate::{
    Batch, Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    tile::Tile,
};

struct Pick {
    s: Node,
    into: Option<Edge>,
    slots: Vec<Option<usize>>,
    classes: usize,
    targets: usize,
    term: usize,
    coefficient: f64,
}

impl<T: Real> Builder<T> {
    /// Mean over the rows that take part, each times its weight, of `(s_{slot(y)} - target)^2`, 0
    /// for a class without a slot: the bias regression of BBT, which trains only the row's own
    /// bucket (paper section 3.3; DESIGN 3.3, 3.4).
    ///
    /// # Shapes
    /// `s`: `[r]`; `slots`: for every class the feature of `s` it owns; class column `classes`:
    /// `0..slots.len()`, or -1; target column `targets`: the bias coefficient in `[0, 1]`.
    pub fn pick_squared_error(
        &mut self,
        name: &str,
        coefficient: f64,
        s: Node,
        slots: &[Option<usize>],
        columns: (usize, usize),
    ) {
        assert!(
            slots.iter().flatten().all(|&j| j < s.width),
            "slots {slots:?} of {s:?}"
        );
        let into = self.edge(s);
        let term = self.term(name, coefficient);
        let (classes, targets) = columns;
        let slots = slots.to_vec();
        self.ops.push(Box::new(Pick {
            s,
            into,
            slots,
            classes,
            targets,
            term,
            coefficient,
        }));
    }
}

/// The rows of a tile, and how far its features lie apart.
#[derive(Clone, Copy)]
struct Rows {
    base: usize,
    count: usize,
    ld: usize,
}

impl Rows {
    fn of<T>(t: &Tile<'_, T>) -> Self {
        Self {
            base: t.base,
            count: t.rows,
            ld: t.ld,
        }
    }
}

impl Pick {
    /// Calls `f(place in s, target, weight)` for every row whose class has a slot.
    fn each<T: Real>(&self, batch: &Batch<T>, rows: Rows, mut f: impl FnMut(usize, T, T)) {
        let Rows { base, count, ld } = rows;
        let classes = batch.class_rows(self.classes, base, count);
        let targets = batch.target_rows(self.targets, base, count);
        let weights = batch.weight_rows(base, count);
        for (r, ((&y, &target), &w)) in classes.iter().zip(targets).zip(weights).enumerate() {
            if y >= 0
                && let Some(j) = self.slots[y as usize]
            {
                f(j * ld + r, target, w);
            }
        }
    }
}

impl<T: Real> Op<T> for Pick {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let mut sum = 0.0;
        let s = &t.values[t.at(self.s)];
        self.each(t.batch, Rows::of(t), |place, target, w| {
            let error = s[place] - target;
            sum += (error * error).f64() * w.f64();
        });
        t.losses[self.term] += sum * t.means[self.classes].f64();
    }

    /// `ds_{slot(y)} += 2 w (s - target)`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let factor = t.means[self.classes] * T::of(2.0 * self.coefficient);
        let (range, accumulate) = t.back(edge);
        if !accumulate {
            t.grads[range.clone()].fill(T::ZERO);
        }
        let s = &t.values[t.at(self.s)];
        let rows = Rows::of(t);
        let ds = &mut t.grads[range];
        self.each(t.batch, rows, |place, target, w| {
            ds[place] += factor * w * (s[place] - target);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf};

    fn case() -> Case {
        Case::new(|b| {
            let s = leaf(b, "s", 2);
            let columns = (b.class_column(), b.target_column());
            b.pick_squared_error("bias", 0.8, s, &[Some(1), None, Some(0)], columns);
        })
        .classes(&[&[0, 2, -1, 1, 2]])
    }

    #[test]
    fn gradient() {
        case().check();
    }

    #[test]
    fn rows_weigh_what_they_are_given() {
        case().check_weights();
    }

    #[test]
    fn nobody_takes_part() {
        assert_eq!(case().classes(&[&[-1; 5]]).check(), 0.0);
    }
}
