//! What is compared: the file that `ltv compare` reads, checked and resolved.

use crate::LabError;
use ltv_baselines::{BaselineError, PeerConfig};
use ltv_core::{
    Error, Horizons,
    config::{Split, TrainConfig, merge},
};
use ltv_eval::{Metric, comparison::Expectation};
use ltv_model::Decoding;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};
use toml::{Table, Value};

/// A comparison of models on one dataset and one split.
///
/// | name | default | purpose |
/// |---|---|---|
/// | `data` | | folder of the dataset that models are trained on |
/// | `test` | none | folder of a later dataset to judge on; without it, the test part of the split |
/// | `events` | none | the event log, for buy-till-you-die models |
/// | `seeds` | 0, 1, 2 | each model that draws random numbers is trained with each |
/// | `bootstrap` | 200 | resamples for intervals, 20 or more |
/// | `split` | as in `ltv train` | who trains, validates, tests |
/// | `network` | | what networks have in common: `preset`, `encoding`, `model`, `fit` |
/// | `models` | | the contestants, see [`Entry`] |
/// | `expect` | none | rankings to look for, see [`Expect`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareConfig {
    /// Folder of the dataset that models are trained on.
    pub data: PathBuf,
    /// Folder of a later dataset: users who registered since the as-of day of `data` are judged.
    #[serde(default)]
    pub test: Option<PathBuf>,
    /// The event log that `data` was made from, for models that need more than the window.
    #[serde(default)]
    pub events: Vec<PathBuf>,
    /// Seeds.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Resamples for intervals.
    #[serde(default = "default_bootstrap")]
    pub bootstrap: u32,
    /// Who trains, validates and, without a later dataset, tests.
    #[serde(default)]
    pub split: Split,
    /// What networks have in common.
    #[serde(default)]
    pub network: Table,
    /// The contestants.
    pub models: Vec<Entry>,
    /// Rankings to look for.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

/// One contestant: exactly one of `network` and `peer` says what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in tables.
    pub name: String,
    /// The tables it appears in; without any, one table holds it and all others without any.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Seeds, where other than the comparison's.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// Horizons, where not all of the dataset's.
    #[serde(default)]
    pub horizons: Vec<u32>,
    /// Whether each horizon gets a network of its own.
    #[serde(default)]
    pub each_horizon: bool,
    /// How the network's distribution becomes a value, one row of the tables for each; the expectation
    /// without any.
    #[serde(default)]
    pub decodings: Vec<Decoding>,
    /// The metrics it is meant for, all without any: in the others it has values but no verdict.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// A network: what it has beside, or other than, what all have in common.
    #[serde(default)]
    pub network: Option<Table>,
    /// Settings to try for each of its networks, each beside, or other than, `network`: that with the
    /// likeliest validation rows is taken, for each seed anew. Likelihoods can be compared where
    /// settings have the same head and the same buckets.
    #[serde(default)]
    pub search: Vec<Table>,
    /// Anything else.
    #[serde(default)]
    pub peer: Option<PeerConfig>,
}

/// A ranking that somebody has published, from worst to best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Where it was published.
    pub name: String,
    /// Rows of the tables, by name, from worst to best.
    pub order: Vec<String>,
    /// By which metrics.
    pub metrics: Vec<Metric>,
}

pub(crate) fn default_seeds() -> Vec<u64> {
    vec![0, 1, 2]
}

pub(crate) fn default_bootstrap() -> u32 {
    200
}

/// A contestant, ready to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Contestant {
    /// Its name.
    pub name: String,
    /// The tables it appears in.
    pub tables: Vec<String>,
    /// The metrics it is meant for; empty for all.
    pub metrics: Vec<Metric>,
    /// The seeds it is trained with, at least one.
    pub seeds: Vec<u64>,
    /// What it is.
    pub kind: Kind,
}

impl Contestant {
    /// Names of its rows in the tables: one, or one for each decoding.
    pub fn rows(&self) -> Vec<String> {
        let suffixes: Vec<String> = match &self.kind {
            Kind::Network { decodings, .. } => decodings
                .iter()
                .enumerate()
                .map(|(i, d)| suffix(i, d))
                .collect(),
            Kind::Peer { .. } => vec![String::new()],
        };
        suffixes
            .iter()
            .map(|s| format!("{}{s}", self.name))
            .collect()
    }

    /// Whether it reads the event log.
    pub(crate) fn needs_events(&self) -> bool {
        matches!(&self.kind, Kind::Peer { config, .. } if config.needs_events())
    }
}

/// What a contestant is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// One network, or one for each horizon.
    Network {
        /// For each network the settings to try, at least one.
        configs: Vec<Vec<TrainConfig>>,
        /// At least one.
        decodings: Vec<Decoding>,
    },
    /// A model that is no network.
    Peer {
        /// Which, and how.
        config: PeerConfig,
        /// Horizons, empty for all.
        horizons: Vec<u32>,
    },
}

impl CompareConfig {
    /// The contestants, for a dataset of these horizons.
    ///
    /// # Errors
    /// Names the contestant and the key at fault.
    pub fn contestants(&self, horizons: &[u32]) -> Result<Vec<Contestant>, LabError> {
        self.split.check()?;
        if self.models.is_empty() {
            return Err(Error::config("models", "give at least one [[models]]").into());
        }
        if self.seeds.is_empty() {
            return Err(Error::config("seeds", "give at least one, for example [0]").into());
        }
        let mut slugs = BTreeSet::new();
        let all = self.models.iter().map(|entry| {
            let slug = slug(&entry.name);
            if slug.is_empty() || !slugs.insert(slug) {
                let problem = "is empty, or the same as another's but for case and punctuation";
                return Err(Error::config(format!("models.name '{}'", entry.name), problem).into());
            }
            let seeds = if entry.seeds.is_empty() {
                &self.seeds
            } else {
                &entry.seeds
            };
            let distinct: BTreeSet<_> = seeds.iter().collect();
            if distinct.len() < seeds.len() {
                let problem = format!("{seeds:?} has one twice");
                return Err(LabError::from(Error::config("seeds", problem)).of(&entry.name));
            }
            let kind = self.kind(entry, horizons).map_err(|e| e.of(&entry.name))?;
            Ok(Contestant {
                name: entry.name.clone(),
                tables: entry.tables.clone(),
                metrics: entry.metrics.clone(),
                seeds: self.seeds_of(entry, &kind),
                kind,
            })
        });
        all.collect()
    }

    /// The rankings to look for, as metrics want them.
    pub(crate) fn expectations(&self) -> Vec<Expectation> {
        let one = |e: &Expect| Expectation {
            name: e.name.clone(),
            order: e.order.clone(),
            metrics: e.metrics.clone(),
        };
        self.expect.iter().map(one).collect()
    }

    fn seeds_of(&self, entry: &Entry, kind: &Kind) -> Vec<u64> {
        let seeds = match &entry.seeds[..] {
            [] => &self.seeds,
            own => own,
        };
        match kind {
            Kind::Peer { config, .. } if !config.is_random() => seeds[..1].to_vec(),
            _ => seeds.to_vec(),
        }
    }

    fn kind(&self, entry: &Entry, horizons: &[u32]) -> Result<Kind, LabError> {
        let chosen = &entry.horizons;
        if let Some(days) = chosen.iter().find(|d| !horizons.contains(d)) {
            let problem = format!("{days} is not a horizon of the dataset: {horizons:?}");
            return Err(Error::config("horizons", problem).into());
        }
        if !chosen.is_empty() {
            Horizons::new(chosen.clone())?;
        }
        match (&entry.network, &entry.peer) {
            (Some(own), None) => {
                let chosen = match (&chosen[..], entry.each_horizon) {
                    ([], true) => horizons.iter().map(|&n| vec![n]).collect(),
                    (some, true) => some.iter().map(|&n| vec![n]).collect(),
                    (some, false) => vec![some.to_vec()],
                };
                let one = |horizons: Vec<u32>| self.settings(own, &entry.search, &horizons);
                let configs: Vec<_> = chosen.into_iter().map(one).collect::<Result<_, _>>()?;
                let decodings = match &entry.decodings[..] {
                    [] => vec![Decoding::Expectation],
                    some => some.to_vec(),
                };
                Ok(Kind::Network { configs, decodings })
            }
            (None, Some(config)) => {
                config.check()?;
                if config.needs_xgboost() && !ltv_baselines::HAS_XGBOOST {
                    return Err(BaselineError::NoXgboost.into());
                }
                if !entry.decodings.is_empty() || entry.each_horizon || !entry.search.is_empty() {
                    let problem = "decodings, each_horizon and search are for networks";
                    return Err(Error::config("peer", problem).into());
                }
                Ok(Kind::Peer {
                    config: config.clone(),
                    horizons: chosen.clone(),
                })
            }
            _ => {
                let problem = "give one of 'network' (which may be empty: network = {}) and 'peer'";
                Err(Error::config("models", problem).into())
            }
        }
    }

    /// The settings to try for one network, as one list of horizons asks for.
    fn settings(
        &self,
        own: &Table,
        search: &[Table],
        horizons: &[u32],
    ) -> Result<Vec<TrainConfig>, LabError> {
        if search.is_empty() {
            return Ok(vec![self.network(own, horizons.to_vec())?]);
        }
        if self.split.validation == 0.0 {
            let problem = "needs validation rows to choose by: give split.validation above 0";
            return Err(Error::config("search", problem).into());
        }
        let one = |over: &Table| {
            let mut table = own.clone();
            merge(&mut table, over.clone());
            self.network(&table, horizons.to_vec())
        };
        let all: Vec<_> = search.iter().map(one).collect::<Result<_, _>>()?;
        let apart = |c: &TrainConfig| {
            let (c, first) = (&c.model, &all[0].model);
            (c.head, c.segments, c.buckets) != (first.head, first.segments, first.buckets)
                || c.cut != first.cut
        };
        if all.iter().any(apart) {
            let problem = "settings of one search must have the same head and buckets: the likelihood \
                           that chooses among them could not be compared";
            return Err(Error::config("search", problem).into());
        }
        Ok(all)
    }

    /// The options of one network: preset, then what is common, then its own.
    fn network(&self, own: &Table, horizons: Vec<u32>) -> Result<TrainConfig, LabError> {
        let mut table = self.network.clone();
        merge(&mut table, own.clone());
        let base = match table.remove("preset").as_ref().map(Value::as_str) {
            None | Some(Some("default")) => TrainConfig::default(),
            Some(Some("paper")) => TrainConfig::paper(),
            _ => return Err(Error::config("network.preset", "use default or paper").into()),
        };
        let known = ["encoding", "model", "fit"];
        if let Some(key) = table.keys().find(|k| !known.contains(&k.as_str())) {
            let problem = format!("unknown: use preset or a table of {known:?}");
            return Err(Error::config(format!("network.{key}"), problem).into());
        }
        let mut options = Table::try_from(&base).map_err(LabError::internal)?;
        merge(&mut options, table);
        let config: Result<TrainConfig, _> = Value::Table(options).try_into();
        let config = config.map_err(|e| {
            let problem = e.to_string().trim_end().replace('\n', " ");
            Error::config("network", problem)
        })?;
        let config = TrainConfig {
            horizons,
            split: self.split.clone(),
            ..config
        };
        config.check()?;
        Ok(config)
    }
}

/// A decoding in a word.
pub(crate) fn word(decoding: &Decoding) -> String {
    match decoding {
        Decoding::Quantile(0.5) => "median".to_owned(),
        other => other.to_string(),
    }
}

/// What the row of a contestant's `i`-th decoding is called after its name: nothing for the first.
pub(crate) fn suffix(i: usize, decoding: &Decoding) -> String {
    match i {
        0 => String::new(),
        _ => format!(" ({})", word(decoding)),
    }
}

/// A name as a file name: lower case letters and digits, others as single dashes.
pub(crate) fn slug(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let dashed: String = name.chars().map(plain).collect();
    let words = dashed.split('-').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    const TEXT: &str = r#"
        data = "d"
        [network.fit]
        epochs = 3
        [[models]]
        name = "ODMN"
        network = {}
        [[models]]
        name = "each"
        network = { preset = "paper", model = { alpha = 0.0 } }
        each_horizon = true
        seeds = [7]
        [[models]]
        name = "mean"
        peer = { kind = "train_mean" }
    "#;

    fn contestants(text: &str) -> Result<Vec<Contestant>, LabError> {
        let config: CompareConfig = toml::from_str(text).unwrap();
        config.contestants(&[30, 90])
    }

    #[test]
    fn what_is_common_lies_over_the_preset_and_under_what_is_its_own() {
        let all = contestants(TEXT).unwrap();
        let Kind::Network { configs, decodings } = &all[0].kind else {
            panic!()
        };
        assert_eq!((configs.len(), configs[0][0].fit.epochs), (1, 3));
        assert!(configs[0][0].horizons.is_empty());
        assert_eq!(decodings, &[Decoding::Expectation]);
        let Kind::Network { configs, .. } = &all[1].kind else {
            panic!()
        };
        let horizons: Vec<_> = configs.iter().map(|c| c[0].horizons.clone()).collect();
        assert_eq!(horizons, [vec![30], vec![90]]);
        let first = &configs[0][0];
        assert_eq!((first.model.alpha, first.fit.rate), (0.0, 0.05));
        let seeds: Vec<_> = all.iter().map(|c| c.seeds.clone()).collect();
        assert_eq!(seeds, [vec![0, 1, 2], vec![7], vec![0]]);
    }

    #[test]
    fn what_is_wrong_is_said_of_the_contestant() {
        let problem = |from: &str, to: &str| {
            let text = TEXT.replace(from, to);
            contestants(&text).unwrap_err().to_string()
        };
        let wrong = problem("alpha = 0.0", "alpha = -1.0");
        assert!(
            wrong.contains("'each'") && wrong.contains("model.alpha"),
            "{wrong}"
        );
        let wrong = problem("alpha = 0.0", "alfa = 1.0");
        assert!(wrong.contains("alfa"), "{wrong}");
        let wrong = problem("\"mean\"", "\"odmn\"");
        assert!(wrong.contains("models.name 'odmn'"), "{wrong}");
        let wrong = problem("each_horizon = true", "horizons = [180]");
        assert!(wrong.contains("180"), "{wrong}");
        let wrong = problem("preset = \"paper\"", "speed = 3");
        assert!(wrong.contains("network.speed"), "{wrong}");
    }

    #[test]
    fn settings_to_try_lie_over_the_network() {
        let search =
            "search = [{ fit.rate = 0.5 }, { model.alpha = 2.0 }]\n        each_horizon = true";
        let text = TEXT.replace("each_horizon = true", search);
        let all = contestants(&text).unwrap();
        let Kind::Network { configs, .. } = &all[1].kind else {
            panic!()
        };
        let tried = |c: &Vec<TrainConfig>| -> Vec<_> {
            c.iter().map(|c| (c.fit.rate, c.model.alpha)).collect()
        };
        let tried: Vec<_> = configs.iter().map(tried).collect();
        assert_eq!(tried, vec![vec![(0.5, 0.0), (0.05, 2.0)]; 2]);
        let text = text.replace("fit.rate = 0.5", "model.buckets = 7");
        let wrong = contestants(&text).unwrap_err().to_string();
        assert!(wrong.contains("same head and buckets"), "{wrong}");
    }

    #[test]
    fn names_become_file_names() {
        assert_eq!(slug("Two-Stage (gate) 2"), "two-stage-gate-2");
        assert_eq!(slug("../x"), "x");
    }
}
