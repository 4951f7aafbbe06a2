//! Rolling as-of dates over history: at each, models are trained with what was known then and judged
//! on whoever registered next, with the labels that are known by now.
//!
//! | file | holds |
//! |---|---|
//! | `config` | what is replayed |
//! | `drift` | how far judged users are from training rows |
//! | `over` | metrics over the dates |
//! | `cohorts` | judged users by month |
//! | `stale` | models of earlier dates on later users |
//! | `document` | the result |
//! | `text`, `grid` | its tables, for terminals and as Markdown |
//!
//! ```text
//! OUT/
//!   DATE/                as a comparison: runs/, comparison.json, comparison.md
//!   backtest.json        everything over all dates
//!   backtest.md          the tables, to read
//! ```

mod cohorts;
mod config;
mod document;
mod drift;
mod grid;
mod over;
mod stale;
mod text;

pub use config::{BacktestConfig, Dates};
pub use document::{
    Aged, Ageing, Backtest, Cohort, DateResult, FORMAT, FeatureDrift, LabelDrift, OverTime,
    Stability, Stale, VERSION,
};
pub use over::FOLLOWED;
pub use stale::AGED;

use crate::{
    CompareConfig, LabError, Outcome,
    compare::{self, Call, Labelled},
    config::Contestant,
    judged::Judged,
};
use ltv_core::{
    Day,
    artefact::{self, create_folder},
};
use ltv_data::Dataset;
use ltv_eval::Comparison;
use stale::{Later, Trained};

/// The backtest as JSON, in the folder of the results.
pub const DOCUMENT: &str = "backtest.json";
/// Its tables as Markdown.
pub const TABLES: &str = "backtest.md";

/// What came out.
#[derive(Debug)]
pub struct Backtested {
    /// Everything over all dates.
    pub document: Backtest,
    /// Runs, over all dates.
    pub runs: usize,
    /// How many of them were trained now; the others were there.
    pub trained: usize,
}

/// Replays history with the models of `config`. A call that is killed goes on where it was, as
/// [`compare()`](crate::compare()) does, and gives the same bytes. What earlier models predict for later users is not
/// stored: it is predicted again.
///
/// Memory: that of a comparison at one date, whatever the number of dates.
///
/// # Errors
/// As a comparison; before anything is trained, when a date is later than the dataset or leaves
/// nobody to train or to judge on.
pub fn backtest(config: &BacktestConfig, call: &Call<'_>) -> Result<Backtested, LabError> {
    let data = Dataset::open(&config.data)?;
    let shared = config.comparison();
    let contestants = compare::contestants(&shared, call, &data)?;
    let days = config.days()?;
    compare::check_output(call.out, "a backtest", |name| {
        name == DOCUMENT || name == TABLES || name.parse::<Day>().is_ok()
    })?;
    let history = History {
        config,
        shared,
        data,
        contestants,
        call,
    };
    let looks = history.looks(&days)?;
    create_folder(call.out)?;
    compare::sweep(call.out);
    let found = history.replay(looks)?;
    let text = found.document.to_json()? + "\n";
    artefact::write(call.out.join(DOCUMENT), text.as_bytes())?;
    artefact::write(call.out.join(TABLES), found.document.markdown().as_bytes())?;
    Ok(found)
}

/// What every date shares.
struct History<'a> {
    config: &'a BacktestConfig,
    shared: CompareConfig,
    data: Dataset,
    contestants: Vec<Contestant>,
    call: &'a Call<'a>,
}

impl History<'_> {
    /// A look at every date, before the first training.
    fn looks(&self, days: &[Day]) -> Result<Vec<DateResult>, LabError> {
        let progress = self.call.progress;
        progress.start("measure drift", Some(days.len() as u64));
        let one = |&day: &Day| {
            let result = self.look(day).map_err(|e| e.at(day));
            progress.advance(1);
            result
        };
        let looks = days.iter().map(one).collect();
        progress.finish();
        looks
    }

    fn look(&self, day: Day) -> Result<DateResult, LabError> {
        let (train, judged) = self.sides(day)?;
        let found = drift::drift(&train, &judged, &self.config.split)?;
        Ok(DateResult {
            as_of: day,
            until: self.until(day),
            train_rows: found.train_rows,
            judged_rows: judged.len() as u64,
            labels: found.labels,
            features: found.features,
        })
    }

    /// What was known on a day, and who is judged.
    fn sides(&self, day: Day) -> Result<(Dataset, Judged), LabError> {
        let train = self.data.as_known_on(day)?;
        let (split, until) = (&self.config.split, self.until(day));
        let judged = Judged::of_span(&train, &self.data, split, until)?;
        Ok((train, judged))
    }

    fn until(&self, day: Day) -> Day {
        Day(day.0.saturating_add_unsigned(self.config.judge_days))
    }

    fn replay(&self, looks: Vec<DateResult>) -> Result<Backtested, LabError> {
        let days: Vec<Day> = looks.iter().map(|look| look.as_of).collect();
        let mut document = self.document(looks);
        let mut earlier: Vec<Trained> = vec![];
        let mut comparisons: Vec<Comparison> = vec![];
        let (mut runs, mut trained) = (0, 0);
        for &day in &days {
            let outcome = self
                .date(day, &earlier, &mut document)
                .map_err(|e| e.at(day))?;
            runs += outcome.runs.iter().map(Vec::len).sum::<usize>();
            trained += outcome.trained;
            earlier.push(Trained {
                day,
                runs: outcome.runs,
            });
            comparisons.push(outcome.comparison);
        }
        if let Some(first) = comparisons.first() {
            document.models = first.contestants.iter().map(|c| c.name.clone()).collect();
        }
        document.metrics = over::over_time(&comparisons);
        document.ageing = stale::ageing(&document.staleness, &days);
        Ok(Backtested {
            document,
            runs,
            trained,
        })
    }

    /// One date: a comparison, and what else its predictions tell.
    fn date(
        &self,
        day: Day,
        earlier: &[Trained],
        document: &mut Backtest,
    ) -> Result<Outcome, LabError> {
        let progress = Labelled {
            label: day.to_string(),
            inner: self.call.progress,
        };
        let call = Call {
            out: &self.call.out.join(day.to_string()),
            progress: &progress,
            ..*self.call
        };
        let (train, judged) = self.sides(day)?;
        let sides = (&train, judged);
        let outcome = compare::judge_all(&self.shared, &call, &self.contestants, sides)?;
        document.cohorts.extend(cohorts::cohorts(&outcome, day)?);
        let later = Later {
            day,
            outcome: &outcome,
            contestants: &self.contestants,
            progress: &progress,
        };
        later.judge(earlier, document)?;
        Ok(outcome)
    }

    fn document(&self, dates: Vec<DateResult>) -> Backtest {
        let manifest = self.data.manifest();
        Backtest {
            format: FORMAT.to_owned(),
            version: VERSION,
            known_on: manifest.as_of,
            judge_days: self.config.judge_days,
            horizons: manifest.horizons.days().to_vec(),
            models: vec![],
            dates,
            metrics: vec![],
            cohorts: vec![],
            stability: vec![],
            staleness: vec![],
            ageing: vec![],
        }
    }
}

/// Mean of those that are there; none without any.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// Mean, where all are there.
fn mean_of_all(values: &[Option<f64>]) -> Option<f64> {
    let all: Option<Vec<f64>> = values.iter().copied().collect();
    mean(all?.into_iter().map(Some))
}
