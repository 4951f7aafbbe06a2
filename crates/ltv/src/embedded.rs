//! Commands within another program, which keeps its signals, its standard output and its threads.

use crate::{
    cli::{Cli, Command},
    commands::{self, Context, no_threads},
    exit::{self, Failure},
    options::Overlay,
    progress::Display,
};
use clap::Parser;
use ltv_core::progress::Progress;
use ltv_data::Dataset;
use ltv_model::Model;
use rayon::ThreadPoolBuilder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{ffi::OsString, path::Path, sync::Arc};

/// What a command had to say.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs: what `--json` prints.
    pub json: Value,
}

/// Why a command, or options, were refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What is wrong, and what to do.
    pub message: String,
    /// The exit code that the program would have had: 2 for what the user can put right, 1 for a
    /// defect, 3 for a gate that failed.
    pub code: u8,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code().0,
            message: failure.parts().0,
        }
    }
}

/// Runs a command with these arguments, of which the first is its name, on threads of its own. What it would
/// print comes back; progress goes to `progress`, which may unwind the stack to stop the work: temporary
/// files are then taken away.
///
/// # Errors
/// As the program, with the message that it would print. Commands that run until they are stopped
/// or print as they go (`serve`, `daily`, `completions`) are refused.
pub fn invoke(arguments: Vec<OsString>, progress: Arc<dyn Progress>) -> Result<Outcome, Refused> {
    let arguments = std::iter::once(OsString::from("ltv")).chain(arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Help, or the version.
        Err(asked) if !asked.use_stderr() => {
            return Ok(Outcome {
                text: asked.render().to_string(),
                json: Value::Null,
            });
        }
        Err(wrong) => return Err(Failure::user(exit::problem(&wrong)).into()),
    };
    let alone = matches!(cli.command, Command::Serve(_) | Command::Daily(_));
    let common = cli.command.common().filter(|_| !alone).ok_or_else(|| {
        Failure::user("this command prints as it goes: run it as a program of its own")
    })?;
    let context = Context::new(common, Display::told(progress));
    let pool = ThreadPoolBuilder::new().num_threads(context.threads);
    let pool = pool.build().map_err(|e| no_threads(context.threads, e))?;
    let report = pool.install(|| commands::report(cli.command, &context));
    context.progress.finish();
    let (text, json) = report?.parts();
    Ok(Outcome { text, json })
}

/// The options of a command: `over`, laid over a configuration file, laid over `base`, where they are given. Null is
/// a value that is not given.
///
/// # Errors
/// When the file cannot be read, a key is unknown, or a value of the wrong kind: names the key.
pub fn resolve<T: Serialize + DeserializeOwned>(
    base: Option<&T>,
    file: Option<&Path>,
    over: &Value,
) -> Result<T, Refused> {
    let overlay = match base {
        Some(base) => Overlay::over(base)?,
        None => Overlay::default(),
    };
    let overlay = overlay.file(file)?;
    let table = toml::Table::try_from(without_nulls(over));
    let table = table.map_err(|e| Failure::user(format!("options: {e}")))?;
    Ok(overlay.table(table).resolve()?)
}

/// Checks that a dataset's labels are of the kind that a network was trained on: columns of the same names may mean
/// another thing where they are not.
///
/// # Errors
/// When they are of another kind.
pub fn check_label(dataset: &Dataset, model: &Model) -> Result<(), Refused> {
    Ok(commands::score::check_label(dataset, model)?)
}

/// TOML has no null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use ltv_core::{config::TrainConfig, progress::Silent};
    use serde_json::json;

    fn run(line: &str) -> Result<Outcome, Refused> {
        let words = line.split(' ').map(OsString::from).collect();
        invoke(words, Arc::new(Silent))
    }

    #[test]
    fn a_command_says_what_it_would_print() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("sim");
        let line = format!("simulate --users 50 --days 40 --out {}", out.display());
        let outcome = run(&line).unwrap();
        assert!(outcome.text.contains("a simulation"), "{}", outcome.text);
        assert!(outcome.json.is_object() && out.join("events").is_dir());
    }

    #[test]
    fn what_is_refused_has_the_message_and_the_code_of_the_program() {
        let missing = run("inspect nowhere").unwrap_err();
        assert!(missing.code == 2 && missing.message.contains("nowhere"));
        let help = run("train --help").unwrap();
        assert!(help.text.contains("--warm-start") && help.json.is_null());
        let unknown = run("train --nonsense").unwrap_err();
        assert!(unknown.code == 2 && unknown.message.contains("--nonsense"));
        for line in ["serve --store s", "daily --events e", "completions bash"] {
            let refused = run(line).unwrap_err();
            assert!(refused.code == 2, "{line}: {}", refused.message);
        }
    }

    #[test]
    fn options_of_a_file_lie_between() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        std::fs::write(&path, "[fit]\nbatch = 64\nepochs = 3\n").unwrap();
        let over = json!({"fit": {"epochs": 5}});
        let config = resolve(Some(&TrainConfig::paper()), Some(&path), &over).unwrap();
        assert_eq!((config.fit.batch.given(), config.fit.epochs), (Some(64), 5));
        std::fs::write(&path, "[fit]\nbatch = \"many\"\n").unwrap();
        let refused = resolve(Some(&TrainConfig::default()), Some(&path), &json!({}));
        let message = refused.unwrap_err().message;
        assert!(message.contains("line 2"), "{message}");
    }

    #[test]
    fn options_are_laid_over_a_base() {
        let over = json!({"fit": {"batch": 64, "epochs": null}});
        let config = resolve(Some(&TrainConfig::paper()), None, &over).unwrap();
        assert_eq!(config.fit.batch.given(), Some(64));
        assert_eq!(config.fit.epochs, TrainConfig::paper().fit.epochs);
        let wrong = json!({"fit": {"batches": 64}});
        let refused = resolve(Some(&TrainConfig::default()), None, &wrong).unwrap_err();
        assert!(refused.message.contains("batches"), "{}", refused.message);
    }
}
