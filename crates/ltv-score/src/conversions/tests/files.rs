//! Lines of CSV against another reader, and files that break a rule.

use super::*;

/// A reader of RFC 4180 that goes letter by letter.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (vec![], String::new(), false);
    let mut letters = line.strip_suffix('\n').unwrap().chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quoted) {
            ('"', true) if letters.peek() == Some(&'"') => field.extend(letters.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => fields.push(std::mem::take(&mut field)),
            _ => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

proptest! {
    #[test]
    fn lines_are_read_as_they_were_meant(row in proptest::collection::vec("[a,\"\r\n é=;]{0,6}", 2..7)) {
        let mut line = vec![];
        google::line(&mut line, &row).unwrap();
        let line = String::from_utf8(line).unwrap();
        prop_assert_eq!(&fields(&line), &row);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        prop_assert_eq!(record.iter().collect::<Vec<_>>(), row);
    }
}

fn checked(text: &str, as_of: Option<Day>) -> Result<Checked, String> {
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join("file");
    fs::write(&path, text).unwrap();
    let folder = at.path().to_path_buf();
    let found = check_conversions(
        &path,
        as_of,
        &Scratch {
            folder,
            memory: 10 << 20,
        },
    );
    found.map_err(|e| e.to_string())
}

fn google_file() -> String {
    let at = scored((0..12).collect());
    let people: Vec<Person> = (0..12).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    run(at.path(), &options(Platform::GoogleAds)).unwrap().1
}

#[test]
fn a_file_of_google_that_breaks_a_rule() {
    let good = google_file();
    let found = checked(&good, Some(AS_OF)).unwrap();
    assert_eq!((found.platform, found.rows), (Platform::GoogleAds, 6));
    let zoned = format!("Parameters:TimeZone=+0000\n{}", good.replace("+0000", ""));
    assert_eq!(checked(&zoned, Some(AS_OF)).unwrap(), found);
    let twice = format!("{good}{}", good.lines().nth(1).unwrap());
    for (text, what) in [
        (
            good.replacen("+0000", "", 1),
            "line 2: Conversion Time: not as in",
        ),
        (
            good.replacen("EUR", "EURO", 1),
            "line 2: Conversion Currency: no currency",
        ),
        (
            good.replacen(",EUR", "1,EUR", 1),
            "line 2: Conversion Value: no amount",
        ),
        (
            good.replacen("\"pLTV, 90\"", "", 1),
            "line 2: Conversion Name: empty",
        ),
        (
            good.replacen("Cj0KCQ_click-of-user-0002", "someone@example.com", 1),
            "line 3: Google Click ID",
        ),
        (
            good.replacen(",EUR", ",EUR,", 1),
            "line 2: not one field for each column",
        ),
        (
            good.replacen("Order ID", "E-mail", 1),
            "neither a file of conversions",
        ),
        (twice, "line 8: the same"),
        (good.lines().next().unwrap().to_owned(), "nothing in it"),
        (zoned.replacen("+0000", "Mars", 1), "line 1: Parameters"),
        (String::new(), "neither a file of conversions"),
    ] {
        let error = checked(&text, None).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
        assert!(!error.contains("someone"), "{error}");
    }
    let error = checked(&good, Some(AS_OF + 90)).unwrap_err();
    assert!(
        error.contains("too old") && error.contains("and 1 more"),
        "{error}"
    );
    assert!(checked(&good, Some(AS_OF + (-8))).is_err());
}

#[test]
fn a_file_of_meta_that_breaks_a_rule() {
    let at = scored((0..12).collect());
    let people: Vec<Person> = (0..12).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    let (_, good) = run(at.path(), &options(Platform::Meta)).unwrap();
    let found = checked(&good, Some(AS_OF)).unwrap();
    assert_eq!(found.platform, Platform::Meta);
    let hash = identify::sha256("user0@example.com");
    let (start, rest) = good.split_once("\"event_time\":").unwrap();
    let seconds = rest.split(',').next().unwrap();
    let in_millis = format!(
        "{start}\"event_time\":{seconds}000000{}",
        &rest[seconds.len()..]
    );
    for (text, what) in [
        (
            good.replacen(&hash, "someone@example.com", 1),
            "em: not a list of SHA-256",
        ),
        (
            good.replacen("\"em\"", "\"mail\"", 1),
            "a parameter that is not known",
        ),
        (
            good.replacen("EUR", "EURO", 1),
            "currency: none of ISO 4217",
        ),
        (
            good.replacen("\"value\":", "\"value\":-", 1),
            "value: no number above 0",
        ),
        (
            good.replacen("\"predicted_ltv\":", "\"predicted_ltv\":1", 1),
            "predicted_ltv: not the value",
        ),
        (
            good.replacen("system_generated", "website", 1),
            "website needs",
        ),
        (
            good.replacen("system_generated", "app", 1),
            "action_source: not known",
        ),
        (format!("{good}{good}"), "line 2: the same event_id"),
        (
            format!("{good}{{\"data\":[]}}"),
            "line 2: a request holds 1 to 1000",
        ),
        (format!("{good}{{}}"), "line 2: not a table with a list"),
        (format!("{good}[1]"), "line 2: not a table with a list"),
        (
            format!("{good}{{\"data\":[7]}}"),
            "line 2: an event is no table",
        ),
        (in_millis, "event_time: not in whole seconds"),
    ] {
        let error = checked(&text, None).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
        assert!(!error.contains("someone"), "{error}");
    }
    let error = checked(&good, Some(AS_OF + 7)).unwrap_err();
    assert!(error.contains("too old"), "{error}");
}

/// Up to a thousand events are on one line.
#[test]
fn events_of_one_body_with_the_same_id() {
    let at = scored((0..12).collect());
    let people: Vec<Person> = (0..12).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    let (_, good) = run(at.path(), &options(Platform::Meta)).unwrap();
    let events = good.trim().strip_prefix("{\"data\":[").unwrap();
    let events = events.strip_suffix("]}").unwrap();
    let one = events.split_inclusive("}}").next().unwrap();
    let four = format!("{{\"data\":[{one},{events},{one},{one}]}}\n");
    let error = checked(&four, None).unwrap_err();
    assert_eq!(error.matches("line 1: the same event_id").count(), 3);
}

/// What is sent as it is must not hold what is only sent hashed.
#[test]
fn addresses_in_what_is_not_hashed() {
    let at = scored((0..12).collect());
    let mut people: Vec<Person> = (0..12).map(person).collect();
    // The column of click ids serves as one of user agents.
    for (person, agent) in
        people
            .iter_mut()
            .step_by(2)
            .zip(["Mozilla/5.0 (X11)", "anna@b.de", "x?mail=anna%40b.de"])
    {
        person.click = Some(agent.to_owned());
    }
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::Meta);
    options.action_source = "website".to_owned();
    options.source_url = Some("https://x.y/page".to_owned());
    options.columns.user_agent = Some("gclid".to_owned());
    let (found, good) = run(at.path(), &options).unwrap();
    assert_eq!(found.unusable.user_agent, 2);
    assert_eq!(found.left_out.get(&Reason::NoIdentifier), Some(&2));
    assert!(!good.contains("anna"), "{good}");
    checked(&good, None).unwrap();
    for (from, to, what) in [
        ("Mozilla", "anna@b.de", "client_user_agent: "),
        ("Mozilla", "anna%40b.de", "client_user_agent: "),
        ("x.y/page", "x.y/?mail=anna@b.de", "event_source_url: "),
    ] {
        let error = checked(&good.replacen(from, to, 1), None).unwrap_err();
        assert!(error.contains(what) && !error.contains("anna"), "{error}");
    }
    let text = google_file();
    let (_, order) = text.lines().nth(1).unwrap().rsplit_once(',').unwrap();
    let error = checked(&text.replace(order, "+49 30 1234567"), None).unwrap_err();
    assert!(error.contains("line 2: Order ID: cannot be one"), "{error}");
}

/// A day counts as its last second, and that of a click as its first.
#[test]
fn days_without_a_time() {
    let at = scored((0..12).collect());
    let days =
        |ago: i32| Arc::new(arrow::array::Date32Array::from(vec![AS_OF.0 - ago])) as ArrayRef;
    let clicks = Arc::new(StringArray::from(vec![click(0)])) as ArrayRef;
    let ids = Arc::new(Int64Array::from(vec![0])) as ArrayRef;
    let mut options = options(Platform::GoogleAds);
    (options.columns.email, options.columns.consent) = (None, None);
    let noon = (NOW_SECONDS - 43_200) * 1_000_000;
    let noon = Arc::new(TimestampMicrosecondArray::from(vec![noon])) as ArrayRef;
    for (ago, clicked, time) in [
        (1, noon, "1970-07-19 23:59:59+0000"),
        (1, days(1), "1970-07-19 23:59:59+0000"),
        (0, days(0), "1970-07-20 23:59:59+0000"),
    ] {
        let columns = [
            ("user_id", ids.clone()),
            ("registered", days(ago)),
            ("clicked", clicked),
            ("gclid", clicks.clone()),
        ];
        parquet(&at.path().join("users.parquet"), &columns);
        let (_, text) = run(at.path(), &options).unwrap();
        assert!(text.contains(time), "{text}");
    }
}
