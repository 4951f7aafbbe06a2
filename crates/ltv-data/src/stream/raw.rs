//! Encoded batches in the order of the files, beside columns as they are.

use super::{
    StreamError,
    batches::{StreamOptions, plan},
    reader,
    told::{Batches, Outlet},
};
use crate::{
    dataset::Dataset,
    encoding::{Encoder, Lookups},
};
use arrow::{compute::concat_batches, record_batch::RecordBatch};
use ltv_core::{Error, encoding::EncodedRows, manifest::FeatureKind};
use std::ops::ControlFlow;

/// Encoded batches with their raw columns; see [`stream_with_raw`].
pub type RawStream = Batches<(EncodedRows, RecordBatch)>;

/// Encoded batches in the order of the files, each with a record batch of the same rows that
/// holds `user_id`, `reg_day`, `status`, the categorical features and, with `keep`, the kept
/// columns.
///
/// # Errors
/// As [`super::stream`]; also at once when a shuffle is asked for.
pub fn stream_with_raw(
    dataset: &Dataset,
    options: StreamOptions,
) -> Result<RawStream, StreamError> {
    stream_with_columns(dataset, options, &[])
}

/// As [`stream_with_raw`]; the record batches also hold the dataset columns named in `extra`,
/// after the others and each once.
///
/// # Errors
/// As [`stream_with_raw`]; as the first item when the dataset lacks a column of `extra`.
pub fn stream_with_columns(
    dataset: &Dataset,
    options: StreamOptions,
    extra: &[String],
) -> Result<RawStream, StreamError> {
    if options.draws.is_some() {
        let problem = "raw columns are streamed once for each row: leave draws out";
        return Err(Error::config("stream.draws", problem).into());
    }
    if options.shuffle.is_some() {
        let problem = "raw columns are streamed in the order of the files: leave shuffle out";
        return Err(Error::config("stream.shuffle", problem).into());
    }
    let raw = raw_columns(dataset, options.keep, extra);
    let plan = plan(dataset, &options, raw.clone())?;
    let dataset = dataset.clone();
    Ok(Batches::spawn(dataset.rows(), move |out| {
        let encoder = Encoder::new(options.encoding.clone());
        let mut pending = Pending {
            batches: vec![],
            rows: 0,
            columns: raw,
        };
        let order = reader::row_groups(&dataset);
        reader::read(&dataset, &plan, &order, &mut |chunk| {
            let selected = reader::select(&chunk, options.rows, &options.split, &plan.horizons)?;
            let flow = pending.push(selected, &options, &encoder, out);
            out.done(chunk.rows);
            flow
        })?;
        pending.flush(&options, &encoder, out).map(|_| ())
    }))
}

fn raw_columns(dataset: &Dataset, keep: bool, extra: &[String]) -> Vec<String> {
    let manifest = dataset.manifest();
    let mut columns: Vec<String> = ["user_id", "reg_day", "status"].map(String::from).into();
    let categorical = manifest
        .features
        .iter()
        .filter(|f| f.kind == FeatureKind::Categorical);
    columns.extend(categorical.flat_map(|f| f.columns.iter().cloned()));
    if keep {
        columns.extend(manifest.keep.iter().cloned());
    }
    columns.extend(extra.iter().cloned());
    // A kept column may be a feature as well.
    let mut seen = std::collections::HashSet::new();
    columns.retain(|c| seen.insert(c.clone()));
    columns
}

/// Raw rows that wait until they fill a batch.
struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
    columns: Vec<String>,
}

impl Pending {
    fn push(
        &mut self,
        mut batch: RecordBatch,
        options: &StreamOptions,
        encoder: &Encoder,
        out: &Outlet<'_, (EncodedRows, RecordBatch)>,
    ) -> Result<ControlFlow<()>, StreamError> {
        while batch.num_rows() > 0 {
            let fits = batch.num_rows().min(options.batch_rows - self.rows);
            self.batches.push(batch.slice(0, fits));
            self.rows += fits;
            batch = batch.slice(fits, batch.num_rows() - fits);
            if self.rows == options.batch_rows && self.flush(options, encoder, out)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn flush(
        &mut self,
        options: &StreamOptions,
        encoder: &Encoder,
        out: &Outlet<'_, (EncodedRows, RecordBatch)>,
    ) -> Result<ControlFlow<()>, StreamError> {
        let Some(first) = self.batches.first() else {
            return Ok(ControlFlow::Continue(()));
        };
        let place = "a batch of several chunks";
        let internal = |e| StreamError::internal(place, e);
        let whole = concat_batches(&first.schema(), &self.batches).map_err(internal)?;
        self.batches.clear();
        self.rows = 0;
        let encoded = encoder.encode_at(
            &whole,
            options.horizons.as_ref(),
            (place, &mut Lookups::default()),
        )?;
        let index = |c: &String| whole.schema().index_of(c).map_err(internal);
        let indices = self
            .columns
            .iter()
            .map(index)
            .collect::<Result<Vec<_>, _>>()?;
        let raw = whole.project(&indices).map_err(internal)?;
        Ok(out.offer((encoded, raw)))
    }
}
