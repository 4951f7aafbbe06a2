//! Gradients against central finite differences, in f64.

use crate::{
    Batch, Graph, Real, Trainer, TrainerOptions,
    graph::{Builder, Edge, Node},
    layout::Kind,
    ops::{FieldSpec, Op},
    plan::Wiring,
    tile::Tile,
    trainer::Weights,
};

const ROWS: usize = 5;

/// A small graph, its batch, and what to check.
pub(crate) struct Case {
    graph: Box<dyn Fn() -> Graph<f64>>,
    batch: Batch<f64>,
    constants: Vec<&'static str>,
    scale: f64,
}

impl Case {
    pub(crate) fn new(build: impl Fn(&mut Builder<f64>) + 'static) -> Self {
        let graph = move || {
            let mut b = Builder::training();
            build(&mut b);
            b.build(16)
        };
        let mut batch = Batch::new(graph().shape(), ROWS);
        pseudo_random(&mut batch.numbers, 3);
        pseudo_random(&mut batch.targets, 4);
        Self {
            graph: Box::new(graph),
            batch,
            constants: vec![],
            scale: 1.0,
        }
    }

    /// Sets the class columns.
    pub(crate) fn classes(mut self, columns: &[&[i32; ROWS]]) -> Self {
        self.batch.classes = columns.iter().flat_map(|c| c.iter().copied()).collect();
        self
    }

    /// Sets the ids, row by row.
    pub(crate) fn ids<const F: usize>(mut self, rows: &[&[u32; F]]) -> Self {
        self.batch.ids = rows.iter().flat_map(|c| c.iter().copied()).collect();
        self
    }

    /// Parameters into which no gradient may flow, whatever the loss depends on.
    pub(crate) fn constant(mut self, name: &'static str) -> Self {
        self.constants.push(name);
        self
    }

    /// What row weights mean, gradients checked with each: equal ones are a factor, and the loss
    /// is the sum of what every row that takes part loses alone, times its weight.
    pub(crate) fn check_weights(mut self) {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} against {b}");
        let equal = self.check();
        self.batch.weights.fill(0.5);
        close(self.check(), 0.5 * equal);
        let weights = [2.0, 0.25, 0.0, 3.0, 1.5];
        self.batch.weights.copy_from_slice(&weights);
        let unequal = self.check();
        assert!((unequal - equal).abs() > 1e-6, "weights do nothing");
        let mut sum = 0.0;
        for (r, weight) in weights.into_iter().enumerate() {
            if self.batch.classes.get(r).is_none_or(|&k| k >= 0) {
                self.batch.weights.fill(0.0);
                self.batch.weights[r] = 1.0;
                sum += weight * self.check();
            }
        }
        close(unequal, sum);
    }

    /// Multiplies all parameters.
    pub(crate) fn scaled(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    fn trainer(&self) -> Trainer<f64> {
        let mut trainer = Trainer::new((self.graph)(), TrainerOptions::default()).unwrap();
        let weights = &mut trainer.state_mut().weights;
        fill(weights);
        weights.dense.iter_mut().for_each(|w| *w *= self.scale);
        trainer
    }

    /// Compares every gradient with a finite difference; returns the total loss.
    pub(crate) fn check(&self) -> f64 {
        let mut trainer = self.trainer();
        let (gradient, terms) = trainer.gradients(&self.batch, Some(9));
        let total = trainer.total(&terms);
        for param in trainer.graph().layout().params.clone() {
            let constant = self
                .constants
                .iter()
                .any(|c| param.name == format!("{c}.leaf"));
            for i in param.range() {
                let analytic = pick(&gradient, param.kind, i);
                let expected = if constant {
                    0.0
                } else {
                    self.difference(&mut trainer, param.kind, i)
                };
                let error = (analytic - expected).abs();
                let bound = 1e-7 * (1.0 + expected.abs());
                assert!(
                    error < bound,
                    "{}[{i}]: {analytic} against {expected}",
                    param.name
                );
            }
        }
        total
    }

    fn difference(&self, trainer: &mut Trainer<f64>, kind: Kind, i: usize) -> f64 {
        let h = 1e-5;
        let mut at = |h: f64| {
            *pick_mut(&mut trainer.state_mut().weights, kind, i) += h;
            let (_, terms) = trainer.gradients(&self.batch, Some(9));
            *pick_mut(&mut trainer.state_mut().weights, kind, i) -= h;
            trainer.total(&terms)
        };
        (at(h) - at(-h)) / (2.0 * h)
    }

    /// Only that nothing overflows, in either precision's range; returns the total loss.
    pub(crate) fn check_finite(&self) -> f64 {
        let mut trainer = self.trainer();
        let (gradient, terms) = trainer.gradients(&self.batch, Some(9));
        assert!(
            gradient.dense.iter().all(|g| g.is_finite()),
            "a gradient is not finite"
        );
        trainer.total(&terms)
    }
}

fn pick(w: &Weights<f64>, kind: Kind, i: usize) -> f64 {
    if kind == Kind::Table {
        w.tables[i]
    } else {
        w.dense[i]
    }
}

fn pick_mut(w: &mut Weights<f64>, kind: Kind, i: usize) -> &mut f64 {
    if kind == Kind::Table {
        &mut w.tables[i]
    } else {
        &mut w.dense[i]
    }
}

/// Numbers in `(-1, 1)` that repeat.
fn pseudo_random<T: Real>(out: &mut [T], seed: u64) {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for o in out {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *o = T::of((x >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
    }
}

/// Fills parameters with numbers in `(-1, 1)`.
pub(crate) fn fill<T: Real>(weights: &mut Weights<T>) {
    pseudo_random(&mut weights.dense, 1);
    pseudo_random(&mut weights.tables, 2);
}

struct Leaf {
    at: usize,
    out: Node,
}

/// A node whose every value is a parameter of its own (for batches of one tile).
pub(crate) fn leaf<T: Real>(b: &mut Builder<T>, name: &str, width: usize) -> Node {
    let at = b
        .layout
        .add(format!("{name}.leaf"), ROWS, width, Kind::Dense);
    let out = b.node(width);
    b.ops.push(Box::new(Leaf { at, out }));
    out
}

impl<T: Real> Op<T> for Leaf {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![self.out],
            writes: vec![],
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        for j in 0..self.out.width {
            for r in 0..ROWS {
                t.values[(self.out.at + j) * t.ld + r] = t.dense[self.at + r * self.out.width + j];
            }
        }
    }

    fn backward(&self, t: &mut Tile<'_, T>) {
        let g = t.grad(self.out);
        for j in 0..self.out.width {
            for r in 0..ROWS {
                let to = self.at + r * self.out.width + j;
                t.dense_grad[to] = t.grads[g.start + j * t.ld + r];
            }
        }
    }
}

struct Probe {
    x: Node,
    into: Option<Edge>,
    term: usize,
}

/// A loss that every value takes part in: `sum c (x + x^2 / 2)` with a factor for each place.
pub(crate) fn probe(b: &mut Builder<f64>, x: Node) {
    let into = b.edge(x);
    let term = b.term("probe", 1.0);
    b.ops.push(Box::new(Probe { x, into, term }));
}

fn factor(j: usize, r: usize) -> f64 {
    ((3 * j + 7 * r) % 11) as f64 / 5.0 - 1.0
}

impl Op<f64> for Probe {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, f64>) {
        for j in 0..self.x.width {
            for r in 0..t.rows {
                let x = t.values[(self.x.at + j) * t.ld + r];
                t.losses[self.term] += factor(j, t.base + r) * (x + x * x / 2.0);
            }
        }
    }

    fn backward(&self, t: &mut Tile<'_, f64>) {
        let Some(edge) = self.into else { return };
        let (range, accumulate) = t.back(edge);
        for j in 0..self.x.width {
            for r in 0..t.rows {
                let x = t.values[(self.x.at + j) * t.ld + r];
                let d = factor(j, t.base + r) * (1.0 + x);
                let place = &mut t.grads[range.start + j * t.ld + r];
                *place = if accumulate { *place + d } else { d };
            }
        }
    }
}

/// A small network of most operations with a batch of so many rows.
pub(crate) fn demo<T: Real>(rows: usize) -> (Graph<T>, Batch<T>) {
    demo_in_tiles(rows, 32)
}

/// The same in tiles of another size.
pub(crate) fn demo_in_tiles<T: Real>(rows: usize, tile: usize) -> (Graph<T>, Batch<T>) {
    let mut b = Builder::training();
    let tables = [b.table("a", 50, 8), b.table("b", 7, 4)];
    let x = b.input(&tables.map(|table| FieldSpec { table }), 1);
    let l1 = b.dense(&[("l1", 40)], x.width());
    let h = b.linear(x, l1, true);
    let h = b.dropout(h, 0.2);
    let (out, mono) = (
        b.dense(&[("out", 5)], 40),
        b.non_negative(&[("mono", 5)], 4),
    );
    let z = b.linear(h, out, false);
    let p = b.softmax(z);
    let survival = b.survival(p.probabilities.detached());
    let shift = b.linear(survival, mono, false);
    let z = b.add(z, shift);
    let s = b.softmax(z);
    let y = b.class_column();
    b.cross_entropy("ce", 1.0, s, y);
    let graph = b.build(tile);
    let mut batch = Batch::new(graph.shape(), rows);
    for r in 0..rows {
        batch.ids[2 * r] = (r * 7 % 50) as u32;
        batch.ids[2 * r + 1] = (r % 7) as u32;
        batch.numbers[r] = T::of((r % 3) as f64);
        batch.classes[r] = if r % 13 == 0 {
            -1
        } else {
            ((r * 7 % 50) % 5) as i32
        };
    }
    (graph, batch)
}

/// A network of the operations over tokens and experts, with a batch of so many rows.
pub(crate) fn tokens_in_tiles<T: Real>(rows: usize, tile: usize) -> (Graph<T>, Batch<T>) {
    const TOKENS: usize = 3;
    let mut b = Builder::training();
    let table = b.table("a", 50, 4);
    let x = b.input(&[FieldSpec { table }; TOKENS], 1);
    let tokens = b.columns(x, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    let second = b.interact(tokens, 4);
    let conv = b.dense(&[("conv", 4)], 12);
    let h = b.convolve(tokens, conv, TOKENS, true);
    let h = b.layer_norm(h, "norm", TOKENS);
    let h = b.offset(h, "position");
    let wide = b.dense(&[("qkv", 12)], 4);
    let qkv = b.convolve(h, wide, TOKENS, false);
    let h = b.attention(qkv, TOKENS, 2);
    let crossed = b.multiply(h, tokens);
    let h = b.haar(crossed, TOKENS);
    let h = b.shrink(h, "threshold");
    let all = b.concat(&[h, second]);
    let gate = b.dense(&[("gate", 4)], x.width());
    let gate = b.linear(x, gate, false);
    let gate = b.softmax(gate).probabilities;
    let experts: Vec<Node> = (0..4).map(|e| all.slice(5 * e..5 * e + 5)).collect();
    let z = b.weigh(gate, &experts);
    let s = b.softmax(z);
    let y = b.class_column();
    b.cross_entropy("ce", 1.0, s, y);
    let graph = b.build(tile);
    let mut batch = Batch::new(graph.shape(), rows);
    for r in 0..rows {
        (0..TOKENS).for_each(|i| batch.ids[TOKENS * r + i] = ((r * 7 + i * 11) % 50) as u32);
        batch.numbers[r] = T::of((r % 3) as f64);
        batch.classes[r] = (r * 3 % 5) as i32;
    }
    (graph, batch)
}
