//! `ltv train`: wrong datasets, options and outputs.

use crate::with_trained;

const TRAIN: &str = "train --quiet --out new.ltv";

const CASES: &[(&str, &str)] = &[
    ("a dataset that is not there", "--data nowhere"),
    ("a folder that is no dataset", "--data empty"),
    ("events in place of a dataset", "--data sim/events"),
    ("a simulation in place of a dataset", "--data sim"),
    ("a learning rate of 0", "--data data --rate 0"),
    (
        "a learning rate that is not a number",
        "--data data --rate fast",
    ),
    ("a validation share of 1", "--data data --validation 1"),
    ("a test share below 0", "--data data --test=-0.1"),
    ("cut points that do not grow", "--data data --cut 10,5"),
    ("cut points that are words", "--data data --cut low,high"),
    (
        "a cut point above every label",
        "--data data --cut 100000 --epochs 1",
    ),
    ("too few buckets", "--data data --buckets 1"),
    ("a batch of no rows", "--data data --batch 0"),
    ("an unknown chain", "--data data --mono tight"),
    (
        "order weights for other horizons",
        "--data data --order-weights 1,2 --epochs 1",
    ),
    (
        "an order weight of 0",
        "--data data --order-weights 1,1,0,1 --epochs 1",
    ),
    (
        "a key that does not exist",
        "--data data --config unknown.toml",
    ),
    (
        "days that admit nobody",
        "--data data --registered-before 2020-01-01",
    ),
    (
        "a file that is no checkpoint",
        "--data data --checkpoint part --resume",
    ),
    (
        "a bundle in place of a checkpoint",
        "--data data --checkpoint model.ltv --resume",
    ),
    ("resume without naming a checkpoint", "--data data --resume"),
    (
        "a checkpoint in no folder",
        "--data data --checkpoint no/such/part",
    ),
    ("no cell for any category", "--data data --max-categories 0"),
];

const OUTPUTS: &[(&str, &str)] = &[
    ("an output that is a folder", "--out sim"),
    (
        "an output that is an event log",
        "--out sim/events/part-00000.parquet",
    ),
    (
        "a checkpoint that is a model",
        "--out new.ltv --checkpoint model.ltv",
    ),
    (
        "one name for the model and the checkpoint",
        "--out new.ltv --checkpoint new.ltv",
    ),
    ("an output in no folder", "--out no/such/model.ltv"),
    ("a cache in no folder", "--out new.ltv --cache no/such"),
];

#[test]
fn training() {
    let mut cases = with_trained();
    let at = &cases.at;
    at.write("empty/notes.txt", "nothing");
    at.write("unknown.toml", "[fit]\nlearning_rate = 0.1\n");
    at.write("part", "not a checkpoint");
    cases.all_of(TRAIN, CASES);
    cases.all_of("train --quiet --data data", OUTPUTS);
    cases.check("training", 29);
}
