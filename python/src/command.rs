//! The program `ltv`, whole or one command of it.

use crate::{
    fault::Failure,
    watch::{attended, cores},
};
use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the program with these arguments, of which the first is its own name, and returns its exit
/// code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| ltv::main(arguments))
}

/// Runs one command and returns its text and its JSON document.
#[pyfunction]
#[pyo3(signature = (arguments, listener=None))]
pub(crate) fn run(
    py: Python<'_>,
    arguments: Vec<OsString>,
    listener: Option<Py<PyAny>>,
) -> PyResult<(String, String)> {
    attended(py, cores(), listener, |progress| {
        let outcome = ltv::invoke(arguments, progress)?;
        let json = serde_json::to_string(&outcome.json).map_err(Failure::internal)?;
        Ok((outcome.text, json))
    })
}
