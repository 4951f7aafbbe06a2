//! A store in Redis or Valkey: one server or a cluster, for a fleet of readers.
//!
//! ```text
//! ltv:live                            which version is live, and which was before
//! ltv:versions                        all versions, whole or not, and their numbers of buckets
//! ltv:publishing                      the lock of publishers
//! ltv:2024-04-01-5d0b...:version      describes a version; there once the version is whole
//! ltv:2024-04-01-5d0b...:0 1 2 ...    its users: hashes from id to bytes, 64 users each
//! ```
//!
//! Buckets are written in their order, each in one command, read back, and named by a description; `ltv:live` is
//! replaced in one command. A kill anywhere leaves the old version live, and what it leaves behind vanishes with the next
//! publication or within a day. What is where, for readers in other languages: docs/formats/store-redis.md; why:
//! docs/decisions/0027-redis.md.

mod address;
mod draft;
mod erase;
mod explain;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod layout;
mod lock;
mod servers;

use crate::{
    Answer, Draft, OnlineError, Store, UserId, Version, pointer::Pointer, value::Prediction,
};
use address::Address;
use draft::Loading;
use layout::{Described, Keys, bucket, field, read_document};
use lock::Lock;
use redis::{Cmd, RedisResult, cmd};
use servers::{Link, Links};
use std::{
    collections::BTreeMap,
    env,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// Commands that are sent at once.
const BATCH: u32 = 4096;

/// A store in Redis or Valkey.
///
/// It may be used by any number of threads: each look-up has a connection of its own, kept for the next.
pub struct Redis {
    links: Links,
    keys: Keys,
    ttl: Option<Duration>,
    open: RwLock<Option<Arc<Opened>>>,
}

/// A version that answers.
struct Opened {
    version: Arc<Version>,
    buckets: u32,
}

impl Redis {
    /// The store at `address`, in which nothing need be yet.
    ///
    /// ```text
    /// redis://[user:password@]host[:port][/database][?prefix=ltv&cluster=true&ttl=3d]
    /// ```
    ///
    /// `rediss://` speaks TLS. `prefix`: what all keys begin with. `cluster`: the host is one of a cluster's. `ttl`: how
    /// long a version lives that is published here (`90m`, `36h`, `3d`); without it, until two others have
    /// been published. User and password may come from `LTV_REDIS_USER` and `LTV_REDIS_PASSWORD` instead.
    ///
    /// # Errors
    /// When the address is none, no server answers there or refuses us, or what is there is no store.
    pub fn open(address: &str) -> Result<Self, OnlineError> {
        Self::at(&Address::parse(address, |name| env::var(name).ok())?)
    }

    fn at(address: &Address) -> Result<Self, OnlineError> {
        let store = Self {
            links: Links::new(address)?,
            keys: Keys::new(&address.prefix),
            ttl: address.ttl,
            open: RwLock::default(),
        };
        store.refresh()?;
        Ok(store)
    }

    /// What messages call one of its keys.
    fn place(&self, key: &str) -> String {
        format!("{}: {key}", self.links.name())
    }

    fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, OnlineError> {
        self.links
            .with("read", |link| link.run(cmd("GET").arg(key)))
    }

    fn pointer(&self) -> Result<Option<Pointer>, OnlineError> {
        let key = self.keys.live();
        let Some(bytes) = self.bytes(&key)? else {
            return Ok(None);
        };
        self.read_pointer(&key, &bytes).map(Some)
    }

    fn read_pointer(&self, key: &str, bytes: &[u8]) -> Result<Pointer, OnlineError> {
        read_document(&self.place(key), bytes, Pointer::FORMAT, Pointer::VERSION)
    }

    /// Replaces the pointer; it lives as long as the version that it names.
    fn point(&self, pointer: &Pointer) -> Result<(), OnlineError> {
        let bytes = serde_json::to_vec(pointer).map_err(OnlineError::internal)?;
        let mut set = cmd("SET");
        set.arg(self.keys.live()).arg(bytes);
        if let Some(left) = self.left(&pointer.live)? {
            set.arg("PX").arg(left);
        }
        self.links.with("switch versions", |link| link.run(&set))
    }

    fn missing(&self, id: &str) -> OnlineError {
        OnlineError::Store {
            store: self.name(),
            what: "read",
            problem: format!("version {id} is not there"),
            hint: "it has run out, or was removed or evicted: publish again, and let maxmemory-policy be noeviction",
        }
    }

    /// A version that is whole; none where it is not there.
    fn find(&self, id: &str) -> Result<Option<Described>, OnlineError> {
        let key = self.keys.version(id);
        let bytes = self.bytes(&key)?;
        let read = bytes.map(|bytes| Described::read(id, &self.place(&key), &bytes));
        read.transpose()
    }

    fn describe(&self, id: &str) -> Result<Opened, OnlineError> {
        let found = self.find(id)?.ok_or_else(|| self.missing(id))?;
        Ok(Opened {
            version: Arc::new(found.version),
            buckets: found.buckets,
        })
    }

    /// What this process answers from.
    fn opened(&self) -> Option<Arc<Opened>> {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_opened(&self, opened: Option<Opened>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = opened.map(Arc::new);
    }

    /// Looks users up in a version; none where the version is no longer there, so that nobody is taken for
    /// unknown who is not.
    fn look_up(&self, opened: &Opened, users: &[UserId]) -> Result<Option<Answer>, OnlineError> {
        let version = &opened.version;
        let mut predictions = Vec::with_capacity(users.len());
        for users in users.chunks(BATCH as usize) {
            let of_kind = users.iter().map(|user| user.clone().of_kind(version.users));
            let users = of_kind.collect::<Result<Vec<_>, _>>()?;
            let commands = self.commands(opened, &users);
            let found: Vec<Option<Vec<u8>>> = self
                .links
                .with("read", |link| link.run_all(commands.iter().cloned()))?;
            for (user, bytes) in users.iter().zip(found) {
                let decoded = bytes.map(|bytes| self.decode(version, user, &bytes));
                predictions.push(decoded.transpose()?);
            }
        }
        // The description goes before the users do.
        if predictions.contains(&None) && !self.has(&version.id)? {
            return Ok(None);
        }
        Ok(Some(Answer {
            version: version.clone(),
            predictions,
        }))
    }

    fn commands(&self, opened: &Opened, users: &[UserId]) -> Vec<Cmd> {
        let id = &opened.version.id;
        let one = |user| {
            let field = field(user);
            let bucket = bucket(&field, opened.buckets);
            let mut get = cmd("HGET");
            get.arg(self.keys.bucket(id, bucket)).arg(&*field);
            get
        };
        users.iter().map(one).collect()
    }

    fn decode(
        &self,
        version: &Version,
        user: &UserId,
        bytes: &[u8],
    ) -> Result<Prediction, OnlineError> {
        let mut key = vec![];
        user.key(&mut key);
        let decoded = Prediction::decode(&key, bytes, version.width());
        decoded.ok_or_else(|| OnlineError::damaged_value(self.name(), &version.id))
    }

    /// Starts loading a version that lives so long.
    fn load(
        &self,
        id: &str,
        users: u64,
        ttl: Option<Duration>,
    ) -> Result<Box<dyn Draft + '_>, OnlineError> {
        if self.has(id)? {
            return Err(OnlineError::Store {
                store: self.name(),
                what: "load",
                problem: format!("version {id} is there already"),
                hint: "put it live as it is",
            });
        }
        Ok(Box::new(Loading::begin(self, id, users, ttl)?))
    }

    /// Milliseconds that a version has left; `None` where it is there for ever.
    fn left(&self, id: &str) -> Result<Option<u64>, OnlineError> {
        let version = self.keys.version(id);
        let left: i64 = self
            .links
            .with("read", |link| link.run(cmd("PTTL").arg(&version)))?;
        match u64::try_from(left) {
            Ok(left) if left > 0 => Ok(Some(left)),
            _ if left == -1 => Ok(None),
            _ => Err(self.missing(id)),
        }
    }

    /// All versions, whole or not, with their numbers of buckets.
    fn known(&self) -> Result<BTreeMap<String, u32>, OnlineError> {
        let versions = self.keys.versions();
        self.links
            .with("read", |link| link.run(cmd("HGETALL").arg(&versions)))
    }

    /// Takes the lock of publishers.
    fn lock(&self, link: &mut Link) -> Result<Lock, OnlineError> {
        let taken = Lock::take(link, self.keys.publishing());
        let taken = taken.map_err(|e| self.links.explain("publish", &e))?;
        taken.map_err(|left| OnlineError::Store {
            store: self.name(),
            what: "publish",
            problem: format!(
                "somebody else is publishing there, or was killed; their lock {} ends in {} s unless they go on",
                self.keys.publishing(),
                left.as_secs()
            ),
            hint: "wait for it, or delete that key if nobody is",
        })
    }

    /// Removes all whole versions but these.
    fn keep(&self, ids: &[&str]) -> Result<(), OnlineError> {
        for (id, buckets) in self.known()? {
            // What others are making has no description yet.
            if !ids.contains(&id.as_str()) && self.has(&id)? {
                let mut link = self.links.publisher()?;
                let removed = remove(&mut link, &self.keys, &id, buckets);
                removed.map_err(|e| self.links.explain("remove an old version", &e))?;
            }
        }
        Ok(())
    }
}

/// Removes a version, whole or not: first what says that it is there, last what says that it may be.
fn remove(link: &mut Link, keys: &Keys, id: &str, buckets: u32) -> RedisResult<()> {
    let unlink = |key: String| {
        let mut unlink = cmd("UNLINK");
        unlink.arg(key);
        unlink
    };
    link.run::<()>(&unlink(keys.version(id)))?;
    for range in batches(buckets, BATCH) {
        let commands = range.map(|bucket| unlink(keys.bucket(id, bucket)));
        link.run_all::<()>(commands)?;
    }
    link.run(cmd("HDEL").arg(keys.versions()).arg(id))
}

/// `0..count` in ranges of `size` at most.
fn batches(count: u32, size: u32) -> impl Iterator<Item = std::ops::Range<u32>> {
    let ranges = (0..count).step_by(size as usize);
    ranges.map(move |first| first..first.saturating_add(size).min(count))
}

impl Store for Redis {
    fn name(&self) -> String {
        self.links.name().to_owned()
    }

    fn live(&self) -> Option<Arc<Version>> {
        Some(self.opened()?.version.clone())
    }

    fn previous(&self) -> Result<Option<Arc<Version>>, OnlineError> {
        let (Some(opened), Some(pointer)) = (self.opened(), self.pointer()?) else {
            return Ok(None);
        };
        let Some(id) = pointer.before(&opened.version.id) else {
            return Ok(None);
        };
        // It may have run out.
        Ok(self.find(id)?.map(|found| Arc::new(found.version)))
    }

    fn refresh(&self) -> Result<bool, OnlineError> {
        let known = self.opened();
        let Some(pointer) = self.pointer()? else {
            // It has run out.
            self.set_opened(None);
            return Ok(known.is_some());
        };
        if known.is_some_and(|known| known.version.id == pointer.live) {
            return Ok(false);
        }
        let opened = match self.describe(&pointer.live) {
            // It may have been replaced, and removed, after the pointer was read.
            Err(error) => match self.pointer()? {
                Some(later) if later != pointer => self.describe(&later.live)?,
                _ => return Err(error),
            },
            Ok(opened) => opened,
        };
        self.set_opened(Some(opened));
        Ok(true)
    }

    fn get(&self, users: &[UserId]) -> Result<Answer, OnlineError> {
        let empty = || OnlineError::Empty { store: self.name() };
        let opened = self.opened().ok_or_else(empty)?;
        if let Some(answer) = self.look_up(&opened, users)? {
            return Ok(answer);
        }
        // It has run out, or two others have been published since this process last looked.
        self.refresh()?;
        let opened = self.opened().ok_or_else(empty)?;
        let answer = self.look_up(&opened, users)?;
        answer.ok_or_else(|| self.missing(&opened.version.id))
    }

    fn peek(&self, id: &str, users: &[UserId]) -> Result<Answer, OnlineError> {
        let opened = match self.opened() {
            Some(opened) if opened.version.id == id => opened,
            _ => Arc::new(self.describe(id)?),
        };
        let answer = self.look_up(&opened, users)?;
        answer.ok_or_else(|| self.missing(id))
    }

    fn kept(&self) -> Result<Vec<Arc<Version>>, OnlineError> {
        let pointer = self.pointer()?;
        let Some(Pointer { live, previous, .. }) = pointer else {
            return Ok(vec![]);
        };
        let live = self.describe(&live)?.version;
        // It may have run out.
        let previous = previous.map(|id| self.find(&id)).transpose()?.flatten();
        let previous = previous.map(|found| Arc::new(found.version));
        Ok([live].into_iter().chain(previous).collect())
    }

    fn begin(&self, id: &str, users: u64) -> Result<Box<dyn Draft + '_>, OnlineError> {
        self.load(id, users, self.ttl)
    }

    fn has(&self, id: &str) -> Result<bool, OnlineError> {
        let key = self.keys.version(id);
        self.links
            .with("read", |link| link.run(cmd("EXISTS").arg(&key)))
    }

    fn go_live(&self, id: &str) -> Result<(), OnlineError> {
        self.describe(id)?;
        let pointer = Pointer::after(self.pointer()?, id);
        self.point(&pointer)?;
        self.refresh()?;
        self.keep(&pointer.kept())
    }

    fn roll_back(&self) -> Result<Arc<Version>, OnlineError> {
        let none = || OnlineError::NoPrevious { store: self.name() };
        let previous = self.pointer()?.and_then(|pointer| pointer.previous);
        let id = previous.ok_or_else(none)?;
        // It may have run out.
        let found = self.find(&id)?.ok_or_else(none)?;
        self.point(&Pointer::new(&id, None))?;
        self.refresh()?;
        Ok(Arc::new(found.version))
    }
}

#[cfg(test)]
mod measure;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
