//! Experiments that cannot be made.

use crate::{Cases, SIMULATED};

const CONFIG: &str = "
data = 'early'
test = 'data'
seeds = [1]
bootstrap = 20
[[models]]
name = 'mean'
peer = { kind = 'train_mean' }
";

const MODEL: &str = "--control mean.json --treatment mean.json";

const OPTIONS: &[(&str, &str)] = &[
    ("nothing that says what users cost", ""),
    (
        "costs from two places",
        "--cost cost --cost-model constant:1",
    ),
    ("a column of costs that is not there", "--cost price"),
    ("a column of costs that is text", "--cost channel"),
    ("users who cost nothing", "--cost cost"),
    ("a cost model of an unknown form", "--cost-model uniform:1"),
    ("a stated cost of nothing", "--cost-model constant:0"),
    (
        "a stated cost that no sum can hold",
        "--cost-model constant:1e308",
    ),
    (
        "a stated cost too small to divide by",
        "--cost-model constant:1e-320",
    ),
    (
        "a channel without a cost",
        "--cost-model by:channel:fission=1",
    ),
    (
        "a horizon that the models do not predict",
        "--cost-model constant:1 --horizon 7",
    ),
    (
        "an outcome that the dataset does not have",
        "--cost-model constant:1 --outcomes 7,14",
    ),
    ("no budget", "--cost-model constant:1 --budget 0"),
    (
        "a budget and a share",
        "--cost-model constant:1 --budget 9 --budget-share 0.1",
    ),
    (
        "a share of more than all",
        "--cost-model constant:1 --budget-share 1.5",
    ),
    (
        "a budget that buys nobody",
        "--cost-model constant:1 --budget 0.5 --arm-share 0.5",
    ),
    (
        "a budget that buys everybody",
        "--cost-model constant:1 --budget 1e9 --arm-share 0.5",
    ),
    (
        "arms of more than all",
        "--cost-model constant:1 --arm-share 0.6",
    ),
    (
        "arms of nobody",
        "--cost-model constant:1 --arm-share 0.0000001",
    ),
    ("too few resamples", "--cost-model constant:1 --bootstrap 5"),
    (
        "a target of nothing",
        "--cost-model constant:1 --target-roas 0",
    ),
    ("a power of one", "--cost-model constant:1 --power 1"),
    (
        "a column that measures something",
        "--cost-model constant:1 --by cost",
    ),
    (
        "a decoding of what is no distribution",
        "--cost-model constant:1 --decoding median",
    ),
    (
        "nobody new",
        "--cost-model constant:1 --registered-before 2022-01-02",
    ),
    (
        "an output of another kind",
        "--cost-model constant:1 --out mean.json",
    ),
    (
        "a document and a page of one name",
        "--cost-model constant:1 --out new --report ./new",
    ),
];

#[test]
fn roi() {
    let mut cases = Cases::new();
    cases.at.ok("simulate --users 1500 --quiet --out sim");
    for (day, out) in [("2022-09-01", "early"), ("2023-03-01", "data")] {
        let features = SIMULATED.replace("2024-01-01", day);
        cases
            .at
            .ok(&format!("{features} --horizons 30,90 --out {out}"));
    }
    cases.at.write("compare.toml", CONFIG);
    cases
        .at
        .ok("compare --config compare.toml --quiet --out compared");
    let model = std::fs::read(cases.at.path("compared/runs/mean@1/model.json")).unwrap();
    cases.at.write("mean.json", model);
    cases.all_of(&format!("roi --quiet --data data {MODEL}"), OPTIONS);
    cases.all(&[
        (
            "a dataset of the models' own day",
            "roi --quiet --data early --control mean.json --treatment mean.json --cost-model constant:1",
        ),
        (
            "a model that is not there",
            "roi --quiet --data data --control none.ltv --treatment mean.json --cost-model constant:1",
        ),
    ]);
    cases.check("roi", 29);
}
