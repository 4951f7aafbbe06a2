#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ltv_baselines::fuzzing::peer(data));
