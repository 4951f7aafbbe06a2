//! Finding the input files and checking their schemas before anything is read.

use super::{columns, normalise::FileReader};
use crate::{DataError, Result};
use arrow::{
    array::AsArray,
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use ltv_core::Day;
use ltv_core::config::{FeatureConfig, Measure};
use ltv_files::{Entry, Input, Source, Stores, open_each};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    file::reader::{ChunkReader, Length},
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a column of the input is for; it decides which types are allowed and what they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Int64 or Utf8, never null.
    User,
    /// A point in time, never null; becomes its day.
    Day,
    /// A point in time, never null; becomes two columns, day and nanoseconds into it.
    Time,
    /// A day, null where unknown.
    Registration,
    /// Float64; null, NaN and infinity refused.
    Value,
    /// Float64; null and NaN mean missing.
    Number,
    /// Int64 or Utf8.
    Category,
    /// Int64, Float64 or Utf8.
    Order,
    /// Utf8 or Float64.
    Profile,
    /// Copied.
    Keep,
}

/// A column wanted from a table.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    /// Its name in the files.
    pub column: String,
    /// Configuration key that names it.
    pub key: String,
    /// Its name after normalisation.
    pub target: String,
    /// What it is for.
    pub role: Role,
}

impl Wanted {
    fn new(column: &str, key: &str, target: impl Into<String>, role: Role) -> Self {
        Self {
            column: column.into(),
            key: key.into(),
            target: target.into(),
            role,
        }
    }
}

/// Columns wanted from the event log.
pub(crate) fn event_columns(config: &FeatureConfig) -> Vec<Wanted> {
    let events = &config.events;
    let time = match columns::reads_firsts(config) {
        true => Role::Time,
        false => Role::Day,
    };
    let mut all = vec![
        Wanted::new(&events.user, "events.user", "user_id", Role::User),
        Wanted::new(&events.time, "events.time", "day", time),
    ];
    if let Some(order) = &events.order {
        all.push(Wanted::new(
            order,
            "events.order",
            "event_order",
            Role::Order,
        ));
    }
    for column in columns::numbers(config) {
        let (key, role) = match events.value.as_ref() == Some(&column) {
            true => ("events.value", Role::Value),
            false => (number_key(config, &column), Role::Number),
        };
        all.push(Wanted::new(&column, key, format!("num_{column}"), role));
    }
    for column in columns::categories(config) {
        let first = config.aggregates.first.contains(&column);
        let key = if first {
            "aggregates.first"
        } else {
            "aggregates.mode"
        };
        all.push(Wanted::new(
            &column,
            key,
            format!("cat_{column}"),
            Role::Category,
        ));
    }
    all
}

fn number_key(config: &FeatureConfig, column: &String) -> &'static str {
    let sums = |m: &Measure| matches!(m, Measure::Sum(c) if c == column);
    if config.sequences.iter().any(|s| sums(&s.measure)) {
        "sequences.measure"
    } else if config.aggregates.mean.contains(column) {
        "aggregates.mean"
    } else if config.aggregates.max.contains(column) {
        "aggregates.max"
    } else {
        "aggregates.first_numeric"
    }
}

/// Columns wanted from the user table.
pub(crate) fn user_columns(config: &FeatureConfig) -> Vec<Wanted> {
    let users = &config.users;
    let mut all = vec![Wanted::new(
        &users.user,
        "users.user",
        "user_id",
        Role::User,
    )];
    if let Some(column) = &users.registration {
        all.push(Wanted::new(
            column,
            "users.registration",
            "reg_day",
            Role::Registration,
        ));
    }
    for column in &users.profile {
        let target = format!("profile_{column}");
        all.push(Wanted::new(column, "users.profile", target, Role::Profile));
    }
    for column in &users.keep {
        all.push(Wanted::new(
            column,
            "users.keep",
            format!("keep_{column}"),
            Role::Keep,
        ));
    }
    all
}

/// A checked Parquet file.
#[derive(Debug)]
pub(crate) struct InputFile {
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
    pub(crate) metadata: ArrowReaderMetadata,
}

/// A table of one or more checked Parquet files.
#[derive(Debug)]
pub(crate) struct Table {
    files: Vec<InputFile>,
    wanted: Vec<Wanted>,
    /// Schema after normalisation.
    pub(crate) schema: SchemaRef,
    /// Rows in all files, by their footers.
    pub(crate) rows: u64,
}

impl Table {
    /// Finds the files below `paths` and checks that each has the `wanted` columns.
    pub(crate) fn open(paths: &[PathBuf], name: &'static str, wanted: Vec<Wanted>) -> Result<Self> {
        let mut files: Vec<InputFile> = vec![];
        let (mut types, mut rows): (Option<Vec<DataType>>, u64) = (None, 0);
        let found = find_files(paths, name)?;
        let names: Vec<_> = found.iter().map(|e| e.path().to_path_buf()).collect();
        for (path, input) in names.into_iter().zip(open_each(found)) {
            let input = input?;
            let metadata = read_footer(&path, &input)?;
            let found = target_types(&path, metadata.schema(), &wanted)?;
            match (&types, files.first()) {
                (Some(types), Some(first)) => same(&path, &first.path, &wanted, &found, types)?,
                _ => types = Some(found),
            }
            rows += metadata.metadata().file_metadata().num_rows().max(0) as u64;
            files.push(InputFile {
                path,
                source: input.source(),
                metadata,
            });
        }
        let schema = normal_schema(&wanted, &types.unwrap_or_default());
        Ok(Self {
            files,
            wanted,
            schema,
            rows,
        })
    }

    /// A reader for each file, in order.
    pub(crate) fn readers(&self) -> impl Iterator<Item = Result<FileReader<'_>>> {
        self.files
            .iter()
            .map(|file| FileReader::new(file, &self.wanted, &self.schema))
    }

    /// The error that names the first two rows of `user`, where there are two.
    pub(crate) fn duplicate(&self, user: &str) -> Result<Option<DataError>> {
        let schema = Arc::new(self.schema.project(&[0])?);
        let mut first: Option<(&PathBuf, u64)> = None;
        for file in &self.files {
            let path = &file.path;
            let mut reader = FileReader::new(file, &self.wanted[..1], &schema)?;
            let mut row = 0;
            while let Some(next) = reader.next(Day(0))? {
                let ids = cast(next.batch.column(0), &DataType::Utf8)?;
                for id in ids.as_string::<i32>() {
                    row += 1;
                    match first {
                        _ if id != Some(user) => {}
                        None => first = Some((path, row)),
                        Some((first_path, first_row)) => {
                            return Ok(Some(DataError::DuplicateUser {
                                path: path.clone(),
                                column: self.wanted[0].column.clone(),
                                row,
                                user: user.to_string(),
                                first_path: first_path.clone(),
                                first_row,
                            }));
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// The type of the normalised user id must be the same in both tables.
    pub(crate) fn check_same_users(&self, events: &Self) -> Result<()> {
        let (ours, theirs) = (self.schema.field(0), events.schema.field(0));
        match (
            self.files.first(),
            events.files.first(),
            self.wanted.first(),
        ) {
            (Some(InputFile { path, .. }), Some(InputFile { path: other, .. }), Some(wanted))
                if ours.data_type() != theirs.data_type() =>
            {
                Err(DataError::MixedTypes {
                    path: path.clone(),
                    other: other.clone(),
                    column: wanted.column.clone(),
                    found: plain(ours.data_type()),
                    expected: plain(theirs.data_type()),
                })
            }
            _ => Ok(()),
        }
    }
}

fn normal_schema(wanted: &[Wanted], types: &[DataType]) -> SchemaRef {
    let mut fields = vec![];
    for (wanted, data_type) in wanted.iter().zip(types) {
        let never_null = matches!(
            wanted.role,
            Role::User | Role::Day | Role::Time | Role::Value
        );
        fields.push(Field::new(&wanted.target, data_type.clone(), !never_null));
        if wanted.role == Role::Time {
            fields.push(Field::new("time_ns", DataType::Int64, false));
        }
    }
    Arc::new(Schema::new(fields))
}

/// Files as given; below folders every `*.parquet`, hidden ones and those that start with `_`
/// left out; sorted by path.
fn find_files(paths: &[PathBuf], table: &'static str) -> Result<Vec<Entry>> {
    let stores = Stores::default();
    let mut files: Vec<Entry> = vec![];
    for path in paths {
        let mut found = stores
            .place(path)?
            .files(|part| !part.starts_with(['.', '_']))?;
        if !matches!(found.as_slice(), [one] if one.path() == path) {
            found.retain(|e| e.path().extension().is_some_and(|e| e == "parquet"));
        }
        if found.is_empty() {
            return Err(DataError::NoFiles {
                path: path.clone(),
                table,
            });
        }
        files.extend(found);
    }
    if files.is_empty() {
        return Err(DataError::NoFiles {
            path: PathBuf::from("(no path given)"),
            table,
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    for file in &files {
        if !seen.insert(file.identity()?) {
            return Err(DataError::FileTwice {
                path: file.path().to_path_buf(),
                table,
            });
        }
    }
    Ok(files)
}

fn read_footer(path: &Path, input: &Input) -> Result<ArrowReaderMetadata> {
    let fail = |problem: String| DataError::NotParquet {
        path: path.to_path_buf(),
        problem,
    };
    if input.len() == 0 {
        return Err(fail("it is empty".into()));
    }
    // Of an object its end tells as much, and is there already.
    if let Source::Local(_) = input.source()
        && !matches!(input.get_bytes(0, 4), Ok(start) if *start == *b"PAR1")
    {
        return Err(fail("it does not start as one".into()));
    }
    ArrowReaderMetadata::load(input, ArrowReaderOptions::new())
        .map_err(|e| DataError::parquet(path, e))
}

fn target_types(path: &Path, schema: &Schema, wanted: &[Wanted]) -> Result<Vec<DataType>> {
    let one = |wanted: &Wanted| {
        let field =
            schema
                .field_with_name(&wanted.column)
                .map_err(|_| DataError::MissingColumn {
                    path: path.to_path_buf(),
                    column: wanted.column.clone(),
                    key: wanted.key.clone(),
                    present: schema.fields().iter().map(|f| f.name().clone()).collect(),
                })?;
        target_type(wanted.role, field.data_type()).map_err(|allowed| DataError::WrongType {
            path: path.to_path_buf(),
            column: wanted.column.clone(),
            key: wanted.key.clone(),
            found: field.data_type().to_string(),
            wanted: allowed,
        })
    };
    wanted.iter().map(one).collect()
}

/// The type that a column of type `found` is normalised to, or the types its role allows.
fn target_type(role: Role, found: &DataType) -> Result<DataType, &'static str> {
    use DataType::{Boolean, Date32, Date64, Float64, Int32, Int64, Timestamp, UInt64, Utf8};
    let found = match found {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let text = matches!(found, Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let integer = found.is_integer() && *found != UInt64;
    let number = found.is_integer() || found.is_floating() || is_decimal(found);
    let moment = matches!(found, Timestamp(_, _) | Date32 | Date64);
    match role {
        Role::User if integer => Ok(Int64),
        Role::User if text => Ok(Utf8),
        Role::User => Err("an integer of at most 63 bits, or text"),
        Role::Day | Role::Time | Role::Registration if moment => Ok(Int32),
        Role::Day | Role::Time | Role::Registration => Err("a timestamp or a date"),
        Role::Value if number => Ok(Float64),
        Role::Value => Err("a number"),
        Role::Number if number || *found == Boolean => Ok(Float64),
        Role::Number => Err("a number or a boolean"),
        Role::Category if integer => Ok(Int64),
        Role::Category if text || *found == Boolean => Ok(Utf8),
        Role::Category => Err("text, a boolean or an integer of at most 63 bits"),
        Role::Order if integer => Ok(Int64),
        Role::Order if found.is_floating() => Ok(Float64),
        Role::Order if text => Ok(Utf8),
        Role::Order => Err("an integer of at most 63 bits, a float or text"),
        Role::Profile if found.is_floating() || is_decimal(found) => Ok(Float64),
        Role::Profile if text || found.is_integer() || *found == Boolean => Ok(Utf8),
        Role::Profile => Err("text, a boolean or a number"),
        Role::Keep if text => Ok(Utf8),
        Role::Keep if number || moment || *found == Boolean => Ok(found.clone()),
        Role::Keep => Err("text, a boolean, a number, a date or a timestamp"),
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    matches!(
        data_type,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..)
    )
}

fn same(
    path: &Path,
    other: &Path,
    wanted: &[Wanted],
    found: &[DataType],
    expected: &[DataType],
) -> Result<()> {
    for ((wanted, found), expected) in wanted.iter().zip(found).zip(expected) {
        if found != expected {
            return Err(DataError::MixedTypes {
                path: path.to_path_buf(),
                other: other.to_path_buf(),
                column: wanted.column.clone(),
                found: plain(found),
                expected: plain(expected),
            });
        }
    }
    Ok(())
}

fn plain(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "an integer".into(),
        DataType::Utf8 => "text".into(),
        DataType::Float64 => "a float".into(),
        other => other.to_string(),
    }
}
