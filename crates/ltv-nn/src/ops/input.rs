//! Embedding look-up and numeric inputs.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, InputSpec, Node},
    plan::Wiring,
    tile::Tile,
};

/// One categorical field: which table it looks up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// A table declared with [`Builder::table`]; fields may share one.
    pub table: usize,
}

struct Input {
    spec: InputSpec,
    /// Offset and dimension of every field's table.
    tables: Vec<(usize, usize)>,
    numbers: usize,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// The concatenation `[embedding of field 0; embedding of field 1; ...; numbers]` (paper
    /// section 3.2), a row-major node: look-ups copy whole embeddings. To be called once.
    ///
    /// # Shapes
    /// result: `[sum of dimensions + numbers]`; batch ids `[rows, fields]`, each below its
    /// table's number of rows.
    pub fn input(&mut self, fields: &[FieldSpec], numbers: usize) -> Node {
        let mut spec = InputSpec::default();
        let mut tables = vec![];
        for (i, field) in fields.iter().enumerate() {
            let table = &mut self.layout.tables[field.table];
            table.fields.push(i);
            tables.push((table.offset, table.dim));
            spec.tables.push(field.table);
            spec.columns.push(spec.embedded);
            spec.embedded += table.dim;
        }
        self.shape.fields = fields.len();
        self.shape.numbers = numbers;
        let mut out = self.node(spec.embedded + numbers);
        out.row_major = true;
        self.input = spec.clone();
        self.ops.push(Box::new(Input {
            spec,
            tables,
            numbers,
            out,
        }));
        out
    }
}

impl<T: Real> Op<T> for Input {
    fn step<'a>(&'a self, p: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Input {
            tables: p.tables,
            fields: &self.tables,
            numbers: self.numbers,
        };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        let reads = if self.out.differentiable {
            vec![self.out]
        } else {
            vec![]
        };
        Wiring {
            reads,
            writes: vec![],
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let fields = self.tables.len();
        let range = t.at(self.out);
        let (width, out) = (self.out.width, &mut t.values[range]);
        // Others may stand behind them, see `aside`.
        let stride = t.batch.numbers.len() / t.batch.rows;
        for (r, row) in out.chunks_exact_mut(width).take(t.rows).enumerate() {
            let ids = &t.batch.ids[(t.base + r) * fields..][..fields];
            let mut look_up = |field: usize| {
                let ((offset, dim), column) = (self.tables[field], self.spec.columns[field]);
                let from = offset + ids[field] as usize * dim;
                copy(&mut row[column..column + dim], &t.tables[from..from + dim]);
            };
            match t.wanted {
                None => (0..fields).for_each(&mut look_up),
                Some(wanted) => wanted.iter().for_each(|&field| look_up(field)),
            }
            let numbers = &t.batch.numbers[(t.base + r) * stride..][..self.numbers];
            row[self.spec.embedded..].copy_from_slice(numbers);
        }
    }

    /// Hands the gradient of the embeddings on: tables are updated once for the whole batch.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let embedded = self.spec.embedded;
        if embedded == 0 {
            return;
        }
        let from = t.grads[t.grad(self.out)].chunks_exact(self.out.width);
        for (out, from) in t
            .input_grad
            .chunks_exact_mut(embedded)
            .zip(from)
            .take(t.rows)
        {
            out.copy_from_slice(&from[..embedded]);
        }
    }
}

/// Copies an embedding; the usual dimension without a call.
#[inline(always)]
fn copy<T: Copy>(out: &mut [T], from: &[T]) {
    match (
        <&mut [T; 8]>::try_from(&mut *out),
        <&[T; 8]>::try_from(from),
    ) {
        (Ok(out), Ok(from)) => *out = *from,
        _ => out.copy_from_slice(from),
    }
}

#[cfg(test)]
mod tests {
    use super::FieldSpec;
    use crate::check::{Case, probe};

    /// A network of numbers alone has no embedding to send a gradient to.
    #[test]
    fn numbers_alone() {
        Case::new(|b| {
            let x = b.input(&[], 2);
            let layer = b.dense(&[("l", 3)], x.width());
            let y = b.linear(x, layer, false);
            probe(b, y);
        })
        .check();
    }

    /// Two fields share a table, dimensions differ, and numbers come along.
    #[test]
    fn gradient() {
        Case::new(|b| {
            let (a, c) = (b.table("a", 4, 2), b.table("c", 6, 8));
            let fields = [a, c, a].map(|table| FieldSpec { table });
            let x = b.input(&fields, 2);
            let layer = b.dense(&[("l", 3)], x.width());
            let y = b.linear(x, layer, false);
            probe(b, y);
        })
        .ids(&[&[0, 5, 1], &[3, 2, 3], &[0, 0, 0], &[1, 5, 2], &[2, 3, 1]])
        .check();
    }
}
