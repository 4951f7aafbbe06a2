//! Google Ads: CSV files for "Import conversions from ad clicks" and for "Adjust your conversions".
//!
//! Every time says its zone, so that the file begins with its header and needs no line of parameters.

use super::{
    Platform,
    contact::DAY,
    rules::{Conversion, Rules, written},
};
use crate::ScoreError;
use std::io::{self, Write};

/// Columns of a file of conversions.
pub(super) const UPLOAD: [&str; 6] = [
    "Google Click ID",
    "Conversion Name",
    "Conversion Time",
    "Conversion Value",
    "Conversion Currency",
    "Order ID",
];

/// Columns of a file of adjustments.
pub(super) const ADJUSTMENT: [&str; 6] = [
    "Order ID",
    "Conversion Name",
    "Adjustment Time",
    "Adjustment Type",
    "Adjusted Value",
    "Adjusted Value Currency",
];

/// The word of files for what the API calls RESTATEMENT.
pub(super) const RESTATE: &str = "RESTATE";

/// The columns of a platform's file.
pub(super) fn header(platform: Platform) -> [&'static str; 6] {
    match platform {
        Platform::GoogleAdsRestatement => ADJUSTMENT,
        _ => UPLOAD,
    }
}

/// The fields of a row.
pub(super) fn fields(rules: &Rules<'_>, row: &Conversion) -> Result<[String; 6], ScoreError> {
    let name = rules.options.name.trim().to_owned();
    let (value, currency) = (
        rules.currency.text(row.value),
        rules.currency.code.to_owned(),
    );
    let id = row.id.clone();
    if rules.platform == Platform::GoogleAdsRestatement {
        // The day begins before anybody can upload the file, and after all of its conversions.
        let time = written(i64::from(rules.as_of.0) * DAY)?;
        return Ok([id, name, time, RESTATE.to_owned(), value, currency]);
    }
    let click = row.contact.click_id.clone().unwrap_or_default();
    Ok([click, name, written(row.time)?, value, currency, id])
}

/// Writes a line of CSV (RFC 4180, with the line ends of Unix).
pub(super) fn line(out: &mut impl Write, fields: &[impl AsRef<str>]) -> io::Result<()> {
    for (i, field) in fields.iter().enumerate() {
        let (field, comma) = (field.as_ref(), if i == 0 { "" } else { "," });
        match field.contains([',', '"', '\r', '\n']) {
            true => write!(out, "{comma}\"{}\"", field.replace('"', "\"\""))?,
            false => write!(out, "{comma}{field}")?,
        }
    }
    writeln!(out)
}
