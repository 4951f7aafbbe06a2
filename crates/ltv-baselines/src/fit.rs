//! From rows in memory to a peer.

use crate::{
    boost::{self, Data},
    config::PeerConfig,
    error::BaselineError,
    forest,
    peer::{Peer, Record},
    rows::{BaselineSums, Frame, TrainingRows},
    streaming::Streaming,
};

/// Fits a peer. The same rows and seed give the same bytes, whatever the number of threads.
///
/// Rows whose label of a horizon is not mature (NaN) are left out for that horizon. Validation
/// rows stop boosting early and choose its settings; other peers do not look at them.
///
/// # Errors
/// When an option is out of its range, a column is missing, a horizon has no mature row, or the
/// peer is made of trees and this build has no XGBoost.
pub fn fit(
    config: &PeerConfig,
    frame: &Frame,
    train: &TrainingRows,
    validation: &TrainingRows,
    seed: u64,
    threads: usize,
) -> Result<Peer, BaselineError> {
    config.check()?;
    if config.needs_xgboost() && !crate::HAS_XGBOOST {
        return Err(BaselineError::NoXgboost);
    }
    train.check(frame)?;
    validation.check(frame)?;
    let data = Data {
        frame,
        train,
        validation,
        seed,
        threads,
    };
    let (model, stages) = match config {
        PeerConfig::Xgboost(c) => boost::fit(c, &data)?,
        PeerConfig::TwoStage(c) => boost::fit_two_stage(c, &data)?,
        PeerConfig::Forest(c) => forest::fit(c, &data)?,
        _ => return stream(config, &data),
    };
    let mut sums = BaselineSums::new(frame)?;
    sums.add(&train.rows, frame);
    let record = Record {
        seed,
        train_rows: train.rows.rows as u64,
        validation_rows: validation.rows.rows as u64,
        stages,
    };
    let baselines = sums.finish(frame)?;
    Peer::from_parts(frame.clone(), config.clone(), record, baselines, model)
}

fn stream(config: &PeerConfig, data: &Data<'_>) -> Result<Peer, BaselineError> {
    let mut fit = Streaming::new(config.clone(), data.frame.clone(), data.seed)?;
    loop {
        fit.add(&data.train.rows)?;
        if !fit.again() {
            return fit.finish(data.validation.rows.rows as u64);
        }
    }
}
