//! Who leads a table, and who is within noise of the leader.

use super::{
    document::{TableResult, TableRow},
    engine::Panel,
    gap::Gap,
    input::Contestant,
};
use crate::metric::Metric;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a contestant stands in one metric against the best of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than all others, beyond noise of the second.
    Best,
    /// None is better, but the second is within noise. Exact ties share this.
    BestWithinNoise,
    /// Another is better, within noise.
    WithinNoise,
    /// Another is better, beyond noise.
    Worse,
}

/// One contestant against the best of the others in one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Which metric.
    pub metric: Metric,
    /// The best of the others: lowest [`Metric::cost`] of the mean over runs, the first by name
    /// among equals.
    pub rival: String,
    /// The contestant minus that rival.
    pub gap: Gap,
    /// What follows.
    pub verdict: Verdict,
}

impl Verdict {
    fn of(gap: &Gap) -> Self {
        match (gap.excess <= 0.0, gap.decided()) {
            (true, true) => Self::Best,
            (true, false) => Self::BestWithinNoise,
            (false, false) => Self::WithinNoise,
            (false, true) => Self::Worse,
        }
    }

    /// Whether nobody is better.
    pub fn leads(self) -> bool {
        matches!(self, Self::Best | Self::BestWithinNoise)
    }
}

/// All tables of a horizon: everybody first, then the named ones in order of name.
pub(crate) fn tables(contestants: &[Contestant], panel: &Panel) -> Vec<TableResult> {
    let names: BTreeSet<&String> = contestants.iter().flat_map(|c| &c.tables).collect();
    let groups = std::iter::once(None).chain(names.into_iter().map(Some));
    let filled = groups.filter_map(|table| {
        let shown = |c: &Contestant| table.is_none_or(|name| c.tables.contains(name));
        let members: Vec<usize> = panel
            .members()
            .filter(|&c| shown(&contestants[c]))
            .collect();
        (!members.is_empty()).then(|| TableResult {
            table: table.cloned(),
            rows: rows(contestants, panel, &members),
        })
    });
    filled.collect()
}

fn rows(contestants: &[Contestant], panel: &Panel, members: &[usize]) -> Vec<TableRow> {
    let fields: Vec<Field> = Metric::ALL
        .into_iter()
        .map(|metric| Field::new(contestants, panel, members, metric))
        .collect();
    let row = |&c: &usize| TableRow {
        contestant: contestants[c].name.clone(),
        standings: fields
            .iter()
            .filter_map(|field| field.standing(contestants, panel, c))
            .collect(),
    };
    members.par_iter().map(row).collect()
}

/// Everyone who competes in one metric, the best first.
struct Field {
    metric: Metric,
    ranked: Vec<usize>,
}

impl Field {
    fn new(contestants: &[Contestant], panel: &Panel, members: &[usize], metric: Metric) -> Self {
        let competing = members.iter().filter(|&&c| contestants[c].competes(metric));
        let mut ranked: Vec<(f64, usize)> = competing
            .filter_map(|&c| Some((panel.entry(c)?.cost(metric)?, c)))
            .collect();
        let name = |c: usize| &contestants[c].name;
        // Adding 0.0 turns -0.0 into 0.0: equal costs are ordered by name alone.
        ranked.sort_by(|a, b| {
            let cost = (a.0 + 0.0).total_cmp(&(b.0 + 0.0));
            cost.then_with(|| name(a.1).cmp(name(b.1)))
        });
        Self {
            metric,
            ranked: ranked.into_iter().map(|(_, c)| c).collect(),
        }
    }

    fn standing(&self, contestants: &[Contestant], panel: &Panel, c: usize) -> Option<Standing> {
        self.ranked.contains(&c).then_some(())?;
        let rival = *self.ranked.iter().find(|&&other| other != c)?;
        let gap = Gap::new(panel.entry(c)?, panel.entry(rival)?, self.metric)?;
        Some(Standing {
            metric: self.metric,
            rival: contestants[rival].name.clone(),
            gap,
            verdict: Verdict::of(&gap),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::gap::Range;

    fn gap(excess: f64, low: f64, high: f64) -> Gap {
        Gap {
            difference: excess,
            difference_interval: None,
            excess,
            excess_interval: None,
            seed_margin: 0.0,
            combined: Some(Range { low, high }),
        }
    }

    #[test]
    fn verdicts_by_hand() {
        assert_eq!(Verdict::of(&gap(-2.0, -3.0, -1.0)), Verdict::Best);
        assert_eq!(Verdict::of(&gap(-2.0, -5.0, 1.0)), Verdict::BestWithinNoise);
        assert_eq!(Verdict::of(&gap(0.0, 0.0, 0.0)), Verdict::BestWithinNoise);
        assert_eq!(Verdict::of(&gap(2.0, -1.0, 5.0)), Verdict::WithinNoise);
        assert_eq!(Verdict::of(&gap(2.0, 1.0, 3.0)), Verdict::Worse);
        let unsure = Gap {
            combined: None,
            ..gap(2.0, 0.0, 0.0)
        };
        assert_eq!(Verdict::of(&unsure), Verdict::WithinNoise);
    }
}
