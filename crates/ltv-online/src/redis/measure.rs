//! What docs/decisions/0027-redis.md says of speed and size:
//! `cargo test -p ltv-online -- --ignored --nocapture measured`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is run by hand, to print numbers"
)]

use super::{server::Server, *};
use crate::{testing::manifest, value::Detail};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{thread::scope, time::Instant};

const USERS: i64 = 1_000_000;

/// Four of ten users have 15 to 20 numbers, the others 5: 44 bytes on average.
fn prediction(random: &mut ChaCha8Rng) -> Prediction {
    let filled = match random.random_bool(0.4) {
        true => random.random_range(15..=20),
        false => 5,
    };
    let number = |i| match i < filled {
        true => random.random_range(0.1..100.0),
        false => 0.0,
    };
    Prediction {
        status: 1,
        numbers: (0..20).map(number).collect(),
    }
}

fn id(i: i64) -> UserId {
    // Eight digits, in no order.
    UserId::Number(10_000_000 + i * 48_271 % 89_999_999)
}

#[test]
#[ignore = "measures for a minute"]
fn measured() {
    let Some(server) = Server::start(&["--hash-max-listpack-value", "128"]) else {
        return;
    };
    let store = Redis::open(&server.address()).unwrap();
    let memory = || {
        let info: String = server.run(&["INFO", "memory"]);
        let line = info.lines().find_map(|l| l.strip_prefix("used_memory:"));
        line.unwrap().parse::<f64>().unwrap()
    };
    let before = memory();
    load(&store);
    println!("{:.1} bytes a user", (memory() - before) / USERS as f64);
    for size in [1, 100, 1000] {
        latency(&store, size);
    }
    for threads in [1, 2, 4, 16] {
        for size in [1, 100] {
            throughput(&store, threads, size);
        }
    }
    let begin = Instant::now();
    remove(
        &mut store.links.publisher().unwrap(),
        &store.keys,
        "v",
        layout::buckets(USERS as u64),
    )
    .unwrap();
    println!("removed in {:.2} s", begin.elapsed().as_secs_f64());
}

fn load(store: &Redis) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let begin = Instant::now();
    let mut draft = store.begin("v", USERS as u64).unwrap();
    let (mut key, mut bytes) = (vec![], vec![]);
    for i in 0..USERS {
        id(i).key(&mut key);
        prediction(&mut random).encode(&key, &mut bytes);
        draft.add(&id(i), &bytes).unwrap();
    }
    let added = begin.elapsed().as_secs_f64();
    let mut manifest = manifest("2024-01-01", 0);
    manifest.horizons = ltv_core::Horizons::new(vec![30, 90, 180, 365]).unwrap();
    let mut version = Version::draft(&manifest, b"", Detail::Everything);
    version.id = "v".into();
    let mut loaded = draft.finish(version).unwrap();
    let all = begin.elapsed().as_secs_f64();
    println!(
        "added in {added:.2} s; sorted, written and read back in {:.2} s",
        all - added
    );
    loaded.rows = 0;
    store.set_opened(Some(Opened {
        version: Arc::new(loaded),
        buckets: layout::buckets(USERS as u64),
    }));
}

fn some(random: &mut ChaCha8Rng, size: usize) -> Vec<UserId> {
    (0..size)
        .map(|_| id(random.random_range(0..USERS)))
        .collect()
}

fn latency(store: &Redis, size: usize) {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut times: Vec<f64> = (0..2000)
        .map(|_| {
            let users = some(&mut random, size);
            let begin = Instant::now();
            let answer = store.get(&users).unwrap();
            assert!(answer.predictions.iter().all(Option::is_some));
            begin.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{size} users: p50 {:.0} us, p99 {:.0} us",
        times[1000], times[1980]
    );
}

fn throughput(store: &Redis, threads: u64, size: usize) {
    let rounds = 100_000 / size / threads as usize;
    let begin = Instant::now();
    scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let mut random = ChaCha8Rng::seed_from_u64(thread);
                for _ in 0..rounds {
                    store.get(&some(&mut random, size)).unwrap();
                }
            });
        }
    });
    let rate = (rounds * size * threads as usize) as f64 / begin.elapsed().as_secs_f64();
    println!("{threads} threads, {size} users at a time: {rate:.0} users a second");
}
