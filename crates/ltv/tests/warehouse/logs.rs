//! Random small event logs and user tables, full of ties, gaps and missing values, and
//! configurations that read all of their columns.

use crate::support::{Workspace, dates, floats, ints, words};
use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array},
    compute::cast,
    datatypes::{DataType, TimeUnit},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// First day of the logs; some start before 1970.
const STARTS: [i64; 3] = [19_700, -10, 11_015];
const DAYS: i64 = 40;
/// Ids as text: capitals, accents and lengths decide their order, which is that of their bytes.
const IDS: [&str; 12] = [
    "a", "B", "aa", "b", "é", "z", "Z", "10", "9", "", "ä", "user 12",
];
const WORDS: [&str; 6] = ["b", "a", "", "é", "B", "ab"];

/// Zeros are one and the same.
const RANKS: [f64; 4] = [0.0, -0.0, 1.0 / 3.0, f64::NAN];

/// Draws for one log.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, n: i64) -> i64 {
        self.0.random_range(0..n)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as i64) as usize]
    }

    fn yes(&mut self) -> bool {
        self.0.random()
    }

    /// `n` draws, one in five missing.
    fn some<T>(&mut self, n: usize, mut draw: impl FnMut(&mut Self) -> T) -> Vec<Option<T>> {
        (0..n)
            .map(|_| (self.below(5) > 0).then(|| draw(self)))
            .collect()
    }

    fn ids(&mut self, n: usize, text: bool) -> ArrayRef {
        let places: Vec<i64> = (0..n).map(|_| self.below(12)).collect();
        people(&places, text)
    }

    /// Times of day of which many are equal, in one of the types that a time may have.
    fn times(&mut self, n: usize, start: i64) -> ArrayRef {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let zone = |text: &str| Some(Arc::from(text));
        let kind = match self.below(6) {
            0 => DataType::Date32,
            1 => DataType::Timestamp(Millisecond, zone("UTC")),
            2 => DataType::Timestamp(Nanosecond, None),
            3 => DataType::Timestamp(Microsecond, zone("America/New_York")),
            4 => DataType::Timestamp(Microsecond, zone("+05:45")),
            _ => DataType::Timestamp(Microsecond, None),
        };
        let mut second = || {
            let hour = self.one(&[0, 3, 12, 23]);
            let last = self.one(&[0, 3_599]);
            (start + self.below(DAYS)) * 86_400 + hour * 3_600 + last
        };
        let seconds: Int64Array = (0..n).map(|_| Some(second())).collect();
        let naive = cast(&seconds, &DataType::Timestamp(Second, None)).unwrap();
        match kind {
            // The instant stays; only how it is written changes.
            DataType::Timestamp(unit, Some(zone)) => {
                let utc = DataType::Timestamp(unit, None);
                let ticks = cast(&cast(&naive, &utc).unwrap(), &DataType::Int64).unwrap();
                cast(&ticks, &DataType::Timestamp(unit, Some(zone))).unwrap()
            }
            kind => cast(&naive, &kind).unwrap(),
        }
    }
}

fn people(places: &[i64], text: bool) -> ArrayRef {
    match text {
        true => words(places.iter().map(|&p| IDS[p as usize])),
        false => ints(places.iter().map(|&p| p * 7 - 20)),
    }
}

fn flags(values: Vec<Option<bool>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<BooleanArray>())
}

/// Writes `orders.parquet` and `customers.parquet`, the tables of the page on warehouses.
pub(crate) fn shop(at: &Workspace) {
    let mut draw = Draw::new(1);
    let start = 19_400;
    let moments = |seconds: Vec<Option<i64>>| -> ArrayRef {
        let second = DataType::Timestamp(TimeUnit::Second, None);
        let micro = DataType::Timestamp(TimeUnit::Microsecond, None);
        cast(&cast(&ints(seconds), &second).unwrap(), &micro).unwrap()
    };
    let second = |d: &mut Draw| (start + d.below(400)) * 86_400 + d.one(&[0, 3_600, 86_399]);
    let cents = |d: &mut Draw| (d.below(5_000) - 500) as f64 / 100.0;
    let orders: [(&str, ArrayRef); 4] = [
        ("customer", ints((0..900).map(|_| draw.below(120)))),
        (
            "created_at",
            moments((0..900).map(|_| Some(second(&mut draw))).collect()),
        ),
        ("amount", floats((0..900).map(|_| cents(&mut draw)))),
        ("product", words(draw.some(900, |d| d.one(&WORDS)))),
    ];
    at.parquet("orders.parquet", &orders);
    let customers: [(&str, ArrayRef); 4] = [
        ("customer", ints(10..140)),
        ("signed_up_at", moments(draw.some(130, second))),
        ("channel", words(draw.some(130, |d| d.one(&WORDS)))),
        ("age", ints(draw.some(130, |d| 18 + d.below(40)))),
    ];
    at.parquet("customers.parquet", &customers);
}

/// Writes `events.parquet` and `users.parquet`, and gives the configuration that reads them.
pub(crate) fn write(at: &Workspace, seed: u64) -> String {
    let mut draw = Draw::new(seed);
    let (text, start) = (draw.yes(), draw.one(&STARTS));
    events(at, &mut draw, text, start);
    users(at, &mut draw, text, start);
    config(&mut draw, start)
}

fn events(at: &Workspace, draw: &mut Draw, text: bool, start: i64) {
    let n = draw.below(150) as usize + 1;
    let narrow = |values: Vec<Option<i64>>| cast(&ints(values), &DataType::Int16).unwrap();
    let size = |d: &mut Draw| match d.below(12) {
        0 => f64::NAN,
        // Neither more digits than a decimal of a statement has, nor exact in binary.
        1 => 987_654.123_457,
        2 => 0.1,
        3 => -0.0,
        k => k as f64 / 8.0 - 1.0,
    };
    let columns: [(&str, ArrayRef); 9] = [
        ("who", draw.ids(n, text)),
        ("when", draw.times(n, start)),
        (
            "amount",
            floats((0..n).map(|_| (draw.below(2_000) - 500) as f64 / 100.0)),
        ),
        ("seq", ints(draw.some(n, |d| d.below(3)))),
        ("rank", floats(draw.some(n, |d| d.one(&RANKS)))),
        ("Word", words(draw.some(n, |d| d.one(&WORDS)))),
        ("code", narrow(draw.some(n, |d| d.below(14) - 2))),
        ("is it", flags(draw.some(n, Draw::yes))),
        ("size \"x\"", floats(draw.some(n, size))),
    ];
    at.parquet("events.parquet", &columns);
}

fn users(at: &Workspace, draw: &mut Draw, text: bool, start: i64) {
    let places: Vec<i64> = (0..12).filter(|_| draw.below(4) > 0).collect();
    let n = places.len();
    let day = |d: &mut Draw| (start - 2 + d.below(DAYS + 4)) as i32;
    let float = |values: Vec<Option<f64>>| cast(&floats(values), &DataType::Float32).unwrap();
    let columns: [(&str, ArrayRef); 8] = [
        ("id", people(&places, text)),
        ("signed", dates(draw.some(n, day))),
        ("channel", words(draw.some(n, |d| d.one(&WORDS)))),
        ("order", ints(draw.some(n, |d| d.below(4)))),
        ("score", float(draw.some(n, |d| d.below(9) as f64 / 3.0))),
        ("vip", flags(draw.some(n, Draw::yes))),
        ("cost", floats(draw.some(n, |d| d.below(9) as f64 / 3.0))),
        ("met", dates(draw.some(n, day))),
    ];
    at.parquet("users.parquet", &columns);
}

fn config(draw: &mut Draw, start: i64) -> String {
    let date = |day: i64| ltv_core::Day(day as i32).to_string();
    let mut lines = vec!["[events]\nuser = 'who'\ntime = 'when'\nvalue = 'amount'".to_string()];
    lines.extend(match draw.below(4) {
        0 => None,
        1 => Some("order = 'seq'".into()),
        2 => Some("order = 'rank'".into()),
        _ => Some("order = 'Word'".into()),
    });
    lines.push("[dataset]".into());
    lines.push(format!("as_of = '{}'", date(start + 5 + draw.below(DAYS))));
    let label = draw.one(&["value", "active_days"]);
    let window = draw.one(&[1, 3, 7]);
    lines.push(format!(
        "label = '{label}'\nwindow_days = {window}\nhorizons = [2, 9, 300]"
    ));
    if draw.below(3) == 0 {
        let from = start + draw.below(DAYS / 2);
        let (from, before) = (date(from), date(from + 12));
        lines.push(format!(
            "registered_from = '{from}'\nregistered_before = '{before}'"
        ));
    }
    if draw.below(3) > 0 {
        lines.push("[users]\nuser = 'id'\nkeep = ['cost', 'met']".into());
        lines.push("profile = ['channel', 'order', 'score', 'vip']".into());
        lines.extend(draw.yes().then(|| "registration = 'signed'".to_string()));
    }
    let holidays = [start + 3, start + 4, start + 20].map(date);
    lines.push(format!("[holidays]\ndays = {holidays:?}"));
    lines.push(REST.into());
    lines.join("\n")
}

/// Every column as everything that it can be.
const REST: &str = r#"
[aggregates]
mean = ['size "x"', 'is it']
max = ['code', 'size "x"']
first = ['Word', 'code']
first_numeric = ['size "x"', 'amount']
mode = ['Word', 'code', 'is it']

[[sequences]]
name = 'cnt'
measure = 'count'

[[sequences]]
name = 'Sizes'
measure = { sum = 'size "x"' }

[[sequences]]
name = 'spent'
measure = { sum = 'amount' }
"#;
