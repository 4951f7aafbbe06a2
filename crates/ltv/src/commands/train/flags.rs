//! The flags of the configuration's tables, each a key of the same name.

use crate::{exit::Failure, options::Overlay};
use clap::Args;
use ltv_core::{
    Day,
    config::{Auto, Cut},
};

/// The `[split]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Split of the users")]
pub(super) struct SplitFlags {
    /// Share of users held out for testing, in [0, 1) [default: 0]
    #[arg(long, value_name = "SHARE")]
    test: Option<f64>,
    /// Share of users held out for validation, in (0, 1) [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Users take part when this horizon's label is mature: shortest or longest [default: shortest]
    #[arg(long, value_name = "HORIZON", value_parser = ["shortest", "longest"])]
    mature: Option<String>,
    /// Only users registered on or after this day
    #[arg(long, value_name = "DATE")]
    registered_from: Option<Day>,
    /// Only users registered before this day
    #[arg(long, value_name = "DATE")]
    registered_before: Option<Day>,
}

/// The `[encoding]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encoding of features")]
pub(super) struct EncodingFlags {
    /// Bins of a number at most, 2 to 1024 [default: 8]
    #[arg(long, value_name = "N")]
    max_bins: Option<u64>,
    /// Training rows a category needs to get a cell of its own [default: 50]
    #[arg(long, value_name = "N")]
    min_category_rows: Option<u64>,
    /// Cells of a category at most [default: 10000]
    #[arg(long, value_name = "N")]
    max_categories: Option<u64>,
}

/// The `[model]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct ModelFlags {
    /// Dimensions of an embedding, 1 to 256 [default: 4]
    #[arg(long, value_name = "N")]
    embedding: Option<u64>,
    /// Outputs of the shared bottom's layers [default: 128,64]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    bottom: Vec<u64>,
    /// Hidden outputs of a tower, 1 to 1024 [default: 32]
    #[arg(long, value_name = "N")]
    tower: Option<u64>,
    /// How horizons are chained: off, paper or strict [default: paper]
    #[arg(long, value_name = "MODE", value_parser = ["off", "paper", "strict"])]
    mono: Option<String>,
    /// Hidden outputs of a Mono Unit, 1 to 256 [default: 16]
    #[arg(long, value_name = "N")]
    mono_hidden: Option<u64>,
    /// Whether numbers enter the network beside their cells [default: true]
    #[arg(long, value_name = "BOOL")]
    numbers: Option<bool>,
    /// Whether every class has a trend from cohort to cohort [default: true]
    #[arg(long, value_name = "BOOL")]
    trend: Option<bool>,
    /// Dropout in the shared bottom: auto, the less the more rows, or a share in [0, 1) [default: auto]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<Auto<f64>>,
    /// Sub-distributions of a horizon, 2 to 8 [default: 2]
    #[arg(long, value_name = "N")]
    segments: Option<u64>,
    /// Where sub-distributions part: auto, zero, median, or values [default: auto]
    #[arg(long, value_name = "CUT", value_parser = cut)]
    cut: Option<Cut>,
    /// Buckets of a sub-distribution, about, 2 to 100 [default: 10]
    #[arg(long, value_name = "N")]
    buckets: Option<u64>,
    /// Weight of the calibration loss [default: 1]
    #[arg(long, value_name = "X")]
    alpha: Option<f64>,
    /// Weight of the distillation into sub-distributions [default: 0.1]
    #[arg(long, value_name = "X")]
    beta: Option<f64>,
    /// Weight of the distillation into buckets [default: 0.1]
    #[arg(long, value_name = "X")]
    gamma: Option<f64>,
    /// Whether longer horizons are worth at least as much [default: true]
    #[arg(long, value_name = "BOOL")]
    monotone: Option<bool>,
    /// Weights of the order projection, one for each horizon [default: one over the squared mean]
    #[arg(long, value_name = "X,X", value_delimiter = ',')]
    order_weights: Vec<f64>,
}

/// What a horizon is predicted as: the rest of the `[model]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Head of a horizon")]
pub(super) struct HeadFlags {
    /// What a horizon is predicted as: mdme (the paper), ziln or mixture [default: mdme]
    #[arg(long, value_name = "NAME", value_parser = ["mdme", "ziln", "mixture"])]
    head: Option<String>,
    /// Log-normals of a mixture, 2 to 16 [default: 4]
    #[arg(long, value_name = "N")]
    components: Option<u64>,
    /// Whether the position in a bucket is learned [default: true]
    #[arg(long, value_name = "BOOL")]
    bias: Option<bool>,
    /// Whether the order of classes is learned and distilled [default: true]
    #[arg(long, value_name = "BOOL")]
    ordinal: Option<bool>,
}

/// What towers read of a user: the rest of the `[model]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Backbone, crosses and days")]
pub(super) struct RepresentFlags {
    /// How horizons share the layers below their towers: shared_bottom, mmoe or ple [default:
    /// shared_bottom]
    #[arg(long, value_name = "NAME", value_parser = ["shared_bottom", "mmoe", "ple"])]
    backbone: Option<String>,
    /// Experts for all horizons, 1 to 32 [default: 4]
    #[arg(long, value_name = "N")]
    experts: Option<u64>,
    /// Experts of each horizon alone, 1 to 16 [default: 2]
    #[arg(long, value_name = "N")]
    task_experts: Option<u64>,
    /// Levels of experts, 1 to 4 [default: 2]
    #[arg(long, value_name = "N")]
    levels: Option<u64>,
    /// Feature crosses beside the backbone: none, deepfm or dcn [default: deepfm]
    #[arg(long, value_name = "NAME", value_parser = ["none", "deepfm", "dcn"])]
    cross: Option<String>,
    /// Layers of crosses, 1 to 8 [default: 2]
    #[arg(long, value_name = "N")]
    cross_layers: Option<u64>,
    /// Rank of a cross layer's matrix, 0 for a full one [default: 32]
    #[arg(long, value_name = "N")]
    cross_rank: Option<u64>,
    /// What reads the days of the window: concat, cnn, transformer or wavelet [default: concat]
    #[arg(long, value_name = "NAME", value_parser = ["concat", "cnn", "transformer", "wavelet"])]
    sequence: Option<String>,
    /// Channels of a day, 1 to 256 [default: 32]
    #[arg(long, value_name = "N")]
    sequence_width: Option<u64>,
    /// Layers over days, 1 to 4 [default: 1]
    #[arg(long, value_name = "N")]
    sequence_layers: Option<u64>,
    /// Heads of attention, 1 to 8 [default: 2]
    #[arg(long, value_name = "N")]
    heads: Option<u64>,
    /// Days that a convolution sees at once, odd [default: 3]
    #[arg(long, value_name = "N")]
    kernel: Option<u64>,
}

/// The `[fit]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Optimiser")]
pub(super) struct FitFlags {
    /// Learning rate of layers, in (0, 1] [default: 0.001]
    #[arg(long, value_name = "X")]
    rate: Option<f64>,
    /// Learning rate of embeddings, in (0, 1] [default: 0.001]
    #[arg(long, value_name = "X")]
    embedding_rate: Option<f64>,
    /// How rates change: constant or cosine [default: constant]
    #[arg(long, value_name = "NAME", value_parser = ["constant", "cosine"])]
    schedule: Option<String>,
    /// Steps in which rates rise from 0 [default: 0]
    #[arg(long, value_name = "N")]
    warmup: Option<u64>,
    /// Rows of a step: auto, by the number of training rows, or 1 to 65536 [default: auto]
    #[arg(long, value_name = "N")]
    batch: Option<Auto<usize>>,
    /// Passes over the training rows at most [default: 30]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Validations without improvement before stopping [default: 4]
    #[arg(long, value_name = "N")]
    patience: Option<u32>,
    /// Decoupled weight decay, in [0, 1] [default: 0]
    #[arg(long, value_name = "X")]
    decay: Option<f64>,
    /// Steps between checkpoints [default: 2000]
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u64>,
    /// Rows shuffled at a time [default: 262144]
    #[arg(long, value_name = "N")]
    shuffle_rows: Option<u64>,
    /// Steps between validations; 0: once an epoch [default: 0]
    #[arg(long, value_name = "N")]
    validation_steps: Option<u64>,
    /// How users with and without value are brought to equal weight: none, oversample, undersample
    /// or reweight [default: none]
    #[arg(long, value_name = "HOW", value_parser = ["none", "oversample", "undersample", "reweight"])]
    balance: Option<String>,
    /// Whether expectations are spread as widely as validation labels bear out [default: true]
    #[arg(long, value_name = "BOOL")]
    recalibrate: Option<bool>,
}

pub(super) fn cut(text: &str) -> Result<Cut, String> {
    Ok(match text {
        "auto" => Cut::Auto,
        "zero" => Cut::Zero,
        "median" => Cut::Median,
        _ => {
            let values: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
            Cut::At(values.map_err(|_| "write auto, zero, median, or values such as 10,100")?)
        }
    })
}

/// The `[warm]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --warm-start")]
pub(super) struct WarmFlags {
    /// Passes at most over the users of whom a label has become known and some others [default: 2]
    #[arg(long, value_name = "N")]
    warm_epochs: Option<u32>,
    /// Learning rates, as a multiple of --rate and --embedding-rate [default: 0.5]
    #[arg(long, value_name = "FACTOR")]
    warm_rate: Option<f64>,
    /// Share of the other training users, so that nothing is forgotten [default: 0.25]
    #[arg(long, value_name = "SHARE")]
    replay: Option<f64>,
}

impl WarmFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("warm.epochs", self.warm_epochs)?;
        options.set("warm.rate", self.warm_rate)?;
        options.set("warm.replay", self.replay)
    }
}

impl SplitFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("split.test", self.test)?;
        options.set("split.validation", self.validation)?;
        options.set("split.mature", self.mature.as_ref())?;
        options.set("split.registered_from", self.registered_from)?;
        options.set("split.registered_before", self.registered_before)
    }
}

impl EncodingFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("encoding.max_bins", self.max_bins)?;
        options.set("encoding.min_category_rows", self.min_category_rows)?;
        options.set("encoding.max_categories", self.max_categories)
    }
}

impl ModelFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("model.embedding", self.embedding)?;
        options.list("model.bottom", &self.bottom)?;
        options.set("model.tower", self.tower)?;
        options.set("model.mono", self.mono.as_ref())?;
        options.set("model.mono_hidden", self.mono_hidden)?;
        options.set("model.numbers", self.numbers)?;
        options.set("model.trend", self.trend)?;
        options.set("model.dropout", self.dropout)?;
        options.set("model.segments", self.segments)?;
        options.set("model.cut", self.cut.as_ref())?;
        options.set("model.buckets", self.buckets)?;
        options.set("model.alpha", self.alpha)?;
        options.set("model.beta", self.beta)?;
        options.set("model.gamma", self.gamma)?;
        options.set("model.monotone", self.monotone)?;
        options.list("model.order_weights", &self.order_weights)
    }
}

impl FitFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("fit.rate", self.rate)?;
        options.set("fit.embedding_rate", self.embedding_rate)?;
        options.set("fit.schedule", self.schedule.as_ref())?;
        options.set("fit.warmup", self.warmup)?;
        options.set("fit.batch", self.batch)?;
        options.set("fit.epochs", self.epochs)?;
        options.set("fit.patience", self.patience)?;
        options.set("fit.decay", self.decay)?;
        options.set("fit.checkpoint_steps", self.checkpoint_steps)?;
        options.set("fit.shuffle_rows", self.shuffle_rows)?;
        options.set("fit.validation_steps", self.validation_steps)?;
        options.set("fit.recalibrate", self.recalibrate)?;
        options.set("fit.balance", self.balance.as_ref())
    }
}

impl HeadFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("model.head", self.head.as_ref())?;
        options.set("model.components", self.components)?;
        options.set("model.bias", self.bias)?;
        options.set("model.ordinal", self.ordinal)
    }
}

impl RepresentFlags {
    pub(super) fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("model.backbone", self.backbone.as_ref())?;
        options.set("model.experts", self.experts)?;
        options.set("model.task_experts", self.task_experts)?;
        options.set("model.levels", self.levels)?;
        options.set("model.cross", self.cross.as_ref())?;
        options.set("model.cross_layers", self.cross_layers)?;
        options.set("model.cross_rank", self.cross_rank)?;
        options.set("model.sequence", self.sequence.as_ref())?;
        options.set("model.sequence_width", self.sequence_width)?;
        options.set("model.sequence_layers", self.sequence_layers)?;
        options.set("model.heads", self.heads)?;
        options.set("model.kernel", self.kernel)
    }
}
