//! `ltv roi`: two models as the policies of an advertiser, on users whose value is known.

use super::{Context, evaluate};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    page::{Experiment, experiment},
    report::{Report, count},
};
use clap::Args;
use ltv_core::{Day, artefact};
use ltv_data::Dataset;
use ltv_eval::{
    Bootstrap,
    roi::{Budget, Roi, RoiOptions, Wanted},
};
use ltv_lab::{CostSource, Opened, RoiRequest, roi};
use ltv_model::Decoding;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Replay an A/B test of two models: deliver by predicted return, compare returns
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv roi --data later --control ziln.ltv --treatment odmn.ltv --cost cost --leave-out-free
  ltv roi --data later --control ziln.ltv --treatment odmn.ltv --cost cost --by channel \\
      --budget-share 0.2 --target-roas 1.5 --out roi.json --report roi.html
  ltv roi --data later --control old.ltv --treatment new.ltv --cost-model lognormal:1,0.5

Users are those registered since both models' as-of days, with every outcome known. What they were
worth does not depend on who is delivered to here: this is a replay, not a causal effect.")]
pub(crate) struct Flags {
    /// Folder of the dataset, or s3://bucket/prefix; several, or one that holds several, are its shards
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// The model of the control arm: a bundle, or what 'ltv compare' wrote
    #[arg(long, value_name = "FILE")]
    control: PathBuf,
    /// The model of the treatment arm
    #[arg(long, value_name = "FILE")]
    treatment: PathBuf,
    /// File to write everything to, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a page with charts as well, that opens offline
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Rank users by the value predicted over so many days [default: 30]
    #[arg(long, value_name = "DAYS")]
    horizon: Option<u32>,
    /// Returns over so many days, which the dataset has labels for [default: those of 7,14,30 that it
    /// has]; the horizon is always one more
    #[arg(long, value_name = "DAYS,..", value_delimiter = ',')]
    outcomes: Vec<u32>,
    /// Column of the dataset with what each user costs
    #[arg(long, value_name = "COLUMN")]
    cost: Option<String>,
    /// What users cost where no column says so: constant:C, lognormal:MEDIAN,SIGMA (drawn by a hash of
    /// the user) or by:COLUMN:VALUE=C,VALUE=C
    #[arg(long, value_name = "MODEL", conflicts_with = "cost")]
    cost_model: Option<String>,
    /// Leave out users who cost nothing, such as organic ones; otherwise they are an error
    #[arg(long)]
    leave_out_free: bool,
    /// What each arm may spend
    #[arg(long, value_name = "AMOUNT", conflicts_with = "budget_share")]
    budget: Option<f64>,
    /// What each arm may spend, as a share of what the users of the cheaper arm cost [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    budget_share: Option<f64>,
    /// Share of users in each arm, at most 0.5 [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    arm_share: Option<f64>,
    /// Another text, another assignment of users to arms [default: ltv]
    #[arg(long, value_name = "TEXT")]
    salt: Option<String>,
    /// Check arms and bid by these columns as well: categorical features or kept columns
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    by: Vec<String>,
    /// Value that each unit of cost must bring, for bids [default: 1]
    #[arg(long, value_name = "RATIO")]
    target_roas: Option<f64>,
    /// Relative uplift that a planned test must see [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    uplift: Option<f64>,
    /// Probability of seeing an uplift where there is none, in a planned test [default: 0.05]
    #[arg(long, value_name = "P")]
    alpha: Option<f64>,
    /// Probability of seeing the uplift where it is there, in a planned test [default: 0.8]
    #[arg(long, value_name = "P")]
    power: Option<f64>,
    /// Only users registered on or after this day; never before the models' as-of days
    #[arg(long, value_name = "DATE")]
    registered_from: Option<Day>,
    /// Only users registered before this day
    #[arg(long, value_name = "DATE")]
    registered_before: Option<Day>,
    /// Resamples for intervals, 20 or more; 0 for none [default: 1000]
    #[arg(long, value_name = "N")]
    bootstrap: Option<u32>,
    /// How networks predict: expectation, matched, argmax, median or quantile:P [default: expectation]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    horizon: u32,
    outcomes: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_model: Option<String>,
    leave_out_free: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_share: Option<f64>,
    arm_share: f64,
    salt: String,
    by: Vec<String>,
    target_roas: f64,
    uplift: f64,
    alpha: f64,
    power: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_from: Option<Day>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_before: Option<Day>,
    bootstrap: u32,
    decoding: Decoding,
}

impl Default for Options {
    fn default() -> Self {
        let (options, wanted) = (RoiOptions::default(), Wanted::default());
        Self {
            horizon: 30,
            outcomes: vec![],
            cost: None,
            cost_model: None,
            leave_out_free: false,
            budget: None,
            budget_share: None,
            arm_share: options.arm_share,
            salt: "ltv".to_owned(),
            by: vec![],
            target_roas: options.target_roas,
            uplift: wanted.uplift,
            alpha: wanted.alpha,
            power: wanted.power,
            registered_from: None,
            registered_before: None,
            bootstrap: 1000,
            decoding: Decoding::Expectation,
        }
    }
}

impl Flags {
    fn resolve(&self) -> Result<Options, Failure> {
        let mut options = Overlay::default().file(self.common.config.as_deref())?;
        for (rival, given) in [
            ("cost", self.cost_model.is_some()),
            ("cost_model", self.cost.is_some()),
            ("budget", self.budget_share.is_some()),
            ("budget_share", self.budget.is_some()),
        ] {
            options.unless(rival, given);
        }
        options.set("horizon", self.horizon)?;
        options.list("outcomes", &self.outcomes)?;
        options.set("cost", self.cost.as_ref())?;
        options.set("cost_model", self.cost_model.as_ref())?;
        options.set("leave_out_free", self.leave_out_free.then_some(true))?;
        options.set("budget", self.budget)?;
        options.set("budget_share", self.budget_share)?;
        options.set("arm_share", self.arm_share)?;
        options.set("salt", self.salt.as_ref())?;
        options.list("by", &self.by)?;
        options.set("target_roas", self.target_roas)?;
        options.set("uplift", self.uplift)?;
        options.set("alpha", self.alpha)?;
        options.set("power", self.power)?;
        options.set("registered_from", self.registered_from)?;
        options.set("registered_before", self.registered_before)?;
        options.set("bootstrap", self.bootstrap)?;
        options.set("decoding", self.decoding)?;
        options.resolve()
    }

    /// Whether what is to be written may be.
    fn check_outputs(&self) -> Result<(), Failure> {
        if let Some(out) = &self.out {
            outputs::check(out, Kind::Roi)?;
        }
        if let Some(out) = &self.report {
            outputs::check(out, Kind::Page)?;
        }
        match (&self.out, &self.report) {
            (Some(out), Some(report)) if outputs::same(out, report) => Err(Failure::user(format!(
                "{}: --out and --report are the same file; give two names",
                out.display()
            ))),
            _ => Ok(()),
        }
    }
}

impl Options {
    fn cost(&self) -> Result<CostSource, Failure> {
        match (&self.cost, &self.cost_model) {
            (Some(column), None) => Ok(CostSource::Column(column.clone())),
            (None, Some(model)) => model
                .parse()
                .map_err(|problem| Failure::user(format!("cost_model: {problem}"))),
            (Some(_), Some(_)) => Err(Failure::user(
                "cost and cost_model are both given: costs are from a column or from a model",
            )),
            (None, None) => Err(Failure::user(
                "cost: say what users cost: --cost COLUMN, or --cost-model such as constant:1 where the log has none",
            )),
        }
    }

    fn experiment(&self, seed: u64) -> Result<RoiOptions, Failure> {
        let budget = match (self.budget, self.budget_share) {
            (None, None) => RoiOptions::default().budget,
            (None, Some(share)) => Budget::Share(share),
            (Some(amount), None) => Budget::Amount(amount),
            (Some(_), Some(_)) => {
                return Err(Failure::user(
                    "budget and budget_share are both given: give one",
                ));
            }
        };
        let options = RoiOptions {
            arm_share: self.arm_share,
            budget,
            target_roas: self.target_roas,
            bootstrap: (self.bootstrap > 0).then_some(Bootstrap {
                replicates: self.bootstrap,
                seed,
            }),
            wanted: Wanted {
                uplift: self.uplift,
                alpha: self.alpha,
                power: self.power,
            },
        };
        options.check()?;
        Ok(options)
    }

    /// A decoding is of use to a network only.
    fn check_decoding(&self, models: [&Opened; 2]) -> Result<(), Failure> {
        let network = models.iter().any(|m| m.network.is_some());
        if !network && self.decoding != Decoding::Expectation {
            let problem = "these models predict values, not a distribution to decode; leave it out";
            return Err(Failure::user(format!("decoding: {problem}")));
        }
        Ok(())
    }
}

/// Makes the experiment and reports.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let options = flags.resolve()?;
    let (cost, experiment_options) = (options.cost()?, options.experiment(context.seed)?);
    flags.check_outputs()?;
    let dataset = Dataset::open_all(&flags.data)?;
    let control = ltv_lab::open(&flags.control, options.decoding)?;
    let treatment = ltv_lab::open(&flags.treatment, options.decoding)?;
    options.check_decoding([&control, &treatment])?;
    let request = RoiRequest {
        dataset: &dataset,
        control: &control,
        treatment: &treatment,
        horizon: options.horizon,
        outcomes: options.outcomes.clone(),
        cost,
        leave_out_free: options.leave_out_free,
        by: options.by.clone(),
        salt: options.salt.clone(),
        registered_from: options.registered_from,
        registered_before: options.registered_before,
        options: experiment_options,
    };
    let found = roi(&request, &context.progress)?;
    let files = [&*flags.control, &*flags.treatment];
    let mut text = heading(&found, files) + &found.summary();
    if let Some(out) = &flags.report {
        let shown = Experiment {
            found: &found,
            models: files,
            dataset: &dataset,
            seed: context.seed,
        };
        artefact::write(out, experiment(&shown, &options)?.as_bytes())?;
        text += &format!("report: {}\n", out.display());
    }
    write(flags.out.as_deref(), &found)?;
    Report::new(text, &found)
}

fn write(out: Option<&Path>, found: &Roi) -> Result<(), Failure> {
    out.map_or(Ok(()), |out| evaluate::write(out, found))
}

/// The models by name, and by file where that is no difference.
pub(crate) fn names(found: &Roi, files: [&Path; 2]) -> [String; 2] {
    let models = [&found.about.control, &found.about.treatment];
    let alike = models[0].name == models[1].name;
    let mut files = files.into_iter();
    models.map(|model| match files.next().filter(|_| alike) {
        Some(file) => format!("{} ({})", model.name, file.display()),
        None => model.name.clone(),
    })
}

/// Which models on whom, and what users cost.
fn heading(found: &Roi, files: [&Path; 2]) -> String {
    let about = &found.about;
    let free = match about.cost.free {
        0 => String::new(),
        n => format!("; {} who cost nothing left out", count(n)),
    };
    let invented = match about.cost.invented {
        true => " (stated, not seen: returns are of an invented cost)",
        false => "",
    };
    let [control, treatment] = names(found, files);
    format!(
        "control: {control}\ntreatment: {treatment}\n\
         {} users registered since {}, whom neither model has seen{free}\ncost: {}{invented}; value: {}; \
         ranked by predicted ltv_{} / cost\n",
        count(found.users),
        about.registered_from,
        about.cost.source,
        about.label.replace('_', " "),
        found.horizon
    )
}
