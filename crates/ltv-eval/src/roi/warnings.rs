//! What a reader of an experiment must know before believing it.

use super::document::Roi;

/// Relative difference of spends beyond which returns are of different money.
const APART: f64 = 0.02;

/// Fewest users delivered to in an arm for intervals that hold what they promise: in experiments of
/// one model against itself, with 48 an arm, they held 0 in 88 % instead of 95 %.
const FEW: u64 = 200;

impl Roi {
    /// Warnings, a sentence each; none where all is well.
    pub fn warnings(&self) -> Vec<String> {
        let [control, treatment] = [&self.split.control, &self.split.treatment];
        let policy = |i: usize| self.replay.policies.get(i).map_or(0.0, |p| p.spend);
        let spends = [
            ("the arms", [control.spend, treatment.spend]),
            ("both policies on everybody", [policy(0), policy(1)]),
        ];
        let apart = spends.into_iter().filter_map(|(who, [a, b])| {
            let apart = (a - b).abs() / a.max(b);
            (apart > APART).then(|| {
                let percent = 100.0 * apart;
                format!(
                    "spends of {who} differ by {percent:.1} %: their returns are of different money"
                )
            })
        });
        let mut all: Vec<String> = apart.collect();
        let fewest = control.delivered.min(treatment.delivered);
        if fewest < FEW {
            all.push(format!(
                "{fewest} users delivered to in an arm are few: intervals are too narrow, tests planned too small"
            ));
        }
        all
    }
}
