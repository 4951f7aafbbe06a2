//! Peers made of trees through the real binary, in a build that has the XGBoost library.
#![cfg(feature = "xgboost")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use support::Workspace;

const CONFIG: &str = r#"
data = "data"
seeds = [1]
bootstrap = 20

[split]
test = 0.3
validation = 0.2

[[models]]
name = "Tweedie"
peer = { kind = "xgboost", objective = "tweedie", trees = { rounds = 20 } }

[[models]]
name = "median"
peer = { kind = "xgboost", objective = "absolute_error", trees = { rounds = 20 } }

[[models]]
name = "two stages"
peer = { kind = "two_stage", trees = { rounds = 20 } }

[[models]]
name = "forests"
peer = { kind = "forest", trees = 10 }
"#;

#[test]
fn trees_are_peers_like_any_other() {
    let at = Workspace::new();
    at.ok("simulate --users 3000 --quiet --out sim");
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-07-29 --out data",
    );
    at.write("compare.toml", CONFIG);
    let line = "compare --config compare.toml --quiet";
    let text = at.ok(&format!("{line} --out one --threads 1"));
    assert!(text.contains("4 of them trained now"), "{text}");
    at.ok(&format!("{line} --out two --threads 3"));
    for run in ["tweedie@1", "median@1", "two-stages@1", "forests@1"] {
        let file = |out: &str| fs::read(at.path(&format!("{out}/runs/{run}/model.json"))).unwrap();
        assert!(file("one") == file("two"), "{run} depends on threads");
        let model = format!("one/runs/{run}/model.json");
        let line = format!("evaluate --model {model} --data data --bootstrap 0 --quiet");
        let text = at.ok(&format!("{line} --importance"));
        assert!(
            text.contains("test split") && text.contains("active_days"),
            "{text}"
        );
    }
}
