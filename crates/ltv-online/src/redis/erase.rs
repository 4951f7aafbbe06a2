//! Versions take the places of others from which users have to vanish. Buckets are not changed: who reads a version
//! reads all of it as it was described.

use super::{
    Redis, batches,
    draft::AT_ONCE,
    layout::{Described, field},
    remove,
    servers::Link,
};
use crate::{Draft, Erase, OnlineError, Store, UserId, Version, store::EachSink};
use redis::cmd;
use std::time::Duration;

/// Replaces the pointer where it is still the one that was read; whether it was. No time stands for ever.
const SWITCH: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
     if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2]) \
     else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return 1";

impl Redis {
    fn user(&self, version: &Version, bytes: &[u8]) -> Result<UserId, OnlineError> {
        let text = str::from_utf8(bytes).ok();
        let user = text.and_then(|text| UserId::parse(text, version.users).ok());
        let exact = user.filter(|user| field(user).as_bytes() == bytes);
        exact.ok_or_else(|| OnlineError::Check {
            store: self.name(),
            problem: format!("a field that is no user in version {}", version.id),
        })
    }

    /// Removes all versions but the whole ones that are kept.
    fn remove_others(&self, link: &mut Link) -> Result<(), OnlineError> {
        let kept = self.kept()?;
        for (id, buckets) in self.known()? {
            if kept.iter().all(|version| version.id != id) {
                let removed = remove(link, &self.keys, &id, buckets);
                removed.map_err(|e| self.links.explain("remove an old version", &e))?;
            }
        }
        Ok(())
    }
}

impl Erase for Redis {
    fn each(&self, version: &Version, sink: EachSink<'_>) -> Result<(), OnlineError> {
        let found: Described = self
            .find(&version.id)?
            .ok_or_else(|| self.missing(&version.id))?;
        let mut link = self.links.publisher()?;
        for range in batches(found.buckets, AT_ONCE) {
            let all = range.map(|bucket| {
                let mut all = cmd("HGETALL");
                all.arg(self.keys.bucket(&version.id, bucket));
                all
            });
            let read = link.run_all::<Vec<Vec<u8>>>(all);
            for bucket in read.map_err(|e| self.links.explain("read", &e))? {
                let (users, _) = bucket.as_chunks();
                for [field, value] in users {
                    let user = self.user(version, field)?;
                    let prediction = self.decode(version, &user, value)?;
                    sink(user, prediction)?;
                }
            }
        }
        Ok(())
    }

    fn stand_in(&self, id: &str, of: &Version) -> Result<Box<dyn Draft + '_>, OnlineError> {
        let ttl = self.left(&of.id)?.map(Duration::from_millis);
        self.load(id, of.rows, ttl)
    }

    fn switch(&self, old: &str, new: &str) -> Result<(), OnlineError> {
        let changed = || OnlineError::changed(self.name());
        let key = self.keys.live();
        let before = self.bytes(&key)?.ok_or_else(changed)?;
        let switched = self.read_pointer(&key, &before)?.switched(old, new);
        let pointer = switched.ok_or_else(changed)?;
        let left = self.left(&pointer.live)?;
        let mut eval = cmd("EVAL");
        eval.arg(SWITCH).arg(1).arg(&key).arg(before);
        eval.arg(serde_json::to_vec(&pointer).map_err(OnlineError::internal)?);
        eval.arg(left.map_or(String::new(), |left| left.to_string()));
        let mut link = self.links.publisher()?;
        let done = link.run::<u8>(&eval);
        if done.map_err(|e| self.links.explain("switch versions", &e))? == 0 {
            return Err(changed());
        }
        self.refresh()?;
        self.keep(&pointer.kept())
    }

    fn clear(&self) -> Result<(), OnlineError> {
        let mut link = self.links.publisher()?;
        let lock = self.lock(&mut link)?;
        let cleared = self.remove_others(&mut link);
        let released = lock.release(&mut link);
        cleared?;
        released.map_err(|e| self.links.explain("give the lock back", &e))
    }
}
