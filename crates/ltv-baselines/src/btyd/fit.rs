//! Maximum likelihood for positive parameters.
//!
//! The models hand over the sum of log-likelihoods and its gradient; the search runs over the
//! logarithms of the parameters with L-BFGS and the line search of More and Thuente from `argmin`.

use super::{BtydError, Histories, TimeUnit};
use argmin::{
    core::{CostFunction, Error as ArgminError, Executor, Gradient},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Weight of an L2 penalty, at least 0. What is minimised is
    /// `-mean log-likelihood + penalty * sum of squared parameters`, as in the Python package
    /// `lifetimes` before 0.11; as there, count models are penalised on a clock whose largest age is
    /// 10, which concerns `alpha` and `beta` (from 0.11 on it is 1).
    pub penalty: f64,
    /// Most steps of the search from one start.
    pub max_iterations: u64,
}

impl Default for FitOptions {
    /// No penalty, at most 500 steps.
    fn default() -> Self {
        Self {
            penalty: 0.0,
            max_iterations: 500,
        }
    }
}

/// A fitted model and how the fit went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fit<M> {
    /// The model; its times are in `unit`.
    pub model: M,
    /// The unit of its times; for a model without times the default.
    pub unit: TimeUnit,
    /// Sum of the log-likelihoods of all customers, without the penalty.
    pub log_likelihood: f64,
    /// How many customers it was fitted to.
    pub customers: u64,
    /// How often likelihood and gradient were evaluated.
    pub evaluations: u64,
    /// Largest absolute derivative of what is minimised by a logarithm of a parameter, at the end.
    pub slope: f64,
    /// Whether a parameter ran off to where the likelihood is flat: customers then do not differ
    /// in what it describes, or the data do not tell. Predictions hold; the parameter's value means
    /// nothing.
    pub at_limit: bool,
}

/// The log-likelihood of customers and its derivatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope<const N: usize> {
    /// Sum of log-likelihoods.
    pub(super) value: f64,
    /// Its derivatives by the parameters.
    pub(super) by: [f64; N],
}

impl<const N: usize> Slope<N> {
    pub(super) const ZERO: Self = Self {
        value: 0.0,
        by: [0.0; N],
    };

    /// Adds another one, `weight` times.
    pub(super) fn add(&mut self, weight: f64, other: &Self) {
        self.value += weight * other.value;
        for (sum, term) in self.by.iter_mut().zip(other.by) {
            *sum += weight * term;
        }
    }
}

/// How many items one task sums. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 2048;

/// Sums over chunks of a fixed size in parallel, then over chunks in order.
pub(super) fn sum<T: Sync, const N: usize>(
    items: &[T],
    chunk: impl Fn(&[T]) -> Slope<N> + Send + Sync,
) -> Slope<N> {
    let parts: Vec<Slope<N>> = items.par_chunks(CHUNK).map(chunk).collect();
    let mut total = Slope::ZERO;
    for part in &parts {
        total.add(1.0, part);
    }
    total
}

/// What is maximised, and how.
pub(super) struct Search<F, const N: usize> {
    /// For messages.
    pub(super) model: &'static str,
    /// Sum of log-likelihoods at some parameters.
    pub(super) likelihood: F,
    /// Number of customers.
    pub(super) customers: f64,
    /// What each parameter is measured in: the search covers a factor of a million around it.
    pub(super) typical: [f64; N],
    /// Where to start, one after the other until one converges.
    pub(super) starts: Vec<[f64; N]>,
}

/// Where a search ended.
pub(super) struct Found<const N: usize> {
    pub(super) parameters: [f64; N],
    pub(super) log_likelihood: f64,
    pub(super) evaluations: u64,
    pub(super) slope: f64,
    pub(super) at_limit: bool,
}

impl<const N: usize> Found<N> {
    /// The fit of a count model, found on a clock `factor` times as fast as that of the histories.
    pub(super) fn on_the_clock_of<M>(self, histories: &Histories, factor: f64, model: M) -> Fit<M> {
        // The likelihood is a density in t_x for every repeat: it knows the clock.
        let groups = histories.groups().iter();
        let repeats: f64 = groups
            .map(|g| g.customers * f64::from(g.history.repeats))
            .sum();
        Fit {
            model,
            unit: histories.unit(),
            log_likelihood: self.log_likelihood + repeats * factor.ln(),
            customers: histories.customers(),
            evaluations: self.evaluations,
            slope: self.slope,
            at_limit: self.at_limit,
        }
    }
}

/// A search ends here: slopes of a mean, so that 1e-9 leaves about 1e-7 in the parameters.
const WANTED: f64 = 1e-9;
/// And this counts as converged, where rounding of many customers' sum ends the search.
const ENOUGH: f64 = 1e-7;
/// A run is given up after this many evaluations without a better point: near the maximum, line
/// searches try to see differences that rounding hides.
const IDLE: u32 = 12;
/// Logarithms of parameters over their typical values stay within this distance of 0; the objective
/// rises beyond it.
const FURTHEST: f64 = 14.0;
/// What a search can find of a parameter without a unit: `exp(FURTHEST)` either way, rounded
/// outwards.
pub(super) const SHAPES: (f64, f64) = (8.3e-7, 1.21e6);
/// And of one that is a time, in days or weeks: the same on a clock whose largest age is 10, where
/// that age is between one day and the most days that a log can tell.
pub(super) const TIMES: (f64, f64) = (8.3e-7 / 70.0, 1.21e6 * 4.3e8);
/// Beyond this distance a parameter counts as having run off: a factor of 8,000.
const FAR: f64 = 9.0;

impl<F: Fn(&[f64; N]) -> Slope<N>, const N: usize> Search<F, N> {
    /// Finds the parameters of the largest likelihood.
    ///
    /// # Errors
    /// When the options are out of range, or no start leads to a maximum.
    pub(super) fn run(&self, options: &FitOptions) -> Result<Found<N>, BtydError> {
        check(options)?;
        let probe = Probe {
            search: self,
            penalty: options.penalty,
            seen: RefCell::new(Seen::default()),
        };
        for start in &self.starts {
            probe.seen.borrow_mut().restart();
            let mut from: Vec<f64> = (0..N).map(|i| (start[i] / self.typical[i]).ln()).collect();
            // L-BFGS starts again from the best point, without its memory, where a line search
            // has failed: near the maximum that is rounding, far from it a poor model of the curve.
            for _ in 0..4 {
                probe.seen.borrow_mut().idle = 0;
                probe.descend(from, options.max_iterations);
                let Some(best) = probe.seen.borrow().best.clone() else {
                    break;
                };
                if best.slope() <= ENOUGH {
                    break;
                }
                from = best.at;
            }
            if let Some(found) = probe.found().filter(|f| f.slope <= ENOUGH) {
                return Ok(found);
            }
        }
        Err(self.failure(&probe))
    }

    fn parameters(&self, at: &[f64]) -> [f64; N] {
        std::array::from_fn(|i| at[i].clamp(-FURTHEST, FURTHEST).exp() * self.typical[i])
    }

    fn failure(&self, probe: &Probe<'_, F, N>) -> BtydError {
        let found = probe.found();
        BtydError::NotConverged {
            model: self.model,
            parameters: found.as_ref().map_or(vec![], |f| f.parameters.to_vec()),
            slope: found.map_or(f64::NAN, |f| f.slope),
            evaluations: probe.seen.borrow().evaluations,
        }
    }
}

fn check(options: &FitOptions) -> Result<(), BtydError> {
    if options.penalty.is_finite() && options.penalty >= 0.0 {
        return Ok(());
    }
    Err(BtydError::Option {
        key: "penalty",
        value: options.penalty,
        range: "give a finite number of at least 0",
    })
}

/// The objective at one point, over logarithms of parameters.
#[derive(Debug, Clone)]
struct Point {
    at: Vec<f64>,
    cost: f64,
    gradient: Vec<f64>,
    log_likelihood: f64,
}

impl Point {
    fn slope(&self) -> f64 {
        self.gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()))
    }

    /// Lower; or as low as rounding can tell, and flatter.
    fn beats(&self, other: &Self) -> bool {
        let rounding = 4.0 * f64::EPSILON * other.cost.abs();
        self.cost < other.cost - rounding
            || (self.cost <= other.cost + rounding && self.slope() < other.slope())
    }
}

/// What a search has seen so far. The optimiser asks for cost and gradient one after the other.
#[derive(Debug, Default)]
struct Seen {
    evaluations: u64,
    /// Evaluations since there was a better point.
    idle: u32,
    last: Option<Point>,
    best: Option<Point>,
}

impl Seen {
    fn restart(&mut self) {
        self.idle = 0;
        self.best = None;
    }

    fn keep(&mut self, point: &Point) {
        self.evaluations += 1;
        self.idle += 1;
        if point.cost.is_finite() && self.best.as_ref().is_none_or(|best| point.beats(best)) {
            self.best = Some(point.clone());
            self.idle = 0;
        }
        self.last = Some(point.clone());
    }
}

struct Probe<'a, F, const N: usize> {
    search: &'a Search<F, N>,
    penalty: f64,
    seen: RefCell<Seen>,
}

impl<F: Fn(&[f64; N]) -> Slope<N>, const N: usize> Probe<'_, F, N> {
    /// One run of the optimiser. How it ends does not matter: the best point is kept here.
    fn descend(&self, from: Vec<f64>, iterations: u64) {
        let line = MoreThuenteLineSearch::new();
        let Ok(solver) = LBFGS::new(line, 8).with_tolerance_grad(WANTED) else {
            return;
        };
        let Ok(solver) = solver.with_tolerance_cost(0.0) else {
            return;
        };
        let run = Executor::new(self, solver)
            .configure(|state| state.param(from).max_iters(iterations))
            .timer(false)
            .run();
        drop(run);
    }

    fn found(&self) -> Option<Found<N>> {
        let seen = self.seen.borrow();
        let best = seen.best.as_ref()?;
        let within = |distance: f64| best.at.iter().all(|v| v.abs() < distance);
        Some(Found {
            parameters: self.search.parameters(&best.at),
            log_likelihood: best.log_likelihood,
            evaluations: seen.evaluations,
            slope: if within(FURTHEST) {
                best.slope()
            } else {
                f64::INFINITY
            },
            at_limit: !within(FAR),
        })
    }

    fn point(&self, at: &[f64]) -> Point {
        let mut seen = self.seen.borrow_mut();
        if let Some(last) = seen.last.as_ref().filter(|p| p.at == at) {
            return last.clone();
        }
        let point = self.evaluate(at);
        seen.keep(&point);
        point
    }

    fn evaluate(&self, at: &[f64]) -> Point {
        let values = self.search.parameters(at);
        let found = (self.search.likelihood)(&values);
        let mut point = Point {
            at: at.to_vec(),
            cost: -found.value / self.search.customers,
            gradient: vec![0.0; N],
            log_likelihood: found.value,
        };
        for (i, value) in values.iter().enumerate() {
            let excess = at[i] - at[i].clamp(-FURTHEST, FURTHEST);
            point.cost += self.penalty * value * value + excess * excess;
            // Beyond the edge the likelihood is the edge's, so that its slope does not count.
            point.gradient[i] = if excess == 0.0 {
                value * (2.0 * self.penalty * value - found.by[i] / self.search.customers)
            } else {
                2.0 * excess
            };
        }
        point
    }
}

impl<F: Fn(&[f64; N]) -> Slope<N>, const N: usize> CostFunction for &Probe<'_, F, N> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Self::Param) -> Result<f64, ArgminError> {
        let cost = self.point(at).cost;
        // Any error ends the run; what it has found so far is kept.
        if cost.is_nan() || self.seen.borrow().idle > IDLE {
            return Err(ArgminError::msg("no progress"));
        }
        Ok(cost)
    }
}

impl<F: Fn(&[f64; N]) -> Slope<N>, const N: usize> Gradient for &Probe<'_, F, N> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Self::Param) -> Result<Vec<f64>, ArgminError> {
        Ok(self.point(at).gradient)
    }
}

#[cfg(test)]
mod tests;
