#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ltv_serve::fuzzing::requests(data));
