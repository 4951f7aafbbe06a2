//! A grid that is as fine for small numbers as for large ones, for sums over any number of rows.

/// The cell of a number, zero or positive: its leading bits, `fraction_bits` of them behind the point,
/// so that there are as many cells as these can tell for each doubling. Cells ascend as numbers do.
pub(crate) fn cell(x: f64, fraction_bits: u32) -> u64 {
    x.to_bits() >> (f64::MANTISSA_DIGITS - 1 - fraction_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_cells_for_each_doubling() {
        for x in [0.25, 1.0, 64.0] {
            assert_eq!(cell(2.0 * x, 10) - cell(x, 10), 1024);
            assert_eq!(cell(x * (1.0 + 1.0 / 2048.0), 10), cell(x, 10));
        }
        assert_eq!(cell(0.0, 12), 0);
    }
}
