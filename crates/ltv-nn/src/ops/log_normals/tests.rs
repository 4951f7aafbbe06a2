//! Gradients, SciPy's numbers, extremes.

use super::*;
use crate::check::{Case, leaf, probe};
use crate::{Batch, Trainer, TrainerOptions};

/// The terms on leaves `z` (log odds), `mu`, `raw` and, for several components, `shares`.
fn terms<T: Real>(b: &mut Builder<T>, k: usize) {
    terms_on(b, k, |node| node);
}

/// The same on what `view` makes of the leaves, which are returned.
fn terms_on<T: Real>(b: &mut Builder<T>, k: usize, view: fn(Node) -> Node) -> Vec<Node> {
    let positive = leaf(b, "z", 1);
    let logits = (k > 1).then(|| leaf(b, "shares", k));
    let (locations, scales) = (leaf(b, "mu", k), leaf(b, "raw", k));
    let x = LogNormals {
        positive: view(positive),
        shares: logits.map(|logits| b.softmax(view(logits))),
        locations: view(locations),
        scales: view(scales),
    };
    let columns = (b.class_column(), b.target_column());
    b.log_normals(["positive", "value"], 0.7, x, columns);
    let leaves = [positive, locations, scales].into_iter();
    leaves.chain(logits).collect()
}

fn case(k: usize) -> Case {
    Case::new(move |b| terms(b, k)).classes(&[&[1, 0, -1, 1, 1]])
}

#[test]
fn gradient() {
    for k in [1, 2, 5] {
        case(k).check();
        case(k).scaled(2.5).check();
    }
}

/// Outputs that are read again later: gradients are added to.
#[test]
fn gradient_is_added() {
    for k in [1, 3] {
        let build = move |b: &mut Builder<f64>| {
            let leaves = terms_on(b, k, |node| node);
            leaves.into_iter().for_each(|node| probe(b, node));
        };
        Case::new(build).classes(&[&[1, 0, -1, 1, 1]]).check();
    }
}

/// A loss on detached outputs has a value and sends nothing back.
#[test]
fn detached() {
    let names = ["z", "shares", "mu", "raw"];
    for k in [1, 3] {
        let case = Case::new(move |b| {
            terms_on(b, k, Node::detached);
        });
        let case = names.into_iter().fold(case, Case::constant);
        assert!(case.classes(&[&[1, 0, -1, 1, 1]]).check() > 0.0);
    }
}

#[test]
fn rows_weigh_what_they_are_given() {
    case(1).check_weights();
    case(3).check_weights();
}

#[test]
fn nobody_takes_part() {
    assert_eq!(case(3).classes(&[&[-1; 5]]).check(), 0.0);
}

#[test]
fn extreme_outputs() {
    for k in [1, 4] {
        for scale in [80.0, 1e4] {
            let loss = case(k).scaled(scale).check_finite();
            assert!(loss > 10.0 && loss.is_finite(), "{loss}");
        }
    }
}

/// In single precision too, whose exponential saturates.
#[test]
fn extreme_outputs_in_single_precision() {
    for (mu, raw) in [(1e4, 0.0), (-1e4, -300.0), (80.0, -1e4), (3.0, 1e4)] {
        let (mut trainer, batch) = single::<f32>(4, [-90.0, mu, raw], 2.0);
        let (gradient, terms) = trainer.gradients(&batch, None);
        assert!(
            terms.iter().all(|l| l.is_finite()),
            "{mu}, {raw}: {terms:?}"
        );
        assert!(gradient.dense.iter().all(|g| g.is_finite()), "{mu}, {raw}");
    }
}

/// One row of value `e^x` that takes part alone, all its components alike.
fn single<T: Real>(k: usize, [z, mu, raw]: [f64; 3], x: f64) -> (Trainer<T>, Batch<T>) {
    let mut b = Builder::training();
    terms(&mut b, k);
    let graph = b.build(16);
    let mut batch = Batch::new(graph.shape(), 5);
    batch.classes[0] = 1;
    batch.targets[0] = T::of(x);
    let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
    let layout = trainer.graph().layout().clone();
    for (name, value) in [("z", z), ("mu", mu), ("raw", raw)] {
        let param = layout.find(&format!("{name}.leaf")).unwrap();
        let out = trainer.state_mut().weights.of_mut(param);
        out.fill(T::of(value));
    }
    (trainer, batch)
}

/// The zero-inflated log-normal loss and its gradient. Losses: `scipy.stats.lognorm.logpdf`
/// and `numpy.logaddexp` (SciPy 1.17.1) with the scale of google/lifetime_value's loss;
/// gradients: the closed forms there, which agree with SciPy's differences. Columns: y, z, mu,
/// raw; loss of both terms; gradient by z, mu, raw.
const SCIPY: [[f64; 9]; 3] = [
    [
        12.5,
        0.4,
        1.7,
        -0.3,
        0.513015252399953,
        3.96406709527166,
        -0.401312339887548,
        -2.68695893654945,
        -0.935548941499341,
    ],
    [
        0.03,
        -2.2,
        -1.1,
        1.9,
        2.3050833197687,
        -1.17872303995914,
        -0.900249510880315,
        0.578624907343453,
        -0.167416748759021,
    ],
    // A scale at its least: sqrt(1e-7).
    [
        7.0,
        1.0,
        2.0,
        -20.0,
        0.313261687518223,
        14623.3656769489,
        -0.268941421369995,
        540898.509446868,
        0.0,
    ],
];

fn close(ours: f64, theirs: f64) {
    let bound = 1e-12 * (1.0 + theirs.abs());
    assert!((ours - theirs).abs() < bound, "{ours} against {theirs}");
}

#[test]
fn one_component_is_the_zero_inflated_log_normal() {
    // Alike components are one.
    for (k, row) in [1, 3].into_iter().flat_map(|k| SCIPY.map(|row| (k, row))) {
        let [y, z, mu, raw, positive, value, dz, dmu, draw] = row;
        let (mut trainer, batch) = single::<f64>(k, [z, mu, raw], y.ln());
        let (gradient, terms) = trainer.gradients(&batch, None);
        close(terms[0], positive);
        close(terms[1], value);
        for (name, expected) in [("z", dz), ("mu", dmu), ("raw", draw)] {
            let param = trainer.graph().layout().find(&format!("{name}.leaf"));
            let sum: f64 = gradient.of(param.unwrap()).iter().sum();
            close(sum, 0.7 * expected);
        }
    }
}

/// `-ln sum_k pi_k lognorm.pdf(y)` by SciPy 1.17.1.
#[test]
fn a_mixture_by_scipy() {
    for (y, expected) in [(1.3, 1.95531428961259), (20.0, 2.64213525823901)] {
        let (mut trainer, batch) = single::<f64>(3, [0.0; 3], f64::ln(y));
        let layout = trainer.graph().layout().clone();
        let values = [
            ("shares", [0.2, -0.5, 1.1]),
            ("mu", [0.5, 2.0, 3.1]),
            ("raw", [-0.4, 0.3, -2.0]),
        ];
        for (name, row) in values {
            let param = layout.find(&format!("{name}.leaf")).unwrap();
            trainer.state_mut().weights.of_mut(param)[..3].copy_from_slice(&row);
        }
        close(trainer.losses(&batch)[1], expected);
    }
}

/// A value of zero has no density to speak of: only the first term.
#[test]
fn a_zero_is_a_matter_of_odds_alone() {
    let (mut trainer, mut batch) = single::<f64>(1, [1.5, 2.0, 0.1], f64::NAN);
    batch.classes[0] = 0;
    let (gradient, terms) = trainer.gradients(&batch, None);
    close(terms[0], (1.0 + 1.5f64.exp()).ln());
    assert_eq!(terms[1], 0.0);
    assert!(gradient.dense.iter().all(|g| g.is_finite()));
}

/// An output that is not a number makes a loss that is none.
#[test]
fn nan_reaches_the_loss() {
    for (k, name, term) in [(1, "z", 0), (1, "mu", 1), (1, "raw", 1)]
        .into_iter()
        .chain([(3, "mu", 1), (3, "raw", 1), (3, "shares", 1)])
    {
        let (mut trainer, batch) = single::<f32>(k, [0.3, 1.0, 0.5], 2.0);
        let param = trainer.graph().layout().find(&format!("{name}.leaf"));
        let param = param.unwrap().clone();
        // The last output of the one row that takes part.
        trainer.state_mut().weights.of_mut(&param)[param.cols - 1] = f32::NAN;
        assert!(trainer.losses(&batch)[term].is_nan(), "{k}: {name}");
    }
}
