//! Options of `ltv features`, on the command line and in a file.

use crate::{
    Cases,
    support::{dates, ints},
};

/// A line with everything but an as-of date.
const DAYLESS: &str = "features --events e.parquet --quiet --label active_days --out data";

const WITHOUT_A_DAY: &[(&str, &str)] = &[
    ("no as-of date", ""),
    ("a date that is not one", "--as-of 2023-02-30"),
];

/// What may follow a good line.
const OPTIONS: &[(&str, &str)] = &[
    ("horizons that do not grow", "--horizons 90,30"),
    ("a horizon of no days", "--horizons 0,30"),
    ("a horizon that is not a number", "--horizons month"),
    ("a window of no days", "--window-days 0"),
    (
        "days of registration the wrong way round",
        "--registered-from 2023-02-01 --registered-before 2023-01-01",
    ),
    ("a sequence without a measure", "--sequence spent"),
    ("a sequence twice", "--sequence a=count --sequence a=count"),
    ("a sequence with an impossible name", "--sequence a'b=count"),
    ("no threads", "--threads 0"),
    ("a flag that does not exist", "--horizon 30"),
];

const FILES: &[(&str, &str)] = &[
    ("a key that does not exist", "--config unknown.toml"),
    ("a key of the wrong type", "--config type.toml"),
    ("a file that is not TOML", "--config broken.toml"),
    ("a date of the wrong form", "--config date.toml"),
    ("a configuration that is not there", "--config nowhere.toml"),
];

const LINES: &[(&str, &str)] = &[
    (
        "no label",
        "features --events e.parquet --out data --as-of 2023-03-01",
    ),
    ("no events", "features --out data"),
    (
        "a label of value without a column",
        "features --events e.parquet --out data --as-of 2023-03-01 --label value",
    ),
    (
        "an output folder with other things",
        "features --events e.parquet --label active_days --as-of 2023-03-01 --quiet --out full",
    ),
    (
        "an output that is a file",
        "features --events e.parquet --label active_days --as-of 2023-03-01 --quiet --out file",
    ),
    ("a command that does not exist", "predict"),
];

#[test]
fn feature_options() {
    let mut cases = Cases::new();
    let at = &cases.at;
    at.parquet(
        "e.parquet",
        &[
            ("user_id", ints([1, 1, 2])),
            ("timestamp", dates([19_358, 19_360, 19_370])),
        ],
    );
    let start = "[dataset]\nas_of = \"2023-03-01\"\n";
    at.write("unknown.toml", format!("{start}lable = \"value\"\n"));
    let window = "label = \"value\"\nwindow_days = \"7\"\n";
    at.write("type.toml", format!("{start}{window}"));
    at.write("broken.toml", "[dataset\n");
    at.write(
        "date.toml",
        "[dataset]\nas_of = \"01.03.2023\"\nlabel = \"value\"\n",
    );
    at.write("full/notes.txt", "something of mine");
    at.write("file", "not a folder");
    cases.all_of(DAYLESS, WITHOUT_A_DAY);
    cases.all_of(&format!("{DAYLESS} --as-of 2023-03-01"), OPTIONS);
    cases.all_of("features --events e.parquet --out data", FILES);
    cases.all(LINES);
    cases.check("feature_options", 23);
}
