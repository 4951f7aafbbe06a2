//! How a batch is cut among workers.

use std::ops::Range;

/// A batch is cut into shards, whose gradients are added one after the other, and these into parts
/// that workers work on. Shards depend on the number of rows alone, never on threads. Only a shard of
/// two tiles may have two parts, where there are threads for them: its gradient is the sum of the two
/// tiles', whoever adds them. (A sum of three has an order.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    rows: usize,
    shard: usize,
    part: usize,
}

impl Cut {
    /// Cuts `rows` rows into shards of `shard` rows, worked on in tiles of `tile` rows by `threads`
    /// threads.
    pub(super) fn new(rows: usize, shard: usize, tile: usize, threads: usize) -> Self {
        let halves = threads > rows.div_ceil(shard) && (tile..=2 * tile).contains(&shard);
        let part = if halves { tile } else { shard };
        Self { rows, shard, part }
    }

    /// Parts of every shard but perhaps the last.
    pub(super) fn parts_of_shard(self) -> usize {
        self.shard.div_ceil(self.part)
    }

    /// Parts of the batch, at least 1.
    pub(super) fn parts(self) -> usize {
        let whole = self.rows.saturating_sub(1) / self.shard;
        let last = self.rows - whole * self.shard;
        whole * self.parts_of_shard() + last.div_ceil(self.part).max(1)
    }

    /// The rows of a part.
    pub(super) fn range(self, part: usize) -> Range<usize> {
        let (shard, part) = (part / self.parts_of_shard(), part % self.parts_of_shard());
        let start = shard * self.shard + part * self.part;
        let end = (start + self.part).min((shard + 1) * self.shard);
        start..end.min(self.rows)
    }

    /// The part that a row is in, and its place there.
    #[inline(always)]
    pub(super) fn place(self, row: usize) -> (usize, usize) {
        let (shard, at) = (row / self.shard, row % self.shard);
        (
            shard * self.parts_of_shard() + at / self.part,
            at % self.part,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Parts follow one another, and every row is where its part says.
        #[test]
        fn parts_cover_the_rows(rows in 0usize..1500, shard in 1usize..700, tile in 1usize..300, threads in 1usize..9) {
            let cut = Cut::new(rows, shard, tile, threads);
            let mut next = 0;
            for part in 0..cut.parts() {
                let range = cut.range(part);
                proptest::prop_assert_eq!(range.start, next);
                next = range.end;
                for (at, row) in range.enumerate() {
                    proptest::prop_assert_eq!(cut.place(row), (part, at));
                }
            }
            proptest::prop_assert_eq!(next, rows);
        }
    }

    #[test]
    fn a_shard_of_two_tiles_is_shared_where_there_are_threads() {
        let parts = |threads| Cut::new(512, 256, 128, threads).parts();
        assert_eq!([1, 2, 3, 8].map(parts), [2, 2, 4, 4]);
        assert_eq!(Cut::new(512, 512, 128, 8).parts(), 1);
    }
}
