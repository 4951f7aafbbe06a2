use super::*;
use crate::{
    PeerConfig, fit,
    testing::{self, User, frame},
};
use proptest::prelude::*;

fn config(json: &str) -> PeerConfig {
    serde_json::from_str(json).unwrap()
}

fn data() -> crate::TrainingRows {
    testing::users(300, 5, |plain, _, dice| {
        let short = if dice.uniform() < 0.5 { 0.0 } else { plain[1] };
        vec![short, short + plain[2] * dice.uniform()]
    })
}

fn fitted(json: &str) -> Peer {
    let rows = data();
    fit(&config(json), &frame(&[30, 90]), &rows, &rows, 7, 2).unwrap()
}

const KINDS: [&str; 3] = [
    r#"{"kind":"rfm"}"#,
    r#"{"kind":"train_mean"}"#,
    r#"{"kind":"trivial_sort"}"#,
];

#[test]
fn a_file_holds_the_same_peer() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let peer = fitted(kind);
        let (a, b) = (folder.path().join("a.json"), folder.path().join("b.json"));
        let id = peer.save(&a).unwrap();
        let loaded = Peer::load(&a).unwrap();
        assert_eq!((loaded.model_id(), id.len()), (id.as_str(), 16));
        assert_eq!(loaded.document(), peer.document());
        loaded.save(&b).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        let rows = data().rows;
        assert_eq!(loaded.predict(&rows), peer.predict(&rows));
        assert_eq!(fitted(kind).bytes(), peer.bytes());
    }
}

fn refused(text: &str) -> (String, &'static str) {
    decode(text.as_bytes()).unwrap_err()
}

#[test]
fn files_that_are_refused() {
    let text = fitted(KINDS[0]).bytes();
    assert!(decode(text.as_bytes()).is_ok());
    assert!(refused("nonsense").0.contains("not a peer"));
    assert!(
        refused(r#"{"format":"ltv-bundle","version":1}"#)
            .0
            .contains("'ltv-bundle'")
    );
    let (problem, hint) = refused(&text.replace("\"version\":1", "\"version\":2"));
    assert!(
        problem.contains("version 2") && hint.contains("update"),
        "{problem}"
    );
    assert!(
        refused(&text.replace("\"version\":1", "\"version\":0"))
            .0
            .contains("version 0")
    );
    let edited = text.replace("\"seed\":7", "\"seed\":8");
    assert_ne!(edited, text);
    assert!(refused(&edited).0.contains("checksum"));
    assert!(refused(&text[..text.len() / 2]).0.contains("not a peer"));
}

/// An edited document with a checksum that was made for it.
fn forged(edit: impl Fn(&mut serde_json::Value)) -> Result<(), String> {
    let peer = fitted(KINDS[0]);
    let mut document: serde_json::Value = serde_json::from_str(&peer.text).unwrap();
    edit(&mut document);
    let text = document.to_string();
    let sum = blake3::hash(text.as_bytes()).to_hex();
    let file = format!(r#"{{"format":"ltv-peer","version":1,"blake3":"{sum}","document":{text}}}"#);
    decode(file.as_bytes()).map(|_| ()).map_err(|e| e.0)
}

#[test]
fn documents_that_contradict_themselves() {
    forged(|_| {}).unwrap();
    let cases: [(&str, serde_json::Value); 9] = [
        ("/horizons", serde_json::json!([30])),
        ("/horizons", serde_json::json!([])),
        ("/encoding/plain", serde_json::json!(["recency"])),
        ("/config", serde_json::json!({"kind": "train_mean"})),
        ("/config/prior_rows", serde_json::json!(-1.0)),
        ("/model/cells", serde_json::json!([])),
        ("/model/axes/0/edges", serde_json::json!([2.0, 1.0])),
        (
            "/model/cells/0/0/quantiles",
            serde_json::json!([3.0, 2.0, 1.0]),
        ),
        ("/model/cells/0/0/value", serde_json::json!(-1.0)),
    ];
    for (place, value) in cases {
        let error = forged(|d| *d.pointer_mut(place).unwrap() = value.clone());
        let error = error.expect_err(place);
        assert!(error.contains("document"), "{place}: {error}");
    }
}

#[test]
fn what_a_peer_does_not_know_is_empty() {
    let rows = data().rows;
    let lengths = |json: &str| {
        let p = fitted(json).predict(&rows);
        assert_eq!((p.rows, p.values.len(), p.projected.len()), (300, 600, 300));
        assert!(!p.projected.contains(&true));
        (p.quantiles.len(), p.positive.len())
    };
    assert_eq!(KINDS.map(lengths), [(1800, 600), (1800, 600), (0, 0)]);
}

/// Whatever the numbers of a document, predictions are finite and not negative.
#[test]
fn predictions_are_sound_for_every_kind() {
    let is_sound = |p: Predictions| {
        let values = p.values.iter().chain(&p.quantiles);
        assert!(
            values.clone().all(|v| v.is_finite() && *v >= 0.0),
            "{:?}",
            p.values
        );
        assert!(p.positive.iter().all(|p| (0.0..=1.0).contains(p)));
    };
    // A mean over next to nothing, times nothing or much.
    let mut document = fitted(KINDS[2]).document().clone();
    document.baselines.horizons[0].label_mean = 1e300;
    document.baselines.horizons[0].signal_mean = 1e-300;
    document.baselines.horizons[1].label_mean = -5.0;
    is_sound(Peer::new(document).unwrap().predict(&data().rows));
    // Values beyond all numbers.
    let mut document = fitted(KINDS[2]).document().clone();
    document.config = config(r#"{"kind":"btyd"}"#);
    document.model = serde_json::from_str(
        r#"{"kind":"btyd",
            "counts":{"bg_nbd":{"model":{"r":0.2,"alpha":4.0,"a":0.8,"b":2.4},"unit":"week",
                "log_likelihood":0.0,"customers":1,"evaluations":1,"slope":0.0,"at_limit":false}},
            "spend":{"model":{"p":6.0,"q":4.0,"gamma":1e308},"unit":"day",
                "log_likelihood":0.0,"customers":1,"evaluations":1,"slope":0.0,"at_limit":false}}"#,
    )
    .unwrap();
    is_sound(Peer::new(document).unwrap().predict(&data().rows));
}

#[test]
fn the_rules_by_hand() {
    let rows = data();
    let labels = &rows.rows.labels;
    let mean = labels.iter().skip(1).step_by(2).sum::<f64>() / 300.0;
    let p = fitted(KINDS[1]).predict(&rows.rows);
    assert!(
        p.values
            .iter()
            .skip(1)
            .step_by(2)
            .all(|v| (v - mean).abs() < 1e-9)
    );
    let signal: Vec<f64> = rows.rows.plain.iter().skip(2).step_by(4).copied().collect();
    let ratio = mean / (signal.iter().sum::<f64>() / 300.0);
    let p = fitted(KINDS[2]).predict(&rows.rows);
    let own = p.values.iter().skip(1).step_by(2).zip(&signal);
    own.for_each(|(v, s)| assert!((v - s * ratio).abs() < 1e-9));
}

#[test]
fn order_on_demand() {
    // The longer horizon is worth less to those who came once.
    let list: Vec<User> = (0..40)
        .map(|i| {
            let days = f64::from(i % 2 + 1);
            let long = if i % 2 == 0 { 2.0 } else { 20.0 };
            ([1.0, days, 5.0, 0.0], 1, vec![10.0, long])
        })
        .collect();
    let rows = testing::rows(&list);
    let predict = |json: &str| {
        let peer = fit(&config(json), &frame(&[30, 90]), &rows, &rows, 1, 1).unwrap();
        peer.predict(&rows.rows)
    };
    let raw = predict(r#"{"kind":"rfm","prior_rows":0}"#);
    assert_eq!(raw.values[..4], [10.0, 2.0, 10.0, 20.0]);
    let ordered = predict(r#"{"kind":"rfm","prior_rows":0,"ordered":true}"#);
    assert_eq!(ordered.projected[..2], [true, false]);
    // Training means 10 and 11: weights 1/100 and 1/121.
    let pooled = (10.0 / 100.0 + 2.0 / 121.0) / (1.0 / 100.0 + 1.0 / 121.0);
    assert!((ordered.values[0] - pooled).abs() < 1e-12);
    assert_eq!(ordered.values[0], ordered.values[1]);
    assert_eq!(ordered.values[2..4], [10.0, 20.0]);
    assert!(
        ordered.quantiles[..3]
            .iter()
            .zip(&ordered.quantiles[3..6])
            .all(|(a, b)| a <= b)
    );
}

#[test]
fn errors_say_what_is_missing() {
    let rows = data();
    let message = |json: &str, frame: &Frame, rows: &crate::TrainingRows| {
        fit(&config(json), frame, rows, rows, 1, 1)
            .unwrap_err()
            .to_string()
    };
    let mut other = frame(&[30, 90]);
    other.encoding.plain[0] = "last".into();
    assert!(message(KINDS[0], &other, &rows).contains("'recency'"));
    let mut immature = rows.clone();
    immature
        .rows
        .labels
        .iter_mut()
        .skip(1)
        .step_by(2)
        .for_each(|y| *y = f64::NAN);
    assert!(message(KINDS[1], &frame(&[30, 90]), &immature).starts_with("ltv_90"));
    if !crate::HAS_XGBOOST {
        let error = message(r#"{"kind":"two_stage"}"#, &frame(&[30, 90]), &rows);
        assert_eq!(
            error,
            "this build has no XGBoost; build with: cargo build --release --features xgboost \
             (needs cmake, ninja and libclang)"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_byte_is_noticed(place in 0usize..1 << 20, bit in 0u32..8) {
        let text = fitted(KINDS[1]).bytes();
        let mut bytes = text.clone().into_bytes();
        let at = place % (bytes.len() - 1);
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err(), "at {at}");
    }
}

/// The example of the format's page is the type's own JSON, field for field.
#[test]
fn the_page_shows_the_document() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/peer.md");
    let text = std::fs::read_to_string(page).unwrap();
    let example = text
        .split("```json")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(example).unwrap();
    let document: Document = serde_json::from_str(example).unwrap();
    check::document(&document).unwrap();
    assert_eq!(serde_json::to_value(&document).unwrap(), value);
}
