//! From encoded rows to the matrix that trees read: numeric columns as they are, then one column
//! for each categorical field.

use crate::config::Categories;
use ltv_core::encoding::{Cells, EncodedRows, Encoding};

/// Which columns a matrix has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    plain: usize,
    fields: usize,
    /// XGBoost's types of the columns: `q` or `c`.
    pub(crate) types: Vec<&'static str>,
}

/// A matrix, row-major `[rows, columns]`; NaN where missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) values: Vec<f32>,
}

impl Layout {
    pub(crate) fn new(encoding: &Encoding, categories: Categories) -> Self {
        let kind = |cells: &Cells| match (cells, categories) {
            (Cells::Vocabulary { .. }, Categories::Native) => "c",
            _ => "q",
        };
        let mut types = vec!["q"; encoding.plain.len()];
        for feature in &encoding.features {
            types.extend(vec![kind(&feature.cells); feature.columns.len()]);
        }
        Self {
            plain: encoding.plain.len(),
            fields: encoding.fields(),
            types,
        }
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.plain + self.fields
    }

    /// The rows at `take`, in that order. A missing category is NaN, like a missing number. A
    /// number beyond the range of `f32`, an infinity among them, is the largest of its sign, since
    /// XGBoost refuses infinities.
    pub(crate) fn gather(&self, rows: &EncodedRows, take: impl Iterator<Item = usize>) -> Matrix {
        let mut values = Vec::with_capacity(take.size_hint().0 * self.width());
        let mut count = 0;
        for r in take {
            let plain = &rows.plain[r * self.plain..][..self.plain];
            // Unlike min and max, clamp keeps NaN.
            let narrow = |x: &f64| x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
            values.extend(plain.iter().map(narrow));
            let cells = &rows.cells[r * self.fields..][..self.fields];
            values.extend(cells.iter().map(|&c| match c {
                Cells::MISSING => f32::NAN,
                c => c as f32,
            }));
            count += 1;
        }
        Matrix {
            rows: count,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::encoding::FeatureEncoding;

    #[test]
    fn numbers_then_categories() {
        let encoding = Encoding {
            cohort: None,
            plain: vec!["a".into(), "b".into()],
            features: vec![FeatureEncoding {
                name: "c".into(),
                columns: vec!["c".into()],
                cells: Cells::Vocabulary {
                    values: vec!["x".into()],
                },
                scale: None,
            }],
        };
        let rows = EncodedRows {
            rows: 2,
            cells: vec![0, 2],
            plain: vec![1.0, f64::NAN, f64::INFINITY, -2.5],
            ..EncodedRows::default()
        };
        let layout = Layout::new(&encoding, Categories::Native);
        assert_eq!(layout.types, ["q", "q", "c"]);
        assert_eq!(Layout::new(&encoding, Categories::Codes).types, ["q"; 3]);
        let matrix = layout.gather(&rows, [1, 0].into_iter());
        assert_eq!(matrix.values[..4], [f32::MAX, -2.5, 2.0, 1.0]);
        assert!(matrix.values[4].is_nan() && matrix.values[5].is_nan());
    }
}
