#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ltv_core::fuzzing::manifests(data));
