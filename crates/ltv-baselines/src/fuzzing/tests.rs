//! What fuzzing has kept.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    fit,
    testing::{frame, users},
};

#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn peers_are_refused_or_predict() {
    let kinds = ["rfm", "train_mean", "trivial_sort"];
    let rows = users(60, 5, |plain, _, _| vec![plain[1], plain[1] + plain[2]]);
    let document = |kind: &&str| {
        let config = format!("{{\"kind\":\"{kind}\"}}");
        let config = serde_json::from_str(&config).unwrap();
        let peer = fit(&config, &frame(&[30, 90]), &rows, &rows, 7, 1).unwrap();
        assert!(Peer::parse("seed", peer.bytes().as_bytes()).is_ok());
        serde_json::to_vec(peer.document()).unwrap()
    };
    let seeds: Vec<Vec<u8>> = kinds.iter().map(document).collect();
    replay::replay("peer", &seeds, peer);
}
