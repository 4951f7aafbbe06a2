//! The users of an experiment, column by column: read once for what was realised, and once for each
//! model.

use super::{RoiRequest, cost::column};
use crate::LabError;
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type},
};
use ltv_core::{
    Day, Horizons,
    assignment::Assigner,
    baseline::Baselines,
    config::{Mature, Split},
    encoding::Encoding,
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{
    split::Rows,
    stream::{StreamOptions, stream, stream_with_columns},
};
use ltv_eval::{Segments, roi::RoiInput};
use ltv_score::evaluate::Coder;
use std::sync::Arc;

/// Who takes part, before anything is predicted.
pub(super) struct Users {
    pub(super) input: RoiInput,
    /// Of the users read, which are kept: those who cost something.
    kept: Vec<bool>,
    /// Users who cost nothing.
    pub(super) free: u64,
}

impl Users {
    /// Reads all columns but predictions.
    pub(super) fn read(
        request: &RoiRequest<'_>,
        (horizons, since): (&Horizons, Day),
        progress: &dyn Progress,
    ) -> Result<Self, LabError> {
        let dataset = request.dataset;
        progress.start("read users", Some(dataset.rows()));
        let signal = Baselines::signal_of(dataset.manifest().label);
        let coders = request.by.iter().map(|name| Coder::new(dataset, name));
        let mut found = Found {
            users: Self {
                input: RoiInput {
                    outcomes: horizons.days().to_vec(),
                    values: vec![vec![]; horizons.len()],
                    ..RoiInput::default()
                },
                kept: vec![],
                free: 0,
            },
            assigner: Assigner::new(&request.salt),
            signal,
            coders: coders.collect::<Result<_, _>>()?,
        };
        let mut columns = vec![signal.to_owned()];
        columns.extend(request.cost.column().cloned());
        columns.extend(request.by.iter().cloned());
        let options = options(request, horizons, since, Encoding::default());
        for item in stream_with_columns(dataset, options, &columns)?.told(progress) {
            let (encoded, raw) = item?;
            found.add(request, &encoded.labels, &raw)?;
        }
        progress.finish();
        let Found {
            mut users, coders, ..
        } = found;
        let kept = &users.kept;
        let keep = |segments: Segments| Segments {
            codes: only(segments.codes, kept),
            ..segments
        };
        users.input.segments = coders.into_iter().map(|c| keep(c.finish())).collect();
        Ok(users)
    }

    /// What the model predicts for those who are kept, over the horizon in place `t` of its own.
    pub(super) fn predict(
        &self,
        request: &RoiRequest<'_>,
        (horizons, since): (&Horizons, Day),
        (model, t): (&dyn Predictor, usize),
        progress: &dyn Progress,
    ) -> Result<Vec<f64>, LabError> {
        progress.start("predict", Some(request.dataset.rows()));
        let width = model.horizons().len();
        let mut all = Vec::with_capacity(self.kept.len());
        let options = options(request, horizons, since, model.encoding().clone());
        for block in stream(request.dataset, options)?.told(progress) {
            let block = block?;
            let values = model.predict(&block).values;
            crate::judged::check(model, &block, &values)?;
            all.extend(values.iter().skip(t).step_by(width));
        }
        progress.finish();
        if all.len() != self.kept.len() {
            let problem = format!("{} predictions for {} users", all.len(), self.kept.len());
            return Err(LabError::internal(problem));
        }
        Ok(only(all, &self.kept))
    }
}

fn only<T>(all: Vec<T>, kept: &[bool]) -> Vec<T> {
    let pairs = all.into_iter().zip(kept);
    pairs
        .filter(|(_, kept)| **kept)
        .map(|(one, _)| one)
        .collect()
}

/// Everybody whose longest outcome is known, registered since a day.
fn options(
    request: &RoiRequest<'_>,
    horizons: &Horizons,
    since: Day,
    encoding: Encoding,
) -> StreamOptions {
    StreamOptions {
        rows: Rows::Mature,
        split: Split {
            registered_from: Some(since),
            registered_before: request.registered_before,
            mature: Mature::Longest,
            ..Split::default()
        },
        horizons: Some(horizons.clone()),
        ..StreamOptions::scoring(Arc::new(encoding))
    }
}

/// What one pass over the dataset gathers.
struct Found {
    users: Users,
    assigner: Assigner,
    signal: &'static str,
    coders: Vec<Coder>,
}

impl Found {
    fn add(
        &mut self,
        request: &RoiRequest<'_>,
        labels: &[f64],
        raw: &RecordBatch,
    ) -> Result<(), LabError> {
        let dataset = request.dataset;
        self.coders.iter_mut().try_for_each(|c| c.add(raw))?;
        let ids = column(raw, "user_id", &DataType::Utf8)?;
        let ids: Vec<String> = ids
            .as_string::<i32>()
            .iter()
            .map(|id| id.unwrap_or("").to_owned())
            .collect();
        let costs = request.cost.costs(dataset, raw, &ids)?;
        let signal = column(raw, self.signal, &DataType::Float64)?;
        let signal = signal.as_primitive::<Float64Type>();
        let Users { input, kept, free } = &mut self.users;
        let width = input.values.len();
        for (row, (user, cost)) in ids.iter().zip(costs).enumerate() {
            if cost == 0.0 && request.leave_out_free {
                *free += 1;
                kept.push(false);
                continue;
            }
            let place = || (dataset.folder().to_path_buf(), user.clone());
            if !ltv_eval::roi::COSTS.contains(&cost) {
                let (path, user) = place();
                return Err(LabError::cost(path, user, request.cost.column(), cost));
            }
            let labels = &labels[row * width..(row + 1) * width];
            for ((values, &label), days) in input.values.iter_mut().zip(labels).zip(&input.outcomes)
            {
                if !(label >= 0.0 && label.is_finite()) {
                    let (path, user) = place();
                    return Err(LabError::Realised {
                        path,
                        user,
                        days: *days,
                        label,
                    });
                }
                values.push(label);
            }
            let draw = self.assigner.draw(user);
            let known = signal.is_valid(row).then(|| signal.value(row));
            input.cost.push(cost);
            input.fraction.push(draw.fraction);
            input.order.push(draw.order);
            input
                .signal
                .push(known.filter(|s| s.is_finite() && *s > 0.0).unwrap_or(0.0));
            kept.push(true);
        }
        Ok(())
    }
}
