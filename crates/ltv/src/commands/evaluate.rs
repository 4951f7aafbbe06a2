//! `ltv evaluate`: a model against the labels of a dataset.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    page::{Judgement, evaluated},
    report::Report,
};
use clap::{Args, ValueEnum};
use ltv_core::{
    Day, artefact,
    baseline::Baselines,
    config::{Part, Split},
    predictor::Predictor,
};
use ltv_data::{Dataset, split::Rows};
use ltv_eval::{Bootstrap, Evaluation, SpillOptions};
use ltv_lab::Opened;
use ltv_model::Decoding;
use ltv_score::{
    EvaluateOptions, Importance, ImportanceOptions, assess_dataset,
    evaluate::{TRAIN_MEAN, TRIVIAL_SORT},
    importance,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Judge a model on a dataset, beside two simple rules
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv evaluate --model model.ltv --data later --registered-from 2023-01-01 --out eval.json
  ltv evaluate --model model.ltv --data data --part validation --by channel --bootstrap 0
  ltv evaluate --model model.ltv --data later --by channel --importance --report report.html")]
pub(crate) struct Flags {
    /// The model: a bundle, or what 'ltv compare' wrote
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Folder of the dataset, or s3://bucket/prefix; several, or one that holds several, are its shards
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// File to write the evaluation to, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which users [default: test if the bundle's split has one, else new if the dataset is of a
    /// later day than the bundle, else validation]
    #[arg(long, value_enum)]
    part: Option<Users>,
    /// Only users registered on or after this day
    #[arg(long, value_name = "DATE")]
    registered_from: Option<Day>,
    /// Only users registered before this day
    #[arg(long, value_name = "DATE")]
    registered_before: Option<Day>,
    /// Report by these columns as well: categorical features or kept columns; values beyond the 50
    /// most frequent are put together
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    by: Vec<String>,
    /// Print everything that --json holds but the curves: every metric, paired differences, deciles,
    /// every segment
    #[arg(long)]
    details: bool,
    /// Resamples for intervals, 20 or more; 0 for none [default: 200]
    #[arg(long, value_name = "N")]
    bootstrap: Option<u32>,
    /// expectation, matched, argmax, median or quantile:P [default: expectation]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    /// Write a page with charts as well, that opens offline
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// MiB that rows may take; more users than fit are measured from scratch files: the same metrics,
    /// intervals from a million users drawn at random [default: 512]
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
    /// Folder of scratch files [default: that of --out or --report, else the system's]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Measure what predictions owe to each feature, by shuffling it among users
    #[arg(long)]
    importance: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// MiB that rows may take unless options say so.
pub(super) const MEMORY: u32 = 512;

/// Which users are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Users {
    /// Registered on or after the as-of date of the bundle, so that it has never seen them
    New,
    /// Held out for testing
    Test,
    /// Held out for validation
    Validation,
    /// Trained on
    Train,
    /// Everybody
    All,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    part: Option<Users>,
    registered_from: Option<Day>,
    registered_before: Option<Day>,
    by: Vec<String>,
    details: bool,
    bootstrap: u32,
    decoding: Decoding,
    importance: bool,
    memory: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    scratch: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            part: None,
            registered_from: None,
            registered_before: None,
            by: vec![],
            details: false,
            bootstrap: 200,
            decoding: Decoding::Expectation,
            importance: false,
            memory: MEMORY,
            scratch: None,
        }
    }
}

impl Flags {
    fn resolve(&self) -> Result<Options, Failure> {
        let mut options = Overlay::default().file(self.common.config.as_deref())?;
        options.set("part", self.part)?;
        options.set("registered_from", self.registered_from)?;
        options.set("registered_before", self.registered_before)?;
        options.list("by", &self.by)?;
        options.set("details", self.details.then_some(true))?;
        options.set("bootstrap", self.bootstrap)?;
        options.set("decoding", self.decoding)?;
        options.set("importance", self.importance.then_some(true))?;
        options.set("memory", self.memory)?;
        options.set("scratch", self.scratch.as_ref())?;
        let options: Options = options.resolve()?;
        if options.memory == 0 {
            return Err(Failure::user("memory: 0; give 1 MiB or more"));
        }
        if let Some(folder) = options.scratch.as_ref().filter(|folder| !folder.is_dir()) {
            let problem = "is not a folder; give --scratch one that is there";
            return Err(Failure::user(format!("{}: {problem}", folder.display())));
        }
        Ok(options)
    }
}

impl Options {
    /// Who is judged unless the options say so: nobody whom the model was trained on.
    fn default_users(model: &Opened, dataset: Day) -> Users {
        if model.split.test > 0.0 {
            Users::Test
        } else if dataset > model.as_of {
            Users::New
        } else {
            Users::Validation
        }
    }

    /// What rows may take of memory, and where more of them go.
    fn spill(&self, flags: &Flags) -> SpillOptions {
        let beside = || scratch(&[&flags.out, &flags.report]);
        SpillOptions {
            folder: self.scratch.clone().unwrap_or_else(beside),
            memory: u64::from(self.memory) << 20,
        }
    }

    /// The rows that `users` and the options mean, and the split that says so.
    fn rows(&self, users: Users, trained: &Split, as_of: Day) -> (Split, Rows) {
        let part = match users {
            Users::Test => Part::Test,
            Users::Validation => Part::Validation,
            Users::Train => Part::Train,
            Users::New => return self.registered(self.registered_from.max(Some(as_of))),
            Users::All => return self.registered(self.registered_from),
        };
        let split = Split {
            registered_from: self.registered_from.or(trained.registered_from),
            registered_before: self.registered_before.or(trained.registered_before),
            ..trained.clone()
        };
        (split, Rows::Part(part))
    }

    /// Everybody registered since `from` and before the day that the options say.
    fn registered(&self, from: Option<Day>) -> (Split, Rows) {
        let split = Split {
            registered_from: from,
            registered_before: self.registered_before,
            ..Split::default()
        };
        (split, Rows::Mature)
    }
}

/// Where scratch files go unless options say so: beside the first output, else the system's folder.
pub(super) fn scratch(outputs: &[&Option<PathBuf>]) -> PathBuf {
    let given = outputs.iter().find_map(|out| out.as_ref());
    given.map_or_else(std::env::temp_dir, |out| {
        artefact::parent(out).to_path_buf()
    })
}

/// The first line of the report: on whom, and what that is worth.
fn heading(users: Users, as_of: Day) -> String {
    match users {
        Users::New => format!("users registered since {as_of}, whom the model has never seen"),
        Users::Test => "users of the test split, whom the model has never seen".into(),
        Users::Validation => {
            "users of the validation split: they decided when training stopped, so results are \
             a little too good"
                .into()
        }
        Users::Train => "users the model was trained on: results are too good".into(),
        Users::All => format!(
            "everybody: results are too good as far as these users registered before {as_of}, \
             when the model was trained"
        ),
    }
}

/// Evaluates and reports.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let options = flags.resolve()?;
    if let Some(out) = &flags.out {
        outputs::check(out, Kind::Evaluation)?;
    }
    if let Some(out) = &flags.report {
        outputs::check(out, Kind::Page)?;
    }
    let dataset = Dataset::open_all(&flags.data)?;
    let model = ltv_lab::open(&flags.model, options.decoding)?;
    if model.network.is_none() && options.decoding != Decoding::Expectation {
        let problem = "this model predicts values, not a distribution to decode; leave it out";
        return Err(Failure::user(format!("decoding: {problem}")));
    }
    let as_of = model.as_of;
    let users = options
        .part
        .unwrap_or(Options::default_users(&model, dataset.manifest().as_of));
    let (split, rows) = options.rows(users, &model.split, as_of);
    let bootstrap = (options.bootstrap > 0).then_some(Bootstrap {
        replicates: options.bootstrap,
        seed: context.seed,
    });
    // The simple rules are judged beside every model, under these names.
    let own = [TRIVIAL_SORT, TRAIN_MEAN].contains(&model.name.as_str());
    let name = if own {
        format!("{} (this file)", model.name)
    } else {
        model.name.clone()
    };
    let spill = options.spill(&flags);
    let evaluate = EvaluateOptions {
        name,
        spill: Some(spill),
        split,
        rows,
        segments: options.by.clone(),
        bootstrap,
        ..defaults(&model.baselines, model.window_days, context.threads)
    };
    let evaluate = with_rules_that_apply(evaluate, &dataset, &model.baselines);
    let predictor = &*model.predictor;
    let (evaluation, evidence) =
        assess_dataset(&dataset, Some(predictor), &evaluate, &context.progress)?;
    let importance = match options.importance {
        true => Some(measure(&dataset, predictor, &evaluate, context)?),
        false => None,
    };
    let whom = heading(users, as_of);
    let mut body = match options.details {
        true => evaluation.details(),
        false => evaluation.summary() + "everything: --details, or --json\n",
    };
    body += &importance
        .as_deref()
        .map(importance_text)
        .unwrap_or_default();
    if let Some(out) = &flags.report {
        let found = Judgement {
            path: &flags.model,
            model: &model,
            dataset: &dataset,
            evaluation: &evaluation,
            evidence: &evidence,
            importance: importance.as_deref(),
            whom: &whom,
            seed: context.seed,
        };
        artefact::write(out, evaluated(&found, &options)?.as_bytes())?;
        body += &format!("report: {}\n", out.display());
    }
    let document = Document {
        evaluation: &evaluation,
        importance: importance.as_deref(),
    };
    if let Some(out) = &flags.out {
        write(out, &document)?;
    }
    Report::new(format!("{whom}\n{body}"), &document)
}

/// The evaluation, with what features are worth where that was measured.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    #[serde(skip_serializing_if = "Option::is_none")]
    importance: Option<&'a [Importance]>,
}

/// Most rows that features are shuffled in.
const SHUFFLED: usize = 50_000;

fn measure(
    dataset: &Dataset,
    model: &dyn Predictor,
    evaluate: &EvaluateOptions,
    context: &Context,
) -> Result<Vec<Importance>, Failure> {
    let options = ImportanceOptions {
        split: evaluate.split.clone(),
        rows: evaluate.rows,
        most_rows: SHUFFLED,
        repeats: 3,
        seed: context.seed,
        threads: context.threads,
    };
    Ok(importance(dataset, model, &options, &context.progress)?)
}

/// Features by what the ranking of the longest horizon owes to them.
fn importance_text(all: &[Importance]) -> String {
    let longest = all.iter().map(|i| i.horizon).max().unwrap_or(0);
    let mut own: Vec<&Importance> = all.iter().filter(|i| i.horizon == longest).collect();
    own.sort_by(|a, b| b.rank.unwrap_or(0.0).total_cmp(&a.rank.unwrap_or(0.0)));
    let width = own
        .iter()
        .map(|i| i.feature.len())
        .max()
        .unwrap_or(0)
        .max(7);
    let mut text = format!(
        "\nfeatures by what they are worth to ltv_{longest}: shuffled, they cost\n  {:width$}  NormGini   +NRMSE\n",
        "feature"
    );
    for i in own {
        let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.4}"));
        let (rank, error) = (number(i.rank), number(i.error));
        text += &format!("  {:width$}  {rank:>8} {error:>8}\n", i.feature);
    }
    text
}

/// Without simple rules where the dataset lacks the column that they sort users by: of features that somebody else
/// made, nothing says what users did. A dataset of another label is not excused.
fn with_rules_that_apply(
    evaluate: EvaluateOptions,
    dataset: &Dataset,
    baselines: &Baselines,
) -> EvaluateOptions {
    let manifest = dataset.manifest();
    let mut features = manifest.features.iter();
    let apply = Baselines::signal_of(manifest.label) != baselines.signal
        || features.any(|feature| feature.columns.contains(&baselines.signal));
    if apply {
        return evaluate;
    }
    EvaluateOptions {
        baselines: None,
        reference: None,
        ..evaluate
    }
}

/// What every evaluation of a model has in common.
pub(super) fn defaults(baselines: &Baselines, window_days: u32, threads: usize) -> EvaluateOptions {
    EvaluateOptions {
        reference: Some(TRIVIAL_SORT.into()),
        baselines: Some(baselines.clone()),
        expected_window: Some(window_days),
        threads,
        ..EvaluateOptions::default()
    }
}

/// Writes the evaluation, whole or not at all.
pub(super) fn write(out: &Path, evaluation: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(evaluation).map_err(Failure::internal)? + "\n";
    Ok(artefact::write(out, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_flags_win_over_those_of_the_bundle() {
        let trained = Split {
            test: 0.2,
            registered_before: Some(Day(9)),
            ..Split::default()
        };
        let options = Options {
            registered_before: Some(Day(20)),
            ..Options::default()
        };
        let (split, rows) = options.rows(Users::Test, &trained, Day(5));
        assert_eq!(
            (split.registered_before, rows),
            (Some(Day(20)), Rows::Part(Part::Test))
        );
    }

    #[test]
    fn new_users_registered_since_the_training() {
        let from = |given| {
            let options = Options {
                registered_from: given,
                ..Options::default()
            };
            let (split, rows) = options.rows(Users::New, &Split::default(), Day(5));
            assert_eq!(rows, Rows::Mature);
            split.registered_from
        };
        assert_eq!(from(None), Some(Day(5)));
        assert_eq!(from(Some(Day(3))), Some(Day(5)));
        assert_eq!(from(Some(Day(8))), Some(Day(8)));
        let trained = Split {
            registered_before: Some(Day(9)),
            ..Split::default()
        };
        let all = Options::default().rows(Users::All, &trained, Day(5));
        assert_eq!(all, (Split::default(), Rows::Mature));
    }
}
