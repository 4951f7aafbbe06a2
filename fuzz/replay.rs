//! Runs what fuzzing has kept through a target, without a fuzzer: for tests, on any toolchain
//! (fuzz/README.md).

use std::{env, fs, path::Path};

/// Calls a target with made artefacts and with every input that is kept for it. `LTV_FUZZ_SEEDS` names a folder
/// that the artefacts are written to as well, to start from when the fuzzer runs.
pub(crate) fn replay(target: &str, seeds: &[Vec<u8>], run: fn(&[u8])) {
    if let Some(folder) = env::var_os("LTV_FUZZ_SEEDS") {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).unwrap();
        for (i, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{i}")), seed).unwrap();
        }
    }
    seeds.iter().for_each(|seed| run(seed));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let entries = fs::read_dir(kept.join(target)).unwrap();
    let mut count = 0;
    for entry in entries {
        run(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "nothing is kept for {target}");
}
