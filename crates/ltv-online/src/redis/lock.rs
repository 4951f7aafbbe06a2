//! One publisher at a time.

use super::servers::Link;
use redis::{RedisResult, cmd};
use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a publisher may be silent before another takes its place.
pub(super) const SILENCE: Duration = Duration::from_secs(300);
/// How often it says that it is still there.
const OFTEN: Duration = Duration::from_secs(20);

/// Renews a lock, if it is the caller's; whether it is.
const RENEW: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
     return redis.call('PEXPIRE', KEYS[1], ARGV[2]) else return 0 end";
/// Removes a lock, if it is the caller's.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
     return redis.call('DEL', KEYS[1]) else return 0 end";

/// The right to publish, until it is dropped or its holder was silent for too long.
pub(super) struct Lock {
    key: String,
    token: String,
    renewed: Instant,
}

impl Lock {
    /// Takes the lock at `key`; for how long another holds it.
    pub(super) fn take(link: &mut Link, key: String) -> RedisResult<Result<Self, Duration>> {
        let token = token();
        let mut set = cmd("SET");
        set.arg(&key).arg(&token).arg("NX").arg("PX").arg(millis());
        if link.run::<Option<String>>(&set)?.is_none() {
            let left: i64 = link.run(cmd("PTTL").arg(&key))?;
            let left = u64::try_from(left).unwrap_or(0);
            return Ok(Err(Duration::from_millis(left)));
        }
        Ok(Ok(Self {
            key,
            token,
            renewed: Instant::now(),
        }))
    }

    /// Says that the holder is still there, if it has not for a while; whether it holds the lock.
    pub(super) fn keep(&mut self, link: &mut Link) -> RedisResult<bool> {
        match self.renewed.elapsed() < OFTEN {
            true => Ok(true),
            false => self.renew(link),
        }
    }

    /// Says that the holder is still there; whether it holds the lock.
    pub(super) fn renew(&mut self, link: &mut Link) -> RedisResult<bool> {
        let held: u8 = link.run(self.script(RENEW).arg(millis()))?;
        self.renewed = Instant::now();
        Ok(held == 1)
    }

    /// Lets others publish.
    pub(super) fn release(&self, link: &mut Link) -> RedisResult<()> {
        link.run(&self.script(RELEASE))
    }

    fn script(&self, text: &str) -> redis::Cmd {
        let mut eval = cmd("EVAL");
        eval.arg(text).arg(1).arg(&self.key).arg(&self.token);
        eval
    }
}

fn millis() -> u64 {
    SILENCE.as_secs() * 1000
}

/// Nobody else's: of this process, moment and lock.
fn token() -> String {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.as_nanos());
    let count = TAKEN.fetch_add(1, Ordering::Relaxed);
    format!("{}-{nanos}-{count}", process::id())
}
