//! The operations of the engine, one by one, as operators: rows first, features second.

mod sequence;

use crate::{
    OnnxError,
    graph::{Graph, Value},
    inputs::Inputs,
    proto::AttributeProto,
};
use ltv_nn::{
    Node,
    formula::{Formula, Step},
};
use std::collections::BTreeMap;

/// The nodes that have been made so far.
#[derive(Default)]
pub(crate) struct Nodes {
    /// By first feature: how many, and the matrix that holds them.
    made: BTreeMap<usize, (usize, Value)>,
    /// Slices that have been asked for, by first feature and width.
    slices: BTreeMap<(usize, usize), Value>,
}

impl Nodes {
    /// The matrix of a node, `[rows, width]` in single precision: whole, or a slice of a larger one.
    pub(crate) fn read(&mut self, g: &mut Graph, node: Node) -> Result<Value, OnnxError> {
        let wanted = node.features();
        let found = self.made.range(..=wanted.start).next_back();
        let inside = found.filter(|(start, (width, _))| wanted.end <= *start + width);
        let Some((&start, &(width, value))) = inside else {
            let problem = format!("no operation makes features {wanted:?} of the network");
            return Err(OnnxError::internal(problem));
        };
        if node.width() == width {
            return Ok(value);
        }
        let key = (wanted.start, node.width());
        let slice = || g.slice(value, wanted.start - start..wanted.end - start);
        Ok(*self.slices.entry(key).or_insert_with(slice))
    }

    fn add(&mut self, node: Node, value: Value) {
        let features = node.features();
        self.made.insert(features.start, (features.len(), value));
    }

    fn read_all(&mut self, g: &mut Graph, nodes: &[Node]) -> Result<Vec<Value>, OnnxError> {
        nodes.iter().map(|&node| self.read(g, node)).collect()
    }
}

/// Writes all steps of a network and gives its nodes.
pub(crate) fn build<'a>(
    g: &mut Graph,
    steps: impl Iterator<Item = Step<'a, f32>>,
    inputs: &Inputs,
) -> Result<Nodes, OnnxError> {
    let mut nodes = Nodes::default();
    for step in steps {
        let value = one(g, &mut nodes, &step, inputs)?;
        nodes.add(step.out, value);
    }
    Ok(nodes)
}

fn one(
    g: &mut Graph,
    nodes: &mut Nodes,
    step: &Step<'_, f32>,
    inputs: &Inputs,
) -> Result<Value, OnnxError> {
    let width = step.out.width();
    let value = match &step.formula {
        Formula::Input {
            tables,
            fields,
            numbers,
        } => embed(g, inputs, (tables, fields), *numbers)?,
        Formula::Aside { first } => numbers_of(g, inputs, *first, width)?,
        Formula::Linear {
            x,
            weights,
            biases,
            relu,
        } => {
            let inputs = x.width();
            let x = nodes.read(g, *x)?;
            let y = linear(g, x, (weights, biases), inputs);
            rectified(g, y, *relu)
        }
        Formula::Columns { x, order } => {
            let x = nodes.read(g, *x)?;
            columns(g, x, order)
        }
        Formula::Concat { parts } => {
            let parts = nodes.read_all(g, parts)?;
            g.concat(&parts)
        }
        Formula::Add { a, b } => binary(g, nodes, "Add", *a, *b)?,
        Formula::Multiply { a, b } => binary(g, nodes, "Mul", *a, *b)?,
        Formula::Offset { x, by } => {
            let x = nodes.read(g, *x)?;
            let by = g.floats(&[1, width], by);
            g.op("Add", &[x, by])
        }
        Formula::Sigmoid { x } => {
            let x = nodes.read(g, *x)?;
            g.op("Sigmoid", &[x])
        }
        Formula::Softmax { logits } => {
            let x = nodes.read(g, *logits)?;
            g.op_with("Softmax", &[x], vec![AttributeProto::int("axis", 1)])
        }
        Formula::Mixture { p, q } => mixture(g, nodes, *p, q)?,
        Formula::Survival { o } => {
            let x = nodes.read(g, *o)?;
            // From `o_u` to every `S_k` with `k <= u`, where the first is `S_1`.
            linear_map(g, x, width + 1, width, |u, k| k < u)
        }
        Formula::Cumulate { m } => {
            let x = nodes.read(g, *m)?;
            linear_map(g, x, width - 1, width, |j, a| j < a)
        }
        Formula::Weigh { gates, experts } => weigh(g, nodes, *gates, experts)?,
        Formula::Interact { x } => {
            let fields = x.width() / width;
            let x = nodes.read(g, *x)?;
            interact(g, x, fields, width)
        }
        of_tokens => sequence::one(g, nodes, of_tokens, width)?,
    };
    Ok(value)
}

/// Look-ups in all tables as one: they are as wide as each other, and lie one after the other.
fn embed(
    g: &mut Graph,
    inputs: &Inputs,
    (tables, fields): (&[f32], &[(usize, usize)]),
    numbers: usize,
) -> Result<Value, OnnxError> {
    let dim = fields.first().map_or(0, |f| f.1);
    let fits = |&(offset, d): &(usize, usize)| d == dim && offset.is_multiple_of(dim.max(1));
    if dim == 0 || !fields.iter().all(fits) {
        return Err(OnnxError::internal("embeddings of different dimensions"));
    }
    let first: Vec<i64> = fields.iter().map(|f| (f.0 / dim) as i64).collect();
    let first = g.ints(&[1, first.len()], &first);
    let rows = g.op("Add", &[inputs.cells, first]);
    let table = g.floats(&[tables.len() / dim, dim], tables);
    let found = g.gather(table, rows, 0);
    let embedded = g.reshape(found, &[fields.len() * dim]);
    if numbers == 0 {
        return Ok(embedded);
    }
    let numbers = numbers_of(g, inputs, 0, numbers)?;
    Ok(g.concat(&[embedded, numbers]))
}

/// So many of a row's numbers.
fn numbers_of(
    g: &mut Graph,
    inputs: &Inputs,
    first: usize,
    count: usize,
) -> Result<Value, OnnxError> {
    match inputs.numbers {
        Some(numbers) => Ok(g.slice(numbers, first..first + count)),
        None => Err(OnnxError::internal(
            "numbers that the encoding does not have",
        )),
    }
}

/// Columns in any order; those that follow each other are cut out as one, which is much faster.
fn columns(g: &mut Graph, x: Value, order: &[usize]) -> Value {
    if order.windows(2).all(|w| w[0] + 1 == w[1]) {
        let first = order.first().copied().unwrap_or(0);
        return g.slice(x, first..first + order.len());
    }
    let order: Vec<i64> = order.iter().map(|&i| i as i64).collect();
    let order = g.ints(&[order.len()], &order);
    g.gather(x, order, 1)
}

fn linear(g: &mut Graph, x: Value, (w, b): (&[f32], &[f32]), inputs: usize) -> Value {
    let (w, b) = (g.floats(&[b.len(), inputs], w), g.floats(&[b.len()], b));
    let transposed = vec![AttributeProto::int("transB", 1)];
    g.op_with("Gemm", &[x, w, b], transposed)
}

/// A map whose matrix is of zeros and ones, `[from, to]`.
fn linear_map(
    g: &mut Graph,
    x: Value,
    from: usize,
    to: usize,
    one: impl Fn(usize, usize) -> bool,
) -> Value {
    let entry = |i: usize| f32::from(u8::from(one(i / to, i % to)));
    let matrix: Vec<f32> = (0..from * to).map(entry).collect();
    let matrix = g.floats(&[from, to], &matrix);
    g.op("MatMul", &[x, matrix])
}

fn rectified(g: &mut Graph, y: Value, relu: bool) -> Value {
    if relu { g.op("Relu", &[y]) } else { y }
}

fn binary(
    g: &mut Graph,
    nodes: &mut Nodes,
    kind: &str,
    a: Node,
    b: Node,
) -> Result<Value, OnnxError> {
    let (a, b) = (nodes.read(g, a)?, nodes.read(g, b)?);
    Ok(g.op(kind, &[a, b]))
}

fn mixture(
    g: &mut Graph,
    nodes: &mut Nodes,
    p: Node,
    within: &[Option<Node>],
) -> Result<Value, OnnxError> {
    let mut parts = vec![];
    for (s, q) in within.iter().enumerate() {
        let p = nodes.read(g, p.slice(s..s + 1))?;
        parts.push(match q {
            Some(q) => {
                let q = nodes.read(g, *q)?;
                g.op("Mul", &[p, q])
            }
            None => p,
        });
    }
    Ok(g.concat(&parts))
}

fn weigh(
    g: &mut Graph,
    nodes: &mut Nodes,
    gates: Node,
    experts: &[Node],
) -> Result<Value, OnnxError> {
    let mut weighed = vec![];
    for (e, &expert) in experts.iter().enumerate() {
        let (gate, x) = (
            nodes.read(g, gates.slice(e..e + 1))?,
            nodes.read(g, expert)?,
        );
        weighed.push(g.op("Mul", &[gate, x]));
    }
    Ok(g.op("Sum", &weighed))
}

fn interact(g: &mut Graph, x: Value, fields: usize, dim: usize) -> Value {
    let x = g.reshape(x, &[fields, dim]);
    let (sum, squares) = (g.sum(x, 1, false), g.op("Mul", &[x, x]));
    let squares = g.sum(squares, 1, false);
    let square = g.op("Mul", &[sum, sum]);
    let twice = g.op("Sub", &[square, squares]);
    let half = g.floats(&[], &[0.5]);
    g.op("Mul", &[twice, half])
}
