//! What stands on a horizon's representation: its outputs, its losses, what these read of a label,
//! and the biases that its outputs start at. Every choice between heads is made here (and, for
//! decoding, in [`crate::decoder`]).
//!
//! | head | is | file |
//! |---|---|---|
//! | `mdme` | a distribution over buckets, and the position in each | `heads/mdme.rs` |
//! | `ziln`, `mixture` | zero, or one or several log-normals | `heads/log_normals.rs` |

mod log_normals;
mod mdme;
mod mono;
mod towers;

pub use log_normals::{LogNormalColumns, LogNormalHead};
pub use mdme::{BucketColumns, BucketHead, MIDDLE};

use crate::{buckets::Buckets, spec::Spec};
use ltv_core::config::{HeadKind, ModelConfig};
use ltv_nn::{Batch, Node, Real, graph::Builder};

/// The outputs of one horizon.
#[derive(Debug, Clone)]
pub enum Head {
    /// Of MDME.
    Buckets(BucketHead),
    /// Of zero-inflated log-normals.
    LogNormals(LogNormalHead),
}

/// Target columns of one horizon, and which loss terms are its likelihood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HorizonColumns {
    /// Class column in which every row with a label takes part.
    pub mature: usize,
    /// The columns.
    pub targets: TargetColumns,
    /// The loss terms whose sum is the negative log-likelihood of a label.
    pub likelihood: Vec<LikelihoodTerm>,
}

/// Where a head expects its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetColumns {
    /// MDME.
    Buckets(BucketColumns),
    /// Zero-inflated log-normals.
    LogNormals(LogNormalColumns),
}

/// A loss term that is part of a likelihood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikelihoodTerm {
    /// Name of the term.
    pub term: String,
    /// The class column whose rows it is a mean over.
    pub column: usize,
}

impl Head {
    /// The bucket distribution and its kin, where the head has one.
    pub fn buckets(&self) -> Option<&BucketHead> {
        match self {
            Self::Buckets(head) => Some(head),
            Self::LogNormals(_) => None,
        }
    }

    /// The log-normals, where the head has them.
    pub fn log_normals(&self) -> Option<&LogNormalHead> {
        match self {
            Self::Buckets(_) => None,
            Self::LogNormals(head) => Some(head),
        }
    }
}

impl HorizonColumns {
    /// The columns of MDME, where the head is one.
    pub fn buckets(&self) -> Option<&BucketColumns> {
        match &self.targets {
            TargetColumns::Buckets(columns) => Some(columns),
            TargetColumns::LogNormals(_) => None,
        }
    }

    /// Writes the targets of one row, whose label is not null.
    pub(crate) fn fill<T: Real>(
        &self,
        buckets: &Buckets,
        label: f64,
        row: usize,
        batch: &mut Batch<T>,
    ) {
        match &self.targets {
            TargetColumns::Buckets(columns) => columns.fill(buckets, label, row, batch),
            TargetColumns::LogNormals(columns) => columns.fill(label, row, batch),
        }
    }
}

/// What a head stands on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Below {
    /// The representation of the user.
    pub(crate) v: Node,
    /// The age of the user's cohort, `[1]`, where there is a trend.
    pub(crate) age: Option<Node>,
    /// The bucket distribution of the horizon before, where horizons are chained.
    pub(crate) upstream: Option<Node>,
}

/// Builds the head of horizon `t`, with its losses when training.
pub(crate) fn build<T: Real>(
    b: &mut Builder<T>,
    spec: &Spec,
    t: usize,
    below: Below,
) -> (Head, Option<HorizonColumns>) {
    match spec.model.head {
        HeadKind::Mdme => mdme::build(b, spec, t, below),
        HeadKind::Ziln | HeadKind::Mixture => log_normals::build(b, spec, t, below),
    }
}

/// The biases that a horizon's outputs start at, by tower name.
pub(crate) fn priors(model: &ModelConfig, buckets: &Buckets) -> Vec<(String, Vec<f64>)> {
    match model.head {
        HeadKind::Mdme => mdme::priors(buckets),
        HeadKind::Ziln | HeadKind::Mixture => {
            log_normals::priors(buckets, log_normals::components(model))
        }
    }
}

/// `ln p / (1 - p)`, kept away from certainty.
fn log_odds(p: f64) -> f64 {
    let p = p.clamp(0.001, 0.999);
    (p / (1.0 - p)).ln()
}
