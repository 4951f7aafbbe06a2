//! Numbers and tables from Python and back, through the Arrow C interface: nothing is copied on the way in.

use crate::fault::Failure;
use arrow::{
    array::{Array, ArrayData, ArrayRef, AsArray, Float64Array, make_array},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use arrow_pyarrow::{FromPyArrow, ToPyArrow};
use pyo3::prelude::*;

/// A column of numbers, NaN where null.
pub(crate) struct Floats(Float64Array);

impl Floats {
    pub(crate) fn values(&self) -> &[f64] {
        self.0.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'py> FromPyObject<'_, 'py> for Floats {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = make_array(ArrayData::from_pyarrow_bound(&object)?);
        let array = cast(&array, &DataType::Float64).map_err(|e| Failure::user(e.to_string()))?;
        let numbers = array.as_primitive::<Float64Type>();
        if numbers.null_count() == 0 {
            return Ok(Self(numbers.clone()));
        }
        let known = numbers.iter().map(|x| x.unwrap_or(f64::NAN));
        Ok(Self(Float64Array::from_iter_values(known)))
    }
}

/// Numbers as a PyArrow array.
pub(crate) fn floats(py: Python<'_>, values: Vec<f64>) -> PyResult<Bound<'_, PyAny>> {
    let array: ArrayRef = std::sync::Arc::new(Float64Array::from(values));
    array.to_data().to_pyarrow(py)
}
