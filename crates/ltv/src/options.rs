//! Options from three places: a base (defaults or a preset), a TOML file over it, flags over both.

use crate::exit::Failure;
use ltv_core::{Error, config::merge};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Options under construction, by dotted key.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    table: Table,
    file: Option<(PathBuf, String)>,
}

impl Overlay {
    /// Starts from the values of `base`.
    pub(crate) fn over(base: &impl Serialize) -> Result<Self, Failure> {
        let table = Table::try_from(base).map_err(Failure::internal)?;
        Ok(Self { table, file: None })
    }

    /// Lays a configuration file, if given, over what is there.
    pub(crate) fn file(mut self, path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(self) };
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        let table: Table = toml::from_str(&text).map_err(|e| config_file(path, &e))?;
        merge(&mut self.table, table);
        self.file = Some((path.to_path_buf(), text));
        Ok(self)
    }

    /// Lays a table over what is there.
    pub(crate) fn table(mut self, table: Table) -> Self {
        merge(&mut self.table, table);
        self
    }

    /// Lays the value of a flag, if given, over `key`.
    pub(crate) fn set(&mut self, key: &str, value: Option<impl Serialize>) -> Result<(), Failure> {
        let Some(value) = value else { return Ok(()) };
        let value = Value::try_from(value)
            .map_err(|e| Failure::user(format!("{key}: not a value an option can have ({e})")))?;
        let mut table = &mut self.table;
        let (path, last) = key
            .rsplit_once('.')
            .map_or((None, key), |(p, l)| (Some(p), l));
        for part in path.into_iter().flat_map(|p| p.split('.')) {
            let entry = table
                .entry(part)
                .or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(inner) = entry else {
                return Ok(());
            };
            table = inner;
        }
        table.insert(last.to_string(), value);
        Ok(())
    }

    /// The same for a list flag, where empty means not given.
    pub(crate) fn list(&mut self, key: &str, values: &[impl Serialize]) -> Result<(), Failure> {
        self.set(key, (!values.is_empty()).then_some(values))
    }

    /// Forgets `key`, so that it must be set again.
    pub(crate) fn unset(&mut self, key: &str) {
        match key.rsplit_once('.') {
            None => _ = self.table.remove(key),
            Some((table, last)) => {
                if let Some(Value::Table(inner)) = self.table.get_mut(table) {
                    inner.remove(last);
                }
            }
        }
    }

    /// Of keys that exclude each other, a flag that is given wins over whatever the file says of the
    /// other: forgets `rival` if there is a value.
    pub(crate) fn unless(&mut self, rival: &str, given: bool) {
        if given {
            self.unset(rival);
        }
    }

    /// Whether anything has set `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|p| self.table.get(p));
        parts.fold(first, |value, part| value?.get(part)).is_some()
    }

    /// The options by type. Unknown keys and wrong types are errors; those of the file are shown
    /// with their line.
    pub(crate) fn resolve<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let error = match T::deserialize(Value::Table(self.table)) {
            Ok(options) => return Ok(options),
            Err(error) => error,
        };
        let (key, problem) = key_and_problem(&error);
        let wrong = || Failure::user(format!("{key}: {problem}"));
        let Some((path, text)) = &self.file else {
            return Err(wrong());
        };
        let located = toml::from_str::<T>(text).err();
        match located.filter(|l| l.message() == error.message()) {
            Some(located) => Err(config_file(path, &located).into()),
            None if Self::in_file(text, &key) => Err(config_file(path, &error).into()),
            None => Err(wrong()),
        }
    }

    fn in_file(text: &str, key: &str) -> bool {
        let table = text.parse().unwrap_or_default();
        Self { table, file: None }.has(key)
    }
}

/// The dotted key that a value without a place in a file belongs to, and what is wrong with it.
fn key_and_problem(error: &toml::de::Error) -> (String, String) {
    let text = error.to_string();
    let text = text.trim_end();
    let (problem, key) = match text.rsplit_once("\nin `") {
        Some((problem, key)) => (problem, key.trim_end_matches('`')),
        None => (text, "options"),
    };
    // The value may have named itself already.
    let last = key.rsplit('.').next().unwrap_or(key);
    let problem = problem
        .strip_prefix(&format!("{last}: "))
        .unwrap_or(problem);
    (key.to_owned(), problem.to_owned())
}

fn config_file(path: &Path, error: &toml::de::Error) -> Error {
    let problem = error.to_string().trim_end().to_string();
    Error::ConfigFile {
        path: path.to_path_buf(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use ltv_core::config::{Auto, Cut, TrainConfig};

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_preset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        std::fs::write(
            &path,
            "[fit]\nbatch = 64\nrate = 1\n[model]\ncut = { at = [3.0] }\n",
        )
        .unwrap();
        let mut overlay = Overlay::over(&TrainConfig::paper())
            .unwrap()
            .file(Some(&path))
            .unwrap();
        overlay.set("fit.batch", Some(32)).unwrap();
        overlay.set("fit.epochs", None::<u32>).unwrap();
        assert!(overlay.has("fit.batch") && !overlay.has("fit.nothing"));
        let config: TrainConfig = overlay.resolve().unwrap();
        assert_eq!((config.fit.batch, config.fit.rate), (Auto::Is(32), 1.0));
        assert_eq!(
            config.fit.embedding_rate,
            TrainConfig::paper().fit.embedding_rate
        );
        assert_eq!(config.model.cut, Cut::At(vec![3.0]));
    }

    #[test]
    fn what_is_wrong_is_said_of_the_flag_or_of_the_line_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        std::fs::write(&path, "[fit]\nbatch = 64\n").unwrap();
        let problem = |flag: Option<&str>| {
            let overlay = Overlay::default().file(Some(&path)).unwrap();
            let mut overlay = overlay;
            overlay.set("model.embedding", flag).unwrap();
            let failed = overlay.resolve::<TrainConfig>().unwrap_err();
            format!("{failed:?}")
        };
        let flag = problem(Some("wide"));
        assert!(flag.contains("model.embedding: invalid type"), "{flag}");
        assert!(!flag.contains("train.toml"), "{flag}");
        std::fs::write(&path, "[fit]\nbatch = \"many\"\n").unwrap();
        let line = problem(None);
        assert!(
            line.contains("train.toml") && line.contains("line 2"),
            "{line}"
        );
    }
}
