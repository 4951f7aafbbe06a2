//! Event logs and user tables that cannot be used.

use crate::{
    Cases,
    support::{dates, floats, ints, words},
};
use arrow::array::ArrayRef;
use std::fs;

/// 2023-01-01.
const FIRST: i32 = 19_358;

/// A dataset of one event log; its files follow.
const BASE: &str = "features --label value --event-value amount --as-of 2023-03-01 --horizons 7,14 \
                    --quiet --out data --events";

fn events(user: ArrayRef, time: ArrayRef, amount: ArrayRef) -> [(&'static str, ArrayRef); 3] {
    [("user_id", user), ("timestamp", time), ("amount", amount)]
}

/// Ten users with three days of activity each, from 2023-01-01 on.
fn good_events() -> [(&'static str, ArrayRef); 3] {
    let n = 30;
    events(
        ints((0..n).map(|i| i64::from(i / 3))),
        dates((0..n).map(|i| FIRST + i / 3 + 4 * (i % 3))),
        floats((0..n).map(|i| f64::from(i % 7))),
    )
}

#[test]
fn event_files() {
    let mut cases = Cases::new();
    cases.at.parquet("good.parquet", &good_events());
    let whole = fs::read(cases.at.path("good.parquet")).unwrap();
    cases.at.write("empty.parquet", "");
    cases.at.write("cut.parquet", &whole[..whole.len() / 2]);
    cases
        .at
        .write("table.csv", "user_id,timestamp\n1,2023-01-01\n");
    cases.at.write("notes/readme.txt", "no table here");
    let files = [
        ("events that are not there", "nowhere.parquet"),
        ("a folder without tables", "notes"),
        ("an empty file", "empty.parquet"),
        ("a truncated file", "cut.parquet"),
        ("a CSV file", "table.csv"),
        ("one file of two is truncated", "good.parquet cut.parquet"),
        ("the same file by two names", "good.parquet ./good.parquet"),
    ];
    cases.all_of(BASE, &files);
    cases.check("event_files", 7);
}

/// Event logs of three events, each with one thing wrong.
fn bad_events(cases: &Cases) {
    let at = &cases.at;
    let (three, day) = (|| ints([1, 2, 3]), || dates([FIRST, FIRST, FIRST + 1]));
    let one = || floats([1.0, 2.0, 3.0]);
    let text = || words(["a", "b", "c"]);
    let nobody: [i64; 0] = [];
    let write = |name, user, time, amount| at.parquet(name, &events(user, time, amount));
    at.parquet("good.parquet", &good_events());
    at.parquet("no_time.parquet", &good_events()[..1]);
    write("user_float.parquet", one(), day(), one());
    write("user_text.parquet", text(), day(), one());
    write("time_text.parquet", three(), text(), one());
    write("amount_text.parquet", three(), day(), text());
    let null = ints([Some(1), None, Some(3)]);
    write("null_user.parquet", null, day(), one());
    let null = dates([Some(FIRST), Some(FIRST), None]);
    write("null_time.parquet", three(), null, one());
    let nan = floats([1.0, f64::NAN, 3.0]);
    write("nan.parquet", three(), day(), nan);
    let infinite = floats([f64::INFINITY, 2.0, 3.0]);
    write("infinite.parquet", three(), day(), infinite);
    let (user, time) = (ints(nobody), dates([0; 0]));
    write("no_rows.parquet", user, time, floats([0.0; 0]));
}

const EVENT_COLUMNS: &[(&str, &str)] = &[
    ("no time column", "no_time.parquet"),
    (
        "another name of the user column",
        "good.parquet --event-user customer",
    ),
    ("user ids are floats", "user_float.parquet"),
    ("times are text", "time_text.parquet"),
    ("values are text", "amount_text.parquet"),
    ("a null user", "null_user.parquet"),
    ("a null time", "null_time.parquet"),
    ("a value that is NaN", "nan.parquet"),
    ("a value that is infinite", "infinite.parquet"),
    (
        "two files of different types",
        "good.parquet user_text.parquet",
    ),
    (
        "a mean of a column that is not there",
        "good.parquet --mean discount",
    ),
    ("a log without a row", "no_rows.parquet"),
];

#[test]
fn event_columns() {
    let mut cases = Cases::new();
    bad_events(&cases);
    cases.all_of(BASE, EVENT_COLUMNS);
    let price = BASE.replace("amount", "price");
    let what = "another name of the value column";
    cases.case(what, &format!("{price} good.parquet"));
    let early = BASE.replace("2023-03-01", "2022-01-01");
    let what = "nobody registered before the as-of date";
    cases.case(what, &format!("{early} good.parquet"));
    cases.check("event_columns", 14);
}

const USER_TABLES: &[(&str, &str)] = &[
    ("a user twice", "--users twice.parquet"),
    (
        "a user twice in one of many partitions",
        "--users twice.parquet --partitions 4",
    ),
    ("a user in two files", "--users good.parquet more.parquet"),
    ("a null user", "--users null_user.parquet"),
    ("users of another type", "--users text_user.parquet"),
    (
        "registration is text",
        "--users text_day.parquet --registration registered",
    ),
    (
        "no such registration column",
        "--users good.parquet --registration signup",
    ),
    (
        "no such profile column",
        "--users good.parquet --profile channel",
    ),
    ("a profile without a user table", "--profile channel"),
    (
        "registration without a user table",
        "--registration registered",
    ),
    (
        "a column with a reserved name",
        "--users good.parquet --keep user_id",
    ),
    (
        "a holiday that is not a date",
        "--holiday-file holidays.txt",
    ),
    (
        "a holiday file that is not there",
        "--holiday-file nowhere.txt",
    ),
];

#[test]
fn user_tables() {
    let mut cases = Cases::new();
    let at = &cases.at;
    at.parquet("e.parquet", &good_events());
    let write = |name, user, day| at.parquet(name, &[("user_id", user), ("registered", day)]);
    let day = || dates([FIRST, FIRST, FIRST + 1]);
    write("twice.parquet", ints([1, 2, 2]), day());
    let null = ints([Some(1), None, Some(3)]);
    write("null_user.parquet", null, day());
    write("text_user.parquet", words(["a", "b", "c"]), day());
    let text = words(["x", "y", "z"]);
    write("text_day.parquet", ints([1, 2, 3]), text);
    write("good.parquet", ints([1, 2, 3]), day());
    write("more.parquet", ints([3, 4, 5]), day());
    at.write("holidays.txt", "2023-01-01\nfirst of May\n");
    cases.all_of(&format!("{BASE} e.parquet"), USER_TABLES);
    cases.check("user_tables", 13);
}
