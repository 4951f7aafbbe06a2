//! Counting categories in bounded memory.

use crate::stream::columns::Words;
use arrow::array::Array;
use std::collections::HashMap;

/// Counts of distinct values.
///
/// Exact while there are at most `limit` distinct values. When there are more, the median count
/// is taken off every value and those left with none are dropped, as in the Misra-Gries sketch
/// (D. Anderson et al., "A High-Performance Algorithm for Identifying Frequent Items in Data
/// Streams", IMC '17): a count is then too low by at most `2 rows / limit`, never too high.
#[derive(Debug)]
pub(super) struct WordCounts {
    counts: HashMap<String, u64>,
    limit: usize,
}

impl WordCounts {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            counts: HashMap::new(),
            limit: limit.max(2),
        }
    }

    pub(super) fn add(&mut self, column: &Words) {
        match column {
            // With as many words as rows, counting first saves nothing.
            Words::Numbered(keys, words) if words.len() <= keys.len() => {
                let mut rows = vec![0; words.len()];
                keys.iter()
                    .flatten()
                    .for_each(|key| rows[key as usize] += 1);
                let seen = words.iter().flatten().zip(rows).filter(|(_, n)| *n > 0);
                seen.for_each(|(word, n)| self.add_many(word, n));
            }
            column => {
                let words = (0..column.rows().len()).filter_map(|row| column.get(row));
                words.for_each(|word| self.add_many(word, 1));
            }
        }
    }

    fn add_many(&mut self, word: &str, rows: u64) {
        match self.counts.get_mut(word) {
            Some(count) => *count += rows,
            None => {
                self.counts.insert(word.to_string(), rows);
                if self.counts.len() > self.limit {
                    self.purge();
                }
            }
        }
    }

    fn purge(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let median = *counts.select_nth_unstable(middle).1;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
    }

    /// The `most` most frequent values of at least `min_rows` rows (ties to the smaller text),
    /// sorted by text.
    pub(super) fn vocabulary(self, min_rows: u64, most: usize) -> Vec<String> {
        let frequent = self
            .counts
            .into_iter()
            .filter(|(_, n)| *n >= min_rows.max(1));
        let mut words: Vec<(String, u64)> = frequent.collect();
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(most);
        let mut words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
        words.sort_unstable();
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};

    #[test]
    fn frequent_values_sorted_and_capped() {
        let mut counts = WordCounts::new(100);
        let words = ["b", "a", "c", "a", "b", "d", "c"];
        let words = words.map(Some).into_iter().chain([None]);
        counts.add(&Words::Text(words.collect()));
        assert_eq!(
            WordCounts {
                counts: counts.counts.clone(),
                limit: 9
            }
            .vocabulary(2, 9),
            ["a", "b", "c"]
        );
        assert_eq!(counts.vocabulary(1, 2), ["a", "b"]);
    }

    /// Few words for many rows, and more words than rows.
    #[test]
    fn numbered_words_count_as_their_text_does() {
        for keys in [
            vec![Some(2), None, Some(0), Some(2), Some(2)],
            vec![Some(1)],
        ] {
            let words = ["a", "b", "c", "never"];
            let text = keys.iter().map(|k| k.map(|k| words[k as usize]));
            let text = Words::Text(text.collect());
            let numbered =
                Words::Numbered(Int32Array::from(keys), StringArray::from(words.to_vec()));
            let [mut expected, mut found] = [WordCounts::new(9), WordCounts::new(9)];
            expected.add(&text);
            found.add(&numbered);
            assert_eq!(found.counts, expected.counts);
        }
    }

    #[test]
    fn the_frequent_survive_a_flood_of_rare_values() {
        let mut counts = WordCounts::new(64);
        for i in 0..20_000 {
            counts.add_many(&format!("rare {i}"), 1);
            counts.add_many(["x", "y"][i % 2], 1);
        }
        assert!(counts.counts.len() <= 64);
        for word in ["x", "y"] {
            // 40,000 rows: the promise of Misra-Gries, 2 rows / limit
            assert!((10_000 - 1_250..=10_000).contains(&counts.counts[word]));
        }
        assert_eq!(counts.vocabulary(5_000, 10), ["x", "y"]);
    }
}
