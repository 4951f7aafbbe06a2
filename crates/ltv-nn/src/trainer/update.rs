//! Adding the shards' gradients and applying them: by ranges of the dense vector, and by tables.

use super::{Cut, Rates, Trainer, Weights, parts, tables::Source, tables::TableIndex};
use crate::{Batch, Real, adam::Step, graph::InputSpec, layout::Table, simd::simd};
use rayon::prelude::*;
use std::ops::Range;

/// Dense parameters updated at a time: small enough to stay in the first-level cache.
const RANGE: usize = 2048;
/// Numbers of a large table updated at a time.
const CELLS: usize = 1024;
/// Numbers of a small table at most: its gradient stays in the first-level cache.
const SMALL: usize = 4096;

/// The gradient of dense parameters `at..at + out.len()`: shards added in order, each the sum of its
/// parts, and the chain rule through softplus for non-negative ones.
#[inline(always)]
fn dense_gradient<T: Real>(
    shards: &[&[&[T]]],
    non_negative: &[Range<usize>],
    raw: &[T],
    at: usize,
    out: &mut [T],
) {
    let here = at..at + out.len();
    // The first sum is written, not added to what was written: that saves a pass.
    let rest = match shards {
        [[one], [two], rest @ ..] | [[one, two], rest @ ..] => {
            set_sum(out, &one[here.clone()], &two[here.clone()]);
            rest
        }
        [first, rest @ ..] => {
            out.copy_from_slice(&first[0][here.clone()]);
            rest
        }
        [] => return,
    };
    for shard in rest {
        match shard {
            [one, two] => add_sum(out, &one[here.clone()], &two[here.clone()]),
            one => one.iter().for_each(|one| add(out, &one[here.clone()])),
        }
    }
    for range in overlaps(non_negative, at, out.len()) {
        for i in range {
            out[i] *= raw[i].sigmoid();
        }
    }
}

#[inline(always)]
fn add<T: Real>(out: &mut [T], one: &[T]) {
    out.iter_mut().zip(one).for_each(|(o, &g)| *o += g);
}

#[inline(always)]
fn set_sum<T: Real>(out: &mut [T], one: &[T], two: &[T]) {
    let sums = one.iter().zip(two);
    out.iter_mut()
        .zip(sums)
        .for_each(|(o, (&a, &b))| *o = a + b);
}

#[inline(always)]
fn add_sum<T: Real>(out: &mut [T], one: &[T], two: &[T]) {
    let sums = one.iter().zip(two);
    out.iter_mut()
        .zip(sums)
        .for_each(|(o, (&a, &b))| *o += a + b);
}

/// The parts of `ranges` that lie in `at..at + len`, counted from `at`.
#[inline(always)]
fn overlaps(ranges: &[Range<usize>], at: usize, len: usize) -> impl Iterator<Item = Range<usize>> {
    ranges.iter().filter_map(move |range| {
        let (start, end) = (range.start.max(at), range.end.min(at + len));
        (start < end).then(|| start - at..end - at)
    })
}

impl<T: Real> Trainer<T> {
    pub(super) fn update(&mut self, batch: &Batch<T>, cut: Cut, rates: Rates) {
        let adam = self.options.adam;
        let dense_step: Step<T> = adam.step(self.state.steps, rates.dense);
        let table_step = adam.step(self.state.steps, rates.tables);
        let gradients: Vec<_> = parts(&self.workers, cut)
            .map(|p| p.dense.as_slice())
            .collect();
        let gradients: Vec<_> = gradients.chunks(cut.parts_of_shard()).collect();
        let inputs: Vec<_> = parts(&self.workers, cut)
            .map(|p| p.input.as_slice())
            .collect();
        let (state, non_negative) = (&mut self.state, &self.non_negative);
        let decaying = &self.decaying;
        let vectors = [
            &mut state.weights.tables,
            &mut state.first.tables,
            &mut state.second.tables,
        ];
        let jobs = split_tables(&self.graph.layout.tables, &mut self.index, vectors);
        let update = TableUpdate {
            batch,
            input: &self.graph.input,
            inputs: &inputs,
            cut,
            step: table_step,
            sparse_above: self.options.sparse_above,
        };
        let dense = state.weights.dense.par_chunks_mut(RANGE);
        let first = state.first.dense.par_chunks_mut(RANGE);
        let second = state.second.dense.par_chunks_mut(RANGE);
        let ranges = dense.zip(first).zip(second).enumerate();
        self.pool.install(|| {
            // Tables first: the gradient of the embedded inputs was written last, and is in cache.
            jobs.into_par_iter().for_each(|job| update.run(job));
            ranges.for_each(|(i, ((p, m), v))| {
                simd!(pulp::Arch::new(), {
                    let mut gradient = [T::ZERO; RANGE];
                    let g = &mut gradient[..p.len()];
                    dense_gradient(&gradients, non_negative, p, i * RANGE, g);
                    for range in overlaps(decaying, i * RANGE, p.len()) {
                        dense_step.decay(&mut p[range]);
                    }
                    dense_step.without_decay().apply(p, m, v, g);
                });
            });
        });
    }

    pub(super) fn gather_gradients(&mut self, batch: &Batch<T>, cut: Cut, out: &mut Weights<T>) {
        let gradients: Vec<_> = parts(&self.workers, cut)
            .map(|p| p.dense.as_slice())
            .collect();
        let gradients: Vec<_> = gradients.chunks(cut.parts_of_shard()).collect();
        let raw = &self.state.weights.dense;
        dense_gradient(&gradients, &self.non_negative, raw, 0, &mut out.dense);
        let inputs: Vec<_> = parts(&self.workers, cut)
            .map(|p| p.input.as_slice())
            .collect();
        for (index, table) in self.index.iter_mut().zip(&self.graph.layout.tables) {
            let source = Source {
                fields: &table.fields,
                input: &self.graph.input,
                parts: &inputs,
                cut,
            };
            if is_small(table) {
                let out = &mut out.tables[table.offset..][..table.rows * table.dim];
                source.scatter(batch, out, table.dim);
                continue;
            }
            index.build(batch, &table.fields, self.graph.shape.fields);
            for &cell in &index.touched {
                let at = table.offset + cell as usize * table.dim;
                index.gather(cell as usize, &source, &mut out.tables[at..at + table.dim]);
            }
        }
    }
}

fn is_small(table: &Table) -> bool {
    table.rows * table.dim <= SMALL
}

/// One table's share of the state.
struct Job<'a, T> {
    table: &'a Table,
    index: &'a mut TableIndex,
    p: &'a mut [T],
    m: &'a mut [T],
    v: &'a mut [T],
}

/// Tables lie one after the other in the table vector.
fn split_tables<'a, T>(
    tables: &'a [Table],
    index: &'a mut [TableIndex],
    vectors: [&'a mut Vec<T>; 3],
) -> Vec<Job<'a, T>> {
    let [mut p, mut m, mut v] = vectors.map(Vec::as_mut_slice);
    let mut jobs = vec![];
    for (table, index) in tables.iter().zip(index) {
        let size = table.rows * table.dim;
        let (p0, m0, v0);
        (p0, p) = p.split_at_mut(size);
        (m0, m) = m.split_at_mut(size);
        (v0, v) = v.split_at_mut(size);
        jobs.push(Job {
            table,
            index,
            p: p0,
            m: m0,
            v: v0,
        });
    }
    jobs
}

struct TableUpdate<'a, T> {
    batch: &'a Batch<T>,
    input: &'a InputSpec,
    inputs: &'a [&'a [T]],
    cut: Cut,
    step: Step<T>,
    sparse_above: usize,
}

impl<T: Real> TableUpdate<'_, T> {
    fn run(&self, job: Job<'_, T>) {
        let fields = &job.table.fields;
        let source = Source {
            fields,
            input: self.input,
            parts: self.inputs,
            cut: self.cut,
        };
        let sparse = job.table.rows > self.sparse_above;
        if is_small(job.table) && !sparse {
            return self.small(job, &source);
        }
        job.index.build(self.batch, fields, self.input.tables.len());
        if sparse {
            self.sparse(job, &source);
        } else {
            self.dense(job, &source);
        }
    }

    fn small(&self, job: Job<'_, T>, source: &Source<'_, T>) {
        simd!(pulp::Arch::new(), {
            let mut gradient = [T::ZERO; SMALL];
            let g = &mut gradient[..job.p.len()];
            source.scatter(self.batch, g, job.table.dim);
            self.step.apply(job.p, job.m, job.v, g);
        });
    }

    fn sparse(&self, job: Job<'_, T>, source: &Source<'_, T>) {
        let Job {
            table,
            index,
            p,
            m,
            v,
        } = job;
        let mut g = vec![T::ZERO; table.dim];
        for &cell in &index.touched {
            let at = cell as usize * table.dim..(cell as usize + 1) * table.dim;
            g.fill(T::ZERO);
            index.gather(cell as usize, source, &mut g);
            self.step
                .apply(&mut p[at.clone()], &mut m[at.clone()], &mut v[at], &g);
        }
    }

    /// Every cell moves, touched or not, as its moments decay.
    fn dense(&self, job: Job<'_, T>, source: &Source<'_, T>) {
        let Job {
            table,
            index,
            p,
            m,
            v,
        } = job;
        let cells = (CELLS / table.dim).max(1);
        let size = cells * table.dim;
        let mut g = vec![T::ZERO; size];
        let mut touched = index.touched.iter().map(|&c| c as usize).peekable();
        let chunks = p
            .chunks_mut(size)
            .zip(m.chunks_mut(size))
            .zip(v.chunks_mut(size));
        for (i, ((p, m), v)) in chunks.enumerate() {
            let (from, g) = (i * cells, &mut g[..p.len()]);
            g.fill(T::ZERO);
            while let Some(cell) = touched.next_if(|&c| c < from + cells) {
                let at = (cell - from) * table.dim;
                index.gather(cell, source, &mut g[at..at + table.dim]);
            }
            simd!(pulp::Arch::new(), self.step.apply(p, m, v, g));
        }
    }
}
