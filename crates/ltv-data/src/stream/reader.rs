//! Reading row groups in a given order, in small batches, with the labels checked on the way.

use super::{StreamError, columns, view::View};
use crate::{
    dataset::{Dataset, DatasetFile, is_text},
    split::{self, Rows},
};
use arrow::{
    array::Array,
    compute::filter_record_batch,
    datatypes::{DataType, Field, FieldRef, Fields, Schema},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use ltv_core::{Horizons, config::Split};
use ltv_files::{Input, column_ranges};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder,
        },
    },
    basic::{Encoding, EncodingMask},
    file::metadata::ColumnChunkMetaData,
};
use std::{
    collections::{BTreeSet, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

/// Rows decoded at a time: large enough to amortise a call, small enough to stay in cache.
pub(super) const CHUNK_ROWS: usize = 8192;

/// A row group: the file's position in the manifest, and the group's in the file.
pub(crate) type RowGroup = (usize, usize);

/// A piece of a row group.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The columns asked for; text as Utf8 whatever the file's layout, or numbered where the plan
    /// says so.
    pub(crate) batch: RecordBatch,
    /// The file, for messages.
    pub(crate) place: Arc<str>,
    /// Position of the chunk's first row in the file.
    pub(crate) first_row: u64,
    /// Rows of the file that it was made from; a view has fewer in `batch`.
    pub(crate) rows: u64,
}

/// What to read.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) columns: BTreeSet<String>,
    pub(crate) horizons: Horizons,
    /// Whether label columns are read at all.
    pub(crate) labels: bool,
    /// Whether text stays numbered words where a row group has it so.
    numbered: bool,
}

impl Plan {
    /// A plan for `columns`, the labels of `horizons`, and what the split needs.
    pub(crate) fn new(
        dataset: &Dataset,
        columns: impl IntoIterator<Item = String>,
        horizons: Option<&Horizons>,
        split: Option<&Split>,
    ) -> Result<Self, StreamError> {
        let known = &dataset.manifest().horizons;
        let labels = horizons.is_some();
        let horizons = horizons.unwrap_or(known).clone();
        if let Some(&horizon) = horizons
            .days()
            .iter()
            .find(|&&n| known.position(n).is_none())
        {
            let (path, known) = (dataset.folder().to_path_buf(), known.days().to_vec());
            return Err(StreamError::Horizon {
                path,
                horizon,
                known,
            });
        }
        let mut columns: BTreeSet<String> = columns.into_iter().collect();
        if labels {
            columns.extend(horizons.columns());
        }
        if let Some(split) = split {
            columns.extend(["user_id", "reg_day", "status"].map(String::from));
            columns.insert(split::label_column(split, &horizons));
        }
        if dataset.known_on().is_some() {
            columns.insert("reg_day".into());
        }
        Ok(Self {
            columns,
            horizons,
            labels,
            numbered: false,
        })
    }

    /// The same plan, with text left as numbered words where a row group has it so: chunks of one
    /// dataset then differ in their types.
    pub(crate) fn numbered(self) -> Self {
        let numbered = true;
        Self { numbered, ..self }
    }
}

/// All row groups of a dataset, in order.
pub(crate) fn row_groups(dataset: &Dataset) -> Vec<RowGroup> {
    let files = dataset.files().iter().enumerate();
    let groups = files.flat_map(|(f, file)| (0..file.row_groups().len()).map(move |g| (f, g)));
    groups.collect()
}

/// Calls `sink` with every chunk of `order` until it breaks.
pub(crate) fn read(
    dataset: &Dataset,
    plan: &Plan,
    order: &[RowGroup],
    sink: &mut dyn FnMut(Chunk) -> Result<ControlFlow<()>, StreamError>,
) -> Result<(), StreamError> {
    let view = View::of(dataset);
    // Groups that follow each other are mostly of one file.
    let mut open: Option<(usize, Opened<'_>)> = None;
    for &(index, group) in order {
        let file = match open.take() {
            Some((before, file)) if before == index => file,
            _ => Opened::new(&dataset.files()[index], plan)?,
        };
        if file
            .read_group(group, (plan, view.as_ref()), sink)?
            .is_break()
        {
            break;
        }
        open = Some((index, file));
    }
    Ok(())
}

/// A file with its footer.
struct Opened<'a> {
    file: &'a DatasetFile,
    input: Input,
    metadata: ArrowReaderMetadata,
    /// The plan's columns.
    mask: ProjectionMask,
    /// The file, for messages.
    place: Arc<str>,
}

impl<'a> Opened<'a> {
    fn new(file: &'a DatasetFile, plan: &Plan) -> Result<Self, StreamError> {
        let (metadata, input) = file.footer()?;
        let place: Arc<str> = file.path().display().to_string().into();
        let mask = projection(&metadata, plan, &place)?;
        Ok(Self {
            file,
            input,
            metadata,
            mask,
            place,
        })
    }

    fn reader(&self, group: usize, plan: &Plan) -> Result<ParquetRecordBatchReader, StreamError> {
        let wanted = self.metadata.metadata().row_group(group);
        let input = self.input.hold(|| column_ranges(wanted, &self.mask))?;
        let metadata = match plan.numbered {
            true => numbered(&self.metadata, group, plan),
            false => self.metadata.clone(),
        };
        ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata)
            .with_row_groups(vec![group])
            .with_projection(self.mask.clone())
            .with_batch_size(CHUNK_ROWS)
            .build()
            .map_err(|e| StreamError::parquet(self.file.path(), e))
    }

    fn damaged(&self, problem: &dyn std::fmt::Display) -> StreamError {
        StreamError::Parquet {
            path: self.file.path().to_path_buf(),
            problem: problem.to_string(),
        }
    }

    fn read_group(
        &self,
        group: usize,
        (plan, view): (&Plan, Option<&View>),
        sink: &mut dyn FnMut(Chunk) -> Result<ControlFlow<()>, StreamError>,
    ) -> Result<ControlFlow<()>, StreamError> {
        let place = &self.place;
        let mut first_row: u64 = self.file.row_groups()[..group].iter().sum();
        for batch in self.reader(group, plan)? {
            let batch = uniform(&batch.map_err(|e| self.damaged(&e))?, plan, place)?;
            let rows = batch.num_rows() as u64;
            if plan.labels {
                check_labels(&batch, &plan.horizons, place).map_err(|e| e.offset_by(first_row))?;
            }
            let batch = match view {
                Some(view) => view
                    .apply(&batch, plan, place)
                    .map_err(|e| e.offset_by(first_row))?,
                None => batch,
            };
            let chunk = Chunk {
                batch,
                place: place.clone(),
                first_row,
                rows,
            };
            if sink(chunk)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            first_row += rows;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What the reader is told of the file, so that it leaves text as numbered words where all pages of the
/// row group have it so; numbering text that is not would take longer than reading it. User ids are
/// hashed one by one.
fn numbered(metadata: &ArrowReaderMetadata, group: usize, plan: &Plan) -> ArrowReaderMetadata {
    let columns = metadata.metadata().row_group(group).columns().iter();
    let columns = columns.filter(|column| is_numbered(column));
    let paths: HashSet<String> = columns.map(|c| c.column_path().string()).collect();
    let field = |field: &FieldRef| {
        let name = field.name();
        let wanted = plan.columns.contains(name) && name != "user_id" && paths.contains(name);
        match wanted && is_text(field.data_type()) {
            true => Arc::new(Field::clone(field).with_data_type(columns::numbered())),
            false => field.clone(),
        }
    };
    let fields: Fields = metadata.schema().fields().iter().map(field).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    // Without it, the file is read as it says itself.
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)
        .unwrap_or_else(|_| metadata.clone())
}

fn is_numbered(column: &ColumnChunkMetaData) -> bool {
    let only = |mask: &EncodingMask| {
        mask.is_only(Encoding::PLAIN_DICTIONARY) || mask.is_only(Encoding::RLE_DICTIONARY)
    };
    column.dictionary_page_offset().is_some() && column.page_encoding_stats_mask().is_some_and(only)
}

fn projection(
    metadata: &ArrowReaderMetadata,
    plan: &Plan,
    place: &str,
) -> Result<ProjectionMask, StreamError> {
    let index = |column: &String| {
        metadata.schema().index_of(column).map_err(|_| StreamError::MissingColumn {
            place: place.to_string(),
            column: column.clone(),
            hint: "the encoding needs it: use a dataset made with the same feature configuration",
        })
    };
    let columns = plan.columns.iter().map(index);
    let roots = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(ProjectionMask::roots(metadata.parquet_schema(), roots))
}

/// The columns in the plan's order, all nullable, text as Utf8 unless it may be numbered: files of one
/// dataset may differ in these, their batches must not.
fn uniform(batch: &RecordBatch, plan: &Plan, place: &str) -> Result<RecordBatch, StreamError> {
    let (mut fields, mut arrays) = (vec![], vec![]);
    for name in &plan.columns {
        let array = columns::get(batch, name, place)?;
        let array = match array.data_type() {
            found if plan.numbered && *found == columns::numbered() => array.clone(),
            found if is_text(found) => columns::cast(array, &DataType::Utf8, name, place, "Utf8")?,
            _ => array.clone(),
        };
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|e| StreamError::internal(place, e))
}

/// Fails on the first label that is NaN, infinite or negative.
fn check_labels(batch: &RecordBatch, horizons: &Horizons, place: &str) -> Result<(), StreamError> {
    for column in horizons.columns() {
        let labels = columns::number(batch, &column, place)?;
        let bad = |x: f64| !(x >= 0.0 && x.is_finite());
        let values = labels.values();
        if let Some(row) = (0..values.len()).find(|&i| bad(values[i]) && labels.is_valid(i)) {
            let (place, value) = (place.to_string(), values[row]);
            return Err(StreamError::Label {
                place,
                column,
                row: row as u64 + 1,
                value,
            });
        }
    }
    Ok(())
}

/// The rows of a chunk that were asked for.
pub(crate) fn select(
    chunk: &Chunk,
    rows: Rows,
    split: &Split,
    horizons: &Horizons,
) -> Result<RecordBatch, StreamError> {
    if rows == Rows::All {
        return Ok(chunk.batch.clone());
    }
    let parts = split::parts(&chunk.batch, split, horizons, &chunk.place)
        .map_err(|e| e.offset_by(chunk.first_row))?;
    let mask = match rows {
        Rows::Part(part) => split::mask(&parts, part),
        Rows::All | Rows::Mature => split::any(&parts),
    };
    filter_record_batch(&chunk.batch, &mask).map_err(|e| StreamError::internal(&chunk.place, e))
}
