//! Metrics with intervals, decile tables and comparisons.
//!
//! [`evaluate`] turns labels and named predictions into an [`Evaluation`]: for each horizon, set and
//! segment, every [`Metric`] with a bootstrap interval over users, the decile table and the curves of
//! the paper's figure 4. [`Evaluation::summary`] is what a person reads first,
//! [`Evaluation::details`] nearly all of it, [`Evaluation::to_json`] what a program keeps. [`score`]
//! is the short way for one column without intervals.
//!
//! | module | holds |
//! |---|---|
//! | [`metric`] | names, formulas, directions, reasons for null |
//! | [`report`] | the document |
//! | [`comparison`] | many models, several seeds of each, from columns read one at a time |
//! | [`bootstrap`] | resampling by multiplicities |
//! | [`calibration`] | whether predicted distributions hold |
//! | [`drift`] | how far distributions have moved: the population stability index |
//! | [`deciles`], [`order`], [`segment`] | tables and shares beside the metrics |
//! | [`page`] | a report as one page of HTML |
//! | [`roi`] | two models as the policies of an advertiser: returns, uplift, power, bids |
//! | [`spill`] | the same of more rows than memory should hold, from sorted files |
//! | `scope` | one set of rows: every prediction set on it |
//! | `sample`, `tally`, `measure` | sort once; one pass under weights; metrics from sums |
//! | `paired` | differences over several occasions, such as dates |
//! | `lorenz`, `rank`, `sum` | curves of straight pieces, rank sums, sums without loss |
//!
//! Every metric is a function of sums over groups of tied rows, so that ties are exact, nothing
//! depends on the order of rows, and the point estimate and each resample run the same code. [`evaluate`]
//! holds all columns of labels and predictions in memory as f64; [`Spill`] keeps them in scratch
//! files, sorts them there, and hands the same sums to the same code.
//!
//! ```
//! use ltv_core::Horizons;
//! use ltv_eval::{Bootstrap, EvalInput, Metric, NamedPredictions, evaluate};
//!
//! let predictions = [NamedPredictions {
//!     name: "guess".to_owned(),
//!     values: vec![3.0, 4.0, 1.0, 1.0, 0.0, 2.0],
//! }];
//! let evaluation = evaluate(&EvalInput {
//!     horizons: &Horizons::new(vec![30, 90])?,
//!     labels: &[5.0, 9.0, 0.0, f64::NAN, 0.0, 1.0], // three users; NaN: not known yet
//!     predictions: &predictions,
//!     segments: &[],
//!     bootstrap: Some(Bootstrap { replicates: 100, seed: 1 }),
//!     reference: None,
//! })?;
//! let scores = &evaluation.results[0].overall.scores[0];
//! assert_eq!(scores.value(Metric::CalibrationRatio), Some(4.0 / 5.0));
//! println!("{}", evaluation.summary());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bootstrap;
pub mod calibration;
pub mod comparison;
pub mod deciles;
pub mod drift;
pub mod error;
mod evaluate;
pub mod layout;
mod lorenz;
mod measure;
pub mod metric;
pub mod order;
pub mod page;
mod paired;
mod rank;
pub mod report;
pub mod roi;
mod sample;
mod scope;
pub mod segment;
pub mod spill;
mod sum;
mod summary;
mod tally;
mod text;

pub use bootstrap::{Bootstrap, Interval};
pub use calibration::{Calibration, Central, CentralTally, QuantileShare};
pub use comparison::{
    Comparison, ComparisonInput, Contestant, Source, compare, compare_with_progress,
};
pub use deciles::Decile;
pub use drift::{Psi, Reading};
pub use error::EvalError;
pub use evaluate::{EvalInput, NamedPredictions, evaluate, evaluate_with_progress, score};
pub use metric::{Direction, Metric, Null};
pub use order::{OrderViolations, order_violations};
pub use paired::Paired;
pub use report::{Curves, Evaluation, HorizonResult, Scope, Score, Scores, SegmentResult};
pub use segment::{Segments, TooSmall};
pub use spill::{Spill, SpillOptions, Spilled};
pub use sum::Sum;
