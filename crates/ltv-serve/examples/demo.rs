//! Serves made-up users, to look at or to measure: `cargo run --release -p ltv-serve --example demo -- 1000000`.
//!
//! The argument is how many users there are; their ids are 0, 1, 2 and so on. Another publishes a version every so
//! many milliseconds beside it: `demo publish FOLDER USERS MILLISECONDS`.
//!
//! For tests of the interface (`.ci/schemathesis`): `demo make FOLDER USERS` makes `FOLDER/store` and `FOLDER/tokens` and
//! prints a token; `demo serve --store DIR --tokens FILE --listen ADDRESS` serves like `ltv serve`.

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    error::ArrowError,
    record_batch::RecordBatch,
};
use ltv_core::{
    Horizons,
    manifest::{FileEntry, SnapshotManifest},
    progress::Silent,
};
use ltv_online::{Embedded, OnlineError, Store, publish, publish::columns, value::Detail};
use ltv_serve::{Config, Server, log, signalled, tokens};
use std::{
    collections::HashMap, error::Error, fs, path::Path, sync::Arc, thread::sleep, time::Duration,
};

const DAYS: [u32; 4] = [30, 90, 180, 365];
const BATCH: i64 = 8192;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["publish", folder, users, pause] => {
            let store = Embedded::open(folder)?;
            for i in 1.. {
                put(&store, users.parse()?, i, false)?;
                sleep(Duration::from_millis(pause.parse()?));
            }
            Ok(())
        }
        ["make", folder, users] => make(Path::new(folder), users.parse()?),
        ["serve", ref flags @ ..] => serve_as_told(flags),
        _ => {
            let users = words.first().map_or(Ok(1_000_000), |n| n.parse())?;
            let folder = tempfile::tempdir()?;
            let store = Embedded::open(folder.path())?;
            put(&store, users, 0, false)?;
            put(&store, users, 1, false)?;
            drop(store);
            eprintln!("{}", folder.path().display());
            serve(Config::new("127.0.0.1:8080".parse()?), folder.path())
        }
    }
}

/// Makes a store and a file of tokens; prints the token.
#[allow(clippy::print_stdout, reason = "a program")]
fn make(folder: &Path, users: i64) -> Result<(), Box<dyn Error>> {
    put(&Embedded::open(folder.join("store"))?, users, 0, true)?;
    let (token, line) = tokens::create("demo")?;
    fs::write(folder.join("tokens"), line)?;
    println!("{token}");
    Ok(())
}

/// Serves by pairs of an option and its value.
fn serve_as_told(flags: &[&str]) -> Result<(), Box<dyn Error>> {
    let (pairs, _) = flags.as_chunks::<2>();
    let told: HashMap<&str, &str> = pairs.iter().map(|[flag, value]| (*flag, *value)).collect();
    let of = |flag: &str| told.get(flag).copied().ok_or(format!("{flag} is missing"));
    let mut config = Config::new(of("--listen")?.parse()?);
    config.tokens = Some(of("--tokens")?.into());
    serve(config, Path::new(of("--store")?))
}

fn serve(config: Config, store: &Path) -> Result<(), Box<dyn Error>> {
    let store = Embedded::open(store)?;
    let server = Server::bind(config, Arc::new(store), None, Arc::new(log::Silent))?;
    eprintln!("http://{} answers", server.address());
    server.run(signalled(), signalled());
    Ok(())
}

/// Publishes users whose numbers depend on `version`, and whose ids are numbers or the `texts` of these.
fn put(store: &dyn Store, users: i64, version: u64, texts: bool) -> Result<(), Box<dyn Error>> {
    let horizons = Horizons::new(DAYS.to_vec())?;
    let manifest = SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of: format!("2024-04-{:02}", 1 + version % 28).parse()?,
        model_id: "made-up".into(),
        model_blake3: None,
        input: None,
        horizons: horizons.clone(),
        decoding: "expectation".into(),
        rows: u64::try_from(users)?,
        dropped: Default::default(),
        projected: 0,
        order_violations: 0,
        monotone: true,
        totals: vec![0.0; DAYS.len()],
        files: vec![FileEntry {
            path: "made-up".into(),
            rows: u64::try_from(users)?,
            bytes: 1,
            blake3: version.to_string(),
        }],
    };
    let names = columns(&horizons, Detail::Everything);
    let document = format!("{manifest:?}");
    publish(
        (&manifest, document.as_bytes()),
        Detail::Everything,
        &mut |sink| {
            for first in (0..users).step_by(BATCH as usize) {
                let ids = first..users.min(first + BATCH);
                let rows =
                    rows(ids, &names, version, texts).map_err(|e| OnlineError::Internal {
                        problem: e.to_string(),
                    })?;
                sink(&rows, Path::new("made-up"), 0)?;
            }
            Ok(())
        },
        store,
        &Silent,
    )?;
    Ok(())
}

fn rows(
    ids: std::ops::Range<i64>,
    names: &[String],
    version: u64,
    texts: bool,
) -> Result<RecordBatch, ArrowError> {
    let status = |id: i64| match id % 7 {
        0 => "no_events",
        1 | 2 => "observing",
        _ => "active",
    };
    let statuses = StringArray::from_iter_values(ids.clone().map(status));
    let written = ids.clone().map(|id| id.to_string());
    let users: ArrayRef = match texts {
        true => Arc::new(StringArray::from_iter_values(written)),
        false => Arc::new(Int64Array::from_iter_values(ids.clone())),
    };
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("user_id".into(), users),
        ("status".into(), Arc::new(statuses)),
    ];
    for (c, name) in names.iter().skip(2).enumerate() {
        let number = |id: i64| number(id, c, version);
        let values = Float64Array::from_iter_values(ids.clone().map(number));
        columns.push((name.clone(), Arc::new(values)));
    }
    RecordBatch::try_from_iter(columns)
}

/// Number `column` of a user: nothing for one of five, and a long tail.
fn number(id: i64, column: usize, version: u64) -> f64 {
    let (horizon, what) = (column / 5, column % 5);
    let share = (id.wrapping_mul(2_654_435_761).rem_euclid(1_000_003)) as f64 / 1_000_003.0;
    if share < 0.2 {
        return 0.0;
    }
    let tail = (-(1.0 - share).ln()).powi(3);
    let value = 4.0 * tail * (1.0 + horizon as f64) * (1.0 + 0.04 * version as f64);
    match what {
        0 => value,
        1 => 0.2 * value,
        2 => 0.7 * value,
        3 => 2.1 * value,
        _ => share,
    }
}
