//! A version of a store in Redis that is being made: users are sorted by their buckets first, in files where there
//! are many, so that each bucket is written in one command, which costs the server a quarter of writing its users
//! one by one.

use super::{
    Lock, Redis, batches,
    layout::{Content, Described, bucket, buckets, field},
    remove,
    servers::Link,
};
use crate::{
    Draft, OnlineError, Store, UserId, Version,
    sorting::{Sorted, Sorting},
    user::UserKind,
};
use redis::{Cmd, RedisError, cmd};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

/// How long buckets live that nobody has vouched for.
const DRAFT: Duration = Duration::from_secs(24 * 3600);
/// How much longer buckets live than the description of their version, so that they never go first.
const LONGER: Duration = Duration::from_secs(3600);
/// Buckets that are written or read back at once.
pub(super) const AT_ONCE: u32 = 256;
/// Bytes of users that are written at once.
const BYTES: usize = 1 << 20;

/// A version on its way.
pub(super) struct Loading<'a> {
    store: &'a Redis,
    link: Link,
    lock: Lock,
    id: String,
    buckets: u32,
    /// How long it lives.
    ttl: Option<Duration>,
    /// None once they are sorted.
    sorting: Option<Sorting>,
    /// Where they are sorted.
    _scratch: TempDir,
    /// Of the user who is added: its bucket and its key.
    key: (Vec<u8>, Vec<u8>),
    rows: u64,
    state: State,
}

/// What is in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing.
    Empty,
    /// Some of it.
    Part,
    /// All of it, with its description.
    Whole,
}

impl<'a> Loading<'a> {
    /// Starts a version of about so many users, who live so long; what killed publishers have left is removed.
    pub(super) fn begin(
        store: &'a Redis,
        id: &str,
        users: u64,
        ttl: Option<Duration>,
    ) -> Result<Self, OnlineError> {
        let scratch = tempfile::tempdir()
            .map_err(|e| ltv_core::Error::io(std::env::temp_dir(), "create a folder in", e))?;
        let mut link = store.links.publisher()?;
        let lock = store.lock(&mut link)?;
        let place = Path::new(store.links.name());
        let mut loading = Self {
            store,
            link,
            lock,
            id: id.to_owned(),
            buckets: buckets(users),
            ttl,
            sorting: Some(Sorting::new(scratch.path().to_path_buf(), place, 4)),
            _scratch: scratch,
            key: (vec![], vec![]),
            rows: 0,
            state: State::Empty,
        };
        loading.sweep()?;
        Ok(loading)
    }

    /// Removes what has no description: nobody but the holder of the lock makes such.
    fn sweep(&mut self) -> Result<(), OnlineError> {
        for (id, buckets) in self.store.known()? {
            if !self.store.has(&id)? {
                let removed = remove(&mut self.link, &self.store.keys, &id, buckets);
                removed.map_err(|e| self.failed(&e))?;
            }
        }
        Ok(())
    }

    fn run<T: redis::FromRedisValue>(&mut self, command: &Cmd) -> Result<T, OnlineError> {
        let answer = self.link.run(command);
        answer.map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &RedisError) -> OnlineError {
        self.store.links.explain("load the version", error)
    }

    fn differs(&self, problem: String) -> OnlineError {
        OnlineError::Check {
            store: self.store.links.name().to_owned(),
            problem,
        }
    }

    /// An error unless nobody else publishes.
    fn hold(&mut self, now: bool) -> Result<(), OnlineError> {
        let held = match now {
            true => self.lock.renew(&mut self.link),
            false => self.lock.keep(&mut self.link),
        };
        match held.map_err(|e| self.failed(&e))? {
            true => Ok(()),
            false => Err(OnlineError::Store {
                store: self.store.links.name().to_owned(),
                what: "publish",
                problem:
                    "the lock was lost, after a pause of minutes or because somebody deleted it"
                        .into(),
                hint: "see that nobody else publishes there, and try again",
            }),
        }
    }

    /// Writes users, sorted by bucket; what was written.
    fn write(&mut self, users: &mut Sorted, kind: UserKind) -> Result<Content, OnlineError> {
        let mut content = Content::default();
        let mut pending = Pending::default();
        let unreadable = || OnlineError::internal("a sorted key is none of a user");
        while let Some((key, value)) = users.next()? {
            let (bucket, key) = key.split_first_chunk().ok_or_else(unreadable)?;
            let user = UserId::of_key(key, kind).ok_or_else(unreadable)?;
            let bucket = u32::from_be_bytes(*bucket);
            if pending.is_full() {
                self.flush(&mut pending)?;
            }
            let field = field(&user);
            content.add(field.as_bytes(), value);
            let key = || self.store.keys.bucket(&self.id, bucket);
            pending.add(bucket, key, field.as_bytes(), value);
        }
        self.flush(&mut pending)?;
        Ok(content)
    }

    fn flush(&mut self, pending: &mut Pending) -> Result<(), OnlineError> {
        self.hold(false)?;
        let Pending { filled, .. } = std::mem::take(pending);
        let counts: Vec<u64> = filled.iter().map(|filled| filled.users).collect();
        let commands = filled.into_iter().flat_map(|filled| {
            let expire = expire(&filled.key, DRAFT);
            [filled.command, expire]
        });
        let answers = self.link.run_all::<u64>(commands);
        let answers = answers.map_err(|e| self.failed(&e))?;
        // New fields of every bucket; those of the expiries are of no interest.
        match answers.iter().step_by(2).eq(&counts) {
            true => Ok(()),
            false => {
                Err(self
                    .differs("some buckets were not empty: somebody else writes there".to_owned()))
            }
        }
    }

    /// Reads all buckets, and lets them live as long as they should.
    fn read_back(&mut self) -> Result<Content, OnlineError> {
        let mut content = Content::default();
        for range in batches(self.buckets, AT_ONCE) {
            self.hold(false)?;
            let keys: Vec<String> = range
                .map(|bucket| self.store.keys.bucket(&self.id, bucket))
                .collect();
            let all = keys.iter().map(|key| cmd("HGETALL").arg(key).to_owned());
            let read = self.link.run_all::<Vec<Vec<u8>>>(all);
            for bucket in read.map_err(|e| self.failed(&e))? {
                let (users, _) = bucket.as_chunks();
                for [field, value] in users {
                    content.add(field, value);
                }
            }
            let ttl = self.ttl.map(|ttl| ttl + LONGER);
            let last = keys.iter().map(|key| match ttl {
                Some(ttl) => expire(key, ttl),
                None => cmd("PERSIST").arg(key).to_owned(),
            });
            let answers = self.link.run_all::<u64>(last);
            answers.map_err(|e| self.failed(&e))?;
        }
        Ok(content)
    }

    fn load(&mut self, mut version: Version) -> Result<Version, OnlineError> {
        let again = || OnlineError::internal("a version is finished twice");
        let sorting = self.sorting.take().ok_or_else(again)?;
        let mut users = sorting.sorted(version.users)?;
        self.state = State::Part;
        let mut register = cmd("HSET");
        register.arg(self.store.keys.versions());
        self.run::<u64>(register.arg(&self.id).arg(self.buckets))?;
        let written = self.write(&mut users, version.users)?;
        drop(users);
        if written.rows != self.rows {
            let problem = format!("{} users of {} were written", written.rows, self.rows);
            return Err(self.differs(problem));
        }
        if self.read_back()? != written {
            return Err(self.differs("what was read back is not what was written".to_owned()));
        }
        (version.rows, version.content) = (written.rows, written.hash());
        let described = Described {
            version,
            buckets: self.buckets,
        };
        let mut set = cmd("SET");
        set.arg(self.store.keys.version(&self.id))
            .arg(described.write()?);
        if let Some(ttl) = self.ttl {
            set.arg("PX").arg(ttl.as_millis().max(1) as u64);
        }
        self.hold(true)?;
        self.run::<()>(&set)?;
        self.state = State::Whole;
        Ok(described.version)
    }

    /// Removes what was written, unless somebody else has taken over.
    fn clean(&mut self) -> Result<(), RedisError> {
        if self.lock.renew(&mut self.link)? {
            remove(&mut self.link, &self.store.keys, &self.id, self.buckets)?;
        }
        Ok(())
    }
}

impl Draft for Loading<'_> {
    fn add(&mut self, user: &UserId, value: &[u8]) -> Result<(), OnlineError> {
        self.hold(false)?;
        let (all, key) = &mut self.key;
        user.key(key);
        all.clear();
        all.extend(bucket(&field(user), self.buckets).to_be_bytes());
        all.extend_from_slice(key);
        self.rows += 1;
        let sorting = self.sorting.as_mut();
        let sorting = sorting.ok_or_else(|| OnlineError::internal("added after the end"))?;
        sorting.insert(user.kind(), all, value)
    }

    fn finish(mut self: Box<Self>, version: Version) -> Result<Version, OnlineError> {
        self.load(version)
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        // The connection may be what failed. Where a new one fails too, everything runs out by itself.
        if self.state == State::Part
            && self.clean().is_err()
            && let Ok(link) = self.store.links.publisher()
        {
            self.link = link;
            let _ = self.clean();
        }
        let _ = self.lock.release(&mut self.link);
    }
}

fn expire(key: &str, ttl: Duration) -> Cmd {
    let mut expire = cmd("EXPIRE");
    expire.arg(key).arg(ttl.as_secs());
    expire
}

/// Buckets that are about to be written.
#[derive(Default)]
struct Pending {
    filled: Vec<Filled>,
    bucket: u32,
    bytes: usize,
}

/// One of them.
struct Filled {
    key: String,
    command: Cmd,
    users: u64,
}

impl Pending {
    fn is_full(&self) -> bool {
        self.filled.len() >= AT_ONCE as usize || self.bytes >= BYTES
    }

    fn add(&mut self, bucket: u32, key: impl Fn() -> String, field: &[u8], value: &[u8]) {
        if self.filled.is_empty() || bucket != self.bucket {
            let key = key();
            let mut command = cmd("HSET");
            command.arg(&key);
            self.bucket = bucket;
            self.filled.push(Filled {
                key,
                command,
                users: 0,
            });
        }
        if let Some(last) = self.filled.last_mut() {
            last.command.arg(field).arg(value);
            last.users += 1;
        }
        self.bytes += field.len() + value.len();
    }
}
