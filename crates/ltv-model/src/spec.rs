//! The shape of one network: all that is needed to build it.

use crate::buckets::Buckets;
use ltv_core::{
    Error,
    config::{DayEncoder, ModelConfig},
    encoding::Encoding,
};
use serde::{Deserialize, Serialize};

/// Inputs, layers and horizons of a network. Two networks of one spec have the same parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Cells of every categorical field.
    pub fields: Vec<usize>,
    /// Numeric inputs.
    pub numbers: usize,
    /// Numbers after them that only towers read, the age of the cohort for each horizon: as many as
    /// horizons, or none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trends: usize,
    /// The day-level sequences among the fields; models saved before there were day encoders have
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<DaySequence>,
    /// The options.
    pub model: ModelConfig,
    /// The buckets of every horizon, ascending by horizon.
    pub horizons: Vec<Buckets>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A day-level sequence: one field for each day, side by side, and as many numbers where it has
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySequence {
    /// The field of the first day.
    pub field: usize,
    /// Days.
    pub days: usize,
    /// The number of the first day, counted among numbers; none where days are cells alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
}

impl DaySequence {
    /// The sequences of an encoding: its features of more than one column.
    pub fn all(encoding: &Encoding) -> Vec<Self> {
        let (mut field, mut number) = (0, 0);
        let mut list = vec![];
        for feature in &encoding.features {
            let days = feature.columns.len();
            let scaled = feature.scale.is_some();
            if days > 1 {
                let number = scaled.then_some(number);
                list.push(Self {
                    field,
                    days,
                    number,
                });
            }
            field += days;
            number += if scaled { days } else { 0 };
        }
        list
    }
}

/// Raw inputs of a row at most, embeddings and numbers: with a tile of 128 rows, 64 MiB of values.
const MOST_INPUTS: usize = 1 << 17;
/// Inputs of a day at most, over all sequences: a convolution reads several days side by side.
const MOST_DAY_INPUTS: usize = 8192;
/// Numbers that an encoder keeps of a row's days at most: all channels of all days.
const MOST_CHANNELS: usize = 8192;
/// Probabilities that an attention layer keeps of a row at most.
const MOST_PROBABILITIES: usize = 1 << 16;

impl Spec {
    /// The network for an encoding and its fitted buckets.
    ///
    /// # Errors
    /// When the inputs of a row are more than a network is built for, or `model.sequence` asks for
    /// days that the encoding does not have.
    pub fn new(
        encoding: &Encoding,
        model: ModelConfig,
        horizons: Vec<Buckets>,
    ) -> Result<Self, Error> {
        let spec = Self {
            fields: encoding.field_cells(),
            numbers: encoding.numbers() - encoding.trends(),
            trends: encoding.trends(),
            sequences: DaySequence::all(encoding),
            model,
            horizons,
        };
        spec.check_inputs()?;
        spec.check_sequences()?;
        Ok(spec)
    }

    /// Days that the encoder reads; 0 where every day is a field of its own.
    pub fn days(&self) -> usize {
        match self.model.sequence {
            DayEncoder::Concat => 0,
            _ => self.sequences.first().map_or(0, |s| s.days),
        }
    }

    /// Checks that a row's inputs are not more than arenas are made for. Days share a table, so that
    /// even a small file can ask for many.
    ///
    /// # Errors
    /// Names `model.embedding`.
    pub(crate) fn check_inputs(&self) -> Result<(), Error> {
        let dim = self.model.embedding;
        let width =
            |fields: usize, numbers: usize| fields.saturating_mul(dim).saturating_add(numbers);
        let fail = |problem: String| Err(Error::config("model.embedding", problem));
        let (fields, numbers) = (self.fields.len(), self.numbers);
        if width(fields, numbers) > MOST_INPUTS {
            return fail(format!(
                "{fields} fields of {dim} dimensions and {numbers} numbers; at most {MOST_INPUTS} \
                 inputs: lower it, or give fewer columns"
            ));
        }
        let sequences = self.sequences.len();
        let numbers = self.sequences.iter().filter(|s| s.number.is_some()).count();
        if self.days() > 0 && width(sequences, numbers) > MOST_DAY_INPUTS {
            return fail(format!(
                "{sequences} sequences of {dim} dimensions and {numbers} numbers a day; at most \
                 {MOST_DAY_INPUTS} inputs: lower it, give fewer sequences, or use \
                 model.sequence = \"concat\""
            ));
        }
        Ok(())
    }

    /// Checks that the day encoder has days to read, the same in all sequences, and not more than
    /// it can hold.
    ///
    /// # Errors
    /// Names the option.
    pub(crate) fn check_sequences(&self) -> Result<(), Error> {
        if self.model.sequence == DayEncoder::Concat {
            return Ok(());
        }
        let fail = |key: &str, problem: String| Err(Error::config(key, problem));
        let Some(first) = self.sequences.first() else {
            let problem = "the dataset has no day-level sequences to encode; add \
                           features.sequences or use \"concat\"";
            return fail("model.sequence", problem.into());
        };
        let days = first.days;
        if let Some(other) = self.sequences.iter().find(|s| s.days != days) {
            let problem = format!(
                "sequences of {days} and of {} days cannot be encoded together; use \"concat\"",
                other.days
            );
            return fail("model.sequence", problem);
        }
        let (width, heads) = (self.model.sequence_width, self.model.heads);
        let most = MOST_CHANNELS / days.next_power_of_two();
        if width > most {
            let problem = format!(
                "{width} channels for each of {days} days; at most {most}, or use \"concat\""
            );
            return fail("model.sequence_width", problem);
        }
        let attends = self.model.sequence == DayEncoder::Transformer;
        if attends && days * days * heads > MOST_PROBABILITIES {
            let most = MOST_PROBABILITIES / (days * days);
            let problem = format!("{heads} heads over {days} days; at most {most}");
            return fail("model.heads", problem);
        }
        Ok(())
    }

    /// Weights of the order projection, one for each horizon: those of the options, or one over
    /// the squared training mean, so that a horizon's share of the correction is the same in
    /// relation to its size.
    pub fn order_weights(&self) -> Vec<f64> {
        let given = &self.model.order_weights;
        if given.len() == self.horizons.len() {
            return given.clone();
        }
        let relative = |b: &Buckets| 1.0 / (b.mean * b.mean);
        self.horizons.iter().map(relative).collect()
    }
}
