//! A trained contestant on disk: its models, its predictions for the judged users, and what it was
//! made from. A run is written whole or not at all, and is used again as long as nothing that it was
//! made from has changed.

use crate::{LabError, judged::Judged};
use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array},
    compute::concat,
    datatypes::{DataType, Field, Float64Type, Schema},
    record_batch::RecordBatch,
};
use ltv_core::{
    Error,
    artefact::{self, AtomicFolder},
};
use ltv_data::part::PartFile;
use ltv_model::bundle::Validation;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

const FORMAT: &str = "ltv-run";
const VERSION: u32 = 1;
const RECORD: &str = "run.json";
const PREDICTIONS: &str = "predictions.parquet";

/// What a run is made from and what came out of it: `run.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Always `ltv-run`.
    pub format: String,
    /// Version of the layout; this program writes 1.
    pub version: u32,
    /// The contestant.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Of the options, the seed and the files that models were trained and judged on.
    pub fingerprint: String,
    /// Its models.
    pub models: Vec<ModelRecord>,
    /// Its sets of predictions: one, or one for each decoding.
    pub sets: Vec<SetRecord>,
    /// Wall-clock seconds of training.
    pub train_seconds: f64,
    /// Wall-clock seconds of predicting, all sets together.
    pub predict_seconds: f64,
}

/// One model file of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Name of the file in the run's folder.
    pub file: String,
    /// The model id.
    pub id: String,
    /// The horizons that it predicts.
    pub horizons: Vec<u32>,
    /// Rows trained on.
    pub train_rows: u64,
    /// Steps until the best weights; 0 where there are none.
    pub steps: u64,
    /// Looks at the validation rows; empty where there are none.
    pub validations: Vec<Validation>,
}

/// One set of predictions of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetRecord {
    /// What was appended to the contestant's name to name the set; empty for the first.
    pub suffix: String,
    /// How values were decoded; empty where there is only one way.
    pub decoding: String,
    /// The horizons that are there.
    pub horizons: Vec<u32>,
    /// Share of users whose values crossed before the order projection.
    pub projected: f64,
}

/// Predictions in memory: the columns of each set.
pub(crate) struct Sets(pub(crate) Vec<(SetRecord, Vec<Vec<f64>>)>);

/// A run that is there.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Its record.
    pub record: RunRecord,
}

impl Run {
    /// The run in `folder`, if there is one of this fingerprint.
    pub(crate) fn stored(folder: &Path, fingerprint: &str) -> Result<Option<Self>, LabError> {
        let path = folder.join(RECORD);
        if !path.is_file() {
            return Ok(None);
        }
        let failed = |problem: String| LabError::Run {
            path: path.clone(),
            problem,
        };
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
        let record: RunRecord =
            serde_json::from_str(&text).map_err(|e| failed(format!("not a run ({e})")))?;
        if record.format != FORMAT || record.version != VERSION {
            return Err(failed("not a run that this program can read".into()));
        }
        let folder = folder.to_path_buf();
        Ok((record.fingerprint == fingerprint).then_some(Self { folder, record }))
    }

    /// Whether its predictions are for these users, in this order.
    pub(crate) fn is_of(&self, users: &ArrayRef) -> Result<bool, LabError> {
        let mut found = vec![];
        for batch in self.batches("user_id")? {
            found.push(batch?.column(0).clone());
        }
        let parts: Vec<&dyn Array> = found.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts).is_ok_and(|found| found.as_ref() == users.as_ref()))
    }

    /// Predictions of set `set` for a horizon, in the order of the judged users.
    pub(crate) fn column(&self, set: usize, horizon: u32) -> Result<Vec<f64>, LabError> {
        let record = self.record.sets.get(set);
        let name = record
            .map(|s| column_name(&s.decoding, horizon))
            .unwrap_or_default();
        let mut column = vec![];
        for batch in self.batches(&name)? {
            let batch = batch?;
            let values = batch.column(0).as_primitive_opt::<Float64Type>();
            let values = values.filter(|v| v.null_count() == 0);
            let values = values.ok_or_else(|| self.unusable(format!("'{name}' is not Float64")))?;
            column.extend_from_slice(values.values());
        }
        Ok(column)
    }

    /// One column of the predictions.
    fn batches(
        &self,
        name: &str,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LabError>>, LabError> {
        let path = self.folder.join(PREDICTIONS);
        let file = File::open(&path).map_err(|e| Error::io(&path, "open", e))?;
        let failed = |e: &dyn std::fmt::Display| self.unusable(format!("cannot be read ({e})"));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed(&e))?;
        let index = builder.schema().index_of(name);
        let index = index.map_err(|_| self.unusable(format!("has no column '{name}'")))?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
        let reader = builder
            .with_projection(mask)
            .build()
            .map_err(|e| failed(&e))?;
        Ok(reader.map(move |batch| batch.map_err(|e| self.unusable(e.to_string()))))
    }

    fn unusable(&self, problem: String) -> LabError {
        LabError::Run {
            path: self.folder.join(PREDICTIONS),
            problem,
        }
    }
}

/// A run under construction.
pub(crate) struct Draft {
    folder: AtomicFolder,
}

impl Draft {
    pub(crate) fn create(folder: &Path) -> Result<Self, LabError> {
        Ok(Self {
            folder: AtomicFolder::create(folder)?,
        })
    }

    /// Where model files go.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes predictions and record, and puts the run in its place.
    pub(crate) fn commit(
        self,
        judged: &Judged,
        sets: Sets,
        mut record: RunRecord,
    ) -> Result<Run, LabError> {
        record.format = FORMAT.into();
        record.version = VERSION;
        record.sets = sets.0.iter().map(|s| s.0.clone()).collect();
        self.predictions(judged, sets)?;
        artefact::write_json(self.path().join(RECORD), &record)?;
        let folder = self.folder.target().to_path_buf();
        self.folder.commit()?;
        Ok(Run { folder, record })
    }

    fn predictions(&self, judged: &Judged, sets: Sets) -> Result<(), LabError> {
        let mut fields = vec![Field::new(
            "user_id",
            judged.users.data_type().clone(),
            false,
        )];
        let mut columns: Vec<ArrayRef> = vec![judged.users.clone()];
        for (set, values) in sets.0 {
            for (&horizon, values) in set.horizons.iter().zip(values) {
                let name = column_name(&set.decoding, horizon);
                fields.push(Field::new(name, DataType::Float64, false));
                columns.push(Arc::new(Float64Array::from(values)));
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), columns).map_err(LabError::internal)?;
        let mut file = PartFile::create(
            self.path(),
            PREDICTIONS.to_owned(),
            schema,
            PartFile::properties(),
        )?;
        file.add(&batch)?;
        file.finish()?;
        Ok(())
    }
}

/// `ltv_30`, or `median_ltv_30` where there are several decodings.
fn column_name(decoding: &str, horizon: u32) -> String {
    match decoding {
        "" => format!("ltv_{horizon}"),
        decoding => format!("{}_ltv_{horizon}", decoding.replace(':', "_")),
    }
}
