//! Keys and documents of a store in Redis: docs/formats/store-redis.md.

use crate::{OnlineError, UserId, Version};
use crc::{CRC_32_ISO_HDLC, Crc, Table};
use ltv_core::manifest::Head;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::borrow::Cow;

/// Users of a bucket, on average. The largest of millions of buckets stays below 128; a server keeps 512 in its compact form
/// unless it is told otherwise, but searches them one by one (docs/decisions/0027-redis.md).
const USERS: u64 = 64;
/// The checksum of zlib, gzip and PNG: every language has it.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// How many buckets so many users get.
pub(super) fn buckets(users: u64) -> u32 {
    u32::try_from(users.div_ceil(USERS))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// The bucket of a user, of so many.
pub(super) fn bucket(field: &str, buckets: u32) -> u32 {
    CRC.checksum(field.as_bytes()) % buckets.max(1)
}

/// The field of a user in its bucket: the id as text.
pub(super) fn field(user: &UserId) -> Cow<'_, str> {
    match user {
        UserId::Number(id) => id.to_string().into(),
        UserId::Text(id) => id.into(),
    }
}

/// The keys of a store.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Of the pointer.
    pub(super) fn live(&self) -> String {
        format!("{}:live", self.prefix)
    }

    /// Of the hash of versions, whole or not: id to number of buckets.
    pub(super) fn versions(&self) -> String {
        format!("{}:versions", self.prefix)
    }

    /// Of the lock of publishers.
    pub(super) fn publishing(&self) -> String {
        format!("{}:publishing", self.prefix)
    }

    /// Of a version's description.
    pub(super) fn version(&self, id: &str) -> String {
        format!("{}:{id}:version", self.prefix)
    }

    /// Of a version's bucket.
    pub(super) fn bucket(&self, id: &str, bucket: u32) -> String {
        format!("{}:{id}:{bucket}", self.prefix)
    }
}

/// A version and where its users are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Described {
    #[serde(flatten)]
    pub(super) version: Version,
    /// How many buckets its users are in.
    pub(super) buckets: u32,
}

impl Described {
    /// The description of version `id` with these bytes, found at `place`.
    pub(super) fn read(id: &str, place: &str, bytes: &[u8]) -> Result<Self, OnlineError> {
        // Not flattened: keys of maps that are numbers are not read through it.
        #[derive(Deserialize)]
        struct Placed {
            buckets: u32,
        }
        let (format, newest) = (Version::FORMAT, Version::VERSION);
        let placed: Placed = read_document(place, bytes, format, newest)?;
        let version: Version = read_document(place, bytes, format, newest)?;
        Ok(Self {
            version: version.check(id, place)?,
            buckets: placed.buckets,
        })
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, OnlineError> {
        serde_json::to_vec(self).map_err(OnlineError::internal)
    }
}

/// The JSON document at `place`, which must be of a format and no newer than `newest`.
pub(super) fn read_document<T: DeserializeOwned>(
    place: &str,
    bytes: &[u8],
    format: &str,
    newest: u32,
) -> Result<T, OnlineError> {
    let wrong = |problem: String, hint| OnlineError::Store {
        store: place.to_owned(),
        what: "read it",
        problem,
        hint,
    };
    let damaged = |e: serde_json::Error| {
        let hint = "it is damaged or something else's: publish again, or with a prefix of its own";
        wrong(e.to_string(), hint)
    };
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.format != format {
        let problem = format!("it is a '{}', not a '{format}'", head.format);
        return Err(wrong(problem, "give the store a prefix of its own"));
    }
    if head.version > newest {
        let problem = format!(
            "it is of version {}, newest known is {newest}",
            head.version
        );
        return Err(wrong(problem, "update ltv"));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Checksum of users in any order: the sum of the checksums of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) rows: u64,
    /// Of 256 bits each, as four numbers that are summed apart and wrap around.
    sum: [u64; 4],
}

impl Content {
    pub(super) fn add(&mut self, field: &[u8], value: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(field.len() as u32).to_le_bytes());
        hasher.update(field);
        hasher.update(value);
        let hash = hasher.finalize();
        let (parts, _) = hash.as_bytes().as_chunks();
        for (sum, part) in self.sum.iter_mut().zip(parts) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
        self.rows += 1;
    }

    /// In hexadecimal.
    pub(super) fn hash(&self) -> String {
        let parts = self
            .sum
            .iter()
            .map(|sum| format!("{:016x}", sum.swap_bytes()));
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Against zlib in Python: `zlib.crc32(b'4711') % 1000`, and likewise.
    #[test]
    fn buckets_are_those_of_other_languages() {
        let found = ["4711", "-7", "user-a", ""].map(|id| bucket(id, 1000));
        assert_eq!(found, [759, 383, 920, 0]);
        assert_eq!(field(&UserId::Number(-7)), "-7");
        assert_eq!((buckets(0), buckets(64), buckets(65)), (1, 1, 2));
        assert_eq!(buckets(u64::MAX), u32::MAX);
    }

    /// Buckets of ids as they are met in practice stay below what a server keeps compact.
    #[test]
    fn buckets_are_even() {
        let users = 200_000u64;
        let patterns: [fn(u64) -> String; 4] = [
            |i| i.to_string(),
            |i| (i * 1024).to_string(),
            |i| (1_000_000_000_000 + i * 10).to_string(),
            |i| format!("user-{i:012}"),
        ];
        for pattern in patterns {
            let mut sizes: HashMap<u32, u32> = HashMap::new();
            for i in 0..users {
                *sizes
                    .entry(bucket(&pattern(i), buckets(users)))
                    .or_default() += 1;
            }
            let most = *sizes.values().max().unwrap();
            assert!(most < 128, "{}: {most}", pattern(1));
        }
    }

    proptest! {
        #[test]
        fn content_knows_no_order(users in prop::collection::hash_map(".{1,9}", any::<Vec<u8>>(), 1..20)) {
            let mut users: Vec<_> = users.into_iter().collect();
            let sum = |users: &[(String, Vec<u8>)]| {
                let mut content = Content::default();
                users.iter().for_each(|(field, value)| content.add(field.as_bytes(), value));
                content
            };
            let all = sum(&users);
            users.reverse();
            prop_assert_eq!(&all, &sum(&users));
            prop_assert_eq!(all.hash().len(), 64);
            users[0].1.push(0);
            prop_assert_ne!(all.hash(), sum(&users).hash());
        }
    }

    /// The content of one user is its BLAKE3.
    #[test]
    fn content_of_one() {
        let mut content = Content::default();
        content.add(b"17", b"value");
        let expected = blake3::hash(b"\x02\x00\x00\x0017value")
            .to_hex()
            .to_string();
        assert_eq!(content.hash(), expected);
    }
}
