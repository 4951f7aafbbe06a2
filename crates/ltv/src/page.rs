//! Report pages: what the commands know, as the plain data that a page is made from.

mod backtested;
mod compared;
mod daily;
mod evaluated;
mod roi;

pub(crate) use backtested::backtested;
pub(crate) use compared::compared;
pub(crate) use daily::daily_page;
pub(crate) use evaluated::{Judgement, evaluated};
pub(crate) use roi::{Experiment, experiment};

use crate::exit::Failure;
use ltv_core::config::Label;
use ltv_data::Dataset;
use ltv_eval::page::{Fact, Reproduce, TrainingRun};
use ltv_model::bundle::Validation;
use serde::Serialize;

/// What one unit of a label is; without a user's word, a value has no currency.
fn unit(label: Label) -> &'static str {
    match label {
        Label::ActiveDays => "active days",
        Label::Value => "value units",
    }
}

/// Losses of one training.
fn training(name: String, set: &str, looks: &[Validation]) -> TrainingRun {
    let best = looks
        .iter()
        .min_by(|a, b| a.likelihood.total_cmp(&b.likelihood));
    TrainingRun {
        name,
        set: set.to_owned(),
        training: looks.iter().map(|v| (v.step, v.training_loss)).collect(),
        validation: looks.iter().map(|v| (v.step, v.likelihood)).collect(),
        best_step: best.map(|v| v.step),
    }
}

/// What is needed to make the same numbers again.
fn reproduce(facts: Vec<Fact>, config: &impl Serialize) -> Result<Reproduce, Failure> {
    let mut all = vec![Fact::new("ltv", env!("CARGO_PKG_VERSION"))];
    all.extend(facts);
    Ok(Reproduce {
        facts: all,
        command: command(),
        config: toml::to_string(config).map_err(Failure::internal)?,
    })
}

/// The command line, quoted where a shell would want it.
fn command() -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@+".contains(c);
    let quoted = |word: String| match word.chars().all(plain) && !word.is_empty() {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    let words = std::env::args_os()
        .skip(1)
        .map(|word| quoted(word.to_string_lossy().into_owned()));
    std::iter::once("ltv".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A dataset's files in one number: the same files, the same number.
fn fingerprint(dataset: &Dataset) -> String {
    let files = dataset.manifest().files.iter().map(|f| f.blake3.as_str());
    let all: String = files.collect();
    format!("{:016x}", ltv_core::seed::derive(0, &all))
}
