//! What is remembered of runs, stages and models: a small SQLite database in the work folder.
//!
//! Artefacts are on disk before their line is here: what the ledger says is there is there, and what it does not
//! know of is made again, to the same bytes. Every change is one transaction, flushed before it counts.

use crate::DailyError;
use ltv_core::{Day, artefact};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Name of its file in the work folder.
pub const FILE: &str = "ledger.db";
/// Why a model serves that passed on its day.
pub const GATE: &str = "gate";
/// Version of its tables.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE runs (
    date    TEXT PRIMARY KEY,   -- YYYY-MM-DD
    outcome TEXT,               -- published, kept, stopped; NULL while it is not over
    summary TEXT,               -- JSON
    began   INTEGER NOT NULL,   -- seconds since 1970
    ended   INTEGER
) STRICT;
CREATE TABLE stages (
    date    TEXT NOT NULL,
    stage   TEXT NOT NULL,
    place   INTEGER NOT NULL,   -- order in the run
    key     TEXT NOT NULL,      -- checksum of all that decides the result
    result  TEXT NOT NULL,      -- JSON
    seconds REAL NOT NULL,
    PRIMARY KEY (date, stage)
) STRICT;
CREATE TABLE models (
    id      TEXT PRIMARY KEY,
    date    TEXT NOT NULL,
    file    TEXT NOT NULL,      -- in the folder of models
    parent  TEXT,               -- the model that it went on from
    dataset TEXT NOT NULL,      -- fingerprint of what it was trained on
    config  TEXT NOT NULL,      -- checksum of its configuration
    verdict TEXT                -- passed, failed; NULL while it is not judged
) STRICT;
CREATE TABLE publications (
    date    TEXT PRIMARY KEY,   -- of the scores that went live
    model   TEXT NOT NULL       -- the model that they are by
) STRICT;
CREATE TABLE champions (
    number  INTEGER PRIMARY KEY,
    model   TEXT NOT NULL REFERENCES models (id),
    date    TEXT NOT NULL,      -- of the run, or the day of the command
    why     TEXT NOT NULL       -- gate, promoted, rolled back
) STRICT;
";

/// The ledger of a work folder.
pub struct Ledger {
    path: PathBuf,
    db: Connection,
}

/// A run, as remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its date.
    pub date: Day,
    /// How it ended; `None` while it has not.
    pub outcome: Option<String>,
    /// Its summary, as JSON.
    pub summary: Option<String>,
}

/// A stage that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRow {
    /// Its name.
    pub stage: String,
    /// Checksum of all that decided its result.
    pub key: String,
    /// Its result, as JSON.
    pub result: String,
    /// How long it took.
    pub seconds: f64,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelRow {
    /// Its id.
    pub id: String,
    /// The day it was trained for.
    pub date: Day,
    /// Its file, in the folder of models.
    pub file: String,
    /// The model that it went on from; `None` where it was trained from random weights.
    pub parent: Option<String>,
    /// Fingerprint of the dataset that it was trained on.
    pub dataset: String,
    /// Checksum of its configuration.
    pub config: String,
    /// `passed` or `failed`; `None` while it is not judged.
    pub verdict: Option<String>,
}

/// A time at which a model began to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChampionRow {
    /// Counts up.
    pub number: i64,
    /// The model's id.
    pub model: String,
    /// The date of the run, or the day of the command.
    pub date: Day,
    /// `gate`, `promoted`, `rolled back`.
    pub why: String,
}

impl Ledger {
    /// Opens the ledger of a work folder; makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be made, is no ledger, or is of a later version.
    pub fn open(work: &Path) -> Result<Self, DailyError> {
        artefact::create_folder(work)?;
        let path = work.join(FILE);
        let opened = Connection::open(&path).and_then(|db| {
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "foreign_keys", true)?;
            Ok(db)
        });
        let db = opened.map_err(|source| refused(&path, source))?;
        let mut ledger = Self { path, db };
        ledger.migrate()?;
        Ok(ledger)
    }

    /// The ledger of a work folder that has one; nothing is written.
    ///
    /// # Errors
    /// As [`Ledger::open`]; when there is none.
    pub fn existing(work: &Path) -> Result<Self, DailyError> {
        let path = work.join(FILE);
        if !path.is_file() {
            let (problem, hint) = ("has no ledger", "give the --work folder of 'ltv daily'");
            return Err(ltv_core::Error::artefact(work, problem, hint).into());
        }
        Self::open(work)
    }

    fn migrate(&mut self) -> Result<(), DailyError> {
        let version = self.ask(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0)))?;
        match version {
            0 => self.change(|db| {
                db.execute_batch(TABLES)?;
                db.pragma_update(None, "user_version", VERSION)
            }),
            VERSION => Ok(()),
            found => Err(DailyError::LedgerVersion {
                path: self.path.clone(),
                found,
                known: VERSION,
            }),
        }
    }

    fn ask<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DailyError> {
        ask(&self.db).map_err(|source| refused(&self.path, source))
    }

    fn change(
        &mut self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), DailyError> {
        let done = self.db.transaction().and_then(|transaction| {
            change(&transaction)?;
            transaction.commit()
        });
        done.map_err(|source| refused(&self.path, source))
    }

    /// The run of a day.
    ///
    /// # Errors
    /// When the ledger cannot be read; so all others here.
    pub fn run(&self, date: Day) -> Result<Option<RunRow>, DailyError> {
        let sql = "SELECT date, outcome, summary FROM runs WHERE date = ?1";
        self.ask(|db| {
            db.query_row(sql, [date.to_string()], |row| {
                Ok(RunRow {
                    date: day(row, 0)?,
                    outcome: row.get(1)?,
                    summary: row.get(2)?,
                })
            })
            .optional()
        })
    }

    /// A run begins, or goes on; what was remembered of an earlier end goes.
    ///
    /// # Errors
    /// When the ledger cannot be written; so all others here that change it.
    pub fn begin(&mut self, date: Day) -> Result<(), DailyError> {
        let sql = "INSERT INTO runs (date, began) VALUES (?1, ?2)
            ON CONFLICT (date) DO UPDATE SET outcome = NULL, summary = NULL, ended = NULL";
        self.change(|db| db.execute(sql, params![date.to_string(), now()]).map(drop))
    }

    /// A run is over.
    ///
    /// # Errors
    /// See [`Ledger::begin`].
    pub fn end(&mut self, date: Day, outcome: &str, summary: &str) -> Result<(), DailyError> {
        let sql = "UPDATE runs SET outcome = ?2, summary = ?3, ended = ?4 WHERE date = ?1";
        let date = date.to_string();
        self.change(|db| {
            db.execute(sql, params![date, outcome, summary, now()])
                .map(drop)
        })
    }

    /// The scores of a day went live.
    ///
    /// # Errors
    /// See [`Ledger::begin`].
    pub fn published(&mut self, date: Day, model: &str) -> Result<(), DailyError> {
        let sql = "INSERT INTO publications (date, model) VALUES (?1, ?2)
            ON CONFLICT (date) DO UPDATE SET model = ?2";
        self.change(|db| db.execute(sql, params![date.to_string(), model]).map(drop))
    }

    /// The days whose scores went live, before a day if given, the latest first.
    ///
    /// # Errors
    /// See [`Ledger::run`].
    pub fn publications(&self, before: Option<Day>) -> Result<Vec<Day>, DailyError> {
        let sql = "SELECT date FROM publications WHERE date < ?1 ORDER BY date DESC";
        let before = before.map_or_else(|| "9999-99-99".to_owned(), |day| day.to_string());
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([before], |row| day(row, 0))?;
            rows.collect()
        })
    }

    /// The stages of a day that are done, in their order.
    ///
    /// # Errors
    /// See [`Ledger::run`].
    pub fn stages(&self, date: Day) -> Result<Vec<StageRow>, DailyError> {
        let sql = "SELECT stage, key, result, seconds FROM stages WHERE date = ?1 ORDER BY place";
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([date.to_string()], |row| {
                Ok(StageRow {
                    stage: row.get(0)?,
                    key: row.get(1)?,
                    result: row.get(2)?,
                    seconds: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// A stage is done; what was remembered of it and of those behind it goes.
    ///
    /// # Errors
    /// See [`Ledger::begin`].
    pub fn put_stage(&mut self, date: Day, place: usize, row: &StageRow) -> Result<(), DailyError> {
        let (date, place) = (date.to_string(), place as i64);
        self.change(|db| {
            db.execute(
                "DELETE FROM stages WHERE date = ?1 AND place >= ?2",
                params![date, place],
            )?;
            db.execute(
                "INSERT INTO stages (date, stage, place, key, result, seconds)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![date, row.stage, place, row.key, row.result, row.seconds],
            )?;
            Ok(())
        })
    }

    /// The results of a stage on the days before `date` on which another stage has the result `passed`, the latest
    /// first.
    ///
    /// # Errors
    /// See [`Ledger::run`].
    pub fn results_before(
        &self,
        date: Day,
        stage: &str,
        passed: &str,
    ) -> Result<Vec<(Day, String)>, DailyError> {
        let sql = "SELECT s.date, s.result FROM stages s JOIN stages p ON p.date = s.date
            WHERE s.date < ?1 AND s.stage = ?2 AND p.stage = ?3
              AND json_extract(p.result, '$.passed') = 1
            ORDER BY s.date DESC";
        let date = date.to_string();
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let row = |row: &Row<'_>| Ok((day(row, 0)?, row.get(1)?));
            let rows = statement.query_map(params![date, stage, passed], row)?;
            rows.collect()
        })
    }

    /// A model was trained.
    ///
    /// # Errors
    /// See [`Ledger::begin`].
    pub fn add_model(&mut self, model: &ModelRow) -> Result<(), DailyError> {
        let ModelRow {
            id,
            date,
            file,
            parent,
            dataset,
            config,
            verdict,
        } = model;
        let sql = "INSERT INTO models (id, date, file, parent, dataset, config, verdict)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING";
        let date = date.to_string();
        self.change(|db| {
            db.execute(
                sql,
                params![id, date, file, parent, dataset, config, verdict],
            )?;
            Ok(())
        })
    }

    /// A model was judged.
    ///
    /// # Errors
    /// See [`Ledger::begin`].
    pub fn judged(&mut self, id: &str, passed: bool) -> Result<(), DailyError> {
        let verdict = if passed { "passed" } else { "failed" };
        let sql = "UPDATE models SET verdict = ?2 WHERE id = ?1";
        self.change(|db| db.execute(sql, params![id, verdict]).map(drop))
    }

    /// All models, the latest first.
    ///
    /// # Errors
    /// See [`Ledger::run`].
    pub fn models(&self) -> Result<Vec<ModelRow>, DailyError> {
        let sql = "SELECT id, date, file, parent, dataset, config, verdict FROM models
            ORDER BY date DESC, rowid DESC";
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(ModelRow {
                    id: row.get(0)?,
                    date: day(row, 1)?,
                    file: row.get(2)?,
                    parent: row.get(3)?,
                    dataset: row.get(4)?,
                    config: row.get(5)?,
                    verdict: row.get(6)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Which models began to serve when, the latest first.
    ///
    /// # Errors
    /// See [`Ledger::run`].
    pub fn champions(&self) -> Result<Vec<ChampionRow>, DailyError> {
        let sql = "SELECT number, model, date, why FROM champions ORDER BY number DESC";
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(ChampionRow {
                    number: row.get(0)?,
                    model: row.get(1)?,
                    date: day(row, 2)?,
                    why: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The model that serves when a day begins, whatever the run of that day has done since.
    ///
    /// # Errors
    /// See [`Ledger::run`].
    pub fn champion(&self, date: Day) -> Result<Option<String>, DailyError> {
        let of_the_day = |row: &ChampionRow| row.why == GATE && row.date >= date;
        let mut champions = self.champions()?.into_iter();
        Ok(champions.find(|row| !of_the_day(row)).map(|row| row.model))
    }

    /// A model serves from now on; nothing where it does already.
    ///
    /// # Errors
    /// See [`Ledger::begin`].
    pub fn promote(&mut self, model: &str, date: Day, why: &str) -> Result<(), DailyError> {
        let champions = self.champions()?;
        if champions
            .first()
            .is_some_and(|champion| champion.model == model)
        {
            return Ok(());
        }
        let sql = "INSERT INTO champions (model, date, why) VALUES (?1, ?2, ?3)";
        let date = date.to_string();
        self.change(|db| db.execute(sql, params![model, date, why]).map(drop))
    }
}

fn refused(path: &Path, source: rusqlite::Error) -> DailyError {
    DailyError::Ledger {
        path: path.to_path_buf(),
        source,
    }
}

fn day(row: &Row<'_>, index: usize) -> rusqlite::Result<Day> {
    let text: String = row.get(index)?;
    text.parse().map_err(|e: ltv_core::Error| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(e))
    })
}

/// Seconds since 1970. Enters no result.
fn now() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH);
    passed.map_or(0, |passed| passed.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn stage(name: &str, result: &str) -> StageRow {
        StageRow {
            stage: name.into(),
            key: "k".into(),
            result: result.into(),
            seconds: 0.5,
        }
    }

    #[test]
    fn stages_behind_one_that_is_done_again_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        let day = Day(20_000);
        for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
            ledger.put_stage(day, place, &stage(name, "{}")).unwrap();
        }
        ledger.put_stage(day, 1, &stage("b", "[1]")).unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let left: Vec<_> = ledger.stages(day).unwrap();
        assert_eq!(left, [stage("a", "{}"), stage("b", "[1]")]);
    }

    #[test]
    fn the_last_accepted_day_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        for (day, passed) in [(1, true), (2, true), (3, false)] {
            let day = Day(20_000 + day);
            ledger
                .put_stage(day, 0, &stage("data", &format!("\"{day}\"")))
                .unwrap();
            let result = format!("{{\"passed\": {passed}}}");
            ledger.put_stage(day, 1, &stage("check", &result)).unwrap();
        }
        let found = |day| {
            ledger
                .results_before(Day(20_000 + day), "data", "check")
                .unwrap()
        };
        let days = |day| {
            found(day)
                .into_iter()
                .map(|(day, _)| day.0 - 20_000)
                .collect::<Vec<_>>()
        };
        assert_eq!((days(9), days(2), days(1)), (vec![2, 1], vec![1], vec![]));
        assert_eq!(found(9)[0].1, format!("\"{}\"", Day(20_002)));
    }

    #[test]
    fn outcomes_and_champions_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        let day = Day(20_000);
        ledger.begin(day).unwrap();
        assert_eq!(ledger.run(day).unwrap().unwrap().outcome, None);
        ledger.end(day, "published", "{}").unwrap();
        ledger.published(day, "m").unwrap();
        // Whatever becomes of the run, its scores have been live.
        ledger.begin(day).unwrap();
        assert_eq!(ledger.publications(None).unwrap(), [day]);
        assert_eq!(ledger.publications(Some(day)).unwrap(), []);
        let model = ModelRow {
            id: "m".into(),
            date: day,
            file: "m.ltv".into(),
            parent: None,
            dataset: "d".into(),
            config: "c".into(),
            verdict: None,
        };
        ledger.add_model(&model).unwrap();
        ledger.add_model(&model).unwrap();
        ledger.judged("m", true).unwrap();
        ledger.promote("m", day, "gate").unwrap();
        ledger.promote("m", day, "gate").unwrap();
        assert_eq!(ledger.champions().unwrap().len(), 1);
        let champion = |day| ledger.champion(day).unwrap();
        assert_eq!((champion(day), champion(day + 1)), (None, Some("m".into())));
        assert_eq!(
            ledger.models().unwrap()[0].verdict.as_deref(),
            Some("passed")
        );
        assert!(ledger.promote("unknown", day, "promoted").is_err());
    }

    #[test]
    fn what_is_no_ledger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Ledger::existing(folder.path()).is_err());
        std::fs::write(
            folder.path().join(FILE),
            "not a database, but longer than a header".repeat(9),
        )
        .unwrap();
        let error = Ledger::open(folder.path()).err().unwrap();
        assert_eq!(error.fault(), ltv_core::Fault::User);
        assert!(error.to_string().contains("ledger.db"));
    }
}
