//! A user as the advertiser's table has them: when they converted, and by what a platform knows them. E-mail addresses
//! and phone numbers are hashed as soon as they are read.

use super::{Columns, identify};
use crate::ScoreError;
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit},
    record_batch::RecordBatch,
};
use ltv_core::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// What is known of a user. Nothing in it tells an address or a number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Contact {
    /// Of the conversion: seconds since 1970, in UTC.
    pub(super) time: Option<i64>,
    pub(super) click_time: Option<i64>,
    pub(super) click_id: Option<String>,
    pub(super) order_id: Option<String>,
    /// SHA-256, in hexadecimal, as the next two.
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) fbc: Option<String>,
    pub(super) fbp: Option<String>,
    pub(super) user_agent: Option<String>,
    /// Whether they agreed; `None` where nobody asked to look.
    pub(super) consent: Option<bool>,
}

/// Identifiers in the user table that cannot be what they should be, and are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusable {
    /// E-mail addresses.
    pub email: u64,
    /// Phone numbers.
    pub phone: u64,
    /// Ids of clicks, as Meta's cookie has them.
    pub fbc: u64,
    /// Ids of browsers.
    pub fbp: u64,
    /// Names that browsers give themselves, and an address in them.
    #[serde(default)]
    pub user_agent: u64,
}

/// The columns of a batch that are wanted.
pub(super) struct Cells {
    time: Times,
    click_time: Option<Times>,
    click_id: Option<StringArray>,
    order_id: Option<StringArray>,
    email: Option<StringArray>,
    phone: Option<StringArray>,
    external_id: Option<StringArray>,
    fbc: Option<StringArray>,
    fbp: Option<StringArray>,
    user_agent: Option<StringArray>,
    consent: Option<BooleanArray>,
}

impl Cells {
    /// Of a day, without its time, conversions come at the end and clicks at the begin: no conversion comes before its
    /// click because nobody knows the hour.
    pub(super) fn of(
        batch: &RecordBatch,
        columns: &Columns,
        path: &Path,
    ) -> Result<Self, ScoreError> {
        let text = |name: &Option<String>| match name {
            Some(name) => text(column(batch, name, path)?, name, path).map(Some),
            None => Ok(None),
        };
        let moments =
            |name: &String, within| Times::of(column(batch, name, path)?, name, path, within);
        let clicks = |name: &String| moments(name, 0);
        let consent = |name: &String| consents(column(batch, name, path)?, name, path);
        Ok(Self {
            time: moments(&columns.time, DAY - 1)?,
            click_time: columns.click_time.as_ref().map(clicks).transpose()?,
            click_id: text(&columns.click_id)?,
            order_id: text(&columns.order_id)?,
            email: text(&columns.email)?,
            phone: text(&columns.phone)?,
            external_id: text(&columns.external_id)?,
            fbc: text(&columns.fbc)?,
            fbp: text(&columns.fbp)?,
            user_agent: text(&columns.user_agent)?,
            consent: columns.consent.as_ref().map(consent).transpose()?,
        })
    }

    /// The user in a row.
    pub(super) fn contact(&self, row: usize, unusable: &mut Unusable) -> Contact {
        let email = cell(&self.email, row);
        let phone = cell(&self.phone, row);
        let cookie = |id: &&str| identify::is_cookie(id);
        let (fbc, fbp) = (cell(&self.fbc, row), cell(&self.fbp, row));
        let agent = cell(&self.user_agent, row);
        let own = |text: &str| text.to_owned();
        let contact = Contact {
            time: self.time.seconds(row),
            click_time: self
                .click_time
                .as_ref()
                .and_then(|times| times.seconds(row)),
            click_id: valid(cell(&self.click_id, row), identify::is_click_id),
            order_id: valid(cell(&self.order_id, row), identify::is_order_id),
            email: email.and_then(identify::email),
            phone: phone.and_then(identify::phone),
            external_id: cell(&self.external_id, row).and_then(identify::external_id),
            fbc: fbc.filter(cookie).map(own),
            fbp: fbp.filter(cookie).map(own),
            user_agent: agent.filter(|text| !identify::has_address(text)).map(own),
            consent: self
                .consent
                .as_ref()
                .map(|all| all.is_valid(row) && all.value(row)),
        };
        unusable.email += u64::from(email.is_some() && contact.email.is_none());
        unusable.phone += u64::from(phone.is_some() && contact.phone.is_none());
        unusable.fbc += u64::from(fbc.is_some() && contact.fbc.is_none());
        unusable.fbp += u64::from(fbp.is_some() && contact.fbp.is_none());
        unusable.user_agent += u64::from(agent.is_some() && contact.user_agent.is_none());
        contact
    }
}

/// The text in a row, without space around it; `None` where there is none.
fn cell(column: &Option<StringArray>, row: usize) -> Option<&str> {
    let column = column.as_ref().filter(|column| column.is_valid(row))?;
    Some(column.value(row).trim()).filter(|text| !text.is_empty())
}

/// An id; of what cannot be one nothing is kept, but that there is something.
fn valid(id: Option<&str>, is_one: fn(&str) -> bool) -> Option<String> {
    id.map(|id| if is_one(id) { id } else { "" }.to_owned())
}

/// The column `name` of a batch.
pub(super) fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
    path: &Path,
) -> Result<&'a ArrayRef, ScoreError> {
    let missing = || Error::artefact(path, format!("no column '{name}'"), "name another");
    Ok(batch.column_by_name(name).ok_or_else(missing)?)
}

/// What a column should hold, and does not.
pub(super) fn wrong_type(path: &Path, name: &str, found: &DataType, expected: &str) -> ScoreError {
    let problem = format!("column '{name}' holds {found}, not {expected}");
    Error::artefact(path, problem, "name another column, or convert this one").into()
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Texts, or whole numbers as text.
pub(super) fn text(column: &ArrayRef, name: &str, path: &Path) -> Result<StringArray, ScoreError> {
    let found = column.data_type();
    if !(is_text(found) || found.is_integer() || *found == DataType::Null) {
        return Err(wrong_type(path, name, found, "text"));
    }
    let text = cast(column, &DataType::Utf8).map_err(ScoreError::internal)?;
    Ok(text.as_string::<i32>().clone())
}

/// Whether users agreed: true, or the text "granted".
fn consents(column: &ArrayRef, name: &str, path: &Path) -> Result<BooleanArray, ScoreError> {
    if let Some(flags) = column.as_boolean_opt() {
        return Ok(flags.clone());
    }
    if !is_text(column.data_type()) {
        return Err(wrong_type(
            path,
            name,
            column.data_type(),
            "true and false, or text",
        ));
    }
    let words = text(column, name, path)?;
    let granted = |word: Option<&str>| word.map(|w| w.trim().eq_ignore_ascii_case("granted"));
    Ok(words.iter().map(granted).collect())
}

/// Moments, of any precision, or days.
struct Times {
    numbers: Int64Array,
    /// How many of them are a second, or how many seconds one is.
    per_second: i64,
    seconds: i64,
    /// Where in its day a day is taken to be, in seconds.
    within: i64,
}

impl Times {
    fn of(column: &ArrayRef, name: &str, path: &Path, within: i64) -> Result<Self, ScoreError> {
        let (per_second, seconds) = match column.data_type() {
            DataType::Date32 => (1, DAY),
            DataType::Date64 => (1000 * DAY, DAY),
            DataType::Timestamp(TimeUnit::Second, _) => (1, 1),
            DataType::Timestamp(TimeUnit::Millisecond, _) => (1000, 1),
            DataType::Timestamp(TimeUnit::Microsecond, _) => (1_000_000, 1),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => (1_000_000_000, 1),
            found => return Err(wrong_type(path, name, found, "a timestamp or a date")),
        };
        // Days are 32 bits; there is no cast from them to 64 at once.
        let numbers = match column.data_type() {
            DataType::Date32 => {
                cast(column, &DataType::Int32).and_then(|days| cast(&days, &DataType::Int64))
            }
            _ => cast(column, &DataType::Int64),
        };
        let numbers = numbers.map_err(ScoreError::internal)?;
        Ok(Self {
            numbers: numbers.as_primitive::<Int64Type>().clone(),
            per_second,
            seconds,
            within: if seconds == DAY { within } else { 0 },
        })
    }

    fn seconds(&self, row: usize) -> Option<i64> {
        let valid = self.numbers.is_valid(row);
        let begin = || self.numbers.value(row).div_euclid(self.per_second) * self.seconds;
        valid.then(|| begin() + self.within)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::{
        array::{
            Date32Array, Date64Array, LargeStringArray, StringViewArray, TimestampMillisecondArray,
            TimestampNanosecondArray, TimestampSecondArray,
        },
        datatypes::Int32Type,
    };
    use std::sync::Arc;

    #[test]
    fn moments_of_any_precision_and_days() {
        let second = 1_234_567_890i64;
        let nanos = TimestampNanosecondArray::from(vec![second * 1_000_000_000 + 999_999_999]);
        let columns: [(ArrayRef, i64); 5] = [
            (Arc::new(TimestampSecondArray::from(vec![second])), second),
            (
                Arc::new(TimestampMillisecondArray::from(vec![second * 1000 + 999])),
                second,
            ),
            (Arc::new(nanos.with_timezone("Europe/Berlin")), second),
            (
                Arc::new(Date64Array::from(vec![14_288 * DAY * 1000])),
                14_288 * DAY + 7,
            ),
            (Arc::new(Date32Array::from(vec![14_288])), 14_288 * DAY + 7),
        ];
        for (column, expected) in columns {
            let times = Times::of(&column, "time", Path::new("x"), 7).unwrap();
            assert_eq!(times.seconds(0), Some(expected), "{}", column.data_type());
        }
        let gap: ArrayRef = Arc::new(TimestampSecondArray::from(vec![None, Some(-1)]));
        let times = Times::of(&gap, "time", Path::new("x"), 7).unwrap();
        assert_eq!((times.seconds(0), times.seconds(1)), (None, Some(-1)));
    }

    #[test]
    fn texts_of_any_layout_and_consent() {
        let words = vec![Some(" granted"), Some("Denied"), None];
        let dictionary: arrow::array::DictionaryArray<Int32Type> = words.iter().copied().collect();
        let columns: [ArrayRef; 4] = [
            Arc::new(StringArray::from(words.clone())),
            Arc::new(LargeStringArray::from(words.clone())),
            Arc::new(StringViewArray::from(words)),
            Arc::new(dictionary),
        ];
        for column in columns {
            let texts = text(&column, "x", Path::new("x")).unwrap();
            assert_eq!(
                texts.iter().map(|t| t.map(str::trim)).collect::<Vec<_>>(),
                [Some("granted"), Some("Denied"), None]
            );
            let consent = consents(&column, "x", Path::new("x")).unwrap();
            assert_eq!(
                consent.iter().collect::<Vec<_>>(),
                [Some(true), Some(false), None]
            );
        }
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        assert_eq!(text(&number, "x", Path::new("x")).unwrap().value(0), "7");
        assert!(consents(&number, "x", Path::new("x")).is_err());
    }
}
