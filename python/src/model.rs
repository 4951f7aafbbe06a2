//! A fitted model of any kind: to and from files and bytes, and its predictions.

use crate::{
    dataset::text,
    fault::Failure,
    source::{Rows, Source},
    watch::attended,
};
use arrow::{
    array::{ArrayRef, Float64Array},
    record_batch::RecordBatch,
};
use arrow_pyarrow::ToPyArrow;
use ltv_baselines::Peer;
use ltv_core::{
    encoding::EncodedRows,
    predictor::{Predictions, Predictor},
};
use ltv_data::{Dataset, encoding::Encoder};
use ltv_lab::open::is_peer;
use ltv_model::{Bundle, Decoding, Model as Network};
use ltv_score::{PastHorizon, ScoreOptions};
use pyo3::{prelude::*, types::PyBytes};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// What was fitted.
enum Fitted {
    Network(Arc<Bundle>),
    Peer(Arc<Peer>),
}

/// A fitted model. The same files as those of the program `ltv`.
#[pyclass(frozen, module = "ltv._ltv")]
pub(crate) struct Model {
    fitted: Fitted,
    /// The network with the decoding that was asked for last.
    ready: Mutex<Option<(Decoding, Arc<Network>)>>,
}

impl Model {
    pub(crate) fn network(bundle: Bundle) -> Self {
        Self::new(Fitted::Network(Arc::new(bundle)))
    }

    pub(crate) fn peer(peer: Peer) -> Self {
        Self::new(Fitted::Peer(Arc::new(peer)))
    }

    fn new(fitted: Fitted) -> Self {
        Self {
            fitted,
            ready: Mutex::new(None),
        }
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        Ok(if is_peer(bytes) {
            Self::peer(Peer::parse(path, bytes)?)
        } else {
            Self::network(Bundle::decode(path, bytes)?)
        })
    }

    pub(crate) fn bundle(&self) -> Option<Arc<Bundle>> {
        match &self.fitted {
            Fitted::Network(bundle) => Some(bundle.clone()),
            Fitted::Peer(_) => None,
        }
    }

    /// The network, decoding so.
    fn ready(&self, bundle: &Bundle, decoding: Decoding) -> Result<Arc<Network>, Failure> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match &*ready {
            Some((known, network)) if *known == decoding => Ok(network.clone()),
            _ => {
                let network = Arc::new(Network::new(bundle.clone(), decoding)?);
                *ready = Some((decoding, network.clone()));
                Ok(network)
            }
        }
    }

    fn predictor(&self, decoding: &str) -> Result<Arc<dyn Predictor>, Failure> {
        let decoding: Decoding = decoding.parse()?;
        match &self.fitted {
            Fitted::Network(bundle) => Ok(self.ready(bundle, decoding)?),
            Fitted::Peer(_) if decoding != Decoding::Expectation => Err(no_distribution()),
            Fitted::Peer(peer) => Ok(peer.clone()),
        }
    }

    /// The network whose scores become a snapshot.
    pub(crate) fn scoring(&self, decoding: &str) -> Result<Arc<Network>, Failure> {
        match &self.fitted {
            Fitted::Network(bundle) => self.ready(bundle, decoding.parse()?),
            Fitted::Peer(_) => Err(Failure::user(
                "a snapshot is made of a network's distributions; predict with this model, and write the table",
            )),
        }
    }

    fn only_network(&self) -> Result<Arc<Network>, Failure> {
        match &self.fitted {
            Fitted::Network(bundle) => self.ready(bundle, Decoding::Expectation),
            Fitted::Peer(_) => Err(no_distribution()),
        }
    }

    /// Numbers of every row of `source`, `[rows, width]`.
    fn matrix(
        &self,
        py: Python<'_>,
        (source, threads): (Source, usize),
        listener: Option<Py<PyAny>>,
        width: usize,
        predict: impl Fn(&Network, &EncodedRows) -> Vec<f64> + Send + Sync,
    ) -> PyResult<Vec<f64>> {
        let network = self.only_network()?;
        attended(py, threads, listener, |progress| {
            let encoder = Encoder::new(Arc::new(network.encoding().clone()));
            let all = source.predict(&encoder, &*progress, |rows| predict(&network, rows))?;
            let width = width * network.horizons().len();
            let mut out = Vec::with_capacity(all.iter().map(|p| p.rows * width).sum());
            all.into_iter().for_each(|part| out.extend(part.made));
            Ok(out)
        })
    }
}

fn no_distribution() -> Failure {
    Failure::user(
        "this model predicts values, not a distribution to decode; leave the decoding out",
    )
}

#[pymethods]
impl Model {
    /// Reads a file that this package or `ltv train` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| {
            let bytes = std::fs::read(&path).map_err(|e| ltv_core::Error::io(&path, "read", e));
            Self::decode(&path, &bytes?)
        })
        .map_err(|e: Failure| e.into())
    }

    /// The model of these bytes.
    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        Ok(Self::decode(Path::new("the pickled model"), bytes)?)
    }

    /// The bytes of its file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = match &self.fitted {
            Fitted::Network(bundle) => bundle.to_bytes().map_err(Failure::from)?,
            Fitted::Peer(peer) => peer.bytes().into_bytes(),
        };
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes the file, whole or not at all, and returns the model id.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<String> {
        let saved = py.detach(|| match &self.fitted {
            Fitted::Network(bundle) => bundle.save(path).map_err(Failure::from),
            Fitted::Peer(peer) => peer.save(path).map_err(Failure::from),
        });
        Ok(saved?)
    }

    /// Everything about it but its weights, as a JSON document.
    fn document(&self) -> PyResult<String> {
        let document = match &self.fitted {
            Fitted::Network(bundle) => json!({
                "kind": bundle.document.spec.model.head, "id": bundle.id, "blake3": bundle.blake3,
                "document": bundle.document,
            }),
            Fitted::Peer(peer) => json!({
                "kind": peer.document().config.kind(), "id": peer.model_id(), "document": peer.document(),
            }),
        };
        Ok(text(&document)?)
    }

    /// The columns it reads.
    fn columns(&self) -> Vec<String> {
        let encoding = match &self.fitted {
            Fitted::Network(bundle) => &bundle.document.encoding,
            Fitted::Peer(peer) => peer.encoding(),
        };
        let features = encoding.features.iter().flat_map(|f| f.columns.clone());
        let cohort = encoding.cohort.iter().map(|_| "reg_day".to_owned());
        features
            .chain(encoding.plain.clone())
            .chain(cohort)
            .collect()
    }

    /// Predicts every row of `source`: a table, or folders of a dataset. `ltv_<N>` and, of a model that knows a
    /// distribution, `ltv_<N>_p10`, `_p50`, `_p90` and `_positive` of each horizon, as a PyArrow record batch; `ltv_<N>`
    /// alone where nothing else is wanted.
    #[pyo3(signature = (source, decoding, threads, listener=None, only_values=false))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        source: Source,
        decoding: &str,
        threads: usize,
        listener: Option<Py<PyAny>>,
        only_values: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let model = self.predictor(decoding)?;
        let is_network = self.bundle().is_some();
        let batch = attended(py, threads, listener, |progress| {
            let encoder = Encoder::new(Arc::new(model.encoding().clone()));
            let predict = |rows: &EncodedRows| {
                let mut found = model.predict(rows);
                if only_values {
                    (found.quantiles, found.positive) = (vec![], vec![]);
                }
                found
            };
            let predicted = source.predict(&encoder, &*progress, predict)?;
            let full = !only_values && is_network;
            columns(model.as_ref(), &predicted, full)
        })?;
        batch.to_pyarrow(py)
    }

    /// Quantiles at `levels` of every row, `[rows, horizons, levels]`, flat.
    #[pyo3(signature = (source, levels, threads, listener=None))]
    fn quantiles<'py>(
        &self,
        py: Python<'py>,
        source: Source,
        levels: Vec<f64>,
        threads: usize,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(level) = levels.iter().find(|&&p| !(p > 0.0 && p < 1.0)) {
            let problem = format!("levels: {level} is not between 0 and 1");
            return Err(Failure::user(problem).into());
        }
        let width = levels.len();
        let all = self.matrix(py, (source, threads), listener, width, |network, rows| {
            network.quantiles(rows, &levels)
        })?;
        crate::arrays::floats(py, all)
    }

    /// P(value <= x) of every row for each `x` of `at`, `[rows, horizons, at]`, flat.
    #[pyo3(signature = (source, at, threads, listener=None))]
    fn shares<'py>(
        &self,
        py: Python<'py>,
        source: Source,
        at: Vec<f64>,
        threads: usize,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let width = at.len();
        let all = self.matrix(py, (source, threads), listener, width, |network, rows| {
            network.shares(rows, &at)
        })?;
        crate::arrays::floats(py, all)
    }

    /// Scores every user of a dataset into a snapshot, as `ltv score` does; its manifest.
    #[pyo3(signature = (data, out, decoding, keep, threads, listener=None))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn score(
        &self,
        py: Python<'_>,
        data: Vec<PathBuf>,
        out: PathBuf,
        decoding: &str,
        keep: bool,
        threads: usize,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let model = self.scoring(decoding)?;
        attended(py, threads, listener, |progress| {
            let dataset = Dataset::open_all(&data)?;
            ltv::check_label(&dataset, &model)?;
            let how = options(&model, keep, threads);
            text(&ltv_score::score(
                &dataset, &*model, &out, &how, &*progress,
            )?)
        })
    }
}

/// How a network scores, as `ltv score` has it; `keep` says what becomes of users past the longest horizon.
pub(crate) fn options(model: &Network, keep: bool, threads: usize) -> ScoreOptions {
    ScoreOptions {
        past_horizon: if keep {
            PastHorizon::Keep
        } else {
            PastHorizon::Drop
        },
        ..ltv::score_options(model, threads)
    }
}

/// One column for each number that is predicted; a model that knows a distribution has all of them, also of no rows.
fn columns(
    model: &dyn Predictor,
    all: &[Rows<Predictions>],
    full: bool,
) -> Result<RecordBatch, Failure> {
    let width = model.horizons().len();
    let pick = |of: fn(&Predictions) -> &[f64], index: usize, width: usize| -> ArrayRef {
        let values = all
            .iter()
            .flat_map(|part| of(&part.made).iter().skip(index).step_by(width));
        Arc::new(Float64Array::from_iter_values(values.copied()))
    };
    let knows =
        |of: fn(&Predictions) -> &[f64]| full || all.iter().any(|part| !of(&part.made).is_empty());
    let quantiles: fn(&Predictions) -> &[f64] = |p| &p.quantiles;
    let positive: fn(&Predictions) -> &[f64] = |p| &p.positive;
    let mut found: Vec<(String, ArrayRef)> = vec![];
    for (t, name) in model.horizons().columns().into_iter().enumerate() {
        found.push((name.clone(), pick(|p| &p.values, t, width)));
        if knows(quantiles) {
            for (q, suffix) in ["p10", "p50", "p90"].iter().enumerate() {
                found.push((
                    format!("{name}_{suffix}"),
                    pick(quantiles, t * 3 + q, 3 * width),
                ));
            }
        }
        if knows(positive) {
            found.push((format!("{name}_positive"), pick(positive, t, width)));
        }
    }
    RecordBatch::try_from_iter(found).map_err(Failure::internal)
}
