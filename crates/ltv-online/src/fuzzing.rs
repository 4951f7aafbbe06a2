//! What is fuzzed here (fuzz/README.md): what stores are read from, as bytes that may be anything. A target panics
//! where a promise is broken.

use crate::{Embedded, Prediction, Store, UserId, UserKind, Version, redis::fuzzing as redis};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

/// Bytes of a user, of any store: none, or a prediction that is sound and that is written and read as it was.
///
/// ```text
/// numbers (1)   length of the key (1)   key   value
/// ```
pub fn value(data: &[u8]) {
    let [count, length, rest @ ..] = data else {
        return;
    };
    let (key, bytes) = rest.split_at(rest.len().min(usize::from(*length)));
    let count = usize::from(*count);
    // As it is; then, because a fuzzer finds few checks, with the check that fits it.
    decode(key, bytes, count);
    decode(key, &crate::value::checked(key, bytes), count);
    for kind in [UserKind::Number, UserKind::Text] {
        if let Some(user) = UserId::of_key(key, kind) {
            let mut again = vec![];
            user.key(&mut again);
            assert_eq!(again, key);
        }
    }
}

fn decode(key: &[u8], bytes: &[u8], count: usize) {
    let Some(found) = Prediction::decode(key, bytes, count) else {
        return;
    };
    assert_eq!(found.numbers.len(), count);
    assert!(found.numbers.iter().all(|n| n.is_finite() && *n >= 0.0));
    let mut written = vec![];
    found.encode(key, &mut written);
    assert_eq!(Prediction::decode(key, &written, count), Some(found));
}

/// Documents of stores, in folders and in Redis, and addresses of stores in Redis: refused, or written and read as
/// they were, and answered from without a panic.
pub fn documents(data: &[u8]) {
    redis::documents(data);
    if let Ok(text) = str::from_utf8(data) {
        redis::address(text);
    }
}

/// What is asked of a version that passed its check.
pub(crate) fn ask(version: &Version) {
    let width = version.width();
    let statuses = version.segments.keys().map(|name| Some(name.as_str()));
    for status in statuses.chain([None, Some("nobody")]) {
        if let Some(means) = version.expected(status) {
            assert_eq!(means.len(), width);
        }
    }
    assert!(!version.status(255).is_empty() || version.statuses.len() == 256);
    version.age(SystemTime::UNIX_EPOCH);
    for spread in &version.spread {
        for p in [0.0, 0.5, 1.0] {
            assert!(spread.quantile(p) <= spread.largest.max(0.0));
        }
    }
}

/// The files of a store, one of them changed: refused, or it answers what was published. What changes is not what is
/// mapped into memory: a checksum stands before that.
///
/// ```text
/// file (1)   how (1)   place (2)   bytes
/// ```
pub fn store(data: &[u8]) {
    let [file, how, a, b, bytes @ ..] = data else {
        return;
    };
    let shop = shop();
    let path = &shop.files[usize::from(*file) % shop.files.len()];
    let whole = fs::read(path).expect("it is there");
    let at = usize::from(u16::from_le_bytes([*a, *b])).min(whole.len());
    let changed = match how % 3 {
        0 => bytes.to_vec(),
        1 => whole[..at].to_vec(),
        _ => {
            let after = whole.get(at + bytes.len()..).unwrap_or_default();
            [&whole[..at], bytes, after].concat()
        }
    };
    let same = changed == whole;
    let data = path.ends_with("data.mdb");
    fs::write(path, changed).expect("it can be written");
    if let Ok(store) = Embedded::open_checked(&shop.folder) {
        assert!(same || !data, "a damaged file was opened");
        if let Some(live) = store.live() {
            ask(&live);
        }
        if let Ok(answer) = store.get(&shop.users) {
            assert_eq!(answer.predictions.len(), shop.users.len());
        }
        // A look at what is there changes nothing.
        let _ = store.refresh();
    }
    fs::write(path, whole).expect("it can be written");
}

/// A store in a folder that this process alone knows.
struct Shop {
    folder: PathBuf,
    files: Vec<PathBuf>,
    users: Vec<UserId>,
}

fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let users: Vec<UserId> = (0..3).map(UserId::Number).collect();
        publish(&folder, &users);
        let mut files = vec![folder.join("live.json")];
        for version in fs::read_dir(folder.join("versions")).expect("it is a folder") {
            let version = version.expect("it is there").path();
            let names = ["version.json", "data.blake3", "data.mdb"];
            files.extend(names.map(|name| version.join(name)));
        }
        assert_eq!(files.len(), 4);
        Shop {
            folder,
            files,
            users,
        }
    })
}

/// As `publish` does, without a snapshot.
fn publish(folder: &Path, users: &[UserId]) {
    let store = Embedded::to_publish(folder);
    let version = made();
    let mut draft = store.begin(&version.id, 3).expect("it can be written");
    let mut value = vec![];
    for user in users {
        let mut key = vec![];
        user.key(&mut key);
        let prediction = Prediction {
            status: 0,
            numbers: vec![1.5; version.width()],
        };
        prediction.encode(&key, &mut value);
        draft.add(user, &value).expect("it can be written");
    }
    let version = draft.finish(version).expect("it can be written");
    store.go_live(&version.id).expect("it can be written");
}

/// A version of three users.
pub(crate) fn made() -> Version {
    let text = include_str!("fuzzing/version.json");
    serde_json::from_str(text).expect("it is one")
}

#[cfg(test)]
mod tests;
