//! Running a loop with the widest vectors that the machine has.

/// Runs `$body` compiled for AVX-512, AVX2 or the build's baseline, whichever `$arch` found.
///
/// Every arm has a closure of its own with a single call: that is what makes the compiler inline
/// it into the function that enables the instructions. (One closure called from three places is
/// compiled once, for the baseline, where even a fused multiply-add is a library call.)
macro_rules! simd {
    ($arch:expr, $body:expr) => {
        match $arch {
            #[cfg(target_arch = "x86_64")]
            pulp::x86::Arch::V4(simd) => pulp::Simd::vectorize(simd, || $body),
            #[cfg(target_arch = "x86_64")]
            pulp::x86::Arch::V3(simd) => pulp::Simd::vectorize(simd, || $body),
            _ => $body,
        }
    };
}

pub(crate) use simd;
