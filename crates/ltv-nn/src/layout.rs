//! Where every parameter lives.

use std::ops::Range;

/// A named parameter: a matrix `[rows, cols]`, row-major, inside one of the two flat vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name, unique in the graph.
    pub name: String,
    /// Place of its first number in the vector of its kind.
    pub offset: usize,
    /// Rows (outputs of a layer, cells of a table, 1 for a bias).
    pub rows: usize,
    /// Columns (inputs of a layer, dimensions of an embedding).
    pub cols: usize,
    /// Which vector it lives in.
    pub kind: Kind,
}

/// The kinds of parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the dense vector, used as it is.
    Dense,
    /// In the dense vector, used through `softplus`, so that what the network sees is never
    /// negative (paper section 3.4, Mono Unit).
    NonNegative,
    /// An embedding table, in the table vector.
    Table,
}

impl Param {
    /// Number of values.
    pub fn size(&self) -> usize {
        self.rows * self.cols
    }

    /// Its range in the vector of its kind.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.size()
    }
}

/// An embedding table: which fields read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Place of its first number in the table vector.
    pub offset: usize,
    /// Cells.
    pub rows: usize,
    /// Dimensions of an embedding.
    pub dim: usize,
    /// The fields that look up in it.
    pub fields: Vec<usize>,
}

/// All parameters of a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// In order of declaration.
    pub params: Vec<Param>,
    /// The embedding tables.
    pub tables: Vec<Table>,
    /// Length of the dense vector.
    pub dense: usize,
    /// Length of the table vector.
    pub table: usize,
}

/// Dense parameters start at multiples of this, so that vector loads are aligned to cache lines.
const ALIGN: usize = 16;

impl Layout {
    /// Looks a parameter up by name.
    pub fn find(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }

    pub(crate) fn add(&mut self, name: String, rows: usize, cols: usize, kind: Kind) -> usize {
        assert!(
            self.find(&name).is_none(),
            "parameter {name} is declared twice"
        );
        let end = if kind == Kind::Table {
            &mut self.table
        } else {
            &mut self.dense
        };
        let offset = *end;
        *end += rows * cols;
        self.params.push(Param {
            name,
            offset,
            rows,
            cols,
            kind,
        });
        offset
    }

    pub(crate) fn align(&mut self) {
        self.dense = self.dense.next_multiple_of(ALIGN);
    }
}
