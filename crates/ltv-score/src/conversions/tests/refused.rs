//! What is refused wholly, with the options as they are and with tables that are not what they should be.

use super::*;
use arrow::array::BooleanArray;

fn refuse(at: &Path, options: &ConversionOptions, parts: &[&str]) {
    let error = run(at, options).unwrap_err();
    assert_eq!(error.fault(), ltv_core::Fault::User, "{error}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('@'), "{text}");
    assert!(!at.join("out").exists());
}

type Change = fn(&mut ConversionOptions);

#[test]
fn options_that_make_no_sense() {
    let at = scored((0..12).collect());
    table(&at.path().join("users.parquet"), &[person(0)]);
    let google: [(Change, &str); 20] = [
        (
            |o| o.platform = None,
            "platform: none is given; give one of google-ads",
        ),
        (|o| o.currency = "euro".into(), "currency: 'euro'"),
        (|o| o.currency = String::new(), "currency: ''"),
        (|o| o.name = "  ".into(), "name: '' is no name"),
        (|o| o.name = "x".repeat(101), "1 to 100 letters"),
        (|o| o.name = "a\nb".into(), "is no name"),
        (
            |o| o.horizon = Some(45),
            "the snapshot has no horizon of 45 days, only [30, 90]",
        ),
        (
            |o| o.as_of = Some(AS_OF + (-1)),
            "as_of: 1970-07-19 is before 1970-07-20",
        ),
        (
            |o| o.status = vec!["rich".into()],
            "status: 'rich' is none of active",
        ),
        (|o| o.status.clear(), "status: none is given"),
        (|o| o.scale = 0.0, "scale: 0"),
        (|o| o.scale = f64::NAN, "scale: NaN"),
        (|o| o.cap = Some(1.5), "cap: 1.5"),
        (|o| o.min_value = Some(-1.0), "min_value: -1"),
        (|o| o.moved = -0.1, "moved: -0.1"),
        (|o| o.memory = 1, "memory: 1; give 10 MiB"),
        (
            |o| o.columns.time = String::new(),
            "columns.time: none is given",
        ),
        (
            |o| o.columns.click_id = None,
            "columns.click_id: none is given",
        ),
        (
            |o| o.since = Some("yesterday".into()),
            "since: google-ads restates nothing",
        ),
        (
            |o| o.platform = Some(Platform::GoogleAdsRestatement),
            "since: none is given",
        ),
    ];
    for (change, part) in google {
        let mut options = options(Platform::GoogleAds);
        change(&mut options);
        refuse(at.path(), &options, &[part]);
    }
}

#[test]
fn options_that_make_no_sense_for_meta() {
    let at = scored((0..12).collect());
    table(&at.path().join("users.parquet"), &[person(0)]);
    let meta: [(Change, &str); 7] = [
        (
            |o| o.name = "x".repeat(51),
            "1 to 50 letters; give that of the event",
        ),
        (
            |o| o.columns.email = None,
            "columns: no column to know users by",
        ),
        (
            |o| o.since = Some("yesterday".into()),
            "since: meta takes no restatements",
        ),
        (
            |o| o.action_source = "app".into(),
            "action_source: 'app' is none of",
        ),
        (
            |o| o.action_source = "website".into(),
            "columns.user_agent: none is given",
        ),
        (
            |o| {
                o.action_source = "website".into();
                o.columns.user_agent = Some("consent".into());
            },
            "source_url: no address",
        ),
        (
            |o| o.source_url = Some("https://x.y/?mail=anna%40b.de".into()),
            "source_url: an e-mail address may be in it",
        ),
    ];
    for (change, part) in meta {
        let mut options = options(Platform::Meta);
        change(&mut options);
        refuse(at.path(), &options, &[part]);
    }
}

#[test]
fn tables_that_are_not_what_they_should_be() {
    let at = scored((0..12).collect());
    let path = at.path().join("users.parquet");
    let ids = |ids: &[Option<i64>]| Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef;
    let times =
        |n: usize| Arc::new(TimestampMicrosecondArray::from(vec![NOW_SECONDS; n])) as ArrayRef;
    let words = |word: &str, n: usize| Arc::new(StringArray::from(vec![word; n])) as ArrayRef;
    let mut options = options(Platform::GoogleAds);
    (options.columns.click_time, options.columns.consent) = (None, None);
    let refuse = |columns: &[(&str, ArrayRef)], parts: &[&str]| {
        parquet(&path, columns);
        refuse(at.path(), &options, parts);
    };
    let click = words(&click(0), 2);
    let two = ids(&[Some(0), Some(4)]);
    let right = [
        ("user_id", two.clone()),
        ("registered", times(2)),
        ("gclid", click.clone()),
    ];
    refuse(
        &right[..2],
        &["users.parquet", "no column 'gclid'", "registered"],
    );
    let gap = ids(&[Some(0), None]);
    refuse(
        &[("user_id", gap), right[1].clone(), right[2].clone()],
        &["users.parquet", "row 2: 'user_id' is null"],
    );
    let twice = ids(&[Some(4), Some(4)]);
    let parts = ["users.parquet", "row 2 is of the user of row 1"];
    refuse(
        &[("user_id", twice), right[1].clone(), right[2].clone()],
        &parts,
    );
    refuse(
        &[
            ("user_id", words("a@b.de", 2)),
            right[1].clone(),
            right[2].clone(),
        ],
        &["'user_id' holds Utf8, not whole numbers"],
    );
    refuse(
        &[
            right[0].clone(),
            ("registered", two.clone()),
            right[2].clone(),
        ],
        &["'registered' holds Int64, not a timestamp"],
    );
    let flags = Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef;
    refuse(
        &[right[0].clone(), right[1].clone(), ("gclid", flags)],
        &["'gclid' holds Boolean, not text"],
    );
    let nobody = ids(&[Some(77), Some(78)]);
    let parts =
        ["nothing left to send to google-ads: 6 of another status, 6 not in the user table"];
    refuse(
        &[("user_id", nobody), right[1].clone(), right[2].clone()],
        &parts,
    );
}

#[test]
fn what_is_no_table_or_no_snapshot() {
    let at = scored((0..12).collect());
    let options = options(Platform::GoogleAds);
    let path = at.path().join("users.parquet");
    refuse(at.path(), &options, &["users.parquet", "check the path"]);
    fs::write(&path, "user_id,gclid\n").unwrap();
    refuse(
        at.path(),
        &options,
        &["users.parquet", "not a readable Parquet file"],
    );
    table(&path, &[person(0)]);
    let out = at.path().join("out");
    let with = |snapshot: &str, users: &[&Path], part: &str| {
        let users: Vec<PathBuf> = users.iter().map(|p| p.to_path_buf()).collect();
        let found = conversions(&at.path().join(snapshot), &users, &out, &options, &Silent);
        let error = found.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    };
    with("data-of-snapshot", &[&path], "data-of-snapshot");
    with("nowhere", &[&path], "nowhere");
    with("snapshot", &[], "users: no file given");
    with("snapshot", &[&path, &path], "is given twice");
    fs::create_dir(at.path().join("empty")).unwrap();
    with(
        "snapshot",
        &[&at.path().join("empty")],
        "no Parquet file in it",
    );
    let mut restating = options.clone();
    restating.platform = Some(Platform::GoogleAdsRestatement);
    restating.since = Some(at.path().join("snapshot"));
    refuse(
        at.path(),
        &restating,
        &["since: ", "which is not before 1970-07-20"],
    );
    let manifest = SnapshotManifest::read(at.path().join("snapshot")).unwrap();
    let mut twice = manifest.clone();
    twice.files.push(manifest.files[0].clone());
    twice.rows *= 2;
    twice.write(at.path().join("snapshot")).unwrap();
    refuse(at.path(), &options, &["snapshot", "names a user twice"]);
}

/// Meta wants what is recent, and complete windows are old.
#[test]
fn nothing_recent_for_meta() {
    let at = scored((0..12).collect());
    let people: Vec<Person> = (0..12).map(person).collect();
    let old = |p: &Person| Person {
        ago: Some(86_400 * 14),
        ..p.clone()
    };
    let people: Vec<Person> = people.iter().map(old).collect();
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::Meta);
    let parts = [
        "6 too old for the platform",
        "--time of a later event",
        "--status observing",
    ];
    refuse(at.path(), &options, &parts);
    // Of a shop it is recent enough.
    options.action_source = "physical_store".to_owned();
    run(at.path(), &options).unwrap();
}
