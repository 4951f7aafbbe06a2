//! The extension module `ltv._ltv`: what the Python package `ltv` is made of. It takes paths, JSON documents and Arrow
//! tables, does its work on threads of its own without the interpreter's lock, and raises the exceptions
//! of `ltv.errors`. Signatures for type checkers are in `ltv/_ltv.pyi`.
//!
//! | module | holds |
//! |---|---|
//! | `command` | the program, whole or one command of it |
//! | `dataset` | events to datasets, tables to datasets |
//! | `train` | fitting models on datasets |
//! | `model` | a fitted model: files, bytes, predictions |
//! | `source` | users to predict |
//! | `elsewhere` | features and scores by another engine |
//! | `metrics` | labels against predictions |
//! | `btyd` | buy-till-you-die models on plain columns |
//! | `watch` | long work, progress and Ctrl-C |
//! | `arrays`, `fault` | numbers and errors on their way |

mod arrays;
mod btyd;
mod command;
mod dataset;
mod elsewhere;
mod fault;
mod metrics;
mod model;
mod source;
mod train;
mod watch;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _ltv {
    #[pymodule_export]
    use crate::btyd::{
        alive, counts_log_likelihood, expected, expected_after, expected_spend, fit_counts,
        fit_spend, purchase_shares, spend_log_likelihood,
    };
    #[pymodule_export]
    use crate::command::{main, run};
    #[pymodule_export]
    use crate::dataset::{dataset_files, feature_sql, features, simulator_options, write_table};
    #[pymodule_export]
    use crate::elsewhere::{calendar, commit, part, query_plan};
    #[pymodule_export]
    use crate::metrics::{evaluate, metrics};
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::train::{fit_peer, train};

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    /// Whether boosting and forests can be fitted and used.
    #[pymodule_export]
    const HAS_XGBOOST: bool = ltv_baselines::HAS_XGBOOST;
}
