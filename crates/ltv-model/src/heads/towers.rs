//! Towers: the two layers between a representation and a few outputs.

use super::Below;
use ltv_nn::{Node, Real, graph::Builder};

/// The hidden layers of all towers of a horizon are one product; this hands out their slices.
pub(super) struct Towers {
    hidden: Node,
    /// The age of the user's cohort, where there is a trend.
    age: Option<Node>,
    names: Vec<String>,
    width: usize,
}

impl Towers {
    /// The first layers of towers of such names, `NAME.1`, side by side on the representation, with `width`
    /// outputs each.
    pub(super) fn new<T: Real>(
        b: &mut Builder<T>,
        names: Vec<String>,
        width: usize,
        below: Below,
    ) -> Self {
        let first: Vec<String> = names.iter().map(|name| format!("{name}.1")).collect();
        let parts: Vec<(&str, usize)> = first.iter().map(|n| (n.as_str(), width)).collect();
        let layer = b.dense(&parts, below.v.width());
        let hidden = b.linear(below.v, layer, true);
        Self {
            hidden,
            age: below.age,
            names,
            width,
        }
    }

    /// `tower(v) = w2 relu(w1 v + b1) + b2`; none where there is no tower of this name.
    pub(super) fn output<T: Real>(
        &self,
        b: &mut Builder<T>,
        name: &str,
        outputs: usize,
    ) -> Option<Node> {
        let i = self.names.iter().position(|n| n == name)?;
        let hidden = self.hidden.slice(i * self.width..(i + 1) * self.width);
        let layer = b.dense(&[(&format!("{name}.2"), outputs)], self.width);
        Some(b.linear(hidden, layer, false))
    }

    /// `tower(v) + w3 age` where there is a trend: besides who a user is, the level of the cohort.
    pub(super) fn trending<T: Real>(
        &self,
        b: &mut Builder<T>,
        name: &str,
        outputs: usize,
    ) -> Option<Node> {
        let own = self.output(b, name, outputs)?;
        let Some(age) = self.age else {
            return Some(own);
        };
        let layer = b.dense(&[(&format!("{name}.trend"), outputs)], 1);
        let trend = b.linear(age, layer, false);
        Some(b.add(own, trend))
    }
}
