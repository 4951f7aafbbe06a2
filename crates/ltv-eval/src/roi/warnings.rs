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
                format!("spends of {who} differ by {percent:.1} %: returns are of different money")
            })
        });
        let mut all: Vec<String> = apart.collect();
        let fewest = control.delivered.min(treatment.delivered);
        if fewest < FEW {
            all.push(format!(
                "{fewest} users delivered to in an arm are few: intervals and plans are too small"
            ));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::roi::{
        Roi, RoiInput, RoiOptions,
        document::{About, Cost, Model},
        roi,
    };
    use ltv_core::progress::Silent;

    /// Arms of users who are worth what they cost, at costs that the budget divides or does not.
    fn found(users: u32, cost: impl Fn(u32) -> f64) -> Roi {
        let model = || Model {
            name: "m".into(),
            model_id: "m".into(),
            as_of: "2024-01-01".into(),
        };
        let about = About {
            control: model(),
            treatment: model(),
            label: "value".into(),
            registered_from: "2024-01-01".into(),
            cost: Cost {
                source: "column 'cost'".into(),
                invented: false,
                free: 0,
            },
            salt: "ltv".into(),
        };
        let all = |of: &dyn Fn(u32) -> f64| (0..users).map(of).collect::<Vec<f64>>();
        let input = RoiInput {
            outcomes: vec![30],
            horizon: 30,
            values: vec![all(&|_| 1.0)],
            cost: all(&cost),
            control: all(&|_| 1.0),
            treatment: all(&|_| 1.0),
            signal: all(&|_| 1.0),
            fraction: all(&|i| f64::from(i % 2) * 0.5),
            order: (0..u64::from(users)).collect(),
            segments: vec![],
        };
        let options = RoiOptions {
            arm_share: 0.5,
            ..RoiOptions::default()
        };
        roi(about, input, &options, &Silent).unwrap()
    }

    #[test]
    fn few_users_and_spends_that_differ_are_warned_of() {
        assert!(found(2000, |_| 1.0).warnings().is_empty());
        // Three tenths of 660 are 198 users of a cost of 1.
        let few = found(1320, |_| 1.0).warnings();
        assert!(few.len() == 1 && few[0].starts_with("198 users"), "{few:?}");
        // The cheaper arm's users cost 1 each, so that 300 may be spent; at 120 each two are bought.
        let apart = found(2000, |i| if i % 2 == 1 { 1.0 } else { 120.0 });
        let said = apart.warnings();
        assert!(
            said[0].starts_with("spends of the arms differ by 20.0 %"),
            "{said:?}"
        );
        assert!(
            apart
                .summary()
                .lines()
                .any(|l| l == format!("WARNING: {}", said[0]))
        );
    }
}
