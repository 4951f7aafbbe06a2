//! Buy-till-you-die models on plain columns, as the Python package `lifetimes` takes them.

use crate::{
    arrays::{Floats, floats},
    fault::Failure,
    watch::{attended, cores},
};
use ltv_baselines::btyd::{
    BgNbd, BtydError, Fit, FitOptions, GammaGamma, Histories, History, ParetoNbd, Spend, Spends,
    TimeUnit,
};
use pyo3::prelude::*;
use rayon::prelude::*;

/// A count model.
enum Counts {
    BgNbd(BgNbd),
    ParetoNbd(ParetoNbd),
}

impl Counts {
    fn new(kind: &str, parameters: &[f64]) -> Result<Self, Failure> {
        match (kind, parameters) {
            ("bg_nbd", &[r, alpha, a, b]) => Ok(Self::BgNbd(BgNbd { r, alpha, a, b })),
            ("pareto_nbd", &[r, alpha, s, beta]) => {
                Ok(Self::ParetoNbd(ParetoNbd { r, alpha, s, beta }))
            }
            _ => Err(Failure::internal(format!("{kind} of {parameters:?}"))),
        }
    }

    fn log_likelihood(&self, histories: &Histories) -> f64 {
        match self {
            Self::BgNbd(model) => model.log_likelihood(histories),
            Self::ParetoNbd(model) => model.log_likelihood(histories),
        }
    }

    fn alive(&self, history: &History) -> f64 {
        match self {
            Self::BgNbd(model) => model.alive(history),
            Self::ParetoNbd(model) => model.alive(history),
        }
    }

    fn expected_after(&self, history: &History, t: f64) -> f64 {
        match self {
            Self::BgNbd(model) => model.expected_after(history, t),
            Self::ParetoNbd(model) => model.expected_after(history, t),
        }
    }

    fn probabilities(&self, history: &History, t: f64, most: u32) -> Vec<f64> {
        match self {
            Self::BgNbd(model) => model.probabilities(history, t, most),
            Self::ParetoNbd(model) => model.probabilities(history, t, most),
        }
    }

    fn expected(&self, t: f64) -> f64 {
        match self {
            Self::BgNbd(model) => model.expected(t),
            Self::ParetoNbd(model) => model.expected(t),
        }
    }
}

/// Histories from columns `frequency`, `recency` and `T`, checked against each other.
fn histories(frequency: &Floats, recency: &Floats, age: &Floats) -> Result<Vec<History>, Failure> {
    let rows = frequency.len();
    if recency.len() != rows || age.len() != rows {
        let (r, t) = (recency.len(), age.len());
        let problem =
            format!("frequency has {rows} rows, recency {r} and T {t}; give as many of each");
        return Err(Failure::user(problem));
    }
    let times = recency.values().iter().zip(age.values());
    let all = frequency.values().iter().zip(times).enumerate();
    all.map(|(row, (&frequency, (&recency, &age)))| {
        Ok(History {
            repeats: count(frequency, "frequency", row)?,
            recency,
            age,
        })
    })
    .collect()
}

/// A whole number of purchase days.
fn count(x: f64, column: &str, row: usize) -> Result<u32, Failure> {
    if x >= 0.0 && x.fract() == 0.0 && x <= f64::from(u32::MAX) {
        return Ok(x as u32);
    }
    let row = row + 1;
    let problem = format!("column '{column}' is {x} in row {row}; give whole numbers from 0 on");
    Err(Failure::user(problem))
}

type Fitted = (Vec<f64>, f64, u64, bool);

fn told<M>(fit: Fit<M>, parameters: impl FnOnce(&M) -> Vec<f64>) -> Fitted {
    let found = parameters(&fit.model);
    (found, fit.log_likelihood, fit.customers, fit.at_limit)
}

fn options(penalty: f64) -> FitOptions {
    FitOptions {
        penalty,
        ..FitOptions::default()
    }
}

/// Fits `bg_nbd` or `pareto_nbd`: parameters in the order of the literature, the log-likelihood, customers, and
/// whether a parameter ran off to where the likelihood is flat.
#[pyfunction]
pub(crate) fn fit_counts(
    py: Python<'_>,
    kind: &str,
    frequency: Floats,
    recency: Floats,
    age: Floats,
    penalty: f64,
) -> PyResult<Fitted> {
    attended(py, cores(), None, |progress| {
        let all = Histories::new(TimeUnit::Day, histories(&frequency, &recency, &age)?)?;
        let how = options(penalty);
        Ok(match kind {
            "bg_nbd" => told(BgNbd::fit_with_progress(&all, &how, &*progress)?, |m| {
                vec![m.r, m.alpha, m.a, m.b]
            }),
            _ => told(ParetoNbd::fit_with_progress(&all, &how, &*progress)?, |m| {
                vec![m.r, m.alpha, m.s, m.beta]
            }),
        })
    })
}

/// The log-likelihood of all customers.
#[pyfunction]
pub(crate) fn counts_log_likelihood(
    py: Python<'_>,
    kind: &str,
    parameters: Vec<f64>,
    frequency: Floats,
    recency: Floats,
    age: Floats,
) -> PyResult<f64> {
    attended(py, cores(), None, |_| {
        let all = Histories::new(TimeUnit::Day, histories(&frequency, &recency, &age)?)?;
        Ok(Counts::new(kind, &parameters)?.log_likelihood(&all))
    })
}

/// P(alive) of each customer.
#[pyfunction]
pub(crate) fn alive<'py>(
    py: Python<'py>,
    kind: &str,
    parameters: Vec<f64>,
    frequency: Floats,
    recency: Floats,
    age: Floats,
) -> PyResult<Bound<'py, PyAny>> {
    let customers = (&frequency, &recency, &age);
    of_each(py, (kind, &parameters), customers, |model, one| {
        [model.alive(one)]
    })
}

/// Expected purchases of each customer in the `t` that follow, `[customers, t]`.
#[pyfunction]
pub(crate) fn expected_after<'py>(
    py: Python<'py>,
    kind: &str,
    parameters: Vec<f64>,
    t: Vec<f64>,
    frequency: Floats,
    recency: Floats,
    age: Floats,
) -> PyResult<Bound<'py, PyAny>> {
    let customers = (&frequency, &recency, &age);
    of_each(py, (kind, &parameters), customers, |model, one| {
        let expected = t.iter().map(|&t| model.expected_after(one, t));
        expected.collect::<Vec<_>>()
    })
}

/// P(purchases <= n) of each customer in the `t` that follows for `n = 0 ..= most`, `[customers, most + 1]`; nothing
/// is left after the last one.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn purchase_shares<'py>(
    py: Python<'py>,
    kind: &str,
    parameters: Vec<f64>,
    t: f64,
    most: u32,
    frequency: Floats,
    recency: Floats,
    age: Floats,
) -> PyResult<Bound<'py, PyAny>> {
    let customers = (&frequency, &recency, &age);
    of_each(py, (kind, &parameters), customers, |model, one| {
        let mut below = 0.0;
        let mut shares = vec![1.0; most as usize + 1];
        for (share, chance) in shares.iter_mut().zip(model.probabilities(one, t, most)) {
            below += chance;
            *share = f64::min(below, 1.0);
        }
        shares
    })
}

/// What `each` says of every customer, one after the other. Histories that no customer can have are refused.
fn of_each<'py, N: IntoIterator<Item = f64>>(
    py: Python<'py>,
    (kind, parameters): (&str, &[f64]),
    (frequency, recency, age): (&Floats, &Floats, &Floats),
    each: impl Fn(&Counts, &History) -> N + Send + Sync,
) -> PyResult<Bound<'py, PyAny>>
where
    N::IntoIter: Send,
{
    let found = attended(py, cores(), None, |_| {
        let model = Counts::new(kind, parameters)?;
        let all = histories(frequency, recency, age)?;
        all.par_iter().try_for_each(History::check)?;
        let numbers = all.par_iter().flat_map_iter(|one| each(&model, one));
        Ok(numbers.collect())
    })?;
    floats(py, found)
}

/// Expected purchases in the first `t` of a customer of whom nothing is known.
#[pyfunction]
pub(crate) fn expected(kind: &str, parameters: Vec<f64>, t: Vec<f64>) -> PyResult<Vec<f64>> {
    let model = Counts::new(kind, &parameters)?;
    Ok(t.into_iter().map(|t| model.expected(t)).collect())
}

/// Spends from columns of purchase days and their mean values.
fn spends(days: &Floats, means: &Floats) -> Result<Vec<Option<Spend>>, Failure> {
    let (rows, other) = (days.len(), means.len());
    if rows != other {
        let problem = format!("frequency has {rows} rows, monetary_value {other}; give as many");
        return Err(Failure::user(problem));
    }
    let all = days.values().iter().zip(means.values()).enumerate();
    all.map(|(row, (&days, &mean))| {
        let days = count(days, "frequency", row)?;
        if !mean.is_finite() {
            let what = "the mean value of a purchase day";
            return Err(BtydError::NotFinite { what, value: mean }.into());
        }
        Ok((days > 0 && mean > 0.0).then_some(Spend { days, mean }))
    })
    .collect()
}

/// Fits Gamma-Gamma: `p, q, gamma` (called `p, q, v` by lifetimes), the log-likelihood, customers.
#[pyfunction]
pub(crate) fn fit_spend(
    py: Python<'_>,
    days: Floats,
    means: Floats,
    penalty: f64,
) -> PyResult<Fitted> {
    attended(py, cores(), None, |progress| {
        let all = Spends::new(spends(&days, &means)?.into_iter().flatten())?;
        let fit = GammaGamma::fit_with_progress(&all, &options(penalty), &*progress)?;
        Ok(told(fit, |m| vec![m.p, m.q, m.gamma]))
    })
}

/// The log-likelihood of all customers with value.
#[pyfunction]
pub(crate) fn spend_log_likelihood(
    py: Python<'_>,
    parameters: [f64; 3],
    days: Floats,
    means: Floats,
) -> PyResult<f64> {
    attended(py, cores(), None, |_| {
        let all = Spends::new(spends(&days, &means)?.into_iter().flatten())?;
        Ok(gamma_gamma(parameters).log_likelihood(&all))
    })
}

/// Expected mean value of a purchase day of each customer.
#[pyfunction]
pub(crate) fn expected_spend<'py>(
    py: Python<'py>,
    parameters: [f64; 3],
    days: Floats,
    means: Floats,
) -> PyResult<Bound<'py, PyAny>> {
    let found = attended(py, cores(), None, |_| {
        let model = gamma_gamma(parameters);
        let all = spends(&days, &means)?;
        Ok(all.into_iter().map(|one| model.expected(one)).collect())
    })?;
    floats(py, found)
}

fn gamma_gamma([p, q, gamma]: [f64; 3]) -> GammaGamma {
    GammaGamma { p, q, gamma }
}
