//! Files read back, by other parsers than their writers' inverse: every rule that a platform states, and can be checked
//! without it. No message repeats what a field holds, which may be personal data in the wrong place.

mod csv_file;
mod json_lines;

use super::{
    Platform,
    sorting::{Scratch, Sorting},
};
use crate::ScoreError;
use ltv_core::{Day, Error};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// Problems that a message tells.
const TOLD: usize = 5;

/// A file that a platform should take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Whose it is.
    pub platform: Platform,
    /// Conversions, adjustments or events.
    pub rows: u64,
    /// Sum of their values.
    pub total: f64,
}

/// Checks a file that [`conversions`](fn@super::conversions) wrote, or somebody else; with a day, also whether it can be
/// sent until the end of that day, in UTC. `scratch` is for looking for duplicates.
///
/// # Errors
/// When a rule is broken; the message names the first of the lines at fault.
pub fn check_conversions(
    path: &Path,
    as_of: Option<Day>,
    scratch: &Scratch,
) -> Result<Checked, ScoreError> {
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    let reader = BufReader::new(file);
    check(reader, (path, as_of), Sorting::new(scratch))
}

/// The same of what is open for reading; `path` is for messages.
pub(super) fn check(
    mut reader: impl BufRead,
    (path, as_of): (&Path, Option<Day>),
    seen: Sorting,
) -> Result<Checked, ScoreError> {
    let start = reader.fill_buf().map_err(|e| Error::io(path, "read", e))?;
    let json = start.first() == Some(&b'{');
    let mut findings = Findings {
        as_of,
        seen,
        names: 0,
        rows: 0,
        total: 0.0,
        told: vec![],
        problems: 0,
    };
    let platform = match json {
        true => json_lines::check(reader, path, &mut findings)?,
        false => csv_file::check(reader, path, &mut findings)?,
    };
    findings.finish(platform, path)
}

/// What was found so far.
struct Findings {
    as_of: Option<Day>,
    /// Names of conversions that must differ.
    seen: Sorting,
    /// How many of them there were: the place of the next.
    names: u64,
    rows: u64,
    total: f64,
    told: Vec<String>,
    problems: u64,
}

impl Findings {
    /// A rule is broken.
    fn problem(&mut self, line: u64, what: impl AsRef<str>) {
        self.problems += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("line {line}: {}", what.as_ref()));
        }
    }

    /// A rule holds, or is broken.
    fn rule(&mut self, holds: bool, line: u64, what: impl AsRef<str>) {
        if !holds {
            self.problem(line, what);
        }
    }

    /// No other may have the same, on this line or another: a line of Meta's has up to a thousand.
    fn unique(&mut self, what: &str, id: &str, line: u64) -> Result<(), ScoreError> {
        let key = unique_key(what, id, self.names);
        self.names += 1;
        let value = [&line.to_be_bytes()[..], what.as_bytes()].concat();
        self.seen.add(&key, &value)
    }

    fn finish(self, platform: Platform, path: &Path) -> Result<Checked, ScoreError> {
        let Self {
            seen,
            rows,
            total,
            mut told,
            mut problems,
            ..
        } = self;
        let mut sorted = seen.sorted()?;
        let mut before: Option<Vec<u8>> = None;
        while let Some((key, value)) = sorted.next()? {
            if before.as_deref().is_some_and(|b| b[..HASH] == key[..HASH]) {
                problems += 1;
                if told.len() < TOLD {
                    let (line, what) = value.split_at(size_of::<u64>());
                    let line = line.iter().fold(0, |n, &b| n << 8 | u64::from(b));
                    let what = String::from_utf8_lossy(what);
                    told.push(format!("line {line}: the same {what} as before"));
                }
            }
            before = Some(key.to_vec());
        }
        if rows == 0 && problems == 0 {
            (problems, told) = (1, vec!["nothing in it".to_owned()]);
        }
        if problems > 0 {
            let rest = match problems - told.len() as u64 {
                0 => String::new(),
                n => format!("; and {n} more"),
            };
            let problem = format!("{platform} would refuse it: {}{rest}", told.join("; "));
            let hint = "make it again with 'ltv conversions'";
            return Err(Error::artefact(path, problem, hint).into());
        }
        Ok(Checked {
            platform,
            rows,
            total,
        })
    }
}

/// Bytes of the hash that stands for a name.
pub(super) const HASH: usize = 16;

/// A key that is the same for the same name but for the place at its end, so that names come together when sorted.
pub(super) fn unique_key(what: &str, id: &str, place: u64) -> Vec<u8> {
    let hash = blake3::hash(format!("{what}\n{id}").as_bytes());
    let mut key = hash.as_bytes()[..HASH].to_vec();
    key.extend(place.to_be_bytes());
    key
}

/// Whether a moment is by the end of the day, and not more than so many days before it; true where no day is given.
fn in_time(as_of: Option<Day>, time: i64, oldest: i64) -> bool {
    as_of.is_none_or(|day| {
        let end = (i64::from(day.0) + 1) * 86_400;
        time < end && time >= end - oldest * 86_400
    })
}
