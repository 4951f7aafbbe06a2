//! What may be asked for, and what of it is no sense.

use super::{
    Platform, Scratch,
    currency::Currency,
    google, identify,
    platform::{ACTION_SOURCES, WEBSITE},
};
use crate::ScoreError;
use ltv_core::{Day, Error, artefact};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Statuses that a snapshot has.
const STATUSES: [&str; 4] = ["active", "observing", "past_horizon", "no_events"];

/// What to write, and for whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConversionOptions {
    /// For whom; there is no default.
    pub platform: Option<Platform>,
    /// Name of the conversion action in Google Ads, or of the event for Meta.
    pub name: String,
    /// Code of ISO 4217.
    pub currency: String,
    /// Days that values are of; the longest of the snapshot where none is given.
    pub horizon: Option<u32>,
    /// Day on which the file can be sent; the snapshot's as-of date where none is given.
    pub as_of: Option<Day>,
    /// Statuses of users whose values are sent.
    pub status: Vec<String>,
    /// What predictions are multiplied with, above 0: the worth of one in the currency.
    pub scale: f64,
    /// No value is larger than that at or below which this share of the values lies, above 0 and at most 1.
    pub cap: Option<f64>,
    /// Smaller values are not sent.
    pub min_value: Option<f64>,
    /// Snapshot of the first upload, for restatements.
    pub since: Option<PathBuf>,
    /// From which relative change on a value is restated, 0 or more.
    pub moved: f64,
    /// Where events came from, for Meta.
    pub action_source: String,
    /// The page of events that came from a website.
    pub source_url: Option<String>,
    /// Columns of the user table.
    pub columns: Columns,
    /// MiB that are sorted at a time, 10 at least.
    pub memory: u32,
    /// Where scratch files go, which have no names; beside the output where none is given.
    pub scratch: Option<PathBuf>,
}

impl Default for ConversionOptions {
    /// Users whose window is complete, values as predicted, 256 MiB.
    fn default() -> Self {
        Self {
            platform: None,
            name: String::new(),
            currency: String::new(),
            horizon: None,
            as_of: None,
            status: vec!["active".to_owned(), "past_horizon".to_owned()],
            scale: 1.0,
            cap: None,
            min_value: None,
            since: None,
            moved: 0.1,
            action_source: ACTION_SOURCES[0].to_owned(),
            source_url: None,
            columns: Columns::default(),
            memory: 256,
            scratch: None,
        }
    }
}

/// Columns of the user table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Id of the user, as in the snapshot.
    pub user: String,
    /// When they converted: a timestamp, or a day.
    pub time: String,
    /// Google click id.
    pub click_id: Option<String>,
    /// When they clicked.
    pub click_time: Option<String>,
    /// By which Google Ads knows a conversion again.
    pub order_id: Option<String>,
    /// E-mail address, or its SHA-256.
    pub email: Option<String>,
    /// Phone number with the code of the country, or its SHA-256.
    pub phone: Option<String>,
    /// Id that is hashed and sent to Meta.
    pub external_id: Option<String>,
    /// Click id of Meta, as its cookie has it.
    pub fbc: Option<String>,
    /// Browser id of Meta, as its cookie has it.
    pub fbp: Option<String>,
    /// The browser's name of itself.
    pub user_agent: Option<String>,
    /// Whether the user agreed: true, or "granted".
    pub consent: Option<String>,
}

impl Default for Columns {
    /// `user_id`, and no other.
    fn default() -> Self {
        Self {
            user: "user_id".to_owned(),
            time: String::new(),
            click_id: None,
            click_time: None,
            order_id: None,
            email: None,
            phone: None,
            external_id: None,
            fbc: None,
            fbp: None,
            user_agent: None,
            consent: None,
        }
    }
}

impl Columns {
    /// Those that are read for a platform: another's personal data is not even looked at.
    fn of(&self, platform: Platform) -> Self {
        let (columns, base) = (self.clone(), Self::default());
        match platform {
            Platform::Meta => Self {
                click_id: None,
                click_time: None,
                order_id: None,
                ..columns
            },
            _ => Self {
                user: columns.user,
                time: columns.time,
                click_id: columns.click_id,
                click_time: columns.click_time,
                order_id: columns.order_id,
                consent: columns.consent,
                ..base
            },
        }
    }

    /// Names of all that are given.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let rest = [
            &self.click_id,
            &self.click_time,
            &self.order_id,
            &self.email,
            &self.phone,
            &self.external_id,
            &self.fbc,
            &self.fbp,
            &self.user_agent,
            &self.consent,
        ];
        [&self.user, &self.time]
            .into_iter()
            .chain(rest.into_iter().flatten())
    }
}

fn wrong(key: &str, problem: impl Into<String>) -> ScoreError {
    Error::config(key, problem).into()
}

impl ConversionOptions {
    /// The same with the columns that the platform wants.
    pub(super) fn for_platform(&self) -> Self {
        let mut own = self.clone();
        if let Some(platform) = self.platform {
            own.columns = self.columns.of(platform);
        }
        own
    }

    /// Room for sorting, where the output is to be.
    pub(super) fn room(&self, out: &Path) -> Scratch {
        let beside = || artefact::parent(out).to_path_buf();
        Scratch {
            folder: self.scratch.clone().unwrap_or_else(beside),
            memory: u64::from(self.memory) << 20,
        }
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<Platform, ScoreError> {
        let names = Platform::ALL.map(Platform::name).join(", ");
        let missing = || wrong("platform", format!("none is given; give one of {names}"));
        let platform = self.platform.ok_or_else(missing)?;
        self.check_name(platform)?;
        Currency::parse(&self.currency)?;
        self.check_numbers()?;
        if let Some(status) = self.status.iter().find(|s| !STATUSES.contains(&s.as_str())) {
            return Err(wrong(
                "status",
                format!("'{status}' is none of {}", STATUSES.join(", ")),
            ));
        }
        if self.status.is_empty() {
            return Err(wrong("status", "none is given; give active, or several"));
        }
        match platform {
            Platform::Meta => self.check_meta()?,
            _ => self.check_google(platform)?,
        }
        let time = &self.columns.time;
        if time.is_empty() {
            return Err(wrong(
                "columns.time",
                "none is given; name the column with the time of the conversion",
            ));
        }
        Ok(platform)
    }

    fn check_name(&self, platform: Platform) -> Result<(), ScoreError> {
        let name = self.name.trim();
        let most = platform.longest_name();
        if name.is_empty() || name.chars().count() > most || name.contains(char::is_control) {
            let what = match platform {
                Platform::Meta => "event",
                _ => "conversion action",
            };
            let problem =
                format!("'{name}' is no name of 1 to {most} letters; give that of the {what}");
            return Err(wrong("name", problem));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), ScoreError> {
        let Self {
            scale,
            cap,
            min_value,
            moved,
            memory,
            ..
        } = self;
        if *memory < 10 {
            return Err(wrong("memory", format!("{memory}; give 10 MiB or more")));
        }
        if !(*scale > 0.0 && scale.is_finite()) {
            return Err(wrong("scale", format!("{scale} is no number above 0")));
        }
        if let Some(cap) = cap.filter(|cap| !(*cap > 0.0 && *cap <= 1.0)) {
            return Err(wrong(
                "cap",
                format!("{cap} is no share above 0 and up to 1, such as 0.99"),
            ));
        }
        if let Some(least) = min_value.filter(|least| !(*least >= 0.0 && least.is_finite())) {
            return Err(wrong(
                "min_value",
                format!("{least} is no number of 0 or more"),
            ));
        }
        if !(*moved >= 0.0 && moved.is_finite()) {
            return Err(wrong(
                "moved",
                format!("{moved} is not a share of 0 or more"),
            ));
        }
        Ok(())
    }

    fn check_google(&self, platform: Platform) -> Result<(), ScoreError> {
        if self.columns.click_id.is_none() {
            return Err(wrong(
                "columns.click_id",
                "none is given; Google Ads knows conversions by their click",
            ));
        }
        let restates = platform == Platform::GoogleAdsRestatement;
        match (&self.since, restates) {
            (None, true) => Err(wrong(
                "since",
                "none is given; give the snapshot of the first upload",
            )),
            (Some(_), false) => {
                let problem = format!(
                    "{platform} restates nothing; leave it out, or choose google-ads-restatement"
                );
                Err(wrong("since", problem))
            }
            _ => Ok(()),
        }
    }

    fn check_meta(&self) -> Result<(), ScoreError> {
        let columns = &self.columns;
        let ids = [
            &columns.email,
            &columns.phone,
            &columns.external_id,
            &columns.fbc,
            &columns.fbp,
        ];
        if ids.iter().all(|column| column.is_none()) {
            let problem =
                "no column to know users by; name one of email, phone, external_id, fbc, fbp";
            return Err(wrong("columns", problem));
        }
        if self.since.is_some() {
            return Err(wrong("since", "meta takes no restatements; leave it out"));
        }
        let source = self.action_source.as_str();
        if !ACTION_SOURCES.contains(&source) {
            let problem = format!("'{source}' is none of {}", ACTION_SOURCES.join(", "));
            return Err(wrong("action_source", problem));
        }
        if source == WEBSITE && columns.user_agent.is_none() {
            return Err(wrong(
                "columns.user_agent",
                "none is given; Meta wants it of events of a website",
            ));
        }
        let url = self.source_url.as_deref().unwrap_or("");
        let page = url.starts_with("https://") || url.starts_with("http://");
        if source == WEBSITE && !page {
            let problem =
                "no address that starts with https://; Meta wants the page of events of a website";
            return Err(wrong("source_url", problem));
        }
        if identify::has_address(url) {
            let problem = "an e-mail address may be in it, and it is sent as it is; give the address of the page alone";
            return Err(wrong("source_url", problem));
        }
        Ok(())
    }
}

/// Whether a file starts as those for platforms do.
pub fn is_conversions(start: &[u8]) -> bool {
    let header = |columns: [&str; 6]| columns.join(",").into_bytes();
    let starts = [
        header(google::UPLOAD),
        header(google::ADJUSTMENT),
        b"{\"data\":[{\"event_name\":".to_vec(),
    ];
    starts.iter().any(|known| start.starts_with(known))
}
