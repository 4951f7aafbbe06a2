//! One row group as encoded rows: from the cache where it is there, else from the file.

use super::{StreamError, StreamOptions, cache::Shelf, reader};
use crate::{
    dataset::Dataset,
    encoding::{Encoder, Lookups},
};
use arrow::compute::filter_record_batch;
use ltv_core::encoding::EncodedRows;
use std::ops::ControlFlow;

/// The row groups of a dataset, as [`StreamOptions`] ask for them.
pub(super) struct Groups {
    dataset: Dataset,
    plan: reader::Plan,
    options: StreamOptions,
    encoder: Encoder,
    shelf: Option<Shelf>,
}

impl Groups {
    /// # Errors
    /// When the options cannot be written down, which is a defect.
    pub(super) fn new(
        dataset: &Dataset,
        plan: reader::Plan,
        options: &StreamOptions,
    ) -> Result<Self, StreamError> {
        let shelf = |cache| Shelf::new(cache, dataset, options);
        Ok(Self {
            dataset: dataset.clone(),
            plan,
            encoder: Encoder::new(options.encoding.clone()),
            shelf: options.cache.as_ref().map(shelf).transpose()?,
            options: options.clone(),
        })
    }

    /// Rows of a group, wanted or not.
    pub(super) fn rows(&self, (file, group): reader::RowGroup) -> u64 {
        self.dataset.files()[file].row_groups()[group]
    }

    /// Calls `sink` with the wanted rows of a group, chunk by chunk, until it breaks. Chunks are the
    /// same wherever they come from.
    ///
    /// # Errors
    /// As [`super::stream`].
    pub(super) fn read(
        &self,
        group: reader::RowGroup,
        lookups: &mut Lookups,
        sink: &mut dyn FnMut(EncodedRows) -> ControlFlow<()>,
    ) -> Result<(), StreamError> {
        let Some(shelf) = &self.shelf else {
            return self.encode(group, lookups, &mut |rows| sink(rows));
        };
        let mut done = 0;
        if let Some(pieces) = shelf.find(group) {
            let mut whole = pieces.iter().map_while(|piece| shelf.read(*piece));
            if whole
                .try_for_each(|rows| {
                    done += 1;
                    sink(rows)
                })
                .is_break()
                || done == pieces.len()
            {
                return Ok(());
            }
        }
        // What is not on the shelf, or not any more: from the first chunk that was not sent.
        let (mut seen, mut pieces, mut broken) = (0, Some(vec![]), false);
        self.encode(group, lookups, &mut |rows| {
            seen += 1;
            if seen <= done {
                return ControlFlow::Continue(());
            }
            pieces = pieces.take().filter(|_| done == 0).and_then(|mut pieces| {
                pieces.push(shelf.write(&rows)?);
                Some(pieces)
            });
            let flow = sink(rows);
            broken = flow.is_break();
            flow
        })?;
        if let Some(pieces) = pieces.filter(|_| done == 0 && !broken) {
            shelf.put(group, pieces);
        }
        Ok(())
    }

    fn encode(
        &self,
        group: reader::RowGroup,
        lookups: &mut Lookups,
        sink: &mut dyn FnMut(EncodedRows) -> ControlFlow<()>,
    ) -> Result<(), StreamError> {
        let (options, plan) = (&self.options, &self.plan);
        reader::read(&self.dataset, plan, &[group], &mut |chunk| {
            let mut rows = reader::select(&chunk, options.rows, &options.split, &plan.horizons)?;
            if let Some(news) = &options.news {
                let mask = news.mask(&rows, &chunk.place)?;
                let kept = filter_record_batch(&rows, &mask);
                rows = kept.map_err(|e| StreamError::internal(&chunk.place, e))?;
            }
            let from = (&*chunk.place, &mut *lookups);
            let horizons = options.horizons.as_ref();
            Ok(sink(self.encoder.encode_at(&rows, horizons, from)?))
        })
    }
}
