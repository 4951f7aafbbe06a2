//! A distribution over buckets.

use super::{Horizon, apart, levels, read};
use crate::{
    OnnxError,
    graph::{Graph, Value},
    network::Nodes,
    proto::{AttributeProto, Element},
};
use ltv_model::{
    Decoding,
    heads::{BucketHead, MIDDLE},
};

/// All rows' distributions, each `[rows, buckets]`.
struct Buckets<'a> {
    head: &'a BucketHead,
    /// Probabilities.
    p: Value,
    /// The sums of those of earlier buckets.
    before: Value,
    /// The same with the bucket's own.
    up_to: Value,
    /// Of all buckets, `[rows, 1]`.
    total: Value,
    /// Mean positions in the buckets.
    biases: Value,
}

/// Decodes a horizon.
pub(super) fn decode(
    g: &mut Graph,
    nodes: &mut Nodes,
    head: &BucketHead,
    decoding: Decoding,
) -> Result<Horizon, OnnxError> {
    let b = Buckets::new(g, nodes, head)?;
    let quantiles = b.quantiles(g, &levels(decoding));
    let (quantiles, own) = apart(g, quantiles, decoding);
    let value = match (decoding, own) {
        (Decoding::Argmax, _) => b.argmax(g, nodes)?,
        (_, Some(own)) => own,
        _ => b.expectation(g),
    };
    Ok(Horizon {
        value,
        quantiles: Some(quantiles),
        positive: b.positive(g),
    })
}

impl<'a> Buckets<'a> {
    fn new(g: &mut Graph, nodes: &mut Nodes, head: &'a BucketHead) -> Result<Self, OnnxError> {
        let count = head.buckets.len();
        let p = read(g, nodes, head.distribution)?;
        let axis = g.int(1);
        let exclusive = vec![AttributeProto::int("exclusive", 1)];
        let before = g.op_with("CumSum", &[p, axis], exclusive);
        let up_to = g.op("Add", &[before, p]);
        let total = g.slice(up_to, count - 1..count);
        Ok(Self {
            biases: biases(g, nodes, head, p)?,
            head,
            p,
            before,
            up_to,
            total,
        })
    }

    fn constants(&self, g: &mut Graph, of: impl Fn(f64, f64) -> f64, dims: &[usize]) -> Value {
        let values: Vec<f64> = self.head.buckets.iter().map(|b| of(b.0, b.1)).collect();
        g.doubles(dims, &values)
    }

    /// Means given the bucket.
    fn means(&self, g: &mut Graph) -> Value {
        let row = [1, self.head.buckets.len()];
        let left = self.constants(g, |left, _| left, &row);
        let width = self.constants(g, |_, width| width, &row);
        let inside = g.op("Mul", &[self.biases, width]);
        g.op("Add", &[left, inside])
    }

    fn expectation(&self, g: &mut Graph) -> Value {
        let means = self.means(g);
        let parts = g.op("Mul", &[self.p, means]);
        let sum = g.sum(parts, 1, true);
        g.op("Div", &[sum, self.total])
    }

    /// The likeliest bucket of the likeliest sub-distribution, the first of several.
    fn argmax(&self, g: &mut Graph, nodes: &mut Nodes) -> Result<Value, OnnxError> {
        let segments = nodes.read(g, self.head.segments)?;
        let best = g.first_largest(segments, true);
        let sizes = self.head.sizes.iter().enumerate();
        let segment: Vec<i64> = sizes
            .flat_map(|(s, &size)| std::iter::repeat_n(s as i64, size))
            .collect();
        let segment = g.ints(&[1, segment.len()], &segment);
        let own = g.op("Equal", &[segment, best]);
        let out = g.double(-1.0);
        let p = g.op("Where", &[own, self.p, out]);
        let bucket = g.first_largest(p, true);
        let means = self.means(g);
        Ok(g.gather_elements(means, bucket))
    }

    /// One less the share of the bucket that is zero.
    fn positive(&self, g: &mut Graph) -> Value {
        let zero = |left: f64, width: f64| f64::from(u8::from(left == 0.0 && width == 0.0));
        let at_zero = self.constants(g, zero, &[self.head.buckets.len(), 1]);
        let at_zero = g.op("MatMul", &[self.p, at_zero]);
        let share = g.op("Div", &[at_zero, self.total]);
        let (one, none) = (g.double(1.0), g.double(0.0));
        let positive = g.op("Sub", &[one, share]);
        g.op("Clip", &[positive, none, one])
    }

    /// The values below which such shares of the distribution lie, `[rows, levels]`: in the first bucket
    /// in which the share is reached, see `ltv_model::decode::Mass`.
    fn quantiles(&self, g: &mut Graph, levels: &[f64]) -> Value {
        let shares = g.doubles(&[1, levels.len()], levels);
        let wanted = g.op("Mul", &[self.total, shares]);
        let bucket = self.first_that_reaches(g, wanted);
        let here = [self.p, self.before, self.biases];
        let [p, before, bias] = here.map(|x| g.gather_elements(x, bucket));
        let count = [self.head.buckets.len()];
        let left = self.constants(g, |left, _| left, &count);
        let width = self.constants(g, |_, width| width, &count);
        let (left, width) = (g.gather(left, bucket, 0), g.gather(width, bucket, 0));
        let rest = g.op("Sub", &[wanted, before]);
        let fraction = g.op("Div", &[rest, p]);
        let position = position(g, fraction, bias);
        let inside = g.op("Mul", &[position, width]);
        g.op("Add", &[left, inside])
    }

    /// Buckets, `[rows, levels]`.
    fn first_that_reaches(&self, g: &mut Graph, wanted: Value) -> Value {
        let (deep, axis) = (g.deepen(wanted), g.ints(&[1], &[1]));
        let [up_to, p] = [self.up_to, self.p].map(|x| g.op("Unsqueeze", &[x, axis]));
        let reached = g.op("GreaterOrEqual", &[up_to, deep]);
        let none = g.double(0.0);
        let possible = g.op("Greater", &[p, none]);
        let both = g.op("And", &[reached, possible]);
        let both = g.cast(both, Element::Float);
        g.first_largest(both, false)
    }
}

/// Where in a bucket a fraction of its mass ends: `1 - s` of it is spread evenly below the mean position
/// `s`, and `s` above.
fn position(g: &mut Graph, fraction: Value, bias: Value) -> Value {
    let (none, one) = (g.double(0.0), g.double(1.0));
    let fraction = g.op("Clip", &[fraction, none, one]);
    let s = g.op("Clip", &[bias, none, one]);
    let below = g.op("Sub", &[one, s]);
    let share = g.op("Div", &[fraction, below]);
    let lower = g.op("Mul", &[share, s]);
    let some = g.op("Greater", &[below, none]);
    let lower = g.op("Where", &[some, lower, s]);
    let rest = g.op("Sub", &[fraction, below]);
    let rest = g.op("Div", &[rest, s]);
    let rest = g.op("Mul", &[rest, below]);
    let upper = g.op("Add", &[s, rest]);
    let is_lower = g.op("LessOrEqual", &[fraction, below]);
    let position = g.op("Where", &[is_lower, lower, upper]);
    g.op("Clip", &[position, none, one])
}

/// Positions of all buckets: those of the network where it has them, the middle elsewhere.
fn biases(
    g: &mut Graph,
    nodes: &mut Nodes,
    head: &BucketHead,
    p: Value,
) -> Result<Value, OnnxError> {
    let count = head.buckets.len();
    let (mut predicted, mut places) = (vec![], vec![]);
    let mut middle = vec![MIDDLE; count];
    for (u, bucket) in head.buckets.iter().enumerate() {
        if let Some(node) = bucket.2 {
            predicted.push(nodes.read(g, node)?);
            places.push(u);
            middle[u] = 0.0;
        }
    }
    let middle = g.doubles(&[1, count], &middle);
    if predicted.is_empty() {
        // As many rows as there are.
        let zeros = g.op("Sub", &[p, p]);
        return Ok(g.op("Add", &[middle, zeros]));
    }
    let predicted = g.concat(&predicted);
    let predicted = g.cast(predicted, Element::Double);
    let mut select = vec![0.0; places.len() * count];
    for (k, u) in places.iter().enumerate() {
        select[k * count + u] = 1.0;
    }
    let select = g.doubles(&[places.len(), count], &select);
    let placed = g.op("MatMul", &[predicted, select]);
    Ok(g.op("Add", &[placed, middle]))
}
