//! How the network reads a user before its towers: backbone, feature crosses, sequences of days.

use super::ModelConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How horizons share the layers below their towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// One stack of layers for all (paper section 3.2).
    SharedBottom,
    /// Experts for all, and for each horizon a gate that weighs them (MMoE, Ma et al., KDD 2018).
    Mmoe,
    /// Experts for all and experts of each horizon, weighed level by level (PLE, Tang et al.,
    /// RecSys 2020).
    Ple,
}

/// What is crossed with what beside the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cross {
    /// Nothing.
    None,
    /// All pairs of embedded fields (DeepFM, Guo et al., IJCAI 2017).
    #[serde(rename = "deepfm")]
    DeepFm,
    /// Layer by layer, the input with what came of it (DCN-v2, Wang et al., WWW 2021).
    Dcn,
}

/// What reads the days of the observation window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayEncoder {
    /// Every day is a field of its own, with an embedding table of its own (paper section 3.2).
    Concat,
    /// Convolutions over days.
    Cnn,
    /// Attention of every day to every day.
    Transformer,
    /// A Haar wavelet transform over days, its coefficients shrunk by learned thresholds.
    Wavelet,
}

impl ModelConfig {
    /// Checks the ranges of what lies below the towers.
    pub(super) fn check_representation(&self) -> Result<()> {
        let odd = |n: usize| n % 2 == 1;
        if !(1..=31).contains(&self.kernel) || !odd(self.kernel) {
            let problem = format!("{} is not an odd number between 1 and 31", self.kernel);
            return Err(Error::config("model.kernel", problem));
        }
        let attends = self.sequence == DayEncoder::Transformer;
        if attends && !self.sequence_width.is_multiple_of(self.heads) {
            let (heads, width) = (self.heads, self.sequence_width);
            let problem = format!(
                "{heads} heads cannot share model.sequence_width = {width} equally; make the width \
                 a multiple of the heads"
            );
            return Err(Error::config("model.heads", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let fails = |change: fn(&mut ModelConfig)| {
            let mut config = ModelConfig::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(fails(|c| c.experts = 0).starts_with("model.experts"));
        assert!(fails(|c| c.task_experts = 17).starts_with("model.task_experts"));
        assert!(fails(|c| c.levels = 0).starts_with("model.levels"));
        assert!(fails(|c| c.cross_layers = 9).starts_with("model.cross_layers"));
        assert!(fails(|c| c.cross_rank = 5000).starts_with("model.cross_rank"));
        assert!(fails(|c| c.sequence_width = 0).starts_with("model.sequence_width"));
        assert!(fails(|c| c.sequence_layers = 0).starts_with("model.sequence_layers"));
        assert!(fails(|c| c.kernel = 4).starts_with("model.kernel"));
        let uneven = |c: &mut ModelConfig| {
            c.sequence = DayEncoder::Transformer;
            c.heads = 5;
        };
        assert!(fails(uneven).starts_with("model.heads"));
        let only_attention_has_heads = ModelConfig {
            sequence: DayEncoder::Cnn,
            heads: 5,
            ..ModelConfig::default()
        };
        only_attention_has_heads.check().unwrap();
    }

    #[test]
    fn words() {
        let config: ModelConfig = toml::from_str(
            "backbone = 'shared_bottom'\ncross = 'deepfm'\nsequence = 'transformer'",
        )
        .unwrap();
        assert_eq!(config.cross, Cross::DeepFm);
        let config: ModelConfig =
            toml::from_str("backbone = 'mmoe'\ncross = 'dcn'\nsequence = 'wavelet'").unwrap();
        assert_eq!(config.backbone, Backbone::Mmoe);
        assert_eq!(config.sequence, DayEncoder::Wavelet);
    }
}
