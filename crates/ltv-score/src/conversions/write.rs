//! From what may be sent to a file: without duplicates, in the order of users, and read back before it takes its name.

use super::{
    Platform,
    check::{HASH, check, unique_key},
    google, meta,
    rules::{Conversion, Rules},
    sorting::{Scratch, Sorted, Sorting},
};
use crate::ScoreError;
use ltv_core::{Error, artefact::AtomicFile, progress::Progress};
use ltv_eval::Sum;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
    path::Path,
};

/// Meta asks for as many different values, and for a largest that is as many times the smallest.
const DISTINCT: usize = 5;
const SPREAD: f64 = 3.0;

/// What may be sent, waiting on disk.
pub(super) struct Spool {
    rows: BufWriter<File>,
    /// Names that no two conversions may share, with their places.
    names: Sorting,
    next: u64,
    sent: u64,
    scratch: Scratch,
}

/// A file that has yet to take its name.
pub(super) struct Written {
    pub(super) file: AtomicFile,
    pub(super) rows: u64,
    pub(super) total: f64,
    pub(super) duplicates: u64,
    pub(super) warnings: Vec<String>,
}

impl Spool {
    pub(super) fn new(scratch: &Scratch) -> Result<Self, ScoreError> {
        let folder = &scratch.folder;
        let file = tempfile::tempfile_in(folder);
        let file = file.map_err(|e| Error::io(folder, "create a temporary file in", e))?;
        Ok(Self {
            rows: BufWriter::new(file),
            names: Sorting::new(scratch),
            next: 0,
            sent: 0,
            scratch: scratch.clone(),
        })
    }

    /// Adds a conversion that the platform knows or would take; to be sent, or only in the way of its duplicates.
    pub(super) fn add(
        &mut self,
        rules: &Rules<'_>,
        mut row: Conversion,
        sent: bool,
    ) -> Result<(), ScoreError> {
        row.seq = self.next;
        self.next += 1;
        for (what, id, time) in rules.unique(&row) {
            let id = format!("{}\n{time}", id.unwrap_or_default());
            self.names.add(&unique_key(what, &id, row.seq), &[])?;
        }
        if !sent {
            return Ok(());
        }
        self.sent += 1;
        let written = serde_json::to_writer(&mut self.rows, &row).map_err(io::Error::from);
        let written = written.and_then(|()| writeln!(self.rows));
        Ok(written.map_err(|e| Error::io(&self.scratch.folder, "write scratch files in", e))?)
    }

    /// Writes all but duplicates.
    pub(super) fn write(
        self,
        rules: &Rules<'_>,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Written, ScoreError> {
        progress.start("writing", Some(self.sent));
        let Self {
            rows,
            names,
            scratch,
            ..
        } = self;
        let mut duplicates = duplicates(names.sorted()?, Sorting::new(&scratch))?;
        let failed = |e: io::Error| Error::io(&scratch.folder, "read scratch files in", e);
        let mut file = rows.into_inner().map_err(|e| failed(e.into_error()))?;
        file.rewind().map_err(failed)?;
        let mut target = Target::new(rules, out)?;
        let mut left_out = 0;
        let mut next = duplicates.next()?.and_then(|(seq, _)| place(seq));
        for line in BufReader::new(file).lines() {
            let line = line.map_err(failed)?;
            let row: Conversion = serde_json::from_str(&line).map_err(ScoreError::internal)?;
            while next.is_some_and(|duplicate| duplicate < row.seq) {
                next = duplicates.next()?.and_then(|(seq, _)| place(seq));
            }
            match next == Some(row.seq) {
                true => left_out += 1,
                false => target.add(row)?,
            }
            progress.advance(1);
        }
        target.finish(left_out, Sorting::new(&scratch))
    }
}

/// The places, in order, of all that share a name with one before them.
fn duplicates(mut names: Sorted, mut places: Sorting) -> Result<Sorted, ScoreError> {
    let mut before: Option<Vec<u8>> = None;
    while let Some((key, _)) = names.next()? {
        let (hash, seq) = key.split_at(HASH.min(key.len()));
        match before.as_deref() == Some(hash) {
            true => places.add(seq, &[])?,
            false => before = Some(hash.to_vec()),
        }
    }
    places.sorted()
}

fn place(seq: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(seq.try_into().ok()?))
}

/// The file at work.
struct Target<'a> {
    rules: &'a Rules<'a>,
    path: &'a Path,
    file: AtomicFile,
    out: BufWriter<File>,
    bodies: meta::Bodies,
    rows: u64,
    total: Sum,
    /// Different values, as many as matter, and the smallest and the largest.
    distinct: Vec<f64>,
    range: Option<(f64, f64)>,
}

impl<'a> Target<'a> {
    fn new(rules: &'a Rules<'a>, path: &'a Path) -> Result<Self, ScoreError> {
        let file = AtomicFile::create(path)?;
        let mut out = BufWriter::new(file.handle()?);
        if rules.platform != Platform::Meta {
            let header = google::line(&mut out, &google::header(rules.platform));
            header.map_err(|e| Error::io(path, "write", e))?;
        }
        Ok(Self {
            rules,
            path,
            file,
            out,
            bodies: meta::Bodies::default(),
            rows: 0,
            total: Sum::default(),
            distinct: vec![],
            range: None,
        })
    }

    fn add(&mut self, row: Conversion) -> Result<(), ScoreError> {
        let value = row.value;
        self.rows += 1;
        self.total.add(value);
        if self.distinct.len() < DISTINCT && !self.distinct.contains(&value) {
            self.distinct.push(value);
        }
        let (low, high) = self.range.unwrap_or((value, value));
        self.range = Some((low.min(value), high.max(value)));
        let written = match self.rules.platform {
            Platform::Meta => self.bodies.add(&mut self.out, self.rules, row),
            _ => google::line(&mut self.out, &google::fields(self.rules, &row)?),
        };
        Ok(written.map_err(|e| Error::io(self.path, "write", e))?)
    }

    /// Reads the file back.
    fn finish(mut self, duplicates: u64, seen: Sorting) -> Result<Written, ScoreError> {
        let failed = |e: io::Error| Error::io(self.path, "write", e);
        self.bodies.flush(&mut self.out).map_err(failed)?;
        self.out.flush().map_err(failed)?;
        let warnings = self.warnings();
        let Self {
            rules,
            path,
            mut file,
            rows,
            total,
            ..
        } = self;
        if rows > 0 {
            file.file()
                .rewind()
                .map_err(|e| Error::io(path, "read", e))?;
            let checked = check(BufReader::new(file.file()), (path, Some(rules.as_of)), seen);
            let checked = checked.map_err(|e| ScoreError::internal(format!("read back: {e}")))?;
            if (checked.platform, checked.rows) != (rules.platform, rows) {
                let problem = format!("read back: {} rows of {rows}", checked.rows);
                return Err(ScoreError::internal(problem));
            }
        }
        Ok(Written {
            file,
            rows,
            total: total.value(),
            duplicates,
            warnings,
        })
    }

    /// What Meta asks of all values together, for campaigns that optimise for predicted value.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![];
        if self.rules.platform == Platform::Meta {
            if self.distinct.len() < DISTINCT {
                warnings.push(format!("fewer than {DISTINCT} different values"));
            }
            if self.range.is_some_and(|(low, high)| high < SPREAD * low) {
                warnings.push(format!(
                    "the largest value is less than {SPREAD} times the smallest"
                ));
            }
        }
        warnings
    }
}
