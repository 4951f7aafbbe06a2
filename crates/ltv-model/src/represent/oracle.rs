//! The same representations by a second, slow implementation: one row at a time, vectors as they
//! stand in the papers, parameters by name.

use super::tests::{name, rows, specs};
use crate::{odmn, spec::Spec, targets};
use ltv_core::config::{Backbone, Cross, DayEncoder};
use ltv_nn::{Layout, Runner, graph::Builder, layout::Kind, trainer::Weights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Vector = Vec<f64>;

struct Oracle<'a> {
    spec: &'a Spec,
    layout: &'a Layout,
    weights: &'a Weights<f64>,
}

fn relu(x: Vector) -> Vector {
    x.into_iter().map(|x| x.max(0.0)).collect()
}

fn softmax(x: &[f64]) -> Vector {
    let sum: f64 = x.iter().map(|x| x.exp()).sum();
    x.iter().map(|x| x.exp() / sum).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vector {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn weighted(weights: &[f64], vectors: &[Vector]) -> Vector {
    let mut sum = vec![0.0; vectors[0].len()];
    for (w, v) in weights.iter().zip(vectors) {
        sum.iter_mut().zip(v).for_each(|(s, v)| *s += w * v);
    }
    sum
}

impl Oracle<'_> {
    fn param(&self, name: &str) -> &[f64] {
        let param = self.layout.find(name);
        self.weights.of(param.unwrap_or_else(|| panic!("{name}")))
    }

    fn dense(&self, name: &str, x: &[f64]) -> Vector {
        let (w, b) = (
            self.param(&format!("{name}.w")),
            self.param(&format!("{name}.b")),
        );
        let rows = w.chunks_exact(x.len()).zip(b);
        rows.map(|(w, b)| dot(w, x) + b).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vector {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let (g, b) = (
            self.param(&format!("{name}.g")),
            self.param(&format!("{name}.b")),
        );
        let one = |c: usize| g[c] * (x[c] - mean) / (variance + 1e-5).sqrt() + b[c];
        (0..x.len()).map(one).collect()
    }

    fn embedding(&self, field: usize, id: u32) -> Vector {
        let encoded = self.spec.model.sequence != DayEncoder::Concat;
        let sequence =
            |s: &&crate::spec::DaySequence| encoded && (s.field..s.field + s.days).contains(&field);
        let of = self.spec.sequences.iter().find(sequence);
        let table = self.param(&format!("emb{}", of.map_or(field, |s| s.field)));
        let dim = self.spec.model.embedding;
        table[id as usize * dim..][..dim].to_vec()
    }

    /// One representation for each horizon.
    fn represent(&self, ids: &[u32], numbers: &[f64]) -> Vec<Vector> {
        let fields: Vec<Vector> = (0..ids.len()).map(|f| self.embedding(f, ids[f])).collect();
        let read = self.read(&fields, numbers);
        let crossed = self.cross(&fields, &read);
        let horizons = self.backbone(&read);
        horizons
            .into_iter()
            .map(|h| [h, crossed.clone()].concat())
            .collect()
    }

    fn read(&self, fields: &[Vector], numbers: &[f64]) -> Vector {
        if self.spec.model.sequence == DayEncoder::Concat {
            return [fields.concat(), numbers.to_vec()].concat();
        }
        let sequences = &self.spec.sequences;
        let day = |d: usize| -> Vector {
            let one = |s: &crate::spec::DaySequence| {
                let mut token = fields[s.field + d].clone();
                token.extend(s.number.map(|n| numbers[n + d]));
                token
            };
            sequences.iter().flat_map(one).collect()
        };
        let days: Vec<Vector> = (0..sequences[0].days).map(day).collect();
        let mut read = vec![];
        for (f, field) in fields.iter().enumerate() {
            if !sequences
                .iter()
                .any(|s| (s.field..s.field + s.days).contains(&f))
            {
                read.extend(field);
            }
        }
        for (i, number) in numbers.iter().enumerate() {
            let of = |s: &crate::spec::DaySequence| {
                s.number.is_some_and(|n| (n..n + s.days).contains(&i))
            };
            if !sequences.iter().any(of) {
                read.push(*number);
            }
        }
        let encoded = match self.spec.model.sequence {
            DayEncoder::Cnn => self.cnn(days),
            DayEncoder::Transformer => self.transformer(days),
            _ => self.wavelet(&days),
        };
        [read, encoded.concat()].concat()
    }

    fn cnn(&self, mut days: Vec<Vector>) -> Vec<Vector> {
        let reach = self.spec.model.kernel as i64 / 2;
        for layer in 1..=self.spec.model.sequence_layers {
            let zero = vec![0.0; days[0].len()];
            let at = |i: i64| match usize::try_from(i) {
                Ok(i) if i < days.len() => days[i].clone(),
                _ => zero.clone(),
            };
            let window = |i: i64| (i - reach..=i + reach).flat_map(at).collect::<Vector>();
            let name = format!("seq.conv{layer}");
            let next = (0..days.len() as i64).map(|i| relu(self.dense(&name, &window(i))));
            days = next.collect();
        }
        days
    }

    fn transformer(&self, days: Vec<Vector>) -> Vec<Vector> {
        let (width, heads) = (self.spec.model.sequence_width, self.spec.model.heads);
        let positions = self.param("seq.position.p").chunks_exact(width);
        let embedded = days.iter().zip(positions);
        let mut x: Vec<Vector> = embedded
            .map(|(day, p)| add(&self.dense("seq.in", day), p))
            .collect();
        for block in 1..=self.spec.model.sequence_layers {
            let name = |part: &str| format!("seq.block{block}.{part}");
            let all = |part: &str| -> Vec<Vector> {
                let norm = |x: &Vector| self.norm(&name("norm1"), x);
                x.iter()
                    .map(|x| self.dense(&name(part), &norm(x)))
                    .collect()
            };
            let (q, k, v) = (all("query"), all("key"), all("value"));
            let attended = |i: usize| -> Vector {
                let head = |h: usize| {
                    let part = |x: &Vector| x[h * width / heads..(h + 1) * width / heads].to_vec();
                    let scale = (width as f64 / heads as f64).sqrt();
                    let score = |k: &Vector| dot(&part(&q[i]), &part(k)) / scale;
                    let p = softmax(&k.iter().map(score).collect::<Vector>());
                    weighted(&p, &v.iter().map(part).collect::<Vec<_>>())
                };
                (0..heads).flat_map(head).collect()
            };
            let mixed: Vec<Vector> = (0..x.len())
                .map(|i| add(&x[i], &self.dense(&name("mix"), &attended(i))))
                .collect();
            let forward = |x: &Vector| {
                let wide = relu(self.dense(&name("wide"), &self.norm(&name("norm2"), x)));
                add(x, &self.dense(&name("narrow"), &wide))
            };
            x = mixed.iter().map(forward).collect();
        }
        x.iter().map(|x| self.norm("seq.norm", x)).collect()
    }

    /// Coefficients as scalar products with the Haar functions.
    fn wavelet(&self, days: &[Vector]) -> Vec<Vector> {
        let x: Vec<Vector> = days.iter().map(|d| self.dense("seq.in", d)).collect();
        let padded = days.len().next_power_of_two();
        let mut functions = vec![vec![1.0 / (padded as f64).sqrt(); padded]];
        let mut count = 1;
        while count < padded {
            let span = padded / count;
            for i in 0..count {
                let value = |d: usize| match d / (span / 2) {
                    half if half == 2 * i => 1.0 / (span as f64).sqrt(),
                    half if half == 2 * i + 1 => -1.0 / (span as f64).sqrt(),
                    _ => 0.0,
                };
                functions.push((0..padded).map(value).collect());
            }
            count *= 2;
        }
        let width = self.spec.model.sequence_width;
        let thresholds = self.param("seq.threshold.h").chunks_exact(width);
        let shrunk = |(f, h): (&Vector, &[f64])| -> Vector {
            let coefficients = weighted(f, &x);
            let pairs = coefficients.iter().zip(h);
            pairs
                .map(|(c, h)| c.signum() * (c.abs() - h.exp().ln_1p()).max(0.0))
                .collect()
        };
        functions.iter().zip(thresholds).map(shrunk).collect()
    }

    fn cross(&self, fields: &[Vector], read: &[f64]) -> Vector {
        match self.spec.model.cross {
            Cross::None => vec![],
            Cross::DeepFm => {
                let mut second = vec![0.0; self.spec.model.embedding];
                for (f, a) in fields.iter().enumerate() {
                    for b in &fields[..f] {
                        second
                            .iter_mut()
                            .enumerate()
                            .for_each(|(d, s)| *s += a[d] * b[d]);
                    }
                }
                [self.dense("fm.first", read), second].concat()
            }
            Cross::Dcn => {
                let mut x = read.to_vec();
                for l in 1..=self.spec.model.cross_layers {
                    let mapped = match self.spec.model.cross_rank {
                        0 => self.dense(&format!("cross{l}.full"), &x),
                        _ => {
                            let inner = self.dense(&format!("cross{l}.down"), &x);
                            self.dense(&format!("cross{l}.up"), &inner)
                        }
                    };
                    let crossed: Vector = read.iter().zip(&mapped).map(|(a, b)| a * b).collect();
                    x = add(&crossed, &x);
                }
                x
            }
        }
    }

    fn expert(&self, name: &str, x: &[f64]) -> Vector {
        let layers = 1..=self.spec.model.bottom.len();
        layers.fold(x.to_vec(), |x, i| {
            relu(self.dense(&format!("{name}l{i}"), &x))
        })
    }

    fn backbone(&self, x: &[f64]) -> Vec<Vector> {
        let (model, horizons) = (&self.spec.model, self.spec.horizons.len());
        match model.backbone {
            Backbone::SharedBottom => vec![self.expert("", x); horizons],
            Backbone::Mmoe => {
                let expert = |e| self.expert(&format!("expert{e}."), x);
                let experts: Vec<_> = (0..model.experts).map(expert).collect();
                let gate = |t| softmax(&self.dense(&format!("gate{t}"), x));
                (0..horizons)
                    .map(|t| weighted(&gate(t), &experts))
                    .collect()
            }
            Backbone::Ple => {
                let mut inputs = vec![x.to_vec(); horizons];
                let mut shared = x.to_vec();
                for level in 1..=model.levels {
                    let experts = |party: &str, count: usize, x: &[f64]| -> Vec<Vector> {
                        let name = |e| format!("level{level}.{party}.expert{e}.");
                        (0..count).map(|e| self.expert(&name(e), x)).collect()
                    };
                    let gate = |party: &str, x: &[f64]| {
                        softmax(&self.dense(&format!("level{level}.{party}.gate"), x))
                    };
                    let for_all = experts("shared", model.experts, &shared);
                    let mut all = vec![];
                    for (t, input) in inputs.iter_mut().enumerate() {
                        let party = format!("t{t}");
                        let own = experts(&party, model.task_experts, input);
                        let heard = [own.clone(), for_all.clone()].concat();
                        *input = weighted(&gate(&party, input), &heard);
                        all.extend(own);
                    }
                    all.extend(for_all);
                    if level < model.levels {
                        shared = weighted(&gate("shared", &shared), &all);
                    }
                }
                inputs
            }
        }
    }
}

#[test]
fn every_representation_is_that_of_the_papers() {
    for spec in specs() {
        let mut b = Builder::<f64>::inference();
        let nodes = super::build(&mut b, &spec);
        let graph = b.build(16);
        let layout = graph.layout().clone();
        let mut weights = Weights {
            dense: vec![0.0; layout.dense],
            tables: vec![0.0; layout.table],
        };
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for param in &layout.params {
            let size = if param.kind == Kind::Table { 1.0 } else { 0.6 };
            let values = weights.of_mut(param);
            values.fill_with(|| size * (2.0 * rng.random::<f64>() - 1.0));
        }
        let (data, _) = rows(&odmn::training(&spec), &spec, 5);
        let batch = targets::inputs(&spec, graph.shape(), &data);
        let width = nodes[0].width();
        let mut out = vec![0.0; batch.rows * nodes.len() * width];
        let runner = Runner::new(graph, weights.clone());
        runner.run(&batch, &mut out, nodes.len() * width, |outputs, rows| {
            for (r, row) in rows.chunks_exact_mut(nodes.len() * width).enumerate() {
                for (i, x) in row.iter_mut().enumerate() {
                    *x = outputs.feature(nodes[i / width], i % width)[r];
                }
            }
        });
        let oracle = Oracle {
            spec: &spec,
            layout: &layout,
            weights: &weights,
        };
        let inputs = batch
            .ids
            .chunks_exact(spec.fields.len())
            .zip(batch.numbers.chunks_exact(spec.numbers));
        for (ours, (ids, numbers)) in out.chunks_exact(nodes.len() * width).zip(inputs) {
            let theirs = oracle.represent(ids, numbers).concat();
            assert_eq!(ours.len(), theirs.len(), "{}", name(&spec));
            for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                let error = (a - b).abs() / b.abs().max(1.0);
                assert!(error < 1e-10, "{} [{i}]: {a} against {b}", name(&spec));
            }
        }
    }
}
