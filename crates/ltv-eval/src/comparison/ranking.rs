//! Whether an order that somebody else reports is found here.

use super::{
    engine::Panel,
    gap::Gap,
    input::{Contestant, Expectation},
};
use crate::metric::Metric;
use serde::{Deserialize, Serialize};

/// Whether an expected order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Beyond noise.
    Reproduced,
    /// The opposite holds beyond noise.
    Contradicted,
    /// Within noise.
    Undecided,
}

/// An expected order in one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankingResult {
    /// Name of the expectation.
    pub name: String,
    /// Its contestants that have a value here, the worst first.
    pub order: Vec<String>,
    /// In which metric.
    pub metric: Metric,
    /// Contradicted when any pair is, reproduced when all are, undecided otherwise; null without
    /// a pair.
    pub agreement: Option<Agreement>,
    /// Every pair, in the order of `order`.
    pub pairs: Vec<PairResult>,
}

/// Two contestants of an expected order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairResult {
    /// Expected to be worse.
    pub worse: String,
    /// Expected to be better.
    pub better: String,
    /// `better` minus `worse`: a negative [`Gap::excess`] is what is expected.
    pub gap: Gap,
    /// What follows.
    pub agreement: Agreement,
}

impl Agreement {
    fn of(gap: &Gap) -> Self {
        match (gap.decided(), gap.excess < 0.0) {
            (false, _) => Self::Undecided,
            (true, true) => Self::Reproduced,
            (true, false) => Self::Contradicted,
        }
    }

    fn of_all(pairs: &[PairResult]) -> Option<Self> {
        let all = |wanted| pairs.iter().all(|pair| pair.agreement == wanted);
        let contradicted = pairs.iter().any(|p| p.agreement == Self::Contradicted);
        match (pairs.is_empty(), contradicted, all(Self::Reproduced)) {
            (true, _, _) => None,
            (_, true, _) => Some(Self::Contradicted),
            (_, _, true) => Some(Self::Reproduced),
            _ => Some(Self::Undecided),
        }
    }
}

/// Every expectation in every metric it names.
pub(crate) fn rankings(
    contestants: &[Contestant],
    expect: &[Expectation],
    panel: &Panel,
) -> Vec<RankingResult> {
    let each = expect.iter().flat_map(|expectation| {
        let metrics = expectation.metrics.iter();
        metrics.map(move |&metric| ranking(contestants, expectation, panel, metric))
    });
    each.collect()
}

fn ranking(
    contestants: &[Contestant],
    expectation: &Expectation,
    panel: &Panel,
    metric: Metric,
) -> RankingResult {
    let entries = expectation.order.iter().filter_map(|name| {
        let entry = panel.entry(contestants.iter().position(|c| c.name == *name)?)?;
        entry.cost(metric).map(|_| (name, entry))
    });
    let entries: Vec<_> = entries.collect();
    let mut pairs = Vec::new();
    for (i, (worse, first)) in entries.iter().enumerate() {
        for (better, second) in &entries[i + 1..] {
            pairs.extend(Gap::new(second, first, metric).map(|gap| PairResult {
                worse: (*worse).clone(),
                better: (*better).clone(),
                gap,
                agreement: Agreement::of(&gap),
            }));
        }
    }
    RankingResult {
        name: expectation.name.clone(),
        order: entries.iter().map(|(name, _)| (*name).clone()).collect(),
        metric,
        agreement: Agreement::of_all(&pairs),
        pairs,
    }
}
