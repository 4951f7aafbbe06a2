//! `ltv quickstart`: the whole way on simulated users.

use super::{Context, evaluate, inspect::snapshot_text, score, simulate, train};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Report, count},
};
use clap::Args;
use ltv_core::{
    Day, artefact,
    config::{FeatureConfig, TrainConfig},
    manifest::SnapshotManifest,
};
use ltv_data::{BuildOptions, Dataset, build_dataset, simulate::SimulateConfig};
use ltv_eval::{Bootstrap, Evaluation, Metric, SpillOptions};
use ltv_model::{Decoding, Model};
use ltv_score::evaluate_dataset;
use ltv_train::FitRun;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Days of registration in the simulated calendar before the model is trained. The first 78 of them
/// have mature labels of 365 days then, and the 90 cohorts that follow are the test: nobody in it
/// had registered when the model was trained.
const TRAINED_AFTER: i32 = 450;

/// Go the whole way on simulated users: simulate, features, train, evaluate, score
///
/// The model is trained on what was known on one day and judged on users who registered later.
/// Takes a few minutes on two cores; the same seed gives the same bytes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ltv quickstart --users 50000 --out demo")]
pub(crate) struct Flags {
    /// Folder to write to, new or empty
    #[arg(long, value_name = "DIR", default_value = "ltv-quickstart")]
    out: PathBuf,
    /// Simulated users, 2000 or more [default: 200000]
    #[arg(long, value_name = "N")]
    users: Option<u64>,
    /// Passes over the training users at most [default: 30]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    users: u64,
    epochs: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            users: 200_000,
            epochs: 30,
        }
    }
}

/// The places and days of one quickstart.
struct Tour<'a> {
    out: &'a Path,
    context: &'a Context,
    simulation: SimulateConfig,
    train: TrainConfig,
}

/// Goes the whole way and compares what came out with simple rules.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("users", flags.users)?;
    options.set("epochs", flags.epochs)?;
    let options: Options = options.resolve()?;
    if options.users < 2000 {
        let message = format!(
            "users: {} are too few to learn from; give 2000 or more",
            options.users
        );
        return Err(Failure::user(message));
    }
    let mut train = TrainConfig::default();
    train.fit.epochs = options.epochs;
    train.check()?;
    let simulation = SimulateConfig {
        users: options.users,
        seed: context.seed,
        ..SimulateConfig::default()
    };
    prepare(&flags.out)?;
    let tour = Tour {
        out: &flags.out,
        context,
        simulation,
        train,
    };
    tour.go()
}

/// The folder must be new or empty.
fn prepare(out: &Path) -> Result<(), Failure> {
    artefact::create_folder(out)?;
    let mut entries = fs::read_dir(out).map_err(|e| ltv_core::Error::io(out, "read", e))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            let text = format!(
                "{}: not empty; delete it or give another --out",
                out.display()
            );
            Err(Failure::user(text))
        }
    }
}

impl Tour<'_> {
    fn go(&self) -> Result<Report, Failure> {
        let progress = &self.context.progress;
        let (known, end) = (self.simulation.start + TRAINED_AFTER, self.simulation.end());
        progress.say(&format!(
            "1/5 simulate {} users",
            count(self.simulation.users)
        ));
        let simulation = self.out.join("simulation");
        simulate::simulate_with_progress(&self.simulation, &simulation, progress)?;
        progress.say(&format!(
            "2/5 features as of {known}, and of later users as of {end}"
        ));
        let data = self.features("train", known, None)?;
        let later = self.features("later", end, Some(known))?;
        progress.say("3/5 train");
        let model = self.model(&data)?;
        progress.say(&format!("4/5 evaluate on users registered since {known}"));
        let evaluation = self.evaluate(&model, &later)?;
        progress.say(&format!("5/5 score everyone known on {known}"));
        let snapshot = self.out.join("snapshot");
        let how = score::score_options(&model, self.context.threads);
        let manifest = score::score_dataset(&data, &model, &snapshot, &how, progress)?;
        self.report(&evaluation, &snapshot, &manifest, known)
    }

    fn features(&self, name: &str, as_of: Day, from: Option<Day>) -> Result<Dataset, Failure> {
        let mut config: FeatureConfig = SimulateConfig::feature_config(as_of);
        config.dataset.registered_from = from;
        let tables = |name: &str| [self.out.join("simulation").join(name)];
        let out = self.out.join(name);
        let options = BuildOptions {
            threads: self.context.threads,
            ..BuildOptions::default()
        };
        let (events, users) = (tables("events"), tables("users"));
        let progress = &self.context.progress;
        build_dataset(&events, Some(&users), &config, &out, &options, progress)?;
        Ok(Dataset::open(&out)?)
    }

    fn model(&self, data: &Dataset) -> Result<Model, Failure> {
        let run = FitRun {
            seed: self.context.seed,
            threads: self.context.threads,
            cache: Some(self.out.to_path_buf()),
            ..FitRun::default()
        };
        let out = self.out.join("model.ltv");
        let progress = &self.context.progress;
        let bundle = train::train(&[data.folder().into()], &self.train, &run, &out, progress)?;
        Ok(Model::new(bundle, Decoding::Expectation)?)
    }

    fn evaluate(&self, model: &Model, later: &Dataset) -> Result<Evaluation, Failure> {
        let document = model.document();
        let (baselines, window) = (&document.baselines, document.window_days);
        let mut options = evaluate::defaults(baselines, window, self.context.threads);
        options.spill = Some(SpillOptions {
            folder: self.out.to_path_buf(),
            memory: u64::from(evaluate::MEMORY) << 20,
        });
        options.bootstrap = Some(Bootstrap {
            replicates: 200,
            seed: self.context.seed,
        });
        let evaluation = evaluate_dataset(later, Some(model), &options, &self.context.progress)?;
        evaluate::write(&self.out.join("evaluation.json"), &evaluation)?;
        Ok(evaluation)
    }

    fn report(
        &self,
        evaluation: &Evaluation,
        snapshot: &Path,
        manifest: &SnapshotManifest,
        known: Day,
    ) -> Result<Report, Failure> {
        let mut text = snapshot_text(snapshot, manifest);
        let users = count(evaluation.rows);
        let _ = writeln!(
            text,
            "\n{users} users registered since {known}, whom the model had never seen:\n{}",
            comparison(evaluation)
        );
        let out = self.out.display();
        let _ = write!(
            text,
            "order: normalised Gini, 1 is the true order. error: NRMSE, lower is better.\n\
             bias: mean prediction over mean value, minus 1.\n\n\
             look closer:\n  ltv evaluate --model {out}/model.ltv --data {out}/later --by channel\n  \
             ltv inspect {out}/model.ltv\n\
             on your own events:\n  ltv features --help"
        );
        let json = serde_json::json!({
            "out": self.out, "trained_as_of": known, "snapshot": manifest,
            "evaluation": evaluation,
        });
        Report::new(text, &json)
    }
}

/// ODMN beside the simple rules, one line for each horizon and set.
fn comparison(evaluation: &Evaluation) -> String {
    let mut out = format!(
        "  {:8} {:16} {:>8} {:>8} {:>8}\n",
        "", "", "order", "error", "bias"
    );
    for result in &evaluation.results {
        let mut name = format!("ltv_{}", result.horizon);
        for scores in &result.overall.scores {
            let number = |metric| match scores.value(metric) {
                Some(value) => format!("{value:.3}"),
                None => "-".into(),
            };
            let bias = scores.value(Metric::CalibrationRatio);
            let bias = bias.map_or("-".into(), |ratio| {
                format!("{:+.1} %", 100.0 * (ratio - 1.0))
            });
            let (order, error) = (number(Metric::NormGini), number(Metric::NRMSE));
            let _ = writeln!(
                out,
                "  {:8} {:16} {order:>8} {error:>8} {bias:>8}",
                std::mem::take(&mut name),
                scores.set
            );
        }
    }
    out
}
