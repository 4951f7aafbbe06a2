//! An object that is read in ranges.

use crate::{FilesError, bucket::Bucket, error::Problem};
use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::{GetRange, path::Path as Key};
use std::{ops::Range, sync::Arc};

/// Bytes of one request: a row group's columns come in several side by side, since one
/// connection rarely fills the line.
pub(crate) const PART: u64 = 8 << 20;
/// Requests made side by side for one reader.
const PARALLEL: usize = 8;
/// Gaps between ranges that are rather read than asked for by another request.
const GAP: u64 = 1 << 20;
/// Bytes from the end that are fetched to find a Parquet footer: enough for most.
const TAIL: u64 = 128 << 10;

/// An object, as it was when it was first looked at.
#[derive(Debug, Clone)]
pub struct Object {
    bucket: Arc<Bucket>,
    key: Key,
    size: u64,
    e_tag: Option<String>,
    /// Bytes from the end that are worth fetching at once.
    tail: u64,
}

/// A range of an object that is in memory.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
}

impl Object {
    /// Looks at an object that should have so many bytes, and fetches its end with its footer.
    pub(crate) async fn find(
        bucket: Arc<Bucket>,
        key: Key,
        size: u64,
    ) -> Result<(Self, Held), FilesError> {
        let start = size.saturating_sub(TAIL);
        let range = (size > 0).then_some(GetRange::Bounded(start..size));
        let found = bucket.get(&key, range, None).await;
        let (meta, bytes) = found.map_err(|e| cut_short(e, size))?;
        let mut object = Self {
            bucket,
            key,
            size,
            e_tag: meta.e_tag,
            tail: TAIL,
        };
        object.check(meta.size, start..size, &bytes)?;
        let mut held = Held { start, bytes };
        object.tail = footer(&held.bytes).unwrap_or(TAIL).min(size);
        if object.tail > held.bytes.len() as u64 {
            held = object.end().await?;
        }
        Ok((object, held))
    }

    /// Its end, with the footer.
    pub(crate) async fn end(&self) -> Result<Held, FilesError> {
        let start = self.size - self.tail.min(self.size);
        let bytes = self.get(start..self.size).await?;
        Ok(Held { start, bytes })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.bucket.url(&self.key)
    }

    /// A range of it, in one request.
    pub(crate) async fn get(&self, range: Range<u64>) -> Result<Bytes, FilesError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let asked = Some(GetRange::Bounded(range.clone()));
        let tag = self.e_tag.as_deref();
        let (meta, bytes) = self.bucket.get(&self.key, asked, tag).await?;
        // Not every store looks at the tag that it was asked for.
        if meta.e_tag != self.e_tag || meta.size != self.size {
            return Err(FilesError::remote(self.url(), Problem::Replaced));
        }
        self.check(meta.size, range, &bytes)?;
        Ok(bytes)
    }

    /// All bytes of `ranges`, in few large requests.
    pub(crate) async fn gather(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Held>, FilesError> {
        let wanted = merged(ranges);
        let asked: Vec<_> = wanted.iter().flat_map(parts).collect();
        let mut fetched = stream::iter(asked)
            .map(|part| self.get(part))
            .buffered(PARALLEL);
        let mut held = vec![];
        for range in &wanted {
            let mut own = vec![];
            for _ in parts(range) {
                own.extend(fetched.next().await.transpose()?);
            }
            let start = range.start;
            let bytes = joined(own, range);
            held.push(Held { start, bytes });
        }
        Ok(held)
    }

    fn check(&self, found: u64, range: Range<u64>, bytes: &Bytes) -> Result<(), FilesError> {
        let size = |expected, found: u64| Problem::Size {
            expected,
            found: found.to_string(),
        };
        let problem = match bytes.len() as u64 {
            _ if found != self.size => size(self.size, found),
            came if came != range.end - range.start => size(range.end - range.start, came),
            _ => return Ok(()),
        };
        Err(FilesError::remote(self.url(), problem))
    }
}

/// What a range that an object does not reach means.
fn cut_short(error: FilesError, expected: u64) -> FilesError {
    match error {
        FilesError::Remote {
            url,
            problem: Problem::Refused(code),
        } if code == "InvalidRange" => {
            let found = "fewer".into();
            FilesError::remote(url, Problem::Size { expected, found })
        }
        other => other,
    }
}

/// Bytes from the end of a Parquet file that its footer takes, where this is the end of one.
fn footer(end: &[u8]) -> Option<u64> {
    let (_, last) = end.split_at_checked(end.len().checked_sub(8)?)?;
    let (length, magic) = last.split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?);
    (magic == b"PAR1").then_some(u64::from(length) + 8)
}

/// Ranges that cover `ranges`, in order, with small gaps filled.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|r| !r.is_empty());
    ranges.sort_by_key(|r| r.start);
    let mut all: Vec<Range<u64>> = vec![];
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => {
                last.end = last.end.max(range.end);
            }
            _ => all.push(range),
        }
    }
    all
}

/// A range in pieces of one request each.
fn parts(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let end = range.end;
    let starts = (range.start..end).step_by(PART as usize);
    starts.map(move |start| start..end.min(start + PART))
}

/// The pieces of a range, end to end; copied only where there are several.
fn joined(mut parts: Vec<Bytes>, range: &Range<u64>) -> Bytes {
    if let [_] = parts.as_slice() {
        return parts.swap_remove(0);
    }
    let mut all = Vec::with_capacity((range.end - range.start) as usize);
    for part in parts.drain(..) {
        all.extend_from_slice(&part);
    }
    all.into()
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is what is meant"
)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged_over_small_gaps_alone() {
        assert_eq!(merged(vec![]), []);
        assert_eq!(merged(vec![7..7]), []);
        assert_eq!(merged(vec![50..60, 0..10, 5..20]), [0..60]);
        let far = 20 + GAP;
        assert_eq!(merged(vec![0..20, far..far + 1]), [0..far + 1]);
        let farther = far + 1;
        assert_eq!(
            merged(vec![0..20, farther..farther + 1]),
            [0..20, farther..farther + 1]
        );
        assert_eq!(merged(vec![0..u64::MAX, 1..2]), [0..u64::MAX]);
    }

    #[test]
    fn parts_are_the_range() {
        for range in [0..1, 5..PART + 5, 3..3 * PART + 4] {
            let all: Vec<_> = parts(&range).collect();
            assert_eq!(all[0].start, range.start);
            assert_eq!(all[all.len() - 1].end, range.end);
            assert!(all.windows(2).all(|w| w[0].end == w[1].start));
            assert!(
                all.iter()
                    .all(|p| p.end - p.start <= PART && p.start < p.end)
            );
        }
    }

    #[test]
    fn the_footer_of_a_parquet_file_says_how_long_it_is() {
        assert_eq!(footer(b"....\x10\x00\x00\x00PAR1"), Some(24));
        assert_eq!(footer(b"\x10\x00\x00\x00PAR2"), None);
        assert_eq!(footer(b"PAR1"), None);
        assert_eq!(footer(b""), None);
    }
}
