//! Made-up tables against rules that are written down a second time.

use super::*;
use std::collections::BTreeSet;

/// What the rules mean for one user, once more.
fn oracle(p: &Person, value: f64, least: f64) -> Result<(), Reason> {
    if p.consent != Some("granted") {
        return Err(Reason::NoConsent);
    }
    let ago = p.ago.ok_or(Reason::NoTime)?;
    if ago <= -86_400 {
        return Err(Reason::InTheFuture);
    }
    let longest = ago.max(p.clicked_ago.unwrap_or(ago));
    if longest > 89 * 86_400 {
        return Err(Reason::TooOld);
    }
    match &p.click {
        None => return Err(Reason::NoIdentifier),
        Some(click) if click.contains(' ') => return Err(Reason::MalformedClickId),
        Some(_) => (),
    }
    if p.clicked_ago.is_some_and(|click| click <= ago) {
        return Err(Reason::BeforeClick);
    }
    match value < least {
        true => Err(Reason::BelowMinValue),
        false => Ok(()),
    }
}

fn anybody(id: i64) -> impl Strategy<Value = Person> {
    let ago = prop_oneof![-2i64..3, 85..92i64];
    let ago = (ago, 0i64..3).prop_map(|(days, seconds)| days * 86_400 + seconds - 1);
    let clicked = (ago.clone(), 0i64..200_000);
    let click = prop_oneof![
        1 => Just(None),
        1 => Just(Some("no click id of these".to_owned())),
        5 => (0i64..4).prop_map(|i| Some(click(i))),
    ];
    let consent = prop_oneof![
        1 => Just(None),
        1 => Just(Some("denied")),
        8 => Just(Some("granted")),
    ];
    let time = proptest::option::weighted(0.95, clicked);
    let clicked = proptest::option::weighted(0.6, Just(()));
    (time, clicked, click, consent).prop_map(move |(time, clicked, click, consent)| Person {
        id,
        ago: time.map(|(ago, _)| ago),
        click,
        clicked_ago: clicked.and(time.map(|(ago, more)| ago + more - 20_000)),
        email: None,
        consent,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every user is sent or counted, as loops over all of them say.
    #[test]
    fn everybody_is_sent_or_counted(
        people in (0..40).map(anybody).collect::<Vec<_>>(), keep in proptest::collection::vec(any::<bool>(), 40),
        least in 0.0f64..6.0,
    ) {
        let at = scored((0..40).collect());
        let listed: Vec<Person> = people.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(p, _)| p.clone()).collect();
        table(&at.path().join("users.parquet"), &listed);
        let mut options = options(Platform::GoogleAds);
        options.min_value = Some(least);
        let (mut counts, mut sent, mut seen) = (BTreeMap::<Reason, u64>::new(), vec![], BTreeSet::new());
        for i in 0..40 {
            let value = Currency::of("EUR").unwrap().round(predicted(i, 1));
            let person = listed.iter().find(|p| p.id == i as i64);
            let verdict = match (status(i), person) {
                ("observing" | "no_events", _) => Err(Reason::Status),
                (_, None) => Err(Reason::NotInUsers),
                (_, Some(p)) => oracle(p, value, least).and_then(|()| {
                    match seen.insert((p.click.clone(), p.ago)) {
                        true => Ok((p.click.clone().unwrap(), value)),
                        false => Err(Reason::Duplicate),
                    }
                }),
            };
            match verdict {
                Ok(row) => sent.push(row),
                Err(reason) => *counts.entry(reason).or_default() += 1,
            }
        }
        match run(at.path(), &options) {
            Err(error) => {
                prop_assert!(sent.is_empty(), "{}", error);
                prop_assert!(error.to_string().contains("nothing left to send"), "{}", error);
                prop_assert!(!at.path().join("out").exists());
            }
            Ok((found, text)) => {
                let rows: Vec<(String, f64)> = text.lines().skip(1).map(|line| {
                    let line = line.replace("\"pLTV, 90\"", "name");
                    let fields: Vec<&str> = line.split(',').collect();
                    (fields[0].to_owned(), fields[3].parse().unwrap())
                }).collect();
                prop_assert_eq!(&rows, &sent);
                prop_assert_eq!(found.left_out, counts);
                prop_assert!((found.total - sent.iter().map(|row| row.1).sum::<f64>()).abs() < 1e-9);
            }
        }
    }
}
