//! What `ltv bench` measures on: flags and resolved options.

use super::Input;
use crate::{exit::Failure, options::Overlay, signals::stop_if_asked};
use clap::Args;
use ltv_model::{Decoding, yardstick::Sizes};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, ops::RangeInclusive, time::Instant};

/// Declares flags, options and their defaults side by side: one line for each.
macro_rules! bench_options {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:literal, $value:literal;)*) => {
        /// Flags of the measurement.
        #[derive(Debug, Args)]
        #[command(next_help_heading = "Measurement")]
        pub(super) struct BenchFlags {
            $($(#[doc = $doc])* #[arg(long, value_name = $value)] pub(super) $name: Option<$type>,)*
            /// Outputs of the shared bottom's layers [default: 256,128]
            #[arg(long, value_name = "N,N", value_delimiter = ',')]
            bottom: Vec<u32>,
        }

        /// The measurement, resolved.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct Options {
            $(pub(super) $name: $type,)*
            pub(super) bottom: Vec<u32>,
            pub(super) input: Input,
            pub(super) decoding: Decoding,
            pub(super) everything: bool,
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    $($name: $default,)*
                    bottom: vec![256, 128],
                    input: Input::Memory,
                    decoding: Decoding::Argmax,
                    everything: false,
                }
            }
        }

        impl BenchFlags {
            pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
                $(options.set(stringify!($name), self.$name)?;)*
                options.list("bottom", &self.bottom)
            }
        }
    };
}

bench_options! {
    /// Rows of a batch, 1 to 1048576 [default: 512]
    batch: u32 = 512, "N";
    /// Rows of random data, gone through batch by batch, 1 to 100000000 [default: 1000000]
    rows: u32 = 1_000_000, "N";
    /// Rows worked on at a time [default: 128]
    tile: u32 = 128, "N";
    /// Rows of a gradient buffer in training [default: 256]
    shard_rows: u32 = 256, "N";
    /// Seconds of a window of measurement, 0.01 to 3600 [default: 0.5]
    seconds: f64 = 0.5, "X";
    /// Windows, of which the median counts, 1 to 1000 [default: 7]
    windows: u32 = 7, "N";
    /// Passes over the file, where the input is Parquet, 1 to 100 [default: 3]
    epochs: u32 = 3, "N";
    /// Whether epochs after the first read encoded rows from a cache, as in training [default: true]
    cache: bool = true, "BOOL";
    /// Users of which features are made, or who are published, 1000 to 100000000 [default: 100000]
    users: u32 = 100_000, "N";
    /// Fields of few cells [default: 36]
    fields: u32 = 36, "N";
    /// Cells of each of them [default: 64]
    cells: u32 = 64, "N";
    /// So many of these are numbers in the Parquet file, the others text [default: 0]
    numeric: u32 = 0, "N";
    /// Fields of many cells [default: 4]
    large_fields: u32 = 4, "N";
    /// Cells of each of them [default: 10000]
    large_cells: u32 = 10_000, "N";
    /// Dimensions of an embedding [default: 8]
    embedding: u32 = 8, "N";
    /// Horizons [default: 4]
    horizons: u32 = 4, "N";
    /// Sub-distributions, 2 to 8 [default: 2]
    segments: u32 = 2, "N";
    /// Buckets of each [default: 10]
    buckets: u32 = 10, "N";
    /// Hidden outputs of a tower [default: 64]
    tower: u32 = 64, "N";
    /// Hidden outputs of a Mono Unit [default: 16]
    mono: u32 = 16, "N";
}

impl Options {
    pub(super) fn check(&self) -> Result<(), Failure> {
        // In a file two cells are those of missing and unseen values.
        let least = if self.input == Input::Parquet { 3 } else { 1 };
        let ranges = [
            ("batch", self.batch, 1..=1 << 20),
            ("rows", self.rows, 1..=100_000_000),
            ("tile", self.tile, 1..=65_536),
            ("shard_rows", self.shard_rows, 1..=1 << 20),
            ("windows", self.windows, 1..=1000),
            ("epochs", self.epochs, 1..=100),
            ("users", self.users, 1000..=100_000_000),
            ("fields", self.fields, 0..=10_000),
            ("numeric", self.numeric, 0..=self.fields),
            ("cells", self.cells, least..=1 << 24),
            ("large_fields", self.large_fields, 0..=1000),
            ("large_cells", self.large_cells, least..=1 << 24),
            ("embedding", self.embedding, 1..=256),
            ("horizons", self.horizons, 1..=64),
            ("segments", self.segments, 2..=8),
            ("buckets", self.buckets, 2..=100),
            ("tower", self.tower, 1..=1024),
            ("mono", self.mono, 1..=256),
        ];
        let bottom = self.bottom.iter().map(|&n| ("bottom", n, 1..=4096));
        for (key, value, range) in ranges.into_iter().chain(bottom) {
            within(key, value, range)?;
        }
        // Both are in range by now, so that their sum is a number.
        if self.fields + self.large_fields == 0 {
            let message = "fields + large_fields: 0; give one field or more";
            return Err(Failure::user(message));
        }
        if self.bottom.is_empty() {
            return Err(Failure::user("bottom: give one or more sizes of 1 to 4096"));
        }
        if self.decoding == Decoding::Matched {
            let message = "decoding: matched is for trained models, which know other users; the \
                           measured one is not: use expectation";
            return Err(Failure::user(message));
        }
        within("seconds", self.seconds, 0.01..=3600.0)
    }

    /// Whole batches of the data, at least one.
    pub(super) fn batches(&self) -> u64 {
        u64::from(self.rows / self.batch).max(1)
    }

    pub(super) fn sizes(&self) -> Sizes {
        let small = std::iter::repeat_n(self.cells as usize, self.fields as usize);
        let large = std::iter::repeat_n(self.large_cells as usize, self.large_fields as usize);
        Sizes {
            fields: small.chain(large).collect(),
            embedding: self.embedding as usize,
            bottom: self.bottom.iter().map(|&n| n as usize).collect(),
            horizons: self.horizons as usize,
            segments: self.segments as usize,
            buckets: self.buckets as usize,
            tower: self.tower as usize,
            mono: self.mono as usize,
        }
    }

    /// Rows per second of each window, ascending, of a `step` that works through one batch.
    pub(super) fn windows(&self, mut step: impl FnMut(usize)) -> Vec<f64> {
        (0..20).for_each(&mut step);
        let window = |_| {
            let (began, mut steps) = (Instant::now(), 0);
            while began.elapsed().as_secs_f64() < self.seconds {
                stop_if_asked();
                step(steps);
                steps += 1;
            }
            (steps * self.batch as usize) as f64 / began.elapsed().as_secs_f64()
        };
        let mut rates: Vec<f64> = (0..self.windows).map(window).collect();
        rates.sort_by(f64::total_cmp);
        rates
    }
}

/// Most calls that are timed one by one.
const CALLS: usize = 1_000_000;

/// Seconds that each call took, ascending: one after the other for so many seconds, at least one.
pub(super) fn latencies<E>(
    seconds: f64,
    mut call: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    let (all, mut took) = (Instant::now(), vec![]);
    while took.is_empty() || (all.elapsed().as_secs_f64() < seconds && took.len() < CALLS) {
        stop_if_asked();
        let began = Instant::now();
        call(took.len())?;
        took.push(began.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

/// The middle one of some values, of which there is one at least.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Fails where an option is out of its range.
pub(super) fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Failure> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = (range.start(), range.end());
    let message = format!("{key}: {value} is not between {low} and {high}");
    Err(Failure::user(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_yardstick() {
        assert_eq!(Options::default().sizes(), Sizes::default());
    }
}
