use super::*;
use crate::peer::Fitted;

fn parse(json: &str) -> Result<PeerConfig, String> {
    let config: PeerConfig = serde_json::from_str(json).map_err(|e| e.to_string())?;
    config.check().map_err(|e| e.to_string())?;
    Ok(config)
}

#[test]
fn every_kind_has_defaults_and_refuses_unknown_keys() {
    for kind in [
        "xgboost",
        "two_stage",
        "forest",
        "rfm",
        "trivial_sort",
        "train_mean",
    ] {
        let config = parse(&format!(r#"{{"kind":"{kind}"}}"#)).unwrap();
        assert_eq!(config.kind(), kind);
        let error = parse(&format!(r#"{{"kind":"{kind}","depth":1}}"#)).unwrap_err();
        assert!(error.contains("depth"), "{error}");
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(parse(&text).unwrap(), config);
    }
    assert!(parse(r#"{"kind":"oracle"}"#).is_err());
}

#[test]
fn errors_name_the_key() {
    let cases = [
        (r#"{"kind":"rfm","recency":0}"#, "peer.recency"),
        (r#"{"kind":"rfm","prior_rows":-1}"#, "peer.prior_rows"),
        (r#"{"kind":"forest","subsample":0}"#, "peer.subsample"),
        (r#"{"kind":"forest","recent_days":0}"#, "peer.recent_days"),
        (
            r#"{"kind":"xgboost","trees":{"rounds":1001}}"#,
            "peer.trees.rounds",
        ),
        (
            r#"{"kind":"xgboost","trees":{"grid":[]}}"#,
            "peer.trees.grid",
        ),
        (
            r#"{"kind":"two_stage","trees":{"grid":[{},{"eta":0}]}}"#,
            "peer.trees.grid[1].eta",
        ),
        (
            r#"{"kind":"xgboost","objective":"tweedie","trees":{"grid":[{"power":2}]}}"#,
            "peer.trees.grid[0].power",
        ),
        (
            r#"{"kind":"xgboost","objective":"tweedie","trees":{"choose":"loss"}}"#,
            "peer.trees.choose",
        ),
    ];
    for (json, key) in cases {
        let error = parse(json).unwrap_err();
        assert!(error.starts_with(key), "{error}");
    }
}

#[test]
fn cells_have_a_bound() {
    parse(r#"{"kind":"rfm","recency":10,"frequency":10,"monetary":10}"#).unwrap();
    let error = parse(r#"{"kind":"rfm","recency":20,"frequency":20,"monetary":3}"#).unwrap_err();
    for part in [
        "peer.recency",
        "peer.frequency",
        "peer.monetary",
        "1200",
        "1000",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_grids() {
    assert_eq!((built_in(false).len(), built_in(true).len()), (8, 12));
    assert!(built_in(false).contains(&Setting::default()));
}

#[test]
fn gate_and_product() {
    assert_eq!(Form::Product.value(0.25, 8.0), 2.0);
    let gate = |p| Form::Gate.value(p, 8.0);
    assert_eq!([gate(0.5), gate(0.51), gate(0.0)], [0.0, 8.0, 0.0]);
    // The document's other half has the same names of kinds.
    let text = serde_json::to_string(&Fitted::TrivialSort {}).unwrap();
    assert_eq!(text, r#"{"kind":"trivial_sort"}"#);
}
