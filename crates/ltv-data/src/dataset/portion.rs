//! Pieces of a dataset that are read apart.

use super::Dataset;
use std::ops::Range;

/// Consecutive row groups, which may be of several files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// Its row groups, in the order of the dataset; at least one.
    pub runs: Vec<Run>,
    /// Rows in it, at least one.
    pub rows: u64,
}

/// Consecutive row groups of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The file, by its position in [`Dataset::files`].
    pub file: usize,
    /// The row groups of it.
    pub groups: Range<usize>,
    /// Rows of the file before the first of it.
    pub first_row: u64,
}

impl Dataset {
    /// All rows in pieces of at most `rows` rows, but for row groups that are larger themselves, in order.
    /// What they are depends on the files alone.
    pub fn portions(&self, rows: u64) -> Vec<Portion> {
        let mut all: Vec<Portion> = vec![];
        for (file, of_file) in self.files.iter().enumerate() {
            let mut first_row = 0;
            for (group, &count) in of_file.row_groups().iter().enumerate() {
                let run = Run {
                    file,
                    groups: group..group + 1,
                    first_row,
                };
                match all.last_mut() {
                    _ if count == 0 => {}
                    Some(last) if last.rows + count <= rows => last.add(run, count),
                    _ => all.push(Portion {
                        runs: vec![run],
                        rows: count,
                    }),
                }
                first_row += count;
            }
        }
        all
    }
}

impl Portion {
    /// Adds a row group that comes after all others.
    fn add(&mut self, run: Run, rows: u64) {
        self.rows += rows;
        match self.runs.last_mut() {
            Some(last) if last.file == run.file => last.groups.end = run.groups.end,
            _ => self.runs.push(run),
        }
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
            let run = |run: Run| (run.file, run.groups, run.first_row);
            let cut = portions.map(|p| (p.rows, p.runs.into_iter().map(run).collect()));
            cut.collect::<Vec<(u64, Vec<_>)>>()
        };
        assert_eq!(cut(1000), [(100, vec![(0, 0..4, 0), (1, 0..3, 0)])]);
        let by_48 = [
            (48, vec![(0, 0..3, 0)]),
            (44, vec![(0, 3..4, 48), (1, 0..2, 0)]),
            (8, vec![(1, 2..3, 32)]),
        ];
        assert_eq!(cut(48), by_48);
        assert_eq!(cut(1).len(), 7, "a row group is not cut");
    }
}
