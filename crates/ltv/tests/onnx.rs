//! Exported graphs in ONNX Runtime itself, where it is installed: for every user of a dataset the
//! numbers of `ltv score`, whatever the model's options and decoding.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, Date32Type, Float64Type},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};
use support::{Workspace, dates, floats, ints, words};

/// Checks every model, runs it on the columns of a table, and prints what it gives, as JSON. This is all
/// that serving takes: an array of the input's type for each column, `[rows, 1]`.
const SERVER: &str = "
import json, sys
import numpy, onnx, onnxruntime

def array(kind, values, missing):
    if kind == 'tensor(string)':
        values = numpy.array([missing if v is None else v for v in values], dtype=object)
    elif kind == 'tensor(double)':
        values = numpy.array(values, dtype=numpy.float64)
    else:
        values = numpy.array(values, dtype=numpy.int64)
    return values.reshape(-1, 1)

table, answers = json.load(open(sys.argv[1])), []
for path in sys.argv[2:]:
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    feeds = {i.name: array(i.type, table[i.name], metadata['missing_text']) for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    columns = dict(zip(names, (c[:, 0].tolist() for c in session.run(names, feeds))))
    one = session.run(names, {name: values[:1] for name, values in feeds.items()})
    answers.append({'columns': columns, 'metadata': metadata, 'one': [c[0, 0] for c in one]})
print(json.dumps(answers))
";

/// A Python with ONNX and ONNX Runtime: that of `LTV_ONNX_PYTHON`, or the first on the path. Where
/// everything is to be tested, it must be there.
fn python() -> Option<String> {
    let python = env::var("LTV_ONNX_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    command.args(["-c", "import numpy, onnx, onnxruntime"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status
        .is_ok_and(|status| status.success())
        .then_some(python)
}

const SKIPPED: &str = "skipped: no Python with onnx and onnxruntime; LTV_ONNX_PYTHON may name one";

/// All rows of the Parquet files in a folder.
fn table(folder: &Path) -> Vec<RecordBatch> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
        .collect();
    files.sort();
    let open = |path| ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches = files.iter().flat_map(|path| open(path).build().unwrap());
    batches.map(Result::unwrap).collect()
}

/// A dataset's columns as ONNX takes them: numbers, text, days since 1970; null where missing.
fn columns(folder: &Path, report: &Value) -> Value {
    let batches = table(folder);
    let mut all = BTreeMap::new();
    for (kind, to) in [
        ("numbers", DataType::Float64),
        ("texts", DataType::Utf8),
        ("days", DataType::Date32),
    ] {
        for name in report[kind].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let of = |batch: &RecordBatch| {
                let column = cast(batch.column_by_name(name).unwrap(), &to).unwrap();
                values(&column)
            };
            let values: Vec<Value> = batches.iter().flat_map(of).collect();
            all.insert(name.to_owned(), values);
        }
    }
    json!(all)
}

fn values(column: &ArrayRef) -> Vec<Value> {
    match column.data_type() {
        DataType::Float64 => {
            let numbers = column.as_primitive::<Float64Type>().iter();
            numbers.map(|x| json!(x)).collect()
        }
        DataType::Utf8 => column.as_string::<i32>().iter().map(|x| json!(x)).collect(),
        _ => {
            let days = column.as_primitive::<Date32Type>().iter();
            days.map(|x| json!(x)).collect()
        }
    }
}

/// One column of a snapshot.
fn scores(folder: &Path, name: &str) -> Vec<f64> {
    let of = |batch: &RecordBatch| {
        let column = batch.column_by_name(name).unwrap();
        column.as_primitive::<Float64Type>().values().to_vec()
    };
    table(folder).iter().flat_map(of).collect()
}

/// A model with a decoding: exported, and scored by the binary.
struct Exported {
    model: String,
    decoding: &'static str,
    report: Value,
}

impl Exported {
    fn new(at: &Workspace, model: &str, decoding: &'static str) -> Self {
        let name = format!("{model}.{}", decoding.replace(':', ""));
        let same = format!("--model {model}.ltv --decoding {decoding}");
        at.ok(&format!(
            "score {same} --data data --quiet --out {name}.snap"
        ));
        let text = at.ok(&format!("export {same} --json --onnx {name}.onnx"));
        Self {
            model: name,
            decoding,
            report: serde_json::from_str(&text).unwrap(),
        }
    }
}

/// Asserts that ONNX Runtime gives what `ltv score` gives.
fn check(at: &Workspace, python: &str, all: &[Exported]) {
    let table = columns(&at.path("data"), &all[0].report);
    at.write("table.json", table.to_string());
    let mut command = Command::new(python);
    command.args(["-c", SERVER]).arg(at.path("table.json"));
    command.args(all.iter().map(|e| at.path(&format!("{}.onnx", e.model))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", support::text(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), all.len());
    for (exported, answer) in all.iter().zip(&answers) {
        let metadata = &answer["metadata"];
        assert_eq!(metadata["model_id"], exported.report["model_id"]);
        let shown = exported.decoding.replace("median", "quantile:0.5");
        assert_eq!(metadata["decoding"], shown);
        for key in metadata.as_object().unwrap().keys() {
            assert!(PAGE.contains(&format!("\n| `{key}` |")), "{key}");
        }
        let names = exported.report["outputs"].as_array().unwrap();
        for (i, name) in names.iter().enumerate() {
            let name = name.as_str().unwrap();
            let found = answer["columns"][name].as_array().unwrap();
            let found: Vec<f64> = found.iter().map(|x| x.as_f64().unwrap()).collect();
            let expected = scores(&at.path(&format!("{}.snap", exported.model)), name);
            close(exported.decoding, name, &found, &expected);
            let one = answer["one"][i].as_f64().unwrap();
            assert!(
                (one - found[0]).abs() <= NEAR * (1.0 + one),
                "{name}: a row alone"
            );
        }
    }
}

/// Where the metadata's keys are listed.
const PAGE: &str = include_str!("../../../docs/formats/onnx.md");

/// How near numbers are, in relation to their size plus the mean's: the network runs in single precision on
/// either side, in another order of additions.
const NEAR: f64 = 1e-5;
/// The same of quantiles, which are divided by the probability of a bucket, and of `matched`, whose curves
/// are steep where the best users are.
const NEAR_STEEP: f64 = 1e-4;
/// Share of rows that may lie on the other side of a step: a value of a discrete distribution changes at
/// once where a cumulated probability meets a level, or two probabilities meet.
const STEPS: f64 = 0.001;

fn close(decoding: &str, name: &str, found: &[f64], expected: &[f64]) {
    let what = format!("{name}, {decoding}");
    assert!(found.len() == expected.len() && !found.is_empty(), "{what}");
    let is_value = !name.contains("_p");
    let has_steps = if is_value {
        !["expectation", "matched"].contains(&decoding)
    } else {
        !name.ends_with("_positive")
    };
    let near = match decoding {
        "expectation" | "argmax" if is_value => NEAR,
        _ if name.ends_with("_positive") => NEAR,
        _ => NEAR_STEEP,
    };
    let mean = expected.iter().sum::<f64>() / expected.len() as f64;
    // Zero where both are, though nobody has any.
    let off = |(a, b): (&f64, &f64)| (a - b).abs() / (b.abs() + mean);
    let all: Vec<f64> = found.iter().zip(expected).map(off).collect();
    let (beyond, rows) = (all.iter().filter(|x| **x > near).count(), all.len());
    let worst = all.iter().copied().fold(0.0, f64::max);
    let most = if has_steps { STEPS * rows as f64 } else { 0.0 };
    assert!(
        beyond as f64 <= most,
        "{what}: {beyond} of {rows} rows are off, at worst by {worst}"
    );
}

const DECODINGS: [&str; 5] = ["expectation", "median", "quantile:0.9", "argmax", "matched"];

/// Every decoding, on users whose windows are not over, who have done nothing, or whose channel the
/// model has not seen often enough.
#[test]
fn every_decoding_is_that_of_score() {
    let Some(python) = python() else {
        println!("{SKIPPED}");
        return;
    };
    let at = Workspace::new();
    at.ok("simulate --users 4000 --quiet --out sim");
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --out data",
    );
    at.write("train.toml", "[encoding]\nmin_category_rows = 500\n");
    at.ok("train --config train.toml --data data --quiet --epochs 2 --out model.ltv");
    let all: Vec<_> = DECODINGS
        .into_iter()
        .map(|decoding| Exported::new(&at, "model", decoding))
        .collect();
    assert_eq!(all[0].report["outputs"].as_array().unwrap().len(), 20);
    check(&at, &python, &all);
}

/// A small shop whose tables have holes: categories that are null, empty, rare or numbers, ages that are
/// null or NaN, users without an event.
fn shop() -> Workspace {
    let at = Workspace::new();
    let users = 1200i64;
    let channels = ["ads", "search", "", "friend", "rare"];
    let channel = |u: i64| match u % 11 {
        10 => None,
        9 if u % 7 == 0 => Some("rare"),
        k => Some(channels[k as usize % 4]),
    };
    let age = |u: i64| match u % 6 {
        0 => None,
        1 => Some(f64::NAN),
        k => Some((u % 50 * k) as f64 / 3.0),
    };
    let first = 18_600;
    let registered = |u: i64| first + (u * 7 % 300) as i32;
    at.parquet(
        "users.parquet",
        &[
            ("user_id", ints((0..users).map(Some))),
            ("registered", dates((0..users).map(|u| Some(registered(u))))),
            ("channel", words((0..users).map(channel))),
            (
                "region",
                ints((0..users).map(|u| (u % 13 > 0).then_some(u % 5))),
            ),
            ("age", floats((0..users).map(age))),
        ],
    );
    let (mut who, mut when, mut amount) = (vec![], vec![], vec![]);
    let (mut price, mut product) = (vec![], vec![]);
    for u in (0..users).filter(|u| u % 9 > 0) {
        for k in 0..u % 8 + 1 {
            let day = i64::from(registered(u)) + k * k * (1 + u % 4);
            who.push(Some(u));
            when.push((day * 86_400 + u * 37 % 86_400) * 1_000_000);
            amount.push(Some((u * 31 % 97 + k) as f64 / 4.0 - 2.0));
            price.push((k % 5 > 0).then_some((u % 23) as f64));
            product.push((u % 3 > 0).then_some(["tea", "cup", "pot"][((u + k) % 3) as usize]));
        }
    }
    let when: ArrayRef = Arc::new(TimestampMicrosecondArray::from(when));
    at.parquet(
        "events.parquet",
        &[
            ("user_id", ints(who)),
            ("timestamp", when),
            ("amount", floats(amount)),
            ("price", floats(price)),
            ("product", words(product)),
        ],
    );
    at.write(
        "features.toml",
        "[events]\nvalue = \"amount\"\n\
         [users]\nregistration = \"registered\"\nprofile = [\"channel\", \"region\", \"age\"]\n\
         [dataset]\nas_of = \"2021-11-01\"\nlabel = \"value\"\nhorizons = [14, 30, 60]\n\
         [[sequences]]\nname = \"cnt\"\nmeasure = \"count\"\n\
         [[sequences]]\nname = \"spent\"\nmeasure = { sum = \"amount\" }\n\
         [aggregates]\nmean = [\"price\"]\nmax = [\"amount\"]\nfirst = [\"product\"]\n\
         first_numeric = [\"price\"]\n",
    );
    at.ok(
        "features --config features.toml --events events.parquet --users users.parquet --quiet \
           --out data",
    );
    at.write("train.toml", "[encoding]\nmin_category_rows = 20\n");
    at
}

/// Every part that a network can be made of, several at a time.
#[test]
fn every_option_is_exported() {
    let Some(python) = python() else {
        println!("{SKIPPED}");
        return;
    };
    let at = shop();
    let mut all = vec![];
    for (name, options, decodings) in [
        (
            "strict",
            "--mono strict --backbone mmoe --cross deepfm --sequence cnn",
            &DECODINGS[..],
        ),
        (
            "ple",
            "--backbone ple --cross dcn --sequence transformer --sequence-layers 2",
            &["expectation"],
        ),
        (
            "wavelet",
            "--cross dcn --cross-rank 0 --sequence wavelet --mono off --bias false --segments 3",
            &["expectation", "median", "argmax"],
        ),
        ("ziln", "--head ziln --trend false", &DECODINGS[..]),
        (
            "mixture",
            "--head mixture --numbers false --monotone false",
            &["expectation", "argmax", "matched"],
        ),
    ] {
        at.ok(&format!(
            "train --config train.toml --data data --quiet --epochs 3 --batch 64 --out {name}.ltv {options}"
        ));
        all.extend(decodings.iter().map(|d| Exported::new(&at, name, d)));
    }
    check(&at, &python, &all);
}

/// Two years of purchases by real people, where the log is.
#[test]
fn real_purchases_are_scored_alike() {
    let Some(python) = python() else {
        println!("{SKIPPED}");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let log = root.join("../shared/data/online_retail.parquet");
    if !log.exists() {
        println!("skipped: {} is not there", log.display());
        return;
    }
    let at = Workspace::new();
    at.write(
        "features.toml",
        "[events]\nvalue = \"value\"\n\
         [dataset]\nas_of = \"2011-10-01\"\nlabel = \"value\"\nhorizons = [30, 90]\n\
         [aggregates]\nmean = [\"unit_price\"]\nfirst = [\"country\", \"stock_code\"]\n",
    );
    let mut command = at.ltv("features --config features.toml --quiet --out data");
    let output = command.arg("--events").arg(&log).output().unwrap();
    assert!(output.status.success(), "{}", support::text(&output.stderr));
    at.ok("train --data data --quiet --epochs 4 --out model.ltv");
    check(
        &at,
        &python,
        &DECODINGS.map(|d| Exported::new(&at, "model", d)),
    );
}

/// What ONNX cannot say is left out or refused, and a file of another kind is not replaced.
#[test]
fn what_cannot_be_exported_is_said() {
    let at = shop();
    at.ok(
        "train --config train.toml --data data --quiet --epochs 1 --head mixture --out model.ltv",
    );
    let line = "export --model model.ltv --onnx model.onnx";
    let error = at.error(&format!("{line} --decoding median"));
    let expected =
        "decoding: 'quantile:0.5' of a model with model.head = \"mixture\" cannot be exported";
    assert!(error.contains(expected), "{error}");
    assert!(!at.path("model.onnx").exists());
    let report: Value = serde_json::from_str(&at.ok(&format!("{line} --json"))).unwrap();
    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 6, "{outputs:?}");
    // An empty channel is a value of this model, so that it cannot stand for a missing one.
    assert_eq!(report["missing_text"], "<missing>");
    let first = fs::read(at.path("model.onnx")).unwrap();
    let text = at.ok(line);
    assert!(text.contains("'<missing>' where missing"), "{text}");
    assert!(
        fs::read(at.path("model.onnx")).unwrap() == first,
        "the same bytes"
    );
    let error = at.error("export --model model.ltv --onnx users.parquet");
    assert!(
        error.contains("users.parquet: is there and is not"),
        "{error}"
    );
    let error = at.error("export --model model.onnx --onnx other.onnx");
    assert!(error.contains("model.onnx: "), "{error}");
}
