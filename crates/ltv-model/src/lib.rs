//! ODMN: encoders, MDME, Mono Units, losses, decoding, the model bundle.
//!
//! | module | holds |
//! |---|---|
//! | [`buckets`] | segmentation and bucketing of the label range (paper section 3.3) |
//! | [`spec`] | the shape of one network: inputs, layers, horizons |
//! | `represent` | what a head reads of a user: day encoders, backbones, feature crosses |
//! | [`odmn`] | the network: what `represent` makes, a head for each horizon, losses |
//! | [`heads`] | what stands on a horizon's representation: MDME with its Mono Units, log-normals |
//! | [`targets`] | rows and labels to what the engine reads |
//! | [`init`] | first weights; output biases at the training priors |
//! | [`decode`] | from a row's distribution to values, quantiles, and ordered horizons |
//! | [`decoder`] | the same for whole tiles of a network's outputs |
//! | [`matching`] | curves that give values the distribution of labels |
//! | `grid` | cells for sums over any number of rows |
//! | [`recalibration`] | expectations that are spread as widely as labels bear out |
//! | [`bundle`] | a trained model in one file |
//! | [`tensors`] | the file that bundles and checkpoints are: a document and tensors, checksummed |
//! | [`predict`] | a bundle, ready to predict |
//! | [`yardstick`] | the model that speed is measured on |

pub mod buckets;
pub mod bundle;
pub mod decode;
pub mod decoder;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod grid;
pub mod heads;
pub mod init;
pub mod matching;
pub mod odmn;
pub mod predict;
pub mod recalibration;
mod represent;
pub mod spec;
pub mod targets;
pub mod tensors;
pub mod yardstick;

pub use bundle::Bundle;
pub use decode::Decoding;
pub use error::ModelError;
pub use predict::Model;
