//! Which values may be sent: the platform's limits, and what was asked for.

use super::{
    ConversionOptions, Platform, Reason,
    contact::{Contact, DAY},
    currency::Currency,
    identify,
};
use crate::ScoreError;
use ltv_core::Day;
use serde::{Deserialize, Serialize};

/// A value to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Conversion {
    /// Its place among those that the platform would take: earlier ones win over their duplicates.
    pub(super) seq: u64,
    /// By which the platform knows it again: of the name and the user, or the table's own.
    pub(super) id: String,
    pub(super) time: i64,
    pub(super) value: f64,
    pub(super) contact: Contact,
}

/// Values that a user was given.
pub(super) struct Values {
    pub(super) now: Predicted,
    /// By the snapshot of the first upload.
    pub(super) before: Option<Predicted>,
}

#[derive(Clone, Copy)]
pub(super) struct Predicted {
    pub(super) value: f64,
    pub(super) wanted: bool,
}

/// How values become what is sent, for one snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) factor: f64,
    /// The largest value that is sent.
    pub(super) cap: Option<f64>,
    pub(super) currency: Currency,
}

impl Scale {
    pub(super) fn value(&self, predicted: f64) -> f64 {
        let value = predicted * self.factor;
        self.currency
            .round(self.cap.map_or(value, |cap| value.min(cap)))
    }
}

/// The rules for a file.
pub(super) struct Rules<'a> {
    pub(super) options: &'a ConversionOptions,
    pub(super) platform: Platform,
    pub(super) currency: Currency,
    pub(super) as_of: Day,
    pub(super) scale: Scale,
    /// The as-of date and the scale of the first upload.
    pub(super) first: Option<(Day, Scale)>,
}

/// What becomes of a user.
pub(super) enum Verdict {
    /// The value is sent.
    Send { time: i64, value: f64 },
    /// It is not, but the platform knows the conversion: no other may take its place.
    Known(Reason),
    /// It is not.
    Leave(Reason),
}

impl Rules<'_> {
    /// What becomes of a user with these values.
    pub(super) fn judge(&self, values: &Values, contact: Option<&Contact>) -> Verdict {
        if !values.now.wanted {
            return Verdict::Leave(Reason::Status);
        }
        let Some(contact) = contact else {
            return Verdict::Leave(Reason::NotInUsers);
        };
        let judged = match self.first {
            None => self.upload(contact).and_then(|time| {
                let value = self.worth(self.scale.value(values.now.value))?;
                Ok(Verdict::Send { time, value })
            }),
            Some(first) => self.restate(values, contact, first),
        };
        judged.unwrap_or_else(Verdict::Leave)
    }

    /// The time of a conversion that may be uploaded, or why it may not.
    fn upload(&self, contact: &Contact) -> Result<i64, Reason> {
        let time = self.moment(self.platform, contact, self.as_of)?;
        match self.platform {
            Platform::Meta => self.known_to_meta(contact)?,
            _ => clicked(contact, time)?,
        }
        Ok(time)
    }

    /// The same for the first upload, whose conversion now gets another value.
    fn restate(
        &self,
        values: &Values,
        contact: &Contact,
        (day, scale): (Day, Scale),
    ) -> Result<Verdict, Reason> {
        let time = self.moment(self.platform, contact, self.as_of)?;
        let before = values.before.filter(|before| before.wanted);
        let before = before.ok_or(Reason::NotUploaded)?.value;
        let uploaded = self
            .moment(Platform::GoogleAds, contact, day)
            .and_then(|_| clicked(contact, time));
        uploaded.map_err(|_| Reason::NotUploaded)?;
        let old = self
            .worth(scale.value(before))
            .map_err(|_| Reason::NotUploaded)?;
        let value = self.scale.value(values.now.value);
        let moved = value != old && (value - old).abs() > self.options.moved * old;
        Ok(match moved {
            false => Verdict::Known(Reason::NotMoved),
            // Google takes it for the last word: the conversion could never get another value.
            true if value <= 0.0 => Verdict::Known(Reason::ValueZero),
            true => Verdict::Send { time, value },
        })
    }

    /// The time of a conversion that is neither too young nor too old by the end of a day, in UTC.
    fn moment(&self, platform: Platform, contact: &Contact, day: Day) -> Result<i64, Reason> {
        if contact.consent == Some(false) {
            return Err(Reason::NoConsent);
        }
        let time = contact.time.ok_or(Reason::NoTime)?;
        let (begin, end) = (i64::from(day.0) * DAY, (i64::from(day.0) + 1) * DAY);
        let latest = match platform {
            Platform::GoogleAdsRestatement => begin,
            _ => end,
        };
        if time >= latest {
            return Err(Reason::InTheFuture);
        }
        let click = contact
            .click_time
            .filter(|_| platform == Platform::GoogleAds);
        let oldest = end - platform.oldest(&self.options.action_source) * DAY;
        match time.min(click.unwrap_or(time)) < oldest {
            true => Err(Reason::TooOld),
            false => Ok(time),
        }
    }

    fn known_to_meta(&self, contact: &Contact) -> Result<(), Reason> {
        let ids = [
            &contact.email,
            &contact.phone,
            &contact.external_id,
            &contact.fbc,
            &contact.fbp,
        ];
        let website = self.options.action_source == super::platform::WEBSITE;
        let browser = !website || contact.user_agent.is_some();
        match browser && ids.iter().any(|id| id.is_some()) {
            true => Ok(()),
            false => Err(Reason::NoIdentifier),
        }
    }

    /// The value, if it is worth sending.
    fn worth(&self, value: f64) -> Result<f64, Reason> {
        match self.options.min_value {
            Some(least) if value < least => Err(Reason::BelowMinValue),
            _ if value <= 0.0 && self.platform == Platform::Meta => Err(Reason::ValueZero),
            _ => Ok(value),
        }
    }

    /// By what the platform knows the conversion of a user again.
    pub(super) fn id(&self, user: &str, contact: &Contact) -> String {
        let own = contact
            .order_id
            .clone()
            .filter(|_| self.platform != Platform::Meta);
        own.unwrap_or_else(|| {
            let mut hash = identify::sha256(&format!("{}\n{user}", self.options.name.trim()));
            hash.truncate(32);
            hash
        })
    }

    /// What no two conversions may share, where users do not already keep them apart.
    pub(super) fn unique<'b>(
        &self,
        conversion: &'b Conversion,
    ) -> Vec<(&'static str, Option<&'b str>, i64)> {
        match self.platform {
            Platform::Meta => vec![],
            _ => {
                let click = (
                    "click",
                    conversion.contact.click_id.as_deref(),
                    conversion.time,
                );
                let own = conversion.contact.order_id.as_deref();
                let order = own.map(|own| ("order", Some(own), 0));
                [Some(click), order].into_iter().flatten().collect()
            }
        }
    }
}

/// Whether a click led to a conversion, and can be named.
fn clicked(contact: &Contact, time: i64) -> Result<(), Reason> {
    let click = contact.click_id.as_deref().ok_or(Reason::NoIdentifier)?;
    if !identify::is_click_id(click) {
        return Err(Reason::MalformedClickId);
    }
    if contact.click_time.is_some_and(|click| time <= click) {
        return Err(Reason::BeforeClick);
    }
    match contact.order_id.as_deref() {
        Some(order) if !identify::is_order_id(order) => Err(Reason::MalformedOrderId),
        _ => Ok(()),
    }
}

/// Moments as CSV files have them: `2024-01-05 13:00:00+0000`.
pub(super) fn written(time: i64) -> Result<String, ScoreError> {
    let day = i32::try_from(time.div_euclid(DAY)).map_err(ScoreError::internal)?;
    let second = time.rem_euclid(DAY);
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    Ok(format!(
        "{} {hours:02}:{minutes:02}:{seconds:02}+0000",
        Day(day)
    ))
}
