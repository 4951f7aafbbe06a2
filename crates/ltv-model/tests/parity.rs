//! Losses and gradients against independent implementations, to 1e-9 relative in f64.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ltv_core::config::{Cross, ModelConfig, Mono};
use ltv_model::{
    buckets::{Bucket, Buckets, Segment},
    odmn::{self, Odmn},
    spec::Spec,
};
use ltv_nn::{Adam, Batch, Rates, Trainer, TrainerOptions};
use serde::Deserialize;
use std::{collections::BTreeMap, io::Read, path::PathBuf};

type Arrays = BTreeMap<String, Vec<f64>>;

/// A network with its batch and what an oracle says of them.
struct Oracle {
    spec: Spec,
    ids: Vec<u32>,
    numbers: Vec<f64>,
    /// Row-major `[rows, horizons]`; -1 for null.
    segment: Vec<i32>,
    bucket: Vec<i32>,
    bias: Vec<f64>,
    weights: Arrays,
    gradients: Arrays,
    terms: BTreeMap<String, f64>,
    total: f64,
}

fn close(what: &str, ours: f64, theirs: f64, scale: f64) {
    let error = (ours - theirs).abs();
    assert!(
        error <= 1e-9 * scale.max(theirs.abs()),
        "{what}: {ours} against {theirs}"
    );
}

impl Oracle {
    fn batch(&self, net: &Odmn<f64>) -> Batch<f64> {
        let horizons = self.spec.horizons.len();
        let rows = self.segment.len() / horizons;
        let mut batch = Batch::new(net.graph.shape(), rows);
        batch.ids.copy_from_slice(&self.ids);
        batch.numbers.copy_from_slice(&self.numbers);
        for (t, columns) in net.columns.iter().enumerate() {
            let columns = columns.buckets().unwrap();
            for r in 0..rows {
                let segment = self.segment[r * horizons + t];
                if segment < 0 {
                    continue;
                }
                let bucket = columns.buckets[segment as usize];
                batch.classes[columns.segment * rows + r] = segment;
                batch.classes[bucket * rows + r] = self.bucket[r * horizons + t];
                batch.targets[columns.bias * rows + r] = self.bias[r * horizons + t];
            }
        }
        batch
    }

    fn trainer(&self, tile: usize, options: TrainerOptions) -> (Trainer<f64>, Batch<f64>) {
        let net = odmn::build(ltv_nn::graph::Builder::training(), &self.spec, tile);
        let batch = self.batch(&net);
        let mut trainer = Trainer::new(net.graph, options).unwrap();
        let layout = trainer.graph().layout().clone();
        assert_eq!(
            layout.params.len(),
            self.weights.len(),
            "the same parameters"
        );
        for param in &layout.params {
            let from = &self.weights[&param.name];
            trainer
                .state_mut()
                .weights
                .of_mut(param)
                .copy_from_slice(from);
        }
        (trainer, batch)
    }

    /// Every term, the total and every gradient.
    fn check(&self) {
        let many = TrainerOptions {
            threads: 2,
            shard_rows: 4,
            ..Default::default()
        };
        for options in [TrainerOptions::default(), many] {
            let (mut trainer, batch) = self.trainer(16, options);
            let (gradient, terms) = trainer.gradients(&batch, None);
            let names: Vec<_> = trainer
                .graph()
                .terms()
                .iter()
                .map(|t| t.name.clone())
                .collect();
            assert_eq!(names.len(), self.terms.len(), "{names:?}");
            for (name, value) in names.iter().zip(&terms) {
                close(name, *value, self.terms[name], 1e-3);
            }
            close("total", trainer.total(&terms), self.total, 0.0);
            for param in &trainer.graph().layout().params {
                let theirs = &self.gradients[&param.name];
                let scale = theirs.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                for (a, b) in gradient.of(param).iter().zip(theirs) {
                    close(&param.name, *a, *b, scale.max(1e-6));
                }
            }
        }
    }
}

fn buckets(segments: &[Vec<(f64, f64)>], mean: f64) -> Buckets {
    let bucket = |&(left, width): &(f64, f64)| Bucket {
        left,
        width,
        rows: 1,
        bias: 0.5,
    };
    let segment = |s: &Vec<(f64, f64)>| Segment {
        buckets: s.iter().map(bucket).collect(),
    };
    Buckets {
        segments: segments.iter().map(segment).collect(),
        mean,
        mass_above: 0.0,
        largest: 0.0,
    }
}

#[derive(Deserialize)]
struct Document {
    vocabulary: Vec<usize>,
    embedding: usize,
    bottom: Vec<usize>,
    tower: usize,
    mono: usize,
    numbers: usize,
    alpha: f64,
    beta: f64,
    gamma: f64,
    horizons: Vec<Vec<Vec<(f64, f64)>>>,
    scale: Vec<f64>,
    ids: Vec<u32>,
    inputs: Vec<f64>,
    segment: Vec<i32>,
    bucket: Vec<i32>,
    bias: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    strict: bool,
    weights: Arrays,
    gradients: Arrays,
    terms: BTreeMap<String, f64>,
    total: f64,
}

/// `oracle/odmn.json`, written by the NumPy program beside it.
#[test]
fn own_oracle() {
    let document: Document = serde_json::from_str(include_str!("oracle/odmn.json")).unwrap();
    let d = &document;
    assert_eq!(d.cases.len(), 2);
    for case in &d.cases {
        let model = ModelConfig {
            embedding: d.embedding,
            bottom: d.bottom.clone(),
            tower: d.tower,
            mono: if case.strict {
                Mono::Strict
            } else {
                Mono::Paper
            },
            mono_hidden: d.mono,
            alpha: d.alpha,
            beta: d.beta,
            gamma: d.gamma,
            cross: Cross::None,
            ..Default::default()
        };
        let horizons = d
            .horizons
            .iter()
            .zip(&d.scale)
            .map(|(h, &s)| buckets(h, s))
            .collect();
        Oracle {
            spec: Spec {
                trends: 0,
                fields: d.vocabulary.clone(),
                numbers: d.numbers,
                sequences: vec![],
                model,
                horizons,
            },
            ids: d.ids.clone(),
            numbers: d.inputs.clone(),
            segment: d.segment.clone(),
            bucket: d.bucket.clone(),
            bias: d.bias.clone(),
            weights: case.weights.clone(),
            gradients: case.gradients.clone(),
            terms: case.terms.clone(),
            total: case.total,
        }
        .check();
    }
}

/// Reads every array of an `.npz` file, a zip of `.npy` files, as f64. Format: NumPy's
/// `numpy.lib.format`, version 1: magic, version, u16 header length, header, little-endian data.
fn read_npz(path: &PathBuf) -> Arrays {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut arrays = Arrays::new();
    for i in 0..archive.len() {
        let mut file = archive.by_index(i).unwrap();
        let name = file.name().trim_end_matches(".npy").to_string();
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).unwrap();
        let data = 10 + u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
        let header = String::from_utf8_lossy(&bytes[10..data]).into_owned();
        let number = |b: &[u8]| -> [u8; 8] { b.try_into().unwrap() };
        let convert = |b: &[u8]| match header.contains("'<i8'") {
            true => i64::from_le_bytes(number(b)) as f64,
            false => f64::from_le_bytes(number(b)),
        };
        assert!(
            header.contains("'<i8'") || header.contains("'<f8'"),
            "{header}"
        );
        arrays.insert(name, bytes[data..].chunks_exact(8).map(convert).collect());
    }
    arrays
}

fn with_prefix(arrays: &Arrays, prefix: &str) -> Arrays {
    let strip = |(k, v): (&String, &Vec<f64>)| Some((k.strip_prefix(prefix)?.into(), v.clone()));
    arrays.iter().filter_map(strip).collect()
}

/// The PyTorch oracle, where it is present: also one step of Adam.
#[test]
fn torch_oracle() {
    let shared = std::env::var("LTV_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let path = PathBuf::from(shared).join("yardstick/parity/odmn_tiny.npz");
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return;
    }
    let all = read_npz(&path);
    let ints = |name: &str| all[name].iter().map(|&x| x as i32).collect::<Vec<_>>();
    let horizon = |t: usize| {
        let edges = |s: usize| {
            let at = |m: usize| t * 6 + s * 3 + m;
            (0..3)
                .map(|m| (all["in.left"][at(m)], all["in.width"][at(m)]))
                .collect()
        };
        buckets(&[edges(0), edges(1)], 1.0)
    };
    let model = ModelConfig {
        embedding: 2,
        bottom: vec![7, 5],
        tower: 4,
        mono_hidden: 3,
        beta: 0.5,
        gamma: 0.5,
        cross: Cross::None,
        ..Default::default()
    };
    let losses = with_prefix(&all, "loss.");
    let oracle = Oracle {
        spec: Spec {
            trends: 0,
            fields: vec![5, 4, 6],
            numbers: 0,
            sequences: vec![],
            model,
            horizons: (0..3).map(horizon).collect(),
        },
        ids: ints("in.X").into_iter().map(|x| x as u32).collect(),
        numbers: vec![],
        segment: ints("in.sub"),
        bucket: ints("in.buc"),
        bias: all["in.bias"].clone(),
        weights: with_prefix(&all, "w."),
        gradients: with_prefix(&all, "grad."),
        terms: losses
            .iter()
            .filter(|(k, _)| *k != "total")
            .map(|(k, v)| (k.clone(), v[0]))
            .collect(),
        total: losses["total"][0],
    };
    oracle.check();

    let options = TrainerOptions {
        adam: Adam::default(),
        ..Default::default()
    };
    let (mut trainer, batch) = oracle.trainer(16, options);
    trainer.step(
        &batch,
        Rates {
            dense: 0.01,
            tables: 0.01,
        },
        0,
    );
    for (name, theirs) in with_prefix(&all, "adam1.") {
        let param = trainer.graph().layout().find(&name).unwrap().clone();
        for (a, b) in trainer.state().weights.of(&param).iter().zip(&theirs) {
            close(&name, *a, *b, 1.0);
        }
    }
}
