//! CSV files for Google Ads.

use super::{Findings, in_time};
use crate::{
    ScoreError,
    conversions::{Platform, currency::Currency, google, identify},
};
use csv::{ReaderBuilder, StringRecord};
use ltv_core::{Day, Error};
use std::{io::Read, path::Path};

/// How a first line that names the zone of all times begins.
const PARAMETERS: &str = "Parameters:";

/// Checks all lines, and says whose file it is.
pub(super) fn check(
    reader: impl Read,
    path: &Path,
    findings: &mut Findings,
) -> Result<Platform, ScoreError> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(reader);
    let mut record = StringRecord::new();
    let mut more = |record: &mut StringRecord| {
        let read = reader.read_record(record);
        read.map_err(|e| Error::artefact(path, format!("not CSV in UTF-8 ({e})"), "make it again"))
    };
    more(&mut record)?;
    let mut zone = None;
    if record
        .get(0)
        .is_some_and(|first| first.starts_with(PARAMETERS))
    {
        let named = record
            .get(0)
            .and_then(|first| first.strip_prefix("Parameters:TimeZone="));
        zone = named.and_then(offset);
        let what = "Parameters: not TimeZone= and an offset such as +0000";
        findings.rule(zone.is_some(), 1, what);
        more(&mut record)?;
    }
    let Some(platform) = platform(&record) else {
        let problem = "neither a file of conversions for Google Ads, nor of adjustments, nor of events for Meta";
        return Err(
            Error::artefact(path, problem, "give a file that 'ltv conversions' wrote").into(),
        );
    };
    while more(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != google::header(platform).len() {
            findings.problem(line, "not one field for each column");
            continue;
        }
        findings.rows += 1;
        row(platform, &record, zone, line, findings)?;
    }
    Ok(platform)
}

/// Whose columns these are.
fn platform(header: &StringRecord) -> Option<Platform> {
    [Platform::GoogleAds, Platform::GoogleAdsRestatement]
        .into_iter()
        .find(|platform| header.iter().eq(google::header(*platform)))
}

fn row(
    platform: Platform,
    record: &StringRecord,
    zone: Option<i64>,
    line: u64,
    findings: &mut Findings,
) -> Result<(), ScoreError> {
    let columns = google::header(platform);
    let get = |name: &str| {
        columns
            .iter()
            .position(|c| *c == name)
            .and_then(|i| record.get(i))
            .unwrap_or("")
    };
    let adjusted = platform == Platform::GoogleAdsRestatement;
    let (time, value, currency) = match adjusted {
        true => (
            "Adjustment Time",
            "Adjusted Value",
            "Adjusted Value Currency",
        ),
        false => ("Conversion Time", "Conversion Value", "Conversion Currency"),
    };
    let name = get("Conversion Name").trim();
    let named = !name.is_empty() && name.chars().count() <= platform.longest_name();
    findings.rule(named, line, "Conversion Name: empty, or too long");
    findings.rule(
        identify::is_order_id(get("Order ID")),
        line,
        "Order ID: cannot be one",
    );
    findings.unique("order id", &format!("{name}\n{}", get("Order ID")), line)?;
    let known = Currency::of(get(currency));
    findings.rule(
        known.is_some(),
        line,
        format!("{currency}: no currency of ISO 4217"),
    );
    match amount(get(value), known.map_or(3, |c| c.digits)) {
        Some(amount) => findings.total += amount,
        None => findings.problem(
            line,
            format!("{value}: no amount of 0 or more in that currency"),
        ),
    }
    let moment = moment(get(time), zone);
    findings.rule(
        moment.is_some(),
        line,
        format!("{time}: not as in 2024-01-31 23:59:59+0000"),
    );
    let moment = moment.unwrap_or_default();
    let recent = in_time(findings.as_of, moment, Platform::GoogleAds.oldest(""));
    findings.rule(recent, line, format!("{time}: too old, or in the future"));
    if adjusted {
        let restates = get("Adjustment Type") == google::RESTATE;
        findings.rule(restates, line, "Adjustment Type: not RESTATE");
        let nothing = amount(get(value), usize::MAX) == Some(0.0);
        findings.rule(!nothing, line, format!("{value}: 0, which is final"));
        return Ok(());
    }
    let click = get("Google Click ID");
    findings.rule(
        identify::is_click_id(click),
        line,
        "Google Click ID: cannot be one",
    );
    findings.unique(
        "click and time",
        &format!("{name}\n{click}\n{moment}"),
        line,
    )
}

/// A decimal number of 0 or more with at most so many digits after the point.
fn amount(text: &str, digits: usize) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let decimal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fits =
        decimal(whole) && decimal(fraction) && (fraction.len() <= digits || !text.contains('.'));
    fits.then(|| text.parse().ok())
        .flatten()
        .filter(|n: &f64| n.is_finite())
}

/// Seconds east of Greenwich, of `+0000`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (3600 * two(hours, 14)? + 60 * two(minutes, 59)?))
}

/// Two digits that make a number no larger than `most`.
fn two(text: &str, most: i64) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.filter(|n| *n <= most)
}

/// Seconds since 1970 of `2024-01-31 23:59:59+0000`; without an offset, in the zone of the file.
fn moment(text: &str, zone: Option<i64>) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let day: Day = day.parse().ok()?;
    let (clock, east) = rest.strip_prefix(' ')?.split_at_checked(8)?;
    let mut parts = clock.split(':');
    let hours = two(parts.next()?, 23)?;
    let minutes = two(parts.next()?, 59)?;
    let seconds = two(parts.next()?, 59)?;
    let east = match east {
        "" => zone?,
        east => offset(east)?,
    };
    let seconds = 3600 * hours + 60 * minutes + seconds;
    Some(i64::from(day.0) * 86_400 + seconds - east)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_meant() {
        // 2009-02-13 23:31:30 UTC is the famous one.
        assert_eq!(
            moment("2009-02-13 23:31:30+0000", None),
            Some(1_234_567_890)
        );
        assert_eq!(
            moment("2009-02-14 00:31:30+0100", Some(7)),
            Some(1_234_567_890)
        );
        assert_eq!(
            moment("2009-02-13 18:01:30", offset("-0530")),
            Some(1_234_567_890)
        );
        for wrong in [
            "",
            "2009-02-13 23:31:30",
            "2009-02-13T23:31:30+0000",
            "2009-02-13 24:31:30+0000",
            "2009-02-30 23:31:30+0000",
            "2009-02-13 23:31:30+00:00",
            "2009-02-13 23:31:30 +0000",
            "13.02.2009 23:31:30+0000",
        ] {
            assert_eq!(moment(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn amounts_are_plain_decimals() {
        assert_eq!(amount("12.50", 2), Some(12.5));
        assert_eq!(amount("12", 0), Some(12.0));
        for wrong in [
            "", "-1.00", "1e3", "1,50", "NaN", "inf", "1.234", ".5", "1.", " 1",
        ] {
            assert_eq!(amount(wrong, 2), None, "{wrong}");
        }
        assert_eq!(amount("1.5", 0), None);
    }
}
