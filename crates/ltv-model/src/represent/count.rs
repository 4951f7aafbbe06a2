//! How large a representation is, told without building it.

use super::sequence::shared_with;
use crate::spec::Spec;
use ltv_core::config::{Backbone, Cross, DayEncoder};

/// Parameters of a part of a network; saturates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Numbers.
    pub(crate) weights: usize,
    /// Named tensors.
    pub(crate) tensors: usize,
    /// Outputs.
    pub(crate) width: usize,
}

impl Count {
    fn tensor(&mut self, rows: usize, cols: usize) {
        self.weights = self.weights.saturating_add(rows.saturating_mul(cols));
        self.tensors = self.tensors.saturating_add(1);
    }

    fn dense(&mut self, inputs: usize, outputs: usize) {
        self.tensor(inputs, outputs);
        self.tensor(1, outputs);
    }
}

/// Exactly what [`super::build`] declares: whoever reads a document from a file asks before
/// anything is allotted.
pub(crate) fn count(spec: &Spec) -> Count {
    let mut c = Count::default();
    let dim = spec.model.embedding;
    for (i, &cells) in spec.fields.iter().enumerate() {
        if shared_with(spec, i).is_none() {
            c.tensor(cells, dim);
        }
    }
    let raw = spec.fields.len().saturating_mul(dim);
    let read = sequence(&mut c, spec, raw.saturating_add(spec.numbers));
    backbone(&mut c, spec, read);
    c.width = spec.model.bottom.last().copied().unwrap_or(0);
    let crossed = cross(&mut c, spec, read);
    c.width = c.width.saturating_add(crossed);
    c
}

/// Returns the width of what backbone and crosses read.
fn sequence(c: &mut Count, spec: &Spec, raw: usize) -> usize {
    let (model, days) = (&spec.model, spec.days());
    if days == 0 {
        return raw;
    }
    let numbers = spec.sequences.iter().filter(|s| s.number.is_some()).count();
    let token = spec.sequences.len() * model.embedding + numbers;
    let width = model.sequence_width;
    let mut positions = days;
    match model.sequence {
        DayEncoder::Concat | DayEncoder::Cnn => {
            let mut inputs = token;
            for _ in 0..model.sequence_layers {
                c.dense(model.kernel * inputs, width);
                inputs = width;
            }
        }
        DayEncoder::Transformer => {
            c.dense(token, width);
            c.tensor(days, width);
            for _ in 0..model.sequence_layers {
                // Queries, keys, values and what mixes them; two normalisations, two tensors each.
                (0..4).for_each(|_| c.dense(width, width));
                (0..4).for_each(|_| c.tensor(1, width));
                c.dense(width, 2 * width);
                c.dense(2 * width, width);
            }
            (0..2).for_each(|_| c.tensor(1, width));
        }
        DayEncoder::Wavelet => {
            positions = days.next_power_of_two();
            c.dense(token, width);
            c.tensor(positions, width);
        }
    }
    raw - days * token + positions * width
}

fn backbone(c: &mut Count, spec: &Spec, read: usize) {
    let (model, horizons) = (&spec.model, spec.horizons.len());
    let experts = |c: &mut Count, count: usize, inputs: usize| {
        for _ in 0..count {
            let mut inputs = inputs;
            for &outputs in &model.bottom {
                c.dense(inputs, outputs);
                inputs = outputs;
            }
        }
    };
    match model.backbone {
        Backbone::SharedBottom => experts(c, 1, read),
        Backbone::Mmoe => {
            experts(c, model.experts, read);
            (0..horizons).for_each(|_| c.dense(read, model.experts));
        }
        Backbone::Ple => {
            let (own, shared) = (model.task_experts, model.experts);
            let all = horizons.saturating_mul(own).saturating_add(shared);
            let mut inputs = read;
            for level in 1..=model.levels {
                experts(c, all, inputs);
                (0..horizons).for_each(|_| c.dense(inputs, own + shared));
                if level < model.levels {
                    c.dense(inputs, all);
                }
                inputs = model.bottom.last().copied().unwrap_or(0);
            }
        }
    }
}

/// Returns the width that the crosses add.
fn cross(c: &mut Count, spec: &Spec, read: usize) -> usize {
    let model = &spec.model;
    match model.cross {
        Cross::None => 0,
        Cross::DeepFm => {
            c.dense(read, model.embedding);
            2 * model.embedding
        }
        Cross::Dcn => {
            for _ in 0..model.cross_layers {
                match model.cross_rank {
                    0 => c.dense(read, read),
                    rank => {
                        c.dense(read, rank);
                        c.dense(rank, read);
                    }
                }
            }
            read
        }
    }
}
