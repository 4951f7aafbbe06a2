//! What is no longer needed goes: old snapshots, datasets and models.

use crate::{DailyError, config::DailyConfig, data, model, serve, stage::Line};
use ltv_core::{
    Day, Error, artefact,
    manifest::{DatasetManifest, SnapshotManifest},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// How the names of folders start that are being removed.
const GONE: &str = ".ltv-gone-";

/// Removes what is beyond what is kept. What a killed run left of it goes next time.
pub(crate) fn prune(line: &Line<'_>, config: &DailyConfig) -> Result<(), DailyError> {
    let keep = &config.keep;
    let published = line.ledger.publications(None)?;
    let last = published.into_iter().take(keep.snapshots.get() as usize);
    let is_snapshot = |path: &Path| matches!(SnapshotManifest::stranger(path), Ok(None));
    sweep(
        &config.work.join(serve::FOLDER),
        line.date,
        last.collect(),
        is_snapshot,
    )?;
    let passed = line.ledger.results_before(line.date + 1, "data", "check")?;
    let last = passed
        .into_iter()
        .map(|(day, _)| day)
        .take(keep.datasets.get() as usize);
    let is_dataset = |path: &Path| matches!(DatasetManifest::stranger(path), Ok(None));
    sweep(
        &config.work.join(data::FOLDER),
        line.date,
        last.collect(),
        is_dataset,
    )?;
    models(line, config)
}

/// Removes the artefacts of earlier days in a folder, but for days that stay.
fn sweep(
    folder: &Path,
    today: Day,
    stay: BTreeSet<Day>,
    is_ours: impl Fn(&Path) -> bool,
) -> Result<(), DailyError> {
    for path in entries(folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(GONE) {
            remove_folder(&path)?;
            continue;
        }
        let day: Option<Day> = name.parse().ok();
        // Only what is certainly ours.
        if day.is_some_and(|day| day < today && !stay.contains(&day)) && is_ours(&path) {
            let gone = folder.join(format!("{GONE}{name}"));
            fs::rename(&path, &gone).map_err(|e| Error::io(&path, "remove", e))?;
            remove_folder(&gone)?;
        }
    }
    Ok(())
}

/// The last models stay, and those that serve or served before.
fn models(line: &Line<'_>, config: &DailyConfig) -> Result<(), DailyError> {
    let champions = line.ledger.champions()?;
    let mut stay: BTreeSet<String> = champions.into_iter().take(2).map(|row| row.model).collect();
    let all = line.ledger.models()?;
    let recent = all.iter().take(config.keep.models.get() as usize);
    stay.extend(recent.map(|model| model.id.clone()));
    for model in all.iter().filter(|model| !stay.contains(&model.id)) {
        model::remove(&model::file(config, &model.id))?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DailyError> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let failed = |e| Error::io(folder, "list", e);
    let mut paths = vec![];
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn remove_folder(path: &Path) -> Result<(), DailyError> {
    fs::remove_dir_all(path).map_err(|e| Error::io(path, "remove", e))?;
    Ok(artefact::sync_folder(artefact::parent(path))?)
}
