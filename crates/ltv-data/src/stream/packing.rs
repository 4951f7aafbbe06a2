//! Encoded rows as bytes: a cell takes one, two or four of them, by the number of cells of its field.
//!
//! ```text
//!   tile 0                           tile 1      ..    whole chunk
//!   field 0  field 1  ..  field F-1  field 0     ..    numbers     plain       labels
//!   256 cells each, of 1, 2 or 4 bytes each            f32         f64         f32 or f64
//! ```
//!
//! Little-endian; the last tile may be shorter. Numbers, plain columns and labels are row-major. Labels
//! take four bytes where each of them is exact in four: whole numbers up to 16 million, and nulls.

use ltv_core::encoding::{EncodedRows, Encoding};

/// Rows of a tile: so few that its cells stay in cache while they are turned round.
const TILE_ROWS: usize = 256;

/// How rows of one encoding are packed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packing {
    /// Bytes of a cell, for every field.
    fields: Vec<usize>,
    numbers: usize,
    plain: usize,
    labels: usize,
}

/// How large packed rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    /// Bytes of a label.
    pub(super) label: usize,
}

impl Packing {
    /// For rows of `encoding` with so many labels.
    pub(super) fn new(encoding: &Encoding, labels: usize) -> Self {
        let bytes = |cells: usize| match cells {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        Self {
            fields: encoding.field_cells().into_iter().map(bytes).collect(),
            numbers: encoding.numbers(),
            plain: encoding.plain.len(),
            labels,
        }
    }

    /// Bytes of packed rows.
    pub(super) fn bytes(&self, size: Size) -> usize {
        let cells: usize = self.fields.iter().sum();
        size.rows * (cells + 4 * self.numbers + 8 * self.plain + size.label * self.labels)
    }

    /// Packs rows into `out`, which is emptied first.
    pub(super) fn pack(&self, rows: &EncodedRows, out: &mut Vec<u8>) -> Size {
        let exact = |y: &f64| f64::from(*y as f32).to_bits() == y.to_bits();
        let size = Size {
            rows: rows.rows,
            label: if rows.labels.iter().all(exact) { 4 } else { 8 },
        };
        out.clear();
        out.reserve(self.bytes(size));
        let width = self.fields.len();
        for tile in rows.cells.chunks(TILE_ROWS * width.max(1)) {
            for (field, bytes) in self.fields.iter().enumerate() {
                let cells = tile.iter().skip(field).step_by(width);
                match bytes {
                    1 => out.extend(cells.map(|&cell| cell as u8)),
                    2 => out.extend(cells.flat_map(|&cell| (cell as u16).to_le_bytes())),
                    _ => out.extend(cells.flat_map(|cell| cell.to_le_bytes())),
                }
            }
        }
        out.extend(rows.numbers.iter().flat_map(|x| x.to_le_bytes()));
        out.extend(rows.plain.iter().flat_map(|x| x.to_le_bytes()));
        match size.label {
            4 => out.extend(rows.labels.iter().flat_map(|&y| (y as f32).to_le_bytes())),
            _ => out.extend(rows.labels.iter().flat_map(|y| y.to_le_bytes())),
        }
        size
    }

    /// The rows that were packed into `bytes`; `None` where there are too few or too many bytes.
    pub(super) fn unpack(&self, bytes: &[u8], size: Size) -> Option<EncodedRows> {
        if bytes.len() != self.bytes(size) {
            return None;
        }
        let Size { rows, label } = size;
        let mut rest = bytes;
        let mut take = |n: usize| {
            let (now, later) = rest.split_at(n);
            rest = later;
            now
        };
        let width = self.fields.len();
        let mut cells = vec![0; rows * width];
        for tile in cells.chunks_mut(TILE_ROWS * width.max(1)) {
            for (field, &bytes) in self.fields.iter().enumerate() {
                let from = take(tile.len() / width * bytes);
                let to = tile.iter_mut().skip(field).step_by(width);
                match bytes {
                    1 => to.zip(from).for_each(|(to, &cell)| *to = cell.into()),
                    2 => to.zip(from.as_chunks().0).for_each(|(to, &cell)| {
                        *to = u16::from_le_bytes(cell).into();
                    }),
                    _ => to.zip(from.as_chunks().0).for_each(|(to, &cell)| {
                        *to = u32::from_le_bytes(cell);
                    }),
                }
            }
        }
        let single = |bytes: &[u8]| -> Vec<f32> {
            let numbers = bytes.as_chunks().0.iter();
            numbers.map(|&x| f32::from_le_bytes(x)).collect()
        };
        let double = |bytes: &[u8]| -> Vec<f64> {
            let numbers = bytes.as_chunks().0.iter();
            numbers.map(|&x| f64::from_le_bytes(x)).collect()
        };
        let numbers = single(take(4 * rows * self.numbers));
        let plain = double(take(8 * rows * self.plain));
        let labels = take(label * rows * self.labels);
        Some(EncodedRows {
            rows,
            cells,
            numbers,
            plain,
            labels: match label {
                4 => single(labels).into_iter().map(f64::from).collect(),
                _ => double(labels),
            },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use ltv_core::encoding::{Cells, FeatureEncoding, Scale};
    use proptest::prelude::*;

    fn encoding(cells: &[usize], scaled: usize, plain: usize) -> Encoding {
        let feature = |(i, &count): (usize, &usize)| FeatureEncoding {
            name: i.to_string(),
            columns: vec![i.to_string()],
            cells: Cells::Bins {
                edges: (3..count).map(|edge| edge as f64).collect(),
            },
            scale: (i < scaled).then_some(Scale { mean: 0.0, sd: 1.0 }),
        };
        Encoding {
            features: cells.iter().enumerate().map(feature).collect(),
            plain: vec!["plain".into(); plain],
            ..Encoding::default()
        }
    }

    fn bits(rows: &EncodedRows) -> (usize, &[u32], Vec<u32>, Vec<u64>, Vec<u64>) {
        (
            rows.rows,
            &rows.cells,
            rows.numbers.iter().map(|x| x.to_bits()).collect(),
            rows.plain.iter().map(|x| x.to_bits()).collect(),
            rows.labels.iter().map(|x| x.to_bits()).collect(),
        )
    }

    /// Cells at the edges of what one and two bytes hold, and any floats at all.
    fn rows() -> impl Strategy<Value = (Encoding, EncodedRows)> {
        let sizes = prop::collection::vec(
            prop::sample::select(vec![3, 256, 257, 65_536, 65_537]),
            0..6,
        );
        (sizes, 0..3_usize, 0..3_usize, 0..600_usize, any::<bool>()).prop_flat_map(
            |(sizes, scaled, labels, rows, whole)| {
                let encoding = encoding(&sizes, scaled.min(sizes.len()), scaled);
                let counts: Vec<u32> = sizes.iter().map(|&n| n as u32).collect();
                let fields = counts.len();
                let cell = move |i: usize, raw: u32| match raw % 3 {
                    0 => counts[i % fields] - 1,
                    _ => raw % counts[i % fields],
                };
                let cells = prop::collection::vec(any::<u32>(), rows * fields);
                let label = move |y: f64| if whole { (y as u8).into() } else { y };
                (
                    Just(encoding.clone()),
                    cells.prop_map(move |raw| {
                        raw.into_iter()
                            .enumerate()
                            .map(|(i, raw)| cell(i, raw))
                            .collect::<Vec<_>>()
                    }),
                    prop::collection::vec(any::<f32>(), rows * encoding.numbers()),
                    prop::collection::vec(any::<f64>(), rows * encoding.plain.len()),
                    prop::collection::vec(any::<f64>().prop_map(label), rows * labels),
                )
                    .prop_map(move |(encoding, cells, numbers, plain, labels)| {
                        (
                            encoding,
                            EncodedRows {
                                rows,
                                cells,
                                numbers,
                                plain,
                                labels,
                            },
                        )
                    })
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_packed_comes_back_to_the_bit((encoding, rows) in rows()) {
            let labels = rows.labels.len().checked_div(rows.rows).unwrap_or(0);
            let packing = Packing::new(&encoding, labels);
            let mut bytes = vec![7];
            let size = packing.pack(&rows, &mut bytes);
            prop_assert_eq!(bytes.len(), packing.bytes(size));
            let back = packing.unpack(&bytes, size).unwrap();
            prop_assert_eq!(bits(&back), bits(&rows));
            bytes.push(0);
            prop_assert!(packing.unpack(&bytes, size).is_none());
        }
    }

    #[test]
    fn whole_labels_and_nulls_take_four_bytes() {
        let packing = Packing::new(&encoding(&[64, 300, 70_000], 0, 0), 2);
        let size = |labels: [f64; 2]| {
            let rows = EncodedRows {
                rows: 1,
                cells: vec![63, 299, 69_999],
                labels: labels.to_vec(),
                ..EncodedRows::default()
            };
            packing.bytes(packing.pack(&rows, &mut vec![]))
        };
        assert_eq!(size([365.0, f64::NAN]), 1 + 2 + 4 + 2 * 4);
        assert_eq!(size([365.0, 0.1]), 1 + 2 + 4 + 2 * 8);
    }
}
