//! One file of this machine to one object.

use crate::{FilesError, bucket::Bucket, explain::explain_write, object::PART};
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use object_store::{MultipartUpload, PutMode, UploadPart, path::Path as Key};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Pieces of an object that are under way at a time: with [`PART`], what an upload takes of memory.
const IN_FLIGHT: usize = 4;
/// Pieces that an object may have, by the S3 API.
const MOST_PIECES: u64 = 10_000;

/// A file that is read from its beginning to its end.
#[derive(Debug, Clone)]
struct Local {
    file: Arc<File>,
    path: Arc<PathBuf>,
}

impl Local {
    fn failed(&self, error: io::Error) -> FilesError {
        ltv_core::Error::io(self.path.as_path(), "read", error).into()
    }

    /// The next bytes, so many.
    async fn next(self, length: usize) -> Result<Bytes, FilesError> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length];
            (&*file).read_exact(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        });
        let read = read.await.map_err(FilesError::internal)?;
        Ok(read.map_err(|e| self.failed(e))?.into())
    }
}

/// Makes the object `key` of the file `path`: in one request where it is small, and in pieces where it is not.
///
/// # Errors
/// When the file cannot be read, or the store refuses. Pieces that had been sent are then removed.
pub(super) async fn upload(bucket: &Bucket, key: &Key, path: &Path) -> Result<(), FilesError> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = opened.map_err(|e| ltv_core::Error::io(path, "read", e))?;
    let local = Local {
        file: Arc::new(file),
        path: Arc::new(path.to_path_buf()),
    };
    let url = bucket.url(key);
    if size <= PART {
        let bytes = local.next(length(size)?).await?;
        let put = bucket.put(key, bytes, PutMode::Overwrite).await;
        return put.map_err(|e| explain_write(&url, &e));
    }
    let upload = bucket.begin(key).await?;
    in_pieces(upload, local, (size, piece(size)), &url).await
}

fn length(bytes: u64) -> Result<usize, FilesError> {
    usize::try_from(bytes).map_err(FilesError::internal)
}

/// Bytes of each piece but the last, which some stores want to be the same: as few as there may be.
fn piece(size: u64) -> u64 {
    PART.max(size.div_ceil(MOST_PIECES))
}

/// Sends a file of so many bytes in pieces of so many, a few at a time; all or, as far as the store can be
/// reached, none: pieces of an object that is never made are paid for.
async fn in_pieces(
    mut upload: Box<dyn MultipartUpload>,
    file: Local,
    (size, piece): (u64, u64),
    url: &str,
) -> Result<(), FilesError> {
    let failed = |e| explain_write(url, &e);
    let mut under_way = FuturesUnordered::new();
    let done = match send((upload.as_mut(), &mut under_way), file, (size, piece), url).await {
        Ok(()) => upload.complete().await.map(|_| ()).map_err(failed),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // A piece that arrived after the end would stay.
        while under_way.next().await.is_some() {}
        // The first trouble is the one to tell.
        let _ = upload.abort().await;
    }
    done
}

async fn send(
    (upload, under_way): (&mut dyn MultipartUpload, &mut FuturesUnordered<UploadPart>),
    file: Local,
    (size, piece): (u64, u64),
    url: &str,
) -> Result<(), FilesError> {
    let mut left = size;
    loop {
        // Read and numbered in order; sent side by side.
        while left > 0 && under_way.len() < IN_FLIGHT {
            let bytes = file.clone().next(length(left.min(piece))?).await?;
            left -= bytes.len() as u64;
            under_way.push(upload.put_part(bytes.into()));
        }
        match under_way.next().await {
            Some(sent) => sent.map_err(|e| explain_write(url, &e))?,
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::runtime::wait;
    use futures::future::BoxFuture;
    use object_store::{Error, PutResult};
    use std::{
        collections::BTreeMap,
        sync::{Mutex, PoisonError},
    };

    /// What a store was told.
    #[derive(Debug, Default)]
    struct Told {
        pieces: BTreeMap<usize, Vec<u8>>,
        /// Pieces that are not there yet.
        under_way: usize,
        ends: Vec<&'static str>,
    }

    /// A store that fails at one of the pieces, or at the end.
    #[derive(Debug)]
    struct Fake {
        begun: usize,
        fails_at: Option<usize>,
        told: Arc<Mutex<Told>>,
    }

    fn refused() -> Error {
        Error::Generic {
            store: "S3",
            source: "<Code>AccessDenied</Code>".into(),
        }
    }

    impl Fake {
        fn told(&self) -> std::sync::MutexGuard<'_, Told> {
            self.told.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn end(&self, end: &'static str) {
            let mut told = self.told();
            assert_eq!(told.under_way, 0, "{end} before all pieces are there");
            told.ends.push(end);
        }
    }

    impl MultipartUpload for Fake {
        fn put_part(&mut self, data: object_store::PutPayload) -> UploadPart {
            let number = self.begun;
            self.begun += 1;
            self.told().under_way += 1;
            let (fails, told) = (self.fails_at == Some(number), self.told.clone());
            Box::pin(async move {
                // Later pieces arrive earlier.
                for _ in 0..10_usize.saturating_sub(number) {
                    tokio::task::yield_now().await;
                }
                let bytes = data.iter().flat_map(|b| b.to_vec()).collect();
                let mut told = told.lock().unwrap();
                told.under_way -= 1;
                told.pieces.insert(number, bytes);
                if fails { Err(refused()) } else { Ok(()) }
            })
        }

        fn complete<'a: 'b, 'b>(&'a mut self) -> BoxFuture<'b, object_store::Result<PutResult>> {
            self.end("complete");
            let fails = self.fails_at == Some(self.begun);
            Box::pin(async move {
                let (e_tag, version) = (None, None);
                if fails {
                    Err(refused())
                } else {
                    Ok(PutResult { e_tag, version })
                }
            })
        }

        fn abort<'a: 'b, 'b>(&'a mut self) -> BoxFuture<'b, object_store::Result<()>> {
            self.end("abort");
            Box::pin(async { Ok(()) })
        }
    }

    /// Sends `size` bytes in pieces of 7.
    fn sent(size: usize, fails_at: Option<usize>) -> (Result<(), FilesError>, Vec<u8>, Told) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let all: Vec<u8> = (0..size).map(|i| i as u8).collect();
        std::fs::write(&path, &all).unwrap();
        let file = Local {
            file: Arc::new(File::open(&path).unwrap()),
            path: Arc::new(path),
        };
        let told = Arc::new(Mutex::new(Told::default()));
        let fake = Box::new(Fake {
            begun: 0,
            fails_at,
            told: told.clone(),
        });
        let bytes = size as u64;
        let done = wait(async move { in_pieces(fake, file, (bytes, 7), "s3://lake/x").await });
        let told = std::mem::take(&mut *told.lock().unwrap());
        (done, all, told)
    }

    #[test]
    fn pieces_are_the_file() {
        for size in [1, 7, 8, 7 * 4, 7 * 9 + 3] {
            let (done, all, told) = sent(size, None);
            done.unwrap();
            assert_eq!(told.ends, ["complete"]);
            let lengths: Vec<_> = told.pieces.values().map(Vec::len).collect();
            assert!(lengths[..lengths.len() - 1].iter().all(|&n| n == 7));
            assert_eq!(
                told.pieces.into_values().flatten().collect::<Vec<u8>>(),
                all
            );
        }
    }

    #[test]
    fn what_fails_is_taken_back() {
        for (fails_at, ends) in [
            (0, vec!["abort"]),
            (5, vec!["abort"]),
            (9, vec!["abort"]),
            (10, vec!["complete", "abort"]),
        ] {
            let (done, _, told) = sent(7 * 9 + 3, Some(fails_at));
            let error = done.unwrap_err().to_string();
            assert!(
                error.starts_with("s3://lake/x: access denied (AccessDenied)"),
                "{error}"
            );
            assert!(error.contains("s3:PutObject"), "{error}");
            assert_eq!(told.ends, ends, "at {fails_at}");
        }
    }

    #[test]
    fn a_file_that_shrank_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "short").unwrap();
        let file = Local {
            file: Arc::new(File::open(&path).unwrap()),
            path: Arc::new(path),
        };
        let told = Arc::new(Mutex::new(Told::default()));
        let fake = Box::new(Fake {
            begun: 0,
            fails_at: None,
            told: told.clone(),
        });
        let done = wait(async move { in_pieces(fake, file, (12, 7), "s3://lake/x").await });
        assert!(done.unwrap_err().to_string().contains("file"));
        assert_eq!(told.lock().unwrap().ends, ["abort"]);
    }

    #[test]
    fn there_are_never_too_many_pieces() {
        let most = PART * MOST_PIECES;
        for size in [PART + 1, most - 1, most, most + 1, 3 * most + 7] {
            assert!(size.div_ceil(piece(size)) <= MOST_PIECES, "{size}");
            assert!(piece(size) >= PART);
        }
        assert_eq!(piece(most), PART);
    }
}
