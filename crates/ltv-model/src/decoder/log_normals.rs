//! The log-normals of a tile.

use super::View;
use crate::{
    decode::{Component, Distribution, LogNormals},
    heads::LogNormalHead,
};
use ltv_nn::{Real, ops::log_normal_scale, runner::Outputs};

/// The outputs of one horizon in one tile.
pub(super) struct LogNormalView<'a> {
    positive: &'a [f32],
    components: Vec<Features<'a>>,
    row: LogNormals,
}

/// The tile's rows of one component.
struct Features<'a> {
    share: Option<&'a [f32]>,
    location: &'a [f32],
    scale: &'a [f32],
}

impl<'a> LogNormalView<'a> {
    pub(super) fn new(head: &LogNormalHead, outputs: &'a Outputs<'_, f32>) -> Self {
        let x = &head.outputs;
        let features = |k| Features {
            share: x.shares.map(|s| outputs.feature(s.probabilities, k)),
            location: outputs.feature(x.locations, k),
            scale: outputs.feature(x.scales, k),
        };
        Self {
            positive: outputs.feature(x.positive, 0),
            components: (0..x.locations.width()).map(features).collect(),
            row: LogNormals {
                cap: head.cap,
                ..LogNormals::default()
            },
        }
    }
}

impl View for LogNormalView<'_> {
    fn row(&mut self, r: usize) -> &dyn Distribution {
        self.row.positive = f64::from(self.positive[r]).sigmoid();
        let share = |c: &Features<'_>| c.share.map_or(1.0, |s| f64::from(s[r]));
        let total: f64 = self.components.iter().map(share).sum();
        let components = self.components.iter().map(|c| Component {
            share: share(c) / total,
            location: f64::from(c.location[r]),
            scale: log_normal_scale(f64::from(c.scale[r])),
        });
        self.row.components.clear();
        self.row.components.extend(components);
        &self.row
    }
}
