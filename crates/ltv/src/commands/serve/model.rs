//! A bundle that predicts for one user at a time, from features by name, and that may be replaced meanwhile.

use super::super::bundle;
use crate::exit::Failure;
use arrow::{
    array::{ArrayRef, Date32Array, Float64Array, Int64Array, NullArray, StringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day,
    encoding::{Cells, Cohort, Encoding},
    predictor::{Predictions, Predictor},
};
use ltv_data::encoding::Encoder;
use ltv_model::{Decoding, Model};
use ltv_online::value;
use ltv_serve::{
    OnDemand, OnDemandModel,
    on_demand::{Feature, FeatureKind, PredictError, Predicted},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

/// The bundle in a file, which is read again when it is another.
pub(super) struct Live {
    path: PathBuf,
    decoding: Decoding,
    now: RwLock<Arc<Ready>>,
    /// The file when it was last looked at, usable or not.
    seen: Mutex<Option<Stamp>>,
}

/// When a file was written, and its length: bundles are replaced whole, so that another has another stamp.
type Stamp = (SystemTime, u64);

impl Live {
    /// Reads the bundle.
    pub(super) fn open(path: &Path, decoding: Decoding) -> Result<Self, Failure> {
        // Before the bundle: one that comes meanwhile is read again.
        let seen = Mutex::new(stamp(path));
        Ok(Self {
            now: RwLock::new(Arc::new(Ready::read(path, decoding)?)),
            path: path.to_owned(),
            decoding,
            seen,
        })
    }

    fn now(&self) -> Arc<Ready> {
        let now = self.now.read();
        now.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let facts = fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

impl OnDemand for Live {
    fn describe(&self) -> OnDemandModel {
        self.now().description.clone()
    }

    fn predict(&self, features: &Map<String, Value>) -> Result<Predicted, PredictError> {
        self.now().predict(features)
    }

    fn refresh(&self) -> Result<bool, String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamp(&self.path);
        if found == *seen {
            return Ok(false);
        }
        *seen = found;
        let ready = Ready::read(&self.path, self.decoding).map_err(|e| e.to_string())?;
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let changed = now.model.blake3() != ready.model.blake3();
        *now = Arc::new(ready);
        Ok(changed)
    }
}

/// A model, ready to predict.
struct Ready {
    model: Model,
    encoder: Encoder,
    description: OnDemandModel,
}

impl Ready {
    fn read(path: &Path, decoding: Decoding) -> Result<Self, Failure> {
        let model = Model::new(bundle(path)?, decoding)?;
        let description = OnDemandModel {
            model_id: model.model_id().to_owned(),
            horizons: model.horizons().days().to_vec(),
            features: features(model.encoding()),
        };
        Ok(Self {
            encoder: Encoder::new(Arc::new(model.encoding().clone())),
            model,
            description,
        })
    }

    fn predict(&self, features: &Map<String, Value>) -> Result<Predicted, PredictError> {
        let batch = self.batch(features)?;
        let encoded = self.encoder.encode(&batch, None).map_err(failed)?;
        let numbers = numbers(&self.model.predict(&encoded));
        // It would be written as no number that JSON knows.
        if !numbers.iter().all(|x| x.is_finite() && *x >= 0.0) {
            let id = self.model.model_id();
            return Err(failed(format!("model {id} predicts what is no value")));
        }
        Ok(Predicted {
            model_id: self.model.model_id().to_owned(),
            horizons: value::horizons(&numbers, self.model.horizons().days()),
        })
    }

    /// One row of a dataset.
    fn batch(&self, features: &Map<String, Value>) -> Result<RecordBatch, PredictError> {
        let known = &self.description.features;
        let stranger = |name: &&String| known.iter().all(|feature| feature.name != **name);
        if let Some(name) = features.keys().find(stranger) {
            let problem = format!("'{name}' is no feature of the model; GET /v1/model names them");
            return Err(PredictError::Features { problem });
        }
        let columns = known.iter().map(|feature| {
            let value = features.get(&feature.name).unwrap_or(&Value::Null);
            Ok((feature.name.as_str(), column(feature, value)?))
        });
        let columns = columns.collect::<Result<Vec<_>, PredictError>>()?;
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .map_err(failed)
    }
}

fn failed(problem: impl ToString) -> PredictError {
    PredictError::Failed {
        problem: problem.to_string(),
    }
}

/// What is read, by name. A column that is read both as a number and as a category holds whole numbers.
fn features(encoding: &Encoding) -> Vec<Feature> {
    let kind = |cells: &Cells| match cells {
        Cells::Bins { .. } => FeatureKind::Number,
        Cells::Vocabulary { .. } => FeatureKind::Category,
    };
    let fitted = encoding.features.iter();
    let fitted = fitted.flat_map(|f| f.columns.iter().map(move |column| (column, kind(&f.cells))));
    let plain = encoding.plain.iter().map(|c| (c, FeatureKind::Number));
    let mut kinds: BTreeMap<&str, FeatureKind> = BTreeMap::new();
    for (column, kind) in fitted.chain(plain) {
        let known = kinds.entry(column).or_insert(kind);
        if *known != kind {
            *known = FeatureKind::Integer;
        }
    }
    if encoding.cohort.is_some() {
        kinds.insert(Cohort::COLUMN, FeatureKind::Date);
    }
    let feature = |(name, kind): (&str, FeatureKind)| Feature {
        name: name.to_owned(),
        kind,
        // Others have a cell for what is not known.
        required: kind == FeatureKind::Date,
    };
    kinds.into_iter().map(feature).collect()
}

/// A value as a column of one row, as datasets have it.
fn column(feature: &Feature, value: &Value) -> Result<ArrayRef, PredictError> {
    let wrong = |wanted: &str| {
        let name = &feature.name;
        let problem = match value {
            Value::Null => format!("{name}: is missing; give {wanted}"),
            _ => format!("{name}: {value} is not {wanted}"),
        };
        PredictError::Features { problem }
    };
    if value.is_null() && feature.required {
        return Err(wrong(words(feature.kind)));
    }
    let known = !value.is_null();
    let found: Option<ArrayRef> = match feature.kind {
        FeatureKind::Number => number(value).map(|x| Arc::new(Float64Array::from(vec![x])) as _),
        FeatureKind::Integer => value
            .as_i64()
            .map(|n| Arc::new(Int64Array::from(vec![n])) as _),
        FeatureKind::Category => category(value).map(|t| Arc::new(StringArray::from(vec![t])) as _),
        FeatureKind::Date => date(value).map(|Day(d)| Arc::new(Date32Array::from(vec![d])) as _),
    };
    match found {
        None if known => Err(wrong(words(feature.kind))),
        // Of any type, nothing is known.
        None => Ok(Arc::new(NullArray::new(1))),
        Some(column) => Ok(column),
    }
}

/// What a feature of a kind is given as.
fn words(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Number => "a number",
        FeatureKind::Integer => "a whole number",
        FeatureKind::Category => "text, a whole number, true or false",
        FeatureKind::Date => "a date as \"2024-03-31\"",
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(f64::from))
}

/// As datasets write whole numbers and booleans where they are categories.
fn category(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        _ => None,
    }
}

fn date(value: &Value) -> Option<Day> {
    value.as_str()?.parse().ok()
}

/// The numbers of the only row, rounded and in order as stores keep them.
fn numbers(predictions: &Predictions) -> Vec<f32> {
    let (quantiles, positive) = (predictions.quantiles.chunks(3), &predictions.positive);
    let horizons = predictions.values.iter().zip(quantiles).zip(positive);
    horizons
        .flat_map(|((&value, quantiles), &positive)| {
            [value]
                .into_iter()
                .chain(quantiles.iter().copied())
                .chain([positive])
        })
        .map(|x| x as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::encoding::FeatureEncoding;
    use serde_json::json;

    fn encoding() -> Encoding {
        let feature = |name: &str, cells| FeatureEncoding {
            name: name.into(),
            columns: vec![name.into()],
            cells,
            scale: None,
        };
        let bins = || Cells::Bins { edges: vec![1.0] };
        let words = || Cells::Vocabulary { values: vec![] };
        Encoding {
            features: vec![
                feature("spend", bins()),
                feature("channel", words()),
                feature("weekday", words()),
                feature("weekday", bins()),
            ],
            ..Encoding::default()
        }
    }

    #[test]
    fn a_column_is_named_once_with_what_it_may_hold() {
        let found = features(&encoding());
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.kind)).collect();
        let expected = [
            ("channel", FeatureKind::Category),
            ("spend", FeatureKind::Number),
            ("weekday", FeatureKind::Integer),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_read_as_their_kinds_want() {
        let read = |kind, value: Value, required| {
            let name = "f".to_owned();
            let feature = Feature {
                name,
                kind,
                required,
            };
            let column = column(&feature, &value);
            column.map(|c| arrow::util::display::array_value_to_string(&c, 0).unwrap_or_default())
        };
        use FeatureKind::{Category, Date, Integer, Number};
        for (kind, value, expected) in [
            (Number, json!(1.5), "1.5"),
            (Number, json!(true), "1.0"),
            (Integer, json!(-3), "-3"),
            (Category, json!("a"), "a"),
            (Category, json!(7), "7"),
            (Category, json!(false), "false"),
            (Date, json!("2024-02-29"), "2024-02-29"),
            (Number, json!(null), ""),
            (Category, json!(null), ""),
        ] {
            assert_eq!(read(kind, value, false), Ok(expected.to_owned()));
        }
        for (kind, value, problem) in [
            (Number, json!("1"), "f: \"1\" is not a number"),
            (Integer, json!(1.5), "f: 1.5 is not a whole number"),
            (Category, json!(1.5), "f: 1.5 is not text"),
            (Date, json!("2024-02-30"), "is not a date as"),
            (Date, json!(null), "f: is missing; give a date"),
        ] {
            let PredictError::Features { problem: found } = read(kind, value, true).unwrap_err()
            else {
                unreachable!("the features are at fault");
            };
            assert!(found.contains(problem), "{found}");
        }
    }
}
