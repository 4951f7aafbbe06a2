//! The simulated platform has the shape that its documentation promises.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::fs;
use std::{collections::BTreeMap, path::PathBuf};

fn config(users: u64) -> SimulateConfig {
    SimulateConfig {
        users,
        shard_users: 700,
        ..SimulateConfig::default()
    }
}

fn users(n: u64) -> Vec<User> {
    let simulator = Simulator::new(&config(n)).unwrap();
    (0..n).map(|i| simulator.user(i)).collect()
}

/// Active days in days `[from, to)` after registration.
fn active(user: &User, from: i32, to: i32) -> usize {
    user.events
        .iter()
        .filter(|e| (from..to).contains(&(e.day - user.reg_day)))
        .count()
}

/// Checksums of all files of a simulation, by name.
fn files(config: &SimulateConfig, threads: usize) -> (BTreeMap<String, String>, Simulated) {
    let folder = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let simulated = pool
        .install(|| simulate(config, folder.path(), &|_| ()))
        .unwrap();
    let manifest: SimulationManifest = artefact::read_json(folder.path().join(MANIFEST)).unwrap();
    assert_eq!(manifest.format, "ltv-simulation");
    let entries = manifest.event_files.into_iter().chain(manifest.user_files);
    let sums: BTreeMap<_, _> = entries.map(|f| (f.path, f.blake3)).collect();
    for (name, sum) in &sums {
        assert_eq!(&artefact::checksum(folder.path().join(name)).unwrap(), sum);
    }
    (sums, simulated)
}

#[test]
fn threads_do_not_change_a_byte() {
    let (one, simulated) = files(&config(2000), 1);
    assert_eq!((one.len(), simulated.files, simulated.users), (6, 6, 2000));
    assert_eq!((one, simulated), files(&config(2000), 3));
    let other = SimulateConfig {
        seed: 2,
        ..config(2000)
    };
    assert_ne!(files(&config(2000), 1).0, files(&other, 1).0);
}

/// Mean active days of the first year, of users registered in the first and in the last two months.
fn drifted(drift: u32) -> [f64; 2] {
    let simulator = Simulator::new(&SimulateConfig {
        drift,
        ..config(6000)
    });
    let simulator = simulator.unwrap();
    let all: Vec<User> = (0..6000).map(|i| simulator.user(i)).collect();
    let start = SimulateConfig::default().start;
    [0..60, 480..540].map(|days| {
        let own = all.iter().filter(|u| days.contains(&(u.reg_day - start)));
        let values: Vec<f64> = own.map(|u| active(u, 7, 372) as f64).collect();
        values.iter().sum::<f64>() / values.len() as f64
    })
}

#[test]
fn cohorts_drift_as_fast_as_they_are_told_to() {
    let [first, last] = drifted(0);
    assert!((last / first - 1.0).abs() < 0.2, "{first} {last}");
    let [first, last] = drifted(8);
    assert!(last < 0.6 * first, "{first} {last}");
}

#[test]
fn fewer_users_are_a_prefix() {
    let (few, _) = files(&config(1400), 2);
    let (many, _) = files(&config(2900), 2);
    assert!(few.iter().all(|(name, sum)| many[name] == *sum));
    // A user does not depend on how the users are cut into files either.
    let other = SimulateConfig {
        shard_users: 13,
        ..config(5000)
    };
    assert_eq!(Simulator::new(&other).unwrap().user(999), users(1000)[999]);
}

/// Every row of the Parquet files in a folder, as text, in order.
fn lines(folder: &Path) -> Vec<String> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let mut lines = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let how = FormatOptions::default();
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|c| ArrayFormatter::try_new(c.as_ref(), &how).unwrap())
                .collect();
            let line = |row| -> String {
                columns
                    .iter()
                    .map(|c| format!("{} ", c.value(row)))
                    .collect()
            };
            lines.extend((0..batch.num_rows()).map(line));
        }
    }
    lines.sort();
    lines
}

#[test]
fn shards_together_are_the_whole() {
    let at = tempfile::tempdir().unwrap();
    let made = |name: &str, shard| {
        let config = SimulateConfig {
            shard,
            ..config(2000)
        };
        let out = at.path().join(name);
        let made = simulate(&config, &out, &|_| ()).unwrap();
        (
            made,
            ["events", "users"].map(|table| lines(&out.join(table))),
        )
    };
    let (whole, tables) = made("whole", None);
    let shards = (1..=3).map(|i| made(&format!("{i}"), Shard::new(i, 3)));
    let (mut users, mut events, mut union) = (0, 0, [vec![], vec![]]);
    for (shard, tables) in shards {
        assert!((500..800).contains(&shard.users), "{shard:?}");
        // As many users in a file as without shards, about: 2000 numbers in files of 3 times 700.
        assert_eq!(shard.files, 2);
        users += shard.users;
        events += shard.events;
        for (all, lines) in union.iter_mut().zip(tables) {
            all.extend(lines);
        }
    }
    assert_eq!((users, events), (whole.users, whole.events));
    union.iter_mut().for_each(|lines| lines.sort());
    assert!(
        union == tables,
        "rows of the shards and of the whole differ"
    );
}

#[test]
fn a_shard_of_nobody_is_refused() {
    let at = tempfile::tempdir().unwrap();
    let empty = |i: &u32| {
        let shard = Shard::new(*i, 50);
        !(0..3).any(|user| shard.unwrap().holds(user))
    };
    let config = SimulateConfig {
        shard: Shard::new((1..=50).find(empty).unwrap(), 50),
        ..config(3)
    };
    let out = at.path().join("out");
    let error = simulate(&config, &out, &|_| ()).unwrap_err();
    assert!(matches!(error, SimulateError::Nobody { .. }), "{error}");
    assert!(!out.exists());
}

#[test]
fn files_hold_the_users_and_their_events() {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let folder = tempfile::tempdir().unwrap();
    let done = AtomicU64::new(0);
    let simulated = simulate(&config(1500), folder.path(), &|n| {
        done.fetch_max(n, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 1500);
    let expected = users(1500);
    assert_eq!(
        simulated.unwrap().events,
        expected.iter().map(|u| u.events.len() as u64).sum::<u64>()
    );
    let read = |name: PathBuf| {
        let file = fs::File::open(folder.path().join(name)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
    };
    let events = read("events/part-00002.parquet".into());
    let people = read("users/part-00002.parquet".into());
    let rows: Vec<(i64, i64, f64)> = expected[1400..]
        .iter()
        .flat_map(|u| u.events.iter().map(|e| (u.id, e)))
        .map(|(id, e)| {
            (
                id,
                (i64::from(e.day.0) * 86_400 + i64::from(e.second)) * 1_000_000,
                e.value,
            )
        })
        .collect();
    let ids: &Int64Array = events.column(0).as_primitive::<Int64Type>();
    let times = events.column(1).as_primitive::<TimestampMicrosecondType>();
    let values = events.column(4).as_primitive::<Float64Type>();
    let found: Vec<_> = (0..events.num_rows())
        .map(|i| (ids.value(i), times.value(i), values.value(i)))
        .collect();
    assert_eq!(found, rows);
    let ids: &Int64Array = people.column(0).as_primitive();
    assert_eq!(ids.values().to_vec(), (1401..=1500).collect::<Vec<_>>());
    let channel = people.column_by_name("channel").unwrap().as_string::<i32>();
    assert_eq!(channel.value(7), expected[1407].channel);
    let registration = people
        .column(1)
        .as_primitive::<TimestampMicrosecondType>()
        .value(7);
    assert_eq!(
        registration.div_euclid(86_400_000_000),
        i64::from(expected[1407].reg_day.0)
    );
}

#[test]
fn a_folder_in_use_and_bad_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    simulate(&config(10), folder.path(), &|_| ()).unwrap();
    let error = simulate(&config(10), folder.path(), &|_| ()).unwrap_err();
    assert!(matches!(error, SimulateError::NotEmpty { .. }));
    let error = Simulator::new(&SimulateConfig {
        users: 0,
        ..config(1)
    })
    .unwrap_err();
    assert!(error.to_string().contains("simulate.users"), "{error}");
    SimulateConfig::feature_config(config(1).end())
        .check()
        .unwrap();
}

#[test]
fn value_has_the_papers_shape() {
    let users = users(20_000);
    let n = users.len() as f64;
    let ltv: Vec<usize> = users.iter().map(|u| active(u, 7, 372)).collect();
    let zero = ltv.iter().filter(|&&x| x == 0).count() as f64 / n;
    assert!((0.35..0.50).contains(&zero), "share of zeros {zero}");
    let mean = ltv.iter().sum::<usize>() as f64 / n;
    assert!((38.0..52.0).contains(&mean), "mean {mean}");
    let bin = |low, high| ltv.iter().filter(|x| (low..=high).contains(*x)).count();
    // The raised end: the last bin above each of those before it, down to the long tail.
    let top = bin(346, 365);
    assert!(
        [bin(326, 345), bin(306, 325), bin(266, 285)]
            .iter()
            .all(|&b| top > b)
    );
    assert!(bin(1, 20) > bin(21, 40) && bin(21, 40) > bin(101, 120));
}

#[test]
fn every_user_registers_with_an_event_and_days_ascend() {
    let end = config(1).end();
    for user in users(3000) {
        assert_eq!(user.events[0].day, user.reg_day);
        assert!(user.events.is_sorted_by(|a, b| a.day < b.day));
        assert!(user.events.iter().all(|e| e.day < end && e.second < 86_400));
        assert!(
            user.events
                .iter()
                .all(|e| e.minutes > 0.0 && e.videos > 0 && e.value >= 0.0)
        );
    }
}

#[test]
fn later_cohorts_are_worse() {
    let users = users(20_000);
    let mean = |late: bool| {
        let chosen = users
            .iter()
            .filter(|u| (u.reg_day - config(1).start >= 270) == late);
        let values: Vec<f64> = chosen.map(|u| active(u, 7, 372) as f64).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert!(
        mean(true) < 0.97 * mean(false),
        "{} and {}",
        mean(true),
        mean(false)
    );
}

#[test]
fn weekends_and_holidays_are_busier() {
    let users = users(8000);
    // Days on which everybody is registered and nobody is new.
    let (from, to) = (config(1).start + 560, config(1).end());
    let mut events = BTreeMap::new();
    for event in users
        .iter()
        .flat_map(|u| &u.events)
        .filter(|e| e.day >= from)
    {
        *events.entry(event.day).or_insert(0.0) += 1.0;
    }
    let mean = |wanted: &dyn Fn(Day) -> bool| {
        let days: Vec<f64> = (from.0..to.0)
            .map(Day)
            .filter(|&d| wanted(d))
            .map(|d| events[&d])
            .collect();
        days.iter().sum::<f64>() / days.len() as f64
    };
    let holiday = crate::holidays::simulator_holiday;
    let plain = mean(&|d| d.weekday() < 5 && !holiday(d));
    assert!(mean(&|d| d.weekday() >= 5 && !holiday(d)) > 1.01 * plain);
    assert!(mean(&|d| d.weekday() < 5 && holiday(d)) > 1.02 * plain);
}

/// Pearson correlation of ranks would do as well; the labels are bounded.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (mx, my) = pairs
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let covariance = sum(&|(x, y)| (x - mx) * (y - my));
    covariance / (sum(&|(x, _)| (x - mx).powi(2)) * sum(&|(_, y)| (y - my).powi(2))).sqrt()
}

#[test]
fn the_first_week_tells_more_than_its_active_days() {
    let users = users(20_000);
    let week = |u: &User| -> Vec<Event> {
        u.events
            .iter()
            .filter(|e| e.day - u.reg_day < 7)
            .copied()
            .collect()
    };
    // Among users active on five days or more of their first week, minutes still matter ...
    let often: Vec<&User> = users.iter().filter(|u| active(u, 0, 7) >= 5).collect();
    let against = |feature: &dyn Fn(&[Event]) -> f64| {
        let value = |u: &&&User| (feature(&week(u)), active(u, 7, 372) as f64);
        correlation(
            &often
                .iter()
                .as_slice()
                .iter()
                .map(|u| value(&u))
                .collect::<Vec<_>>(),
        )
    };
    let minutes = |events: &[Event]| events.iter().map(|e| e.minutes.ln()).sum::<f64>();
    assert!(against(&minutes) > 0.15, "minutes {}", against(&minutes));
    // ... and so does whether they grow, and how long a video is watched.
    let trend = |events: &[Event]| {
        let half = events.len() / 2;
        let mean = |e: &[Event]| e.iter().map(|e| e.minutes.ln()).sum::<f64>() / e.len() as f64;
        mean(&events[half..]) - mean(&events[..half])
    };
    assert!(against(&trend) > 0.1, "trend {}", against(&trend));
    let length = |events: &[Event]| {
        events
            .iter()
            .map(|e| (e.minutes / f64::from(e.videos)).ln())
            .sum()
    };
    assert!(against(&length) > 0.1, "length {}", against(&length));
    // Active days are informative, and far from all.
    let days: Vec<(f64, f64)> = users
        .iter()
        .map(|u| (active(u, 0, 7) as f64, active(u, 7, 372) as f64))
        .collect();
    assert!(
        (0.5..0.9).contains(&correlation(&days)),
        "{}",
        correlation(&days)
    );
    // The channel matters.
    let mean = |channel: &str| {
        let chosen = users.iter().filter(|u| u.channel == channel);
        let values: Vec<f64> = chosen.map(|u| active(u, 7, 372) as f64).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert!(mean("app-store") > 1.5 * mean("ads-b"));
}

#[test]
fn revenue_is_rare_and_heavy_tailed() {
    let users = users(20_000);
    let mut paid: Vec<f64> = users
        .iter()
        .map(|u| u.events.iter().map(|e| e.value).sum())
        .collect();
    paid.sort_unstable_by(|a, b| b.total_cmp(a));
    let payers = paid.iter().filter(|&&x| x > 0.0).count() as f64 / paid.len() as f64;
    assert!((0.01..0.15).contains(&payers), "{payers}");
    let total: f64 = paid.iter().sum();
    let top: f64 = paid[..paid.len() / 100].iter().sum();
    assert!(top > 0.5 * total, "the first per cent pays {}", top / total);
}
