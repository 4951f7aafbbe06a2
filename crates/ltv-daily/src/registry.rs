//! The models of a work folder, and which of them serves.

use crate::{
    DailyError,
    day::locked,
    ledger::{ChampionRow, Ledger, ModelRow},
    model::FOLDER,
};
use ltv_core::Day;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// All models of a work folder.
pub struct Registry {
    work: PathBuf,
    ledger: Ledger,
}

/// A model, with where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// What is remembered of it.
    #[serde(flatten)]
    pub model: ModelRow,
    /// Its file.
    pub path: PathBuf,
    /// Whether the file is there.
    pub there: bool,
    /// Whether the next day goes on from it.
    pub serves: bool,
}

impl Registry {
    /// The registry of a work folder of the daily loop.
    ///
    /// # Errors
    /// When the folder has no ledger, or it cannot be read.
    pub fn open(work: &Path) -> Result<Self, DailyError> {
        Ok(Self {
            ledger: Ledger::existing(work)?,
            work: work.to_path_buf(),
        })
    }

    /// All models, the latest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, DailyError> {
        let serves = self
            .ledger
            .champions()?
            .into_iter()
            .next()
            .map(|row| row.model);
        let entry = |model: ModelRow| {
            let path = self.work.join(FOLDER).join(&model.file);
            Entry {
                there: path.is_file(),
                serves: serves.as_ref() == Some(&model.id),
                path,
                model,
            }
        };
        Ok(self.ledger.models()?.into_iter().map(entry).collect())
    }

    /// The model whose id starts like this.
    ///
    /// # Errors
    /// When none does, or several do.
    pub fn find(&self, id: &str) -> Result<Entry, DailyError> {
        let mut found = self.list()?;
        found.retain(|entry| entry.model.id.starts_with(id));
        let problem = |problem: &str| DailyError::NoModel {
            id: id.to_owned(),
            problem: problem.to_owned(),
        };
        match found.len() {
            0 => Err(problem("is not known here")),
            1 => Ok(found.remove(0)),
            _ => Err(problem("more than one id starts like this")),
        }
    }

    /// Where a model comes from: itself, its parent, and so on, as far as they are known.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn lineage(&self, id: &str) -> Result<Vec<Entry>, DailyError> {
        let all = self.list()?;
        let mut line: Vec<Entry> = vec![];
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            let Some(entry) = all.iter().find(|entry| entry.model.id == id) else {
                break;
            };
            // A circle cannot be, unless somebody wrote one into the ledger.
            if line.len() > all.len() {
                break;
            }
            next = entry.model.parent.clone();
            line.push(entry.clone());
        }
        Ok(line)
    }

    /// Which models began to serve when, the latest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn history(&self) -> Result<Vec<ChampionRow>, DailyError> {
        self.ledger.champions()
    }

    /// A model serves from the next day on. What is published stays until then.
    ///
    /// # Errors
    /// When there is no such model, its file is gone, or a run is at work.
    pub fn promote(&mut self, id: &str, today: Day, why: &str) -> Result<Entry, DailyError> {
        let entry = self.find(id)?;
        if !entry.there {
            return Err(DailyError::NoModel {
                id: entry.model.id,
                problem: format!("{} is gone", entry.path.display()),
            });
        }
        // What a run at work finds out would be promoted over it.
        let _lock = locked(&self.work)?;
        self.ledger.promote(&entry.model.id, today, why)?;
        self.find(&entry.model.id)
    }

    /// The model that served before the one that does serves again.
    ///
    /// # Errors
    /// When none did, or as [`Registry::promote`].
    pub fn roll_back(&mut self, today: Day) -> Result<Entry, DailyError> {
        let history = self.ledger.champions()?;
        let serves = history.first().map(|row| row.model.clone());
        let before = history
            .iter()
            .find(|row| Some(&row.model) != serves.as_ref());
        match before {
            Some(row) => self.promote(&row.model.clone(), today, "rolled back"),
            None => Err(DailyError::NoModel {
                id: serves.unwrap_or_else(|| "none".into()),
                problem: "no other model has served before it".into(),
            }),
        }
    }
}
