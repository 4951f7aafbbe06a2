//! What is fuzzed of a store in Redis.

use super::{
    address::Address,
    layout::{Described, bucket, read_document},
};
use crate::{
    fuzzing::{ask, made},
    pointer::Pointer,
};

/// A description of a version, and a pointer.
pub(crate) fn documents(data: &[u8]) {
    let id = made().id;
    if let Ok(found) = Described::read(&id, "made", data) {
        let written = found.write().expect("it can be written");
        let again = Described::read(&id, "made", &written).expect("it can be read again");
        assert_eq!(again, found);
        ask(&found.version);
        assert!(bucket("4711", found.buckets) < found.buckets.max(1));
    }
    let read = |bytes: &[u8]| -> Result<Pointer, _> {
        read_document("made", bytes, Pointer::FORMAT, Pointer::VERSION)
    };
    if let Ok(found) = read(data) {
        let written = serde_json::to_vec(&found).expect("it can be written");
        assert_eq!(read(&written).expect("it can be read again"), found);
        for next in ["", "b"] {
            let after = Pointer::after(Some(found.clone()), next);
            assert!(after.kept().contains(&next));
        }
    }
}

/// What anybody types after a password: never shown with it.
pub(crate) fn address(text: &str) {
    const SECRET: &str = "hunter2";
    if text.contains(SECRET) {
        return;
    }
    let address = format!("rediss://me:{SECRET}@{text}");
    for address in [&address, text] {
        let shown = match Address::parse(address, |_| None) {
            Ok(found) => {
                assert!((1..=64).contains(&found.prefix.len()));
                found.shown
            }
            Err(error) => error.to_string(),
        };
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

/// Documents to start from.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let described = Described {
        version: made(),
        buckets: 1000,
    };
    let pointer = serde_json::to_vec(&Pointer::new(&made().id, Some("before".into())));
    vec![
        described.write().expect("it can be written"),
        pointer.expect("it can be written"),
    ]
}
