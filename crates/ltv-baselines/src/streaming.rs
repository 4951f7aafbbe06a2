//! Peers that need no library, fitted block by block: memory does not grow with rows.

use crate::{
    config::PeerConfig,
    error::BaselineError,
    peer::{Fitted, Peer, Record, Spread},
    rfm,
    rows::{BaselineSums, Frame, check_block},
};
use ltv_core::{encoding::EncodedRows, labels::LabelHistogram};

/// A fit in progress, of a peer of kind `rfm`, `trivial_sort` or `train_mean`.
///
/// ```text
/// let mut fit = Streaming::new(config, frame, seed)?;
/// loop {
///     for block in blocks { fit.add(&block)?; }
///     if !fit.again() { break; }
/// }
/// let peer = fit.finish(validation_rows)?;
/// ```
#[derive(Debug, Clone)]
pub struct Streaming {
    frame: Frame,
    config: PeerConfig,
    seed: u64,
    rows: u64,
    sums: BaselineSums,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    TrivialSort,
    TrainMean(Vec<LabelHistogram>),
    Cuts(Box<rfm::Cuts>),
    Cells(Box<rfm::Sums>, f64),
}

impl Streaming {
    /// Starts a fit.
    ///
    /// # Errors
    /// When the configuration is out of range, its kind is not fitted block by block, or a column
    /// is missing.
    pub fn new(config: PeerConfig, frame: Frame, seed: u64) -> Result<Self, BaselineError> {
        config.check()?;
        let state = match &config {
            PeerConfig::TrivialSort(_) => State::TrivialSort,
            PeerConfig::TrainMean(_) => {
                State::TrainMean(vec![LabelHistogram::default(); frame.horizons.len()])
            }
            PeerConfig::Rfm(c) => State::Cuts(Box::new(rfm::Cuts::new(c, &frame)?)),
            other => return Err(BaselineError::NotStreamed { kind: other.kind() }),
        };
        Ok(Self {
            sums: BaselineSums::new(&frame)?,
            frame,
            config,
            seed,
            rows: 0,
            state,
        })
    }

    /// Adds a block of labelled training rows.
    ///
    /// # Errors
    /// When its shape is not that of the frame, which is a defect of the caller.
    pub fn add(&mut self, block: &EncodedRows) -> Result<(), BaselineError> {
        check_block(block, &self.frame)?;
        if let State::Cells(cells, _) = &mut self.state {
            cells.add(block);
            return Ok(());
        }
        self.rows += block.rows as u64;
        self.sums.add(block, &self.frame);
        match &mut self.state {
            State::TrainMean(seen) => {
                let width = seen.len();
                for (i, &label) in block.labels.iter().enumerate() {
                    seen[i % width].add(label);
                }
            }
            State::Cuts(cuts) => cuts.add(block),
            _ => {}
        }
        Ok(())
    }

    /// Ends a pass over the rows, and says whether the same rows have to be added once more.
    pub fn again(&mut self) -> bool {
        let horizons = self.frame.horizons.len();
        let PeerConfig::Rfm(config) = &self.config else {
            return false;
        };
        match std::mem::replace(&mut self.state, State::TrivialSort) {
            State::Cuts(cuts) => {
                let cells = Box::new(cuts.finish(horizons));
                self.state = State::Cells(cells, config.prior_rows);
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// The peer. `validation_rows` is only recorded: these peers have nothing to choose.
    ///
    /// # Errors
    /// When a horizon has no mature row.
    pub fn finish(self, validation_rows: u64) -> Result<Peer, BaselineError> {
        let baselines = self.sums.finish(&self.frame)?;
        let model = match self.state {
            State::TrivialSort => Fitted::TrivialSort {},
            State::TrainMean(seen) => Fitted::TrainMean {
                horizons: seen.iter().map(Spread::of).collect(),
            },
            State::Cells(cells, prior_rows) => Fitted::Rfm(cells.finish(prior_rows)),
            State::Cuts(_) => {
                return Err(BaselineError::internal("the rows were added only once"));
            }
        };
        let record = Record {
            seed: self.seed,
            train_rows: self.rows,
            validation_rows,
            stages: vec![],
        };
        Peer::from_parts(self.frame, self.config, record, baselines, model)
    }
}
