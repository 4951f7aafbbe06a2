//! Many models, several runs of each, on the same users: who is better, and beyond which noise.
//!
//! [`compare`] reads one column of predictions at a time from a [`Source`] and keeps of it only the
//! metrics and their resamples, so that memory depends on users and on contestants, never on their
//! product. The resamples of a horizon are the same for everybody, so that differences are paired.
//!
//! # What noise means here
//! A difference of two means over runs is uncertain for two reasons, and both must count:
//!
//! - **users**: other users would have been in the test. The paired bootstrap interval of the
//!   difference covers this, with the runs held fixed.
//! - **seeds**: other seeds would have made other models. The margin
//!   `m = t(0.975, nu) * sqrt(s_a^2 / n_a + s_b^2 / n_b)` covers this, with `s` the sample standard
//!   deviation over `n` runs, and `nu` the degrees of freedom of Welch and Satterthwaite (Welch
//!   1947). A contestant of one run adds nothing to it: right for a deterministic model, too kind to
//!   any other, so run those several times. With two runs each, `t` is 4.3 to 12.7 and hardly
//!   anything is decided; from three on it is 2.1 to 4.3.
//!
//! Asking that a difference exceed each of the two by itself is not enough: where both are equally
//! large, their joint spread is 1.41 times either, and one difference in six would pass by chance
//! instead of one in twenty. So the two are joined: with `d` the difference and `[l, u]` its interval
//! over users, the **combined interval** is `[d - sqrt((d - l)^2 + m^2), d + sqrt((u - d)^2 + m^2)]`
//! (Howe 1974; Zou and Donner 2008 call it MOVER: limits of a sum of independent parts whose
//! intervals need not be symmetric). It is never narrower than either. A difference is noise when
//! the combined interval includes 0. Nothing is corrected for the number of contestants and
//! metrics: among many comparisons, one in twenty is decided by chance where nothing differs.
//!
//! | file | holds |
//! |---|---|
//! | `input`, `error` | what is compared, and what can be wrong with it |
//! | `engine`, `entry` | the loop over columns; means over runs and of resamples |
//! | `gap`, `standing`, `ranking` | differences; verdicts by table; expected orders |
//! | `crossing` | order violations from columns that come one by one |
//! | `document` | the result |
//! | `text`, `sheet` | tables for terminals and for Markdown |

mod crossing;
mod document;
mod engine;
mod entry;
mod error;
mod gap;
mod input;
mod ranking;
mod sheet;
mod standing;
mod text;

pub use crossing::{CrossingShare, Crossings};
pub use document::{
    Comparison, ContestantResult, EntryResult, FORMAT, HorizonComparison, MetricResult,
    TableResult, TableRow, VERSION,
};
pub use engine::{compare, compare_with_progress};
pub use error::CompareError;
pub(crate) use gap::t_quantile;
pub use gap::{Gap, Range};
pub use input::{ComparisonInput, Contestant, Expectation, Source, SourceError};
pub use ranking::{Agreement, PairResult, RankingResult};
pub use standing::{Standing, Verdict};
