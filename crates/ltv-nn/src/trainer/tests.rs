//! Sameness, and what a step does.

use super::*;
use crate::{
    check::{demo, demo_in_tiles, tokens_in_tiles},
    ops::FieldSpec,
};

const RATES: Rates = Rates {
    dense: 0.01,
    tables: 0.02,
};

fn trained(threads: usize, shard_rows: usize, sparse_above: usize) -> (State<f32>, Vec<f64>) {
    let (graph, batch) = demo::<f32>(301);
    let options = TrainerOptions {
        threads,
        shard_rows,
        sparse_above,
        ..Default::default()
    };
    let mut trainer = Trainer::new(graph, options).unwrap();
    crate::check::fill(&mut trainer.state_mut().weights);
    let mut losses = vec![];
    for step in 0..5 {
        losses = trainer.step(&batch, RATES, step);
    }
    (trainer.state().clone(), losses)
}

#[test]
fn same_bytes_for_any_number_of_threads() {
    for sparse_above in [0, 1000] {
        let one = trained(1, 32, sparse_above);
        assert_eq!(one, trained(2, 32, sparse_above));
        assert_eq!(one, trained(4, 32, sparse_above));
    }
}

/// With more threads than shards, two of them share a shard of two tiles.
#[test]
fn same_bytes_where_threads_share_a_shard() {
    let trained = |threads| {
        let (graph, batch) = demo_in_tiles::<f32>(301, 32);
        let options = TrainerOptions {
            threads,
            shard_rows: 61,
            ..Default::default()
        };
        let mut trainer = Trainer::new(graph, options).unwrap();
        crate::check::fill(&mut trainer.state_mut().weights);
        let cut = options.cut(301, 32);
        assert_eq!(cut.parts_of_shard(), if threads > 5 { 2 } else { 1 });
        let losses: Vec<_> = (0..5)
            .map(|step| trainer.step(&batch, RATES, step))
            .collect();
        (trainer.state().clone(), losses)
    };
    let one = trained(1);
    assert_eq!(one, trained(5));
    assert_eq!(one, trained(6));
    assert_eq!(one, trained(16));
}

#[test]
fn shards_change_only_rounding() {
    let (whole, parts) = (trained(1, 1000, 1000), trained(2, 16, 1000));
    for (a, b) in whole.1.iter().zip(&parts.1) {
        assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} against {b}");
    }
}

/// How a batch is cut into tiles and shards changes only the order of additions.
#[test]
fn gradients_do_not_depend_on_the_cut() {
    gradients_do_not_depend_on_the_cut_of(demo_in_tiles);
    gradients_do_not_depend_on_the_cut_of(tokens_in_tiles);
}

fn gradients_do_not_depend_on_the_cut_of(network: fn(usize, usize) -> (Graph<f64>, Batch<f64>)) {
    let gradients = |tile, shard_rows| {
        let (graph, batch) = network(301, tile);
        let options = TrainerOptions {
            threads: 2,
            shard_rows,
            most_shards: 64,
            ..Default::default()
        };
        let mut trainer = Trainer::new(graph, options).unwrap();
        crate::check::fill(&mut trainer.state_mut().weights);
        trainer.gradients(&batch, Some(9))
    };
    let (whole, losses) = gradients(512, 1000);
    for (tile, shard_rows) in [
        (16, 1000),
        (16, 16),
        (16, 7),
        (512, 5),
        (512, 100),
        (64, 150),
    ] {
        let (parts, other) = gradients(tile, shard_rows);
        let pairs = whole.dense.iter().zip(&parts.dense);
        let pairs = pairs.chain(whole.tables.iter().zip(&parts.tables));
        for (a, b) in pairs.chain(losses.iter().zip(&other)) {
            let error = (a - b).abs();
            assert!(error < 1e-12, "{a} against {b} at {tile}, {shard_rows}");
        }
    }
}

/// Before any moment has formed, cells at rest stay where they are in both.
#[test]
fn the_first_sparse_step_is_a_dense_one() {
    let after = |sparse_above| {
        let (graph, batch) = demo::<f32>(20);
        let options = TrainerOptions {
            sparse_above,
            ..Default::default()
        };
        let mut trainer = Trainer::new(graph, options).unwrap();
        crate::check::fill(&mut trainer.state_mut().weights);
        let before = trainer.state().weights.tables.clone();
        trainer.step(&batch, RATES, 0);
        assert_ne!(before, trainer.state().weights.tables);
        trainer.state().clone()
    };
    assert_eq!(after(0), after(1000));
}

/// Gradients of small tables are summed row by row, those of large ones cell by cell: the same sums.
#[test]
fn cells_learn_the_same_in_small_and_large_tables() {
    let trained = |cells: usize| {
        let mut b = crate::graph::Builder::<f32>::training();
        let tables = [b.table("a", 8, 8), b.table("b", cells, 8)];
        let x = b.input(&[0, 1, 1].map(|i| FieldSpec { table: tables[i] }), 0);
        let layer = b.dense(&[("l", 3)], x.width());
        let logits = b.linear(x, layer, false);
        let classes = b.class_column();
        let shares = b.softmax(logits);
        b.cross_entropy("loss", 1.0, shares, classes);
        let graph = b.build(16);
        let mut batch = Batch::new(graph.shape(), 301);
        let ids = batch.ids.iter_mut().enumerate();
        ids.for_each(|(i, id)| *id = (i * i % 7) as u32);
        let classes = batch.classes.iter_mut().enumerate();
        classes.for_each(|(i, y)| *y = (i % 3) as i32);
        let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
        crate::check::fill(&mut trainer.state_mut().weights);
        let before = trainer.state().weights.tables.clone();
        let (gradient, _) = trainer.gradients(&batch, None);
        for step in 0..3 {
            trainer.step(&batch, RATES, step);
        }
        let after = trainer.state().weights.tables.clone();
        assert_ne!(before[..15 * 8], after[..15 * 8]);
        assert_eq!(before[15 * 8..], after[15 * 8..]);
        (gradient.tables[..15 * 8].to_vec(), after[..15 * 8].to_vec())
    };
    assert_eq!(trained(9), trained(600));
}

/// A batch of one row learns, and a row's share of a sum over rows is what it has alone.
#[test]
fn one_row() {
    let (graph, mut batch) = demo::<f64>(1);
    batch.classes[0] = 2;
    let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
    crate::check::fill(&mut trainer.state_mut().weights);
    let (one, _) = trainer.gradients(&batch, None);
    let (_, mut copies) = demo::<f64>(50);
    for r in 0..50 {
        copies.ids[2 * r..2 * r + 2].copy_from_slice(&batch.ids);
        copies.numbers[r] = batch.numbers[0];
        copies.classes[r] = batch.classes[0];
    }
    let (many, _) = trainer.gradients(&copies, None);
    for (a, b) in one.dense.iter().zip(&many.dense) {
        assert!((a - b).abs() < 1e-12, "{a} against {b}");
    }
    let before = trainer.losses(&batch)[0];
    (0..20).for_each(|i| {
        trainer.step(&batch, RATES, i);
    });
    assert!(trainer.losses(&batch)[0] < before);
}

/// Weights of layers and embeddings lose their share; biases and non-negative weights do not.
#[test]
fn what_decays() {
    let after = |decay| {
        let (graph, batch) = demo::<f64>(20);
        let adam = Adam {
            decay,
            ..Adam::default()
        };
        let options = TrainerOptions {
            adam,
            ..Default::default()
        };
        let mut trainer = Trainer::new(graph, options).unwrap();
        crate::check::fill(&mut trainer.state_mut().weights);
        let before = trainer.state().weights.clone();
        trainer.step(&batch, RATES, 0);
        (before, trainer)
    };
    let ((before, plain), (_, decayed)) = (after(0.0), after(0.5));
    for param in &plain.graph().layout().params {
        let share = match param.name.as_str() {
            "a" | "b" => 0.5 * RATES.tables,
            "l1.w" | "out.w" => 0.5 * RATES.dense,
            _ => 0.0,
        };
        let pairs = plain.state().weights.of(param).iter();
        let pairs = pairs.zip(decayed.state().weights.of(param));
        for ((a, b), start) in pairs.zip(before.of(param)) {
            assert!((a - b - share * start).abs() < 1e-12, "{}", param.name);
        }
    }
}

/// Logits 160 apart, in the precision of work: what double precision says, and finite.
#[test]
fn extreme_logits_in_single_precision() {
    fn run<T: Real>() -> (Vec<f64>, Vec<f64>) {
        let mut b = crate::graph::Builder::training();
        let (x, above) = (
            crate::check::leaf(&mut b, "x", 4),
            crate::check::leaf(&mut b, "above", 3),
        );
        let columns = (b.class_column(), b.target_column());
        let s = b.softmax(x);
        b.cross_entropy("ce", 1.0, s, columns.0);
        let teacher = b.ordinal("ord", 1.0, above, columns.0);
        b.distill("dis", 0.5, s, teacher, columns.0);
        let bias = b.sigmoid(x);
        let slots = [Some(0), Some(1), Some(2), Some(3)];
        b.pick_squared_error("mse", 1.0, bias, &slots, columns);
        let graph = b.build(16);
        let mut batch = Batch::new(graph.shape(), 5);
        batch.classes.copy_from_slice(&[0, 1, 2, 3, 0]);
        let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
        let weights = &mut trainer.state_mut().weights.dense;
        for (i, w) in weights.iter_mut().enumerate() {
            *w = T::of(if i % 3 == 0 { 80.0 } else { -80.0 });
        }
        let (gradient, terms) = trainer.gradients(&batch, None);
        (gradient.dense.iter().map(|g| g.f64()).collect(), terms)
    }
    let (single, double) = (run::<f32>(), run::<f64>());
    let pairs = single.0.iter().zip(&double.0);
    for (a, b) in pairs.chain(single.1.iter().zip(&double.1)) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} against {b}");
    }
    assert!(single.1[0] > 10.0);
}

#[test]
fn losses_fall() {
    let (graph, batch) = demo::<f32>(200);
    let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
    crate::check::fill(&mut trainer.state_mut().weights);
    let total = |t: &mut Trainer<f32>| {
        let losses = t.losses(&batch);
        t.total(&losses)
    };
    let before = total(&mut trainer);
    (0..50).for_each(|i| {
        trainer.step(
            &batch,
            Rates {
                dense: 0.01,
                tables: 0.01,
            },
            i,
        );
    });
    assert!(total(&mut trainer) < 0.9 * before);
}

/// A weight that is not a number makes a loss that is none, through every layer.
#[test]
fn nan_reaches_the_loss() {
    for name in ["a", "l1.w", "l1.b", "out.w", "mono.w"] {
        let (graph, batch) = demo::<f32>(60);
        let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
        crate::check::fill(&mut trainer.state_mut().weights);
        let param = trainer.graph().layout().find(name).unwrap().clone();
        trainer.state_mut().weights.of_mut(&param)[8] = f32::NAN;
        assert!(trainer.losses(&batch)[0].is_nan(), "{name}");
    }
}

/// A batch without rows has no gradient, and above all not that of the batch before.
#[test]
fn no_rows() {
    let (graph, batch) = demo::<f64>(40);
    let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
    crate::check::fill(&mut trainer.state_mut().weights);
    let (before, _) = trainer.gradients(&batch, None);
    assert!(before.dense.iter().any(|&g| g != 0.0));
    let (_, none) = demo::<f64>(0);
    let (gradient, losses) = trainer.gradients(&none, None);
    assert!(
        gradient
            .dense
            .iter()
            .chain(&gradient.tables)
            .all(|&g| g == 0.0)
    );
    assert_eq!(losses, [0.0]);
}
