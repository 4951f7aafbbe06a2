//! Binary search in many tables at once.

use crate::graph::{Graph, Value};

/// For every column of `x`, in double precision `[rows, tables]`, how many numbers of its table,
/// ascending, are below it: integers, `[rows, tables]`, or `[1, tables]` where all tables are empty. NaN
/// is above none.
///
/// Tables are filled up with infinity, which no number is above, to `2^k - 1` entries; then `k` halvings
/// find the place, each a look-up of all numbers at once.
pub(crate) fn count_below(g: &mut Graph, x: Value, tables: &[&[f64]]) -> Value {
    let longest = tables.iter().map(|t| t.len()).max().unwrap_or(0);
    let size = (longest + 1).next_power_of_two() - 1;
    let mut flat = Vec::with_capacity(size * tables.len());
    for table in tables {
        flat.extend_from_slice(table);
        flat.resize(flat.len() + size - table.len(), f64::INFINITY);
    }
    let starts: Vec<i64> = (0..tables.len()).map(|t| (t * size) as i64).collect();
    let starts = g.ints(&[1, tables.len()], &starts);
    if size == 0 {
        return starts;
    }
    let flat = g.doubles(&[flat.len()], &flat);
    let none = g.int(0);
    let mut at = starts;
    let mut half = size.div_ceil(2);
    while half > 0 {
        let last = g.int(half as i64 - 1);
        let place = g.op("Add", &[at, last]);
        let entry = g.gather(flat, place, 0);
        let below = g.op("Less", &[entry, x]);
        let whole = g.int(half as i64);
        let step = g.op("Where", &[below, whole, none]);
        at = g.op("Add", &[at, step]);
        half /= 2;
    }
    g.op("Sub", &[at, starts])
}
