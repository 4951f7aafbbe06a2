//! Whether a document can be that of a peer, before anything is predicted with it. Whoever wrote
//! the file, what passes here panics nowhere.

use super::{Document, Fitted, Part, Spread, Two};
use crate::config::PeerConfig;

type Check = Result<(), String>;

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Checks everything that predicting relies on.
pub(super) fn document(document: &Document) -> Check {
    document.config.check().map_err(|e| e.to_string())?;
    let Document {
        horizons,
        encoding,
        baselines,
        ..
    } = document;
    encoding.check().map_err(|e| e.to_string())?;
    let days: Vec<u32> = baselines.horizons.iter().map(|h| h.days).collect();
    ensure(days == horizons.days(), || {
        format!("baselines for the horizons {days:?}")
    })?;
    let means = |m: f64| m.is_finite();
    let sound = baselines.horizons.iter();
    ensure(
        sound
            .clone()
            .all(|h| means(h.label_mean) && means(h.signal_mean)),
        || "a mean is not finite".into(),
    )?;
    ensure(encoding.plain.contains(&baselines.signal), || {
        format!("no column '{}'", baselines.signal)
    })?;
    check_model(document)
}

fn check_model(document: &Document) -> Check {
    let n = document.horizons.len();
    let count = |found: usize| ensure(found == n, || format!("models of {found} horizons for {n}"));
    let columns = |names: &[&str]| {
        let missing = names
            .iter()
            .find(|c| !document.encoding.plain.iter().any(|p| p == *c));
        ensure(missing.is_none(), || {
            format!("no column '{}'", missing.unwrap_or(&""))
        })
    };
    match (&document.config, &document.model) {
        (PeerConfig::Xgboost(_), Fitted::Xgboost { horizons }) => {
            count(horizons.len())?;
            horizons.iter().try_for_each(check_part)
        }
        (PeerConfig::TwoStage(_), Fitted::TwoStage { horizons }) => {
            count(horizons.len())?;
            horizons.iter().try_for_each(check_two)
        }
        (PeerConfig::Forest(_), Fitted::Forest { groups, horizons }) => {
            columns(&["active_days"])?;
            if groups.value.is_some() {
                columns(&["value_sum"])?;
            }
            count(horizons.len())?;
            let whole = horizons
                .iter()
                .all(|h| h.len() == crate::forest::GROUPS.len());
            ensure(whole, || "a group has no model".into())?;
            horizons.iter().flatten().try_for_each(check_two)
        }
        (PeerConfig::Rfm(_), Fitted::Rfm(table)) => {
            let names: Vec<&str> = table.axes.iter().map(|a| a.column.as_str()).collect();
            columns(&names)?;
            table.check(n)
        }
        (PeerConfig::Btyd(_), Fitted::Btyd(_)) => {
            columns(&["active_days", "recency"])?;
            // Finite and positive numbers: BuyTillYouDie::new asks.
            ensure((1..=3650).contains(&document.window_days), || {
                format!("a window of {} days", document.window_days)
            })
        }
        (PeerConfig::TrivialSort(_), Fitted::TrivialSort {}) => Ok(()),
        (PeerConfig::TrainMean(_), Fitted::TrainMean { horizons }) => {
            count(horizons.len())?;
            let sound = horizons.iter().all(Spread::is_sound);
            ensure(sound, || "a mean is no prediction".into())
        }
        (config, _) => Err(format!("its model is not of kind '{}'", config.kind())),
    }
}

fn check_two(two: &Two) -> Check {
    check_part(&two.positive)?;
    check_part(&two.amount)
}

fn check_part(part: &Part) -> Check {
    match part {
        Part::Constant(value) => ensure(value.is_finite(), || format!("the constant {value}")),
        Part::Trees(_) => Ok(()),
    }
}

/// Edges are finite and strictly increasing.
pub(crate) fn sound_edges(edges: &[f64]) -> Check {
    let finite = edges.iter().all(|e| e.is_finite());
    ensure(finite && edges.windows(2).all(|w| w[0] < w[1]), || {
        "edges are not ascending".into()
    })
}
