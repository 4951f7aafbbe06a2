//! What delivering to a user costs: a column of the log, or a model that somebody states.

use crate::LabError;
use arrow::{
    array::{AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use ltv_core::{Error, assignment::Assigner};
use ltv_data::Dataset;
use ltv_eval::roi::COSTS;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Where costs are from.
#[derive(Debug, Clone, PartialEq)]
pub enum CostSource {
    /// A column of the dataset.
    Column(String),
    /// The same for everybody.
    Constant(f64),
    /// Log-normal over users, drawn by a hash of each, so that a user always costs the same.
    LogNormal {
        /// Half of the users cost less.
        median: f64,
        /// Standard deviation of the log.
        sigma: f64,
    },
    /// One cost for each value of a column.
    By {
        /// The column.
        column: String,
        /// Cost by value.
        prices: BTreeMap<String, f64>,
    },
}

/// How a cost model is written.
const FORMS: &str = "write constant:C, lognormal:MEDIAN,SIGMA or by:COLUMN:VALUE=C,VALUE=C";

/// What the hash of users is salted with for invented costs: another split leaves costs as they are.
const SALT: &str = "ltv roi cost";

impl FromStr for CostSource {
    type Err = String;

    /// Reads a cost model; columns have no written form.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no cost model: {FORMS}");
        let positive = |text: &str| match text.trim().parse::<f64>() {
            Ok(x) if COSTS.contains(&x) => Ok(x),
            Ok(x) if x > 0.0 && x.is_finite() => Err(format!(
                "a cost of '{text}' cannot be reckoned with: give costs in another unit, from {:e} to {:e}",
                COSTS.start(),
                COSTS.end()
            )),
            _ => Err(format!("'{text}' is no cost: give a number above 0")),
        };
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "constant" => Ok(Self::Constant(positive(rest)?)),
            "lognormal" => {
                let (median, sigma) = rest.split_once(',').ok_or_else(wrong)?;
                let median = positive(median)?;
                let sigma = sigma.trim().parse::<f64>().map_err(|_| wrong())?;
                // Beyond, some of a billion users would cost nothing or more than there is.
                if !(0.0..=10.0).contains(&sigma) {
                    return Err(format!("sigma {sigma}: give a number from 0 to 10"));
                }
                Ok(Self::LogNormal { median, sigma })
            }
            "by" => {
                let (column, list) = rest.split_once(':').ok_or_else(wrong)?;
                let price = |pair: &str| {
                    let (value, cost) = pair.rsplit_once('=').ok_or_else(wrong)?;
                    Ok((value.to_owned(), positive(cost)?))
                };
                let prices = list.split(',').map(price).collect::<Result<_, String>>()?;
                let column = column.to_owned();
                Ok(Self::By { column, prices })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for CostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => write!(f, "column '{name}'"),
            Self::Constant(cost) => write!(f, "constant:{cost}"),
            Self::LogNormal { median, sigma } => write!(f, "lognormal:{median},{sigma}"),
            Self::By { column, prices } => {
                let list: Vec<String> = prices.iter().map(|(v, c)| format!("{v}={c}")).collect();
                write!(f, "by:{column}:{}", list.join(","))
            }
        }
    }
}

impl CostSource {
    /// Whether nobody has seen these costs.
    pub fn invented(&self) -> bool {
        !matches!(self, Self::Column(_))
    }

    /// The dataset column that is read for it.
    pub(super) fn column(&self) -> Option<&String> {
        match self {
            Self::Column(column) | Self::By { column, .. } => Some(column),
            _ => None,
        }
    }

    /// Whether the dataset has the column, in a type that can be a cost or a category.
    pub(super) fn check(&self, dataset: &Dataset) -> Result<(), LabError> {
        let Some(column) = self.column() else {
            return Ok(());
        };
        let manifest = dataset.manifest();
        let path = dataset.folder().to_path_buf();
        let features = manifest.features.iter().flat_map(|f| &f.columns);
        if !features.chain(&manifest.keep).any(|c| c == column) {
            return Err(LabError::NoCost {
                path,
                column: column.clone(),
                known: manifest.keep.clone(),
            });
        }
        let schema = dataset.files().first().map(|file| file.schema());
        let field = schema.and_then(|s| s.field_with_name(column).ok());
        let found = field.map(|f| f.data_type().clone());
        match (self, found) {
            (Self::Column(column), Some(found)) if !found.is_numeric() => Err(LabError::CostType {
                path,
                column: column.clone(),
                found: found.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The costs of a batch's users, who are named beside it.
    pub(super) fn costs(
        &self,
        dataset: &Dataset,
        raw: &RecordBatch,
        users: &[String],
    ) -> Result<Vec<f64>, LabError> {
        match self {
            Self::Column(name) => {
                let column = column(raw, name, &DataType::Float64)?;
                let values = column.as_primitive::<Float64Type>().iter();
                // Whoever adds the users refuses what is not above 0, and so a null.
                Ok(values.map(|v| v.unwrap_or(f64::NAN)).collect())
            }
            Self::Constant(cost) => Ok(vec![*cost; users.len()]),
            Self::LogNormal { median, sigma } => {
                let assigner = Assigner::new(SALT);
                let cost =
                    |user: &String| median * (sigma * normal(assigner.draw(user).rest)).exp();
                Ok(users.iter().map(cost).collect())
            }
            Self::By {
                column: name,
                prices,
            } => {
                let column = column(raw, name, &DataType::Utf8)?;
                let values = column.as_string::<i32>().iter();
                let price = |value: Option<&str>| {
                    let value = value.unwrap_or(ltv_score::evaluate::NO_VALUE);
                    prices.get(value).copied().ok_or_else(|| {
                        let problem = format!(
                            "{}: '{value}' in column '{name}' has no cost: add {value}=C",
                            dataset.folder().display()
                        );
                        Error::config("cost_model", problem).into()
                    })
                };
                values.map(price).collect()
            }
        }
    }
}

/// A standard normal number from two fractions in `(0, 1]` (Box and Muller 1958).
fn normal([u, v]: [f64; 2]) -> f64 {
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// A column of a batch, as another type.
pub(super) fn column(
    raw: &RecordBatch,
    name: &str,
    to: &DataType,
) -> Result<arrow::array::ArrayRef, LabError> {
    let found = raw.column_by_name(name);
    let found = found.ok_or_else(|| LabError::internal(format!("column '{name}' was not read")))?;
    cast(found, to).map_err(LabError::internal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn cost_models_are_read_as_they_are_written() {
        for text in [
            "constant:1.5",
            "lognormal:2,0.5",
            "by:channel:ads-a=2.4,organic=0.1",
        ] {
            let model: CostSource = text.parse().unwrap();
            assert_eq!(model.to_string(), text);
            assert!(model.invented());
        }
        for text in [
            "",
            "constant",
            "constant:0",
            "constant:-1",
            "constant:inf",
            "constant:1e308",
            "constant:1e-320",
            "lognormal:1e60,1",
            "by:channel:a=1e51",
            "constant:x",
            "lognormal:1",
            "lognormal:0,1",
            "lognormal:1,-1",
            "lognormal:1,NaN",
            "by:channel",
            "by:channel:a",
            "by:channel:a=0",
            "uniform:1",
        ] {
            assert!(text.parse::<CostSource>().is_err(), "{text}");
        }
    }

    /// Mean and variance of the log of 20,000 users, within four standard errors.
    #[test]
    fn invented_costs_are_log_normal() {
        let assigner = Assigner::new(SALT);
        let logs: Vec<f64> = (0..20_000)
            .map(|u| normal(assigner.draw(&u.to_string()).rest))
            .collect();
        let mean = logs.iter().sum::<f64>() / 2e4;
        let square = logs.iter().map(|z| z * z).sum::<f64>() / 2e4;
        assert!(mean.abs() < 4.0 / 2e4f64.sqrt(), "{mean}");
        assert!(
            (square - 1.0).abs() < 4.0 * (2.0 / 2e4f64).sqrt(),
            "{square}"
        );
    }
}
