//! Pieces of a dataset that are read apart.

use super::Dataset;
use std::ops::Range;

/// Consecutive row groups of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The file, by its position in [`Dataset::files`].
    pub file: usize,
    /// The row groups of it.
    pub groups: Range<usize>,
    /// Rows of the file before the first of it.
    pub first_row: u64,
    /// Rows in it, at least one.
    pub rows: u64,
}

impl Dataset {
    /// All rows in pieces of at most `rows` rows, but for row groups that are larger themselves, each of
    /// one file, in order. What they are depends on the files alone.
    pub fn portions(&self, rows: u64) -> Vec<Portion> {
        let mut all: Vec<Portion> = vec![];
        for (file, of_file) in self.files.iter().enumerate() {
            let mut first_row = 0;
            for (group, &count) in of_file.row_groups().iter().enumerate() {
                match all.last_mut() {
                    Some(last) if last.file == file && last.rows + count <= rows => {
                        last.groups.end = group + 1;
                        last.rows += count;
                    }
                    _ if count == 0 => {}
                    _ => all.push(Portion {
                        file,
                        groups: group..group + 1,
                        first_row,
                        rows: count,
                    }),
                }
                first_row += count;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{rows, write_rows};

    /// 100 rows in files of 60 and 40, row groups of 16.
    #[test]
    fn portions_are_all_rows_in_order() {
        let folder = tempfile::tempdir().unwrap();
        write_rows(folder.path(), &rows(100), 60, 16);
        let dataset = Dataset::open(folder.path()).unwrap();
        let cut = |rows: u64| {
            let portions = dataset.portions(rows).into_iter();
            let cut = portions.map(|p| (p.file, p.groups, p.first_row, p.rows));
            cut.collect::<Vec<_>>()
        };
        assert_eq!(cut(1000), [(0, 0..4, 0, 60), (1, 0..3, 0, 40)]);
        let by_32 = [
            (0, 0..2, 0, 32),
            (0, 2..4, 32, 28),
            (1, 0..2, 0, 32),
            (1, 2..3, 32, 8),
        ];
        assert_eq!(cut(32), by_32);
        assert_eq!(cut(1).len(), 7, "a row group is not cut");
    }
}
