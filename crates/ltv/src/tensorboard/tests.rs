//! A file decoded by hand, in the order of its bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// The messages of a file, after their lengths and checksums were looked at.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = vec![];
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at(8);
        let (check, rest) = rest.split_at(4);
        assert_eq!(check, record::masked(length).to_le_bytes());
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let (message, rest) = rest.split_at(length);
        let (check, rest) = rest.split_at(4);
        assert_eq!(check, record::masked(message).to_le_bytes());
        found.push(message.to_vec());
        bytes = rest;
    }
    found
}

#[test]
fn a_file_says_version_start_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let display = Display::new(true);
    let recorder = Recorder::new(&display, Some(folder.path())).unwrap();
    recorder.begin(300);
    recorder.measure(300, &[("a/b", 0.5), ("c", -1.0)]);
    drop(recorder);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1);
    let records = records(&fs::read(files[0].as_ref().unwrap().path()).unwrap());
    // The first nine bytes are the time.
    let content: Vec<&[u8]> = records.iter().map(|r| &r[9..]).collect();
    // Two values of ten and eight bytes, each with key and length before it: 22 in all.
    let values = b"\x10\xac\x02\x2a\x16\
                   \x0a\x0a\x0a\x03a/b\x15\0\0\0\x3f\
                   \x0a\x08\x0a\x01c\x15\0\0\x80\xbf";
    let expected: [&[u8]; 3] = [
        b"\x1a\x0dbrain.Event:2",
        b"\x10\xac\x02\x3a\x02\x08\x01",
        values,
    ];
    assert_eq!(content, expected);
}

#[test]
fn a_later_file_has_a_later_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = vec![];
    for _ in 0..3 {
        let file = EventFile::create(folder.path(), 0).unwrap();
        names.push(file.path.file_name().unwrap().to_owned());
    }
    assert!(names.is_sorted() && names[0] < names[1] && names[1] < names[2]);
    let other = folder.path().join(format!("{PREFIX}9000000000.host.1.0"));
    fs::write(&other, b"").unwrap();
    let last = EventFile::create(folder.path(), 0).unwrap();
    assert!(last.path > other, "{}", last.path.display());
}

#[test]
fn where_no_event_file_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let display = Display::new(true);
    assert!(Recorder::new(&display, Some(&file)).is_err());
    assert!(Recorder::new(&display, Some(&file.join("below"))).is_err());
}

/// The folder goes away under a training, which goes on.
#[test]
fn what_cannot_be_written_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let display = Display::new(true);
    let recorder = Recorder::new(&display, Some(folder.path())).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    recorder.begin(0);
    recorder.measure(0, &[("a", 1.0)]);
    assert!(recorder.file.lock().unwrap().is_none());
}
