//! One day of the loop, stage by stage.

use crate::{
    DailyConfig, DailyError,
    data::{self, Data},
    gate::Verdict,
    judge,
    ledger::{FILE, Ledger},
    model::{self, Trained},
    prune,
    serve::{self, Scored},
    stage::Line,
    summary::{Candidate, Outcome, Summary},
};
use ltv_core::{Day, artefact, progress::Progress};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

/// Puts a snapshot live in a store, values alone if so; what the store says of it.
pub type Publish<'a> = &'a dyn Fn(&Path, &Path, bool) -> Result<serde_json::Value, DailyError>;

/// What belongs to one call rather than to the loop.
pub struct Call<'a> {
    /// Worker threads, at least 1. Does not change results.
    pub threads: usize,
    /// Decides weights, shuffling and resamples.
    pub seed: u64,
    /// Whether a day that is done is done again.
    pub again: bool,
    /// Gates that let this day pass whatever they find: `data`, `model`, `scores`. What a day is like that passed is what
    /// the next one is compared with.
    pub accept: &'a [String],
    /// Told how far it has come.
    pub progress: &'a dyn Progress,
    /// Told which stage begins.
    pub say: &'a (dyn Fn(&str) + Sync),
    /// Puts scores live.
    pub publish: Publish<'a>,
    /// Makes the page of a day's report.
    pub page: &'a dyn Fn(&Summary) -> Result<String, DailyError>,
}

impl Call<'_> {
    pub(crate) fn accepts(&self, gate: &str) -> bool {
        self.accept.iter().any(|name| name == gate)
    }
}

/// Runs a day, or what is missing of it; what came of it.
///
/// A gate that fails is no error: [`Summary::outcome`] says so. A day that is done is not done again, unless
/// [`Call::again`] says so or it was stopped and something that decides it has changed.
///
/// # Errors
/// When the configuration is unsound, another run is at work in the folder, a later day is published already, or a stage
/// fails; the next run goes on behind the last stage that is done.
pub fn run(config: &DailyConfig, date: Day, call: &Call<'_>) -> Result<Summary, DailyError> {
    config.check()?;
    artefact::create_folder(&config.work)?;
    let _lock = locked(&config.work)?;
    let mut ledger = Ledger::open(&config.work)?;
    if let Some(summary) = finished(&ledger, date)?.filter(|_| !call.again) {
        return Ok(summary);
    }
    let published = ledger.publications(None)?.into_iter().next();
    if let Some(published) = published.filter(|day| *day > date) {
        return Err(DailyError::Past { date, published });
    }
    ledger.begin(date)?;
    let mut line = Line::new(ledger, date, call)?;
    let summary = stages(&mut line, config)?;
    report(&mut line, config, &summary)?;
    Ok(summary)
}

/// The summary of a day that is done; one that was stopped is looked at again.
fn finished(ledger: &Ledger, date: Day) -> Result<Option<Summary>, DailyError> {
    let run = ledger.run(date)?;
    let run = run.filter(|run| {
        run.outcome
            .as_deref()
            .is_some_and(|o| o != Outcome::Stopped.name())
    });
    let text = run.and_then(|run| run.summary);
    let parse = |text: String| serde_json::from_str(&text).map_err(DailyError::internal);
    text.map(parse).transpose()
}

/// Everything that comes of a day.
fn stages(line: &mut Line<'_>, config: &DailyConfig) -> Result<Summary, DailyError> {
    let before = data::Before::of(line, config)?;
    let data = data::data(line, config, &before)?;
    let checked = data::check(line, config, (&data, &before))?;
    drop(before);
    let mut told = Told::new(line.date, data);
    if !told.passes(checked.verdict) {
        return Ok(told.end(line, Outcome::Stopped));
    }
    let trained = model::train(line, config, (&told.data, &checked.known))?;
    let evaluated = judge::judge(line, config, &trained)?;
    let verdict = judge::gate(line, config, &trained)?;
    told.candidate(&trained, evaluated.champion.clone());
    let mut scored = None;
    let mut outcome = Outcome::Published;
    if told.passes(verdict) {
        let names = ("score", "movement");
        scored = told.scores(line, config, names, &trained.model)?;
    }
    // Today's users, by the model before.
    if let (None, Some(champion)) = (&scored, &evaluated.champion) {
        outcome = Outcome::Kept;
        let names = ("score before", "movement before");
        scored = told.scores(line, config, names, champion)?;
    }
    let Some(scored) = scored else {
        return Ok(told.end(line, Outcome::Stopped));
    };
    told.summary.published = serve::publish(line, config, &scored)?;
    Ok(told.end(line, outcome))
}

/// What is told of a day, as it becomes known.
struct Told {
    data: Data,
    summary: Summary,
}

impl Told {
    fn new(date: Day, data: Data) -> Self {
        let summary = Summary {
            format: Summary::FORMAT.into(),
            version: Summary::VERSION,
            date,
            outcome: Outcome::Stopped,
            reasons: vec![],
            accepted: vec![],
            users: data.users,
            events: data.events,
            features: data.how.clone(),
            made: data.made,
            candidate: None,
            model: None,
            scored: None,
            horizons: data.horizons.clone(),
            totals: vec![],
            snapshot: None,
            published: None,
            checks: vec![],
            stages: vec![],
        };
        Self { data, summary }
    }

    fn passes(&mut self, verdict: Verdict) -> bool {
        let failed = verdict.checks.iter().filter(|check| !check.passed);
        let reasons = match verdict.accepted {
            true => &mut self.summary.accepted,
            false => &mut self.summary.reasons,
        };
        reasons.extend(failed.map(|check| check.reason()));
        self.summary.checks.extend(verdict.checks);
        verdict.passed
    }

    /// Everyone's scores by a model, if they pass.
    fn scores(
        &mut self,
        line: &mut Line<'_>,
        config: &DailyConfig,
        (score, movement): (&'static str, &'static str),
        model: &str,
    ) -> Result<Option<Scored>, DailyError> {
        let scored = serve::scores(line, config, (score, model))?;
        let verdict = serve::movement(line, config, (movement, &scored))?;
        self.scored(&scored, serve::folder(config, line.date));
        Ok(self.passes(verdict).then_some(scored))
    }

    fn candidate(&mut self, trained: &Trained, champion: Option<String>) {
        self.summary.candidate = Some(Candidate {
            model: trained.model.clone(),
            parent: trained.parent.clone(),
            how: trained.how.clone(),
            champion,
        });
    }

    fn scored(&mut self, scored: &Scored, snapshot: PathBuf) {
        self.summary.model = Some(scored.model.clone());
        self.summary.scored = Some(scored.rows);
        self.summary.horizons.clone_from(&scored.horizons);
        self.summary.totals.clone_from(&scored.totals);
        self.summary.snapshot = Some(snapshot);
    }

    fn end(mut self, line: &Line<'_>, outcome: Outcome) -> Summary {
        self.summary.outcome = outcome;
        self.summary.stages = line.times();
        self.summary
    }
}

/// Writes the report, removes what is no longer needed, and ends the run.
fn report(line: &mut Line<'_>, config: &DailyConfig, summary: &Summary) -> Result<(), DailyError> {
    (line.call.say)(&format!("{} report: {}", line.date, summary.outcome.name()));
    let folder = config.work.join("reports");
    artefact::create_folder(&folder)?;
    let page = (line.call.page)(summary)?;
    artefact::write(folder.join(format!("{}.html", line.date)), page.as_bytes())?;
    artefact::write_json(folder.join(format!("{}.json", line.date)), summary)?;
    prune::prune(line, config)?;
    let text = serde_json::to_string(summary).map_err(DailyError::internal)?;
    line.ledger.end(line.date, summary.outcome.name(), &text)
}

/// What a day would do.
///
/// # Errors
/// As [`run`].
pub fn plan(config: &DailyConfig, date: Day, call: &Call<'_>) -> Result<Vec<String>, DailyError> {
    config.check()?;
    if !config.work.join(FILE).is_file() {
        return Ok(vec![
            format!(
                "data: from the whole log of {} paths, the first time",
                config.events.len()
            ),
            "train: from the start, the first time".into(),
            "score everyone, and publish".into(),
        ]);
    }
    let ledger = Ledger::existing(&config.work)?;
    if let Some(done) = finished(&ledger, date)?.filter(|_| !call.again) {
        return Ok(vec![format!(
            "nothing: {date} is done, {}",
            done.outcome.name()
        )]);
    }
    let line = Line::new(ledger, date, call)?;
    let known = line.ledger.stages(date)?;
    let mut steps = vec![];
    if let Some(last) = known.last() {
        steps.push(format!(
            "go on behind '{}', where nothing has changed since",
            last.stage
        ));
    }
    steps.push(format!("data: {}", data::foreseen(&line, config)?.what()));
    steps.push(format!("train: {}", model::plan(&line, config)?.what()));
    steps.push(match &config.store {
        Some(_) => "score everyone, and publish".into(),
        None => "score everyone; no store is configured".into(),
    });
    Ok(steps)
}

/// The lock of a work folder; it goes with the process that holds it.
pub(crate) fn locked(work: &Path) -> Result<File, DailyError> {
    let path = work.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|e| ltv_core::Error::io(&path, "create", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DailyError::Busy {
            path: work.to_path_buf(),
        }),
        Err(TryLockError::Error(e)) => Err(ltv_core::Error::io(&path, "lock", e).into()),
    }
}
