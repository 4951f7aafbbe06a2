//! Random forests of two stages within groups of users (Vanderveld et al., KDD 2016, the paper's
//! reference 14): people who behave alike are predicted alike, and each group has its own model.
//!
//! XGBoost grows the forests: one round of many trees, a learning rate of 1, rows and columns drawn
//! at random, no penalty. Both stages minimise squared error: a leaf of the first holds the share
//! of its users above 0 (variance and Gini impurity of a 0/1 label choose the same splits), a leaf
//! of the second the mean value of its users above 0; a forest is the mean of its trees. So this is
//! a random forest as Breiman has it, but that rows are drawn without replacement.

use crate::{
    boost::{Data, Outcome, Rows, short},
    config::ForestConfig,
    error::BaselineError,
    matrix::Layout,
    peer::{Fitted, Stage, Two},
    rows::Frame,
    search::{Candidate, Problem, Source, solve},
};
use ltv_core::{encoding::EncodedRows, labels::LabelHistogram};
use serde::{Deserialize, Serialize};

/// Groups of users by what they did in the observation window.
///
/// | group | who |
/// |---|---|
/// | `once` | active on one day at most |
/// | `low` | the others, but for those in `high` |
/// | `high` | active on more than `days` days, or worth more than `value` |
///
/// `days` is the median of active days, `value` the 0.75 quantile of `value_sum`, both among
/// training users who were active on more than one day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// More active days than this are many.
    pub days: f64,
    /// More value than this is much; none where the dataset has no value.
    pub value: Option<f64>,
}

/// Names of the groups, in order.
pub(crate) const GROUPS: [&str; 3] = ["once", "low", "high"];

const PEER: &str = "a peer of kind 'forest'";

/// Columns that groups are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    days: usize,
    value: Option<usize>,
    width: usize,
}

impl Columns {
    pub(crate) fn new(frame: &Frame) -> Result<Self, BaselineError> {
        Ok(Self {
            days: frame.needed("active_days", PEER)?,
            value: frame.column("value_sum"),
            width: frame.encoding.plain.len(),
        })
    }

    fn of(&self, rows: &EncodedRows, r: usize) -> (f64, Option<f64>) {
        let row = &rows.plain[r * self.width..][..self.width];
        (row[self.days], self.value.map(|c| row[c]))
    }
}

impl Groups {
    fn fit(columns: Columns, rows: &EncodedRows) -> Self {
        let (mut days, mut value) = (LabelHistogram::default(), LabelHistogram::default());
        for r in 0..rows.rows {
            let (d, v) = columns.of(rows, r);
            if d > 1.0 {
                days.add(d);
                v.into_iter().for_each(|v| value.add(v.max(0.0)));
            }
        }
        Self {
            days: days.quantile(0.5),
            value: columns.value.map(|_| value.quantile(0.75)),
        }
    }

    /// The number of a row's group.
    pub(crate) fn of(&self, columns: Columns, rows: &EncodedRows, r: usize) -> usize {
        let (days, value) = columns.of(rows, r);
        let much = matches!((value, self.value), (Some(v), Some(cut)) if v > cut);
        match days > 1.0 {
            false => 0,
            true if days > self.days || much => 2,
            true => 1,
        }
    }
}

/// Two forests for each group and horizon.
pub(crate) fn fit(config: &ForestConfig, data: &Data<'_>) -> Outcome {
    let columns = Columns::new(data.frame)?;
    let groups = Groups::fit(columns, &data.train.rows);
    let mut problems = vec![];
    for t in 0..data.frame.horizons.len() {
        let rows = Rows::new(data, t, config.recent_days)?;
        for (group, name) in GROUPS.iter().enumerate() {
            let inside =
                |&&(r, _): &&(usize, f32)| groups.of(columns, &data.train.rows, r) == group;
            let own: Vec<_> = rows.train.iter().filter(inside).copied().collect();
            let (own, name) = match own.len() < config.min_group {
                true => (&rows.train, "all"),
                false => (&own, *name),
            };
            for stage in [Stage::Positive, Stage::Amount] {
                let horizon = data.frame.horizons.days()[t];
                problems.push(problem(config, horizon, stage, name, own, data.seed));
            }
        }
    }
    let layout = Layout::new(&data.frame.encoding, config.categories);
    let source = Source {
        layout: &layout,
        train: &data.train.rows,
        validation: &data.validation.rows,
    };
    let (parts, records): (Vec<_>, _) =
        solve(&problems, &source, data.threads)?.into_iter().unzip();
    let pairs = Two::pairs(parts);
    let horizons = pairs.chunks(GROUPS.len()).map(<[Two]>::to_vec).collect();
    Ok((Fitted::Forest { groups, horizons }, records))
}

fn problem(
    config: &ForestConfig,
    horizon: u32,
    stage: Stage,
    group: &str,
    rows: &[(usize, f32)],
    seed: u64,
) -> Problem {
    let parameters = vec![
        ("objective", "reg:squarederror".to_string()),
        ("eta", "1".to_string()),
        ("lambda", "0".to_string()),
        ("num_parallel_tree", config.trees.to_string()),
        ("max_depth", config.max_depth.to_string()),
        ("min_child_weight", config.min_leaf.to_string()),
        ("subsample", config.subsample.to_string()),
        ("colsample_bynode", config.colsample_bynode.to_string()),
        ("max_bin", config.max_bin.to_string()),
        ("seed", short(seed)),
    ];
    Problem {
        horizon,
        stage,
        group: Some(group.to_string()),
        train: Rows::labels(stage, rows),
        validation: vec![],
        candidates: vec![Candidate {
            setting: None,
            parameters,
        }],
        absolute: false,
        rounds: 1,
        patience: None,
        by_errors: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_hand() {
        let columns = Columns {
            days: 0,
            value: Some(1),
            width: 2,
        };
        let users = [
            [1.0, 500.0],
            [0.0, 0.0],
            [2.0, 10.0],
            [2.0, 20.0],
            [3.0, 30.0],
            [5.0, -4.0],
            [2.0, 90.0],
        ];
        let rows = EncodedRows {
            rows: users.len(),
            plain: users.concat(),
            ..EncodedRows::default()
        };
        let groups = Groups::fit(columns, &rows);
        // Active days 2 2 3 5 2, values 10 20 30 0 90 of those who came again.
        assert_eq!((groups.days, groups.value), (2.0, Some(30.0)));
        let found: Vec<_> = (0..7).map(|r| groups.of(columns, &rows, r)).collect();
        assert_eq!(found, [0, 0, 1, 1, 2, 2, 2]);
        let missing = EncodedRows {
            rows: 1,
            plain: vec![f64::NAN, f64::NAN],
            ..EncodedRows::default()
        };
        assert_eq!(groups.of(columns, &missing, 0), 0);
    }
}
