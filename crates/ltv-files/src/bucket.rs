//! One bucket and the requests that are made of it.

use crate::{
    FilesError,
    explain::{explain, explain_write},
    settings::Settings,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    aws::AmazonS3, path::Path as Key,
};
use std::{collections::HashSet, fmt};

/// A bucket. Its connections are shared by all who read from it.
pub(crate) struct Bucket {
    name: String,
    store: AmazonS3,
}

/// Without the client, which knows credentials.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

impl Bucket {
    pub(crate) async fn connect(name: String) -> Result<Self, FilesError> {
        let url = format!("s3://{name}");
        let store = Settings::from_env().connect(&name, &url).await?;
        Ok(Self { name, store })
    }

    /// The address of an object or prefix.
    pub(crate) fn url(&self, key: &Key) -> String {
        match key.as_ref() {
            "" => format!("s3://{}", self.name),
            key => format!("s3://{}/{key}", self.name),
        }
    }

    /// An object, or a range of it, and what the store says of the whole; only if it is still the
    /// one with the tag `e_tag`, where there is one.
    pub(crate) async fn get(
        &self,
        key: &Key,
        range: Option<GetRange>,
        e_tag: Option<&str>,
    ) -> Result<(ObjectMeta, Bytes), FilesError> {
        let failed = |e| explain(&self.url(key), &e);
        let options = GetOptions {
            range,
            // A weak tag never matches.
            if_match: e_tag.filter(|t| !t.starts_with("W/")).map(String::from),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(key, options).await.map_err(failed)?;
        let meta = found.meta.clone();
        Ok((meta, found.bytes().await.map_err(failed)?))
    }

    /// All objects below `key`, with their sizes; the object `key` itself where there are none.
    pub(crate) async fn files(&self, key: &Key) -> Result<Vec<(Key, u64)>, FilesError> {
        let found = self.below(key).await?;
        if !found.is_empty() || key.as_ref().is_empty() {
            return Ok(found);
        }
        let itself = self.store.head(key).await;
        let itself = itself.map_err(|e| explain(&self.url(key), &e))?;
        Ok(vec![(key.clone(), itself.size)])
    }

    /// All objects below `key`, with their sizes.
    pub(crate) async fn below(&self, key: &Key) -> Result<Vec<(Key, u64)>, FilesError> {
        let below = (!key.as_ref().is_empty()).then_some(key);
        let found = self
            .store
            .list(below)
            .map_ok(|meta| (meta.location, meta.size));
        let found: Result<Vec<_>, _> = found.try_collect().await;
        let mut found = found.map_err(|e| explain(&self.url(key), &e))?;
        without_markers(&mut found, key);
        Ok(found)
    }

    /// Makes or replaces an object, in one request, where `mode` allows it.
    ///
    /// # Errors
    /// What the client says, so that a condition that did not hold can be told from other trouble.
    pub(crate) async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        mode: PutMode,
    ) -> object_store::Result<()> {
        let put = self.store.put_opts(key, bytes.into(), mode.into());
        put.await.map(|_| ())
    }

    /// Begins an object that is sent in several requests, and is there when the last of them is done.
    pub(crate) async fn begin(&self, key: &Key) -> Result<Box<dyn MultipartUpload>, FilesError> {
        let begun = self.store.put_multipart(key).await;
        begun.map_err(|e| explain_write(&self.url(key), &e))
    }

    /// Removes objects; it does not matter whether they are there.
    pub(crate) async fn delete(&self, keys: Vec<Key>) -> Result<(), FilesError> {
        let first = keys.first().map(|key| self.url(key)).unwrap_or_default();
        let keys = stream::iter(keys.into_iter().map(Ok)).boxed();
        let removed = self.store.delete_stream(keys);
        let removed: Result<Vec<Key>, _> = removed.try_collect().await;
        removed.map_err(|e| explain_write(&first, &e))?;
        Ok(())
    }

    /// The last parts of the names of what looks like folders below `key`.
    pub(crate) async fn folders(&self, key: &Key) -> Result<Vec<String>, FilesError> {
        let below = (!key.as_ref().is_empty()).then_some(key);
        let found = self.store.list_with_delimiter(below).await;
        let found = found.map_err(|e| explain(&self.url(key), &e))?;
        let names = found.common_prefixes.iter().filter_map(|p| p.filename());
        Ok(names.map(String::from).collect())
    }
}

/// Leaves out the empty objects that some tools make to stand for folders.
fn without_markers(found: &mut Vec<(Key, u64)>, below: &Key) {
    let mut parents = HashSet::from([below.to_string()]);
    for (key, _) in found.iter() {
        let key = key.as_ref();
        let slashes = key.match_indices('/');
        parents.extend(slashes.map(|(at, _)| key[..at].to_owned()));
    }
    found.retain(|(key, size)| *size > 0 || !parents.contains(key.as_ref()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_folder_is_no_file() {
        let key = |text: &str| Key::from(text);
        let mut found = vec![
            (key("in.parquet"), 0),
            (key("in.parquet/day=1"), 0),
            (key("in.parquet/day=1/a.parquet"), 7),
            (key("in.parquet/empty.parquet"), 0),
        ];
        without_markers(&mut found, &key("in.parquet"));
        let left: Vec<_> = found.iter().map(|(key, _)| key.as_ref()).collect();
        assert_eq!(
            left,
            ["in.parquet/day=1/a.parquet", "in.parquet/empty.parquet"]
        );
    }
}
