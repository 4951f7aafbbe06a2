//! How fast this machine multiplies matrices, the roof that a network's speed is held against, and
//! how fast its threads meet.

use crate::real::{View, product};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Edge of the square matrices: three of them stay in a core's cache.
const EDGE: usize = 512;

/// Runs `rounds` products of two 512 x 512 `f32` matrices on each of `threads` threads at once, with
/// the matrix product that the engine uses, and returns the multiply-adds done by all. The caller
/// has the clock.
pub fn products(threads: usize, rounds: usize) -> u64 {
    let work = || {
        let a: Vec<f32> = (0..EDGE * EDGE).map(|i| (i % 7) as f32 * 0.1).collect();
        let b: Vec<f32> = (0..EDGE * EDGE).map(|i| (i % 5) as f32 * 0.1).collect();
        let mut out = vec![0.0f32; EDGE * EDGE];
        for _ in 0..rounds {
            let view = |data| View::new(data, EDGE, EDGE, EDGE);
            product(
                (&mut out, EDGE, EDGE, EDGE, false),
                false,
                view(&a),
                view(&b),
            );
        }
        std::hint::black_box(out);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    (EDGE * EDGE * EDGE) as u64 * rounds as u64 * threads.max(1) as u64
}

/// Threads as a trainer has them.
pub struct Threads(ThreadPool);

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// When the operating system refuses to.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads.max(1));
        pool.build().map(Self)
    }

    /// Wakes all of them and waits until each was there: what is lost where work is handed out.
    pub fn meet(&self) {
        self.0.broadcast(|_| ());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_product_is_counted() {
        assert_eq!(super::products(2, 3), 6 << 27);
    }
}
