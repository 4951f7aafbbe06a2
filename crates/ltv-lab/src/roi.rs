//! The ROI experiment on a dataset: two models that have not seen its users, what each user costs, and
//! what they brought.

mod cost;
mod users;

pub use cost::CostSource;

use crate::{LabError, Opened};
use ltv_core::{Day, Horizons, config::Label, progress::Progress};
use ltv_data::Dataset;
use ltv_eval::roi::{
    Roi, RoiOptions,
    document::{About, Cost, Model},
};
use users::Users;

/// Outcomes of the paper's Table 4, in days.
pub const OUTCOMES: [u32; 3] = [7, 14, 30];

/// Who is compared on whom, and how.
pub struct RoiRequest<'a> {
    /// The users.
    pub dataset: &'a Dataset,
    /// The model of the control arm.
    pub control: &'a Opened,
    /// The model of the treatment arm.
    pub treatment: &'a Opened,
    /// The horizon whose prediction users are ranked by, in days.
    pub horizon: u32,
    /// Outcomes in days; empty for those of [`OUTCOMES`] that the dataset knows. The horizon is always
    /// one more.
    pub outcomes: Vec<u32>,
    /// Where costs are from.
    pub cost: CostSource,
    /// Whether users who cost nothing are left out; otherwise they are an error.
    pub leave_out_free: bool,
    /// Columns to check arms and to bid by.
    pub by: Vec<String>,
    /// What the hash of users is salted with.
    pub salt: String,
    /// Only users registered on or after this day. Never before the later of the models' as-of days.
    pub registered_from: Option<Day>,
    /// Only users registered before this day.
    pub registered_before: Option<Day>,
    /// How the experiment is made.
    pub options: RoiOptions,
}

/// Makes the experiment on users who registered since both models' as-of days, with all outcomes
/// known.
///
/// In memory a user takes about 150 bytes: a few columns of 8 bytes and the orders of six policies.
///
/// # Errors
/// When models and dataset do not fit each other, there is nobody, a cost is not above 0 or a column
/// is missing; and as [`ltv_eval::roi::roi`].
pub fn roi(request: &RoiRequest<'_>, progress: &dyn Progress) -> Result<Roi, LabError> {
    request.options.check()?;
    let horizons = request.horizons()?;
    let roles = [
        ("control", request.control),
        ("treatment", request.treatment),
    ];
    let mut places = vec![];
    for (role, model) in roles {
        places.push(request.check(role, model)?);
    }
    request.cost.check(request.dataset)?;
    let since = request.since();
    let mut found = Users::read(request, (&horizons, since), progress)?;
    if found.input.cost.is_empty() {
        return Err(request.nobody(&horizons, since, found.free));
    }
    let mut predicted = vec![];
    for ((_, model), t) in roles.into_iter().zip(places) {
        let model = (&*model.predictor, t);
        predicted.push(found.predict(request, (&horizons, since), model, progress)?);
    }
    found.input.treatment = predicted.pop().unwrap_or_default();
    found.input.control = predicted.pop().unwrap_or_default();
    found.input.horizon = request.horizon;
    let about = request.about(since, found.free);
    Ok(ltv_eval::roi::roi(
        about,
        found.input,
        &request.options,
        progress,
    )?)
}

impl RoiRequest<'_> {
    /// The outcomes, the horizon among them.
    fn horizons(&self) -> Result<Horizons, LabError> {
        let known = &self.dataset.manifest().horizons;
        let mut days = match self.outcomes.is_empty() {
            true => OUTCOMES
                .into_iter()
                .filter(|&n| known.position(n).is_some())
                .collect(),
            false => self.outcomes.clone(),
        };
        days.push(self.horizon);
        days.sort_unstable();
        days.dedup();
        Ok(Horizons::new(days)?)
    }

    /// The first day of registration.
    fn since(&self) -> Day {
        let later = self.control.as_of.max(self.treatment.as_of);
        self.registered_from.map_or(later, |day| day.max(later))
    }

    /// Place of the horizon among the model's, after a look at whether it fits the dataset.
    fn check(&self, role: &'static str, model: &Opened) -> Result<usize, LabError> {
        let fits = || {
            let predictor = &*model.predictor;
            ltv_score::check_fit(self.dataset, predictor, Some(model.window_days))?;
            let known = predictor.horizons();
            let missing = || ltv_score::ScoreError::Horizon {
                what: "model",
                days: self.horizon,
                known: known.days().to_vec(),
            };
            known.position(self.horizon).ok_or_else(missing)
        };
        let place = fits().map_err(|e| LabError::from(e).of_role(role))?;
        let found = self.dataset.manifest().label;
        match model.label == found {
            true => Ok(place),
            false => Err(LabError::OtherLabel {
                path: self.dataset.folder().to_path_buf(),
                role,
                expected: words(model.label),
                found: words(found),
            }),
        }
    }

    fn nobody(&self, horizons: &Horizons, since: Day, free: u64) -> LabError {
        let manifest = self.dataset.manifest();
        let until = manifest.window_days + horizons.longest();
        LabError::NobodyToDeliver {
            path: self.dataset.folder().to_path_buf(),
            since,
            days: horizons.longest(),
            until: Day(manifest.as_of.0.saturating_sub_unsigned(until)),
            as_of: manifest.as_of,
            free,
        }
    }

    fn about(&self, since: Day, free: u64) -> About {
        let model = |model: &Opened| Model {
            name: model.name.clone(),
            model_id: model.predictor.model_id().to_owned(),
            as_of: model.as_of.to_string(),
        };
        About {
            control: model(self.control),
            treatment: model(self.treatment),
            label: words(self.dataset.manifest().label).to_owned(),
            registered_from: since.to_string(),
            cost: Cost {
                source: self.cost.to_string(),
                invented: self.cost.invented(),
                free,
            },
            salt: self.salt.clone(),
        }
    }
}

/// What a label counts, as in configuration files.
fn words(label: Label) -> &'static str {
    match label {
        Label::ActiveDays => "active_days",
        Label::Value => "value",
    }
}
