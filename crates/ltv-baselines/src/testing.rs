//! Made-up users for tests.

use crate::rows::{Frame, TrainingRows};
use ltv_core::{
    Day, Horizons,
    config::Label,
    encoding::{Cells, EncodedRows, Encoding, FeatureEncoding},
};

/// Numbers that look random (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }
}

pub(crate) const COLUMNS: [&str; 4] = ["recency", "active_days", "value_sum", "extra"];

/// Four numeric columns and a category of eight values.
pub(crate) fn frame(days: &[u32]) -> Frame {
    let values = (0..8).map(|i| format!("c{i}")).collect();
    Frame {
        split: Default::default(),
        horizons: Horizons::new(days.to_vec()).unwrap(),
        window_days: 7,
        label: Label::Value,
        as_of: Day(20_000),
        encoding: Encoding {
            cohort: None,
            plain: COLUMNS.map(String::from).to_vec(),
            features: vec![FeatureEncoding {
                name: "channel".into(),
                columns: vec!["channel".into()],
                cells: Cells::Vocabulary { values },
                scale: None,
            }],
        },
    }
}

/// A user: four numbers, the cell of its category, labels.
pub(crate) type User = ([f64; 4], u32, Vec<f64>);

pub(crate) fn rows(users: &[User]) -> TrainingRows {
    let mut rows = TrainingRows::default();
    for (i, (plain, cell, labels)) in users.iter().enumerate() {
        let block = EncodedRows {
            rows: 1,
            cells: vec![*cell],
            plain: plain.to_vec(),
            labels: labels.clone(),
            ..EncodedRows::default()
        };
        rows.push(&block, &[Day(i as i32)]);
    }
    rows
}

/// `n` users whose labels are those that `label` makes of their numbers, their cell and a dice.
pub(crate) fn users(
    n: usize,
    seed: u64,
    label: impl Fn(&[f64; 4], u32, &mut Dice) -> Vec<f64>,
) -> TrainingRows {
    let mut dice = Dice(seed);
    let user = |dice: &mut Dice| {
        let days = 1.0 + dice.below(5) as f64;
        let plain = [
            dice.below(7) as f64,
            days,
            (days * 10.0 * dice.uniform()).round(),
            dice.uniform(),
        ];
        let cell = 1 + dice.below(9) as u32;
        let labels = label(&plain, cell, dice);
        (plain, cell, labels)
    };
    let list: Vec<User> = (0..n).map(|_| user(&mut dice)).collect();
    rows(&list)
}
