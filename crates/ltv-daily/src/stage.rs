//! Stages that are done once: each is a line in the ledger, found again by all that decides its result.

use crate::{
    DailyError,
    day::Call,
    ledger::{Ledger, StageRow},
    summary::StageTime,
};
use ltv_core::Day;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Instant;

/// The stages of a day, one after the other.
pub(crate) struct Line<'a> {
    pub(crate) ledger: Ledger,
    pub(crate) date: Day,
    pub(crate) call: &'a Call<'a>,
    /// What is remembered of an earlier attempt.
    known: Vec<StageRow>,
    /// Checksum of all keys and results so far.
    chain: String,
    times: Vec<StageTime>,
}

/// What a stage is.
pub(crate) struct Stage<'a, I> {
    /// Its name in the ledger.
    pub(crate) name: &'static str,
    /// What it does, for whoever watches.
    pub(crate) what: &'a str,
    /// All that decides its result, but for the stages before it.
    pub(crate) inputs: I,
}

impl<'a> Line<'a> {
    pub(crate) fn new(ledger: Ledger, date: Day, call: &'a Call<'a>) -> Result<Self, DailyError> {
        Ok(Self {
            known: ledger.stages(date)?,
            ledger,
            date,
            call,
            chain: String::new(),
            times: vec![],
        })
    }

    /// The result of a stage: what is remembered, where nothing that decides it has changed and what it made is
    /// `there`, or else what `work` finds.
    pub(crate) fn stage<T: Serialize + DeserializeOwned>(
        &mut self,
        stage: Stage<'_, impl Serialize>,
        there: impl FnOnce(&T) -> bool,
        work: impl FnOnce(&mut Self) -> Result<T, DailyError>,
    ) -> Result<T, DailyError> {
        let Stage { name, what, inputs } = stage;
        let key = checksum(&(&self.chain, name, &inputs))?;
        let place = self.times.len();
        let found = self
            .known
            .iter()
            .find(|row| row.stage == name && row.key == key);
        if let Some(row) = found.cloned() {
            let result: T = serde_json::from_str(&row.result).map_err(DailyError::internal)?;
            if there(&result) {
                self.pass(&row, true)?;
                return Ok(result);
            }
        }
        (self.call.say)(&format!("{} {name}: {what}", self.date));
        let began = Instant::now();
        let result = work(self)?;
        let row = StageRow {
            stage: name.to_owned(),
            key,
            result: serde_json::to_string(&result).map_err(DailyError::internal)?,
            seconds: began.elapsed().as_secs_f64(),
        };
        self.ledger.put_stage(self.date, place, &row)?;
        // What came behind it was made of something else.
        self.known.clear();
        self.pass(&row, false)?;
        Ok(result)
    }

    fn pass(&mut self, row: &StageRow, remembered: bool) -> Result<(), DailyError> {
        self.chain = checksum(&(&row.key, &row.result))?;
        self.times.push(StageTime {
            stage: row.stage.clone(),
            seconds: row.seconds,
            remembered,
        });
        Ok(())
    }

    /// Where the time went.
    pub(crate) fn times(&self) -> Vec<StageTime> {
        self.times.clone()
    }
}

/// BLAKE3 checksum of anything that can be written down, in hexadecimal.
pub(crate) fn checksum(what: &impl Serialize) -> Result<String, DailyError> {
    let bytes = serde_json::to_vec(what).map_err(DailyError::internal)?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}
