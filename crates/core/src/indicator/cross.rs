//! Crossings of two columns.

/// True where `value > line` now and `value <= line` one row before; never on the first row.
#[must_use]
pub fn crossed_above(value: &[f64], line: &[f64]) -> Vec<bool> {
    (0..value.len())
        .map(|row| row > 0 && value[row] > line[row] && value[row - 1] <= line[row - 1])
        .collect()
}

/// True where `value < line` now and `value >= line` one row before; never on the first row.
#[must_use]
pub fn crossed_below(value: &[f64], line: &[f64]) -> Vec<bool> {
    (0..value.len())
        .map(|row| row > 0 && value[row] < line[row] && value[row - 1] >= line[row - 1])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_is_not_crossing_but_leaving_the_line_is() {
        let line = [1.0, 1.0, 1.0, 1.0];
        assert_eq!(crossed_above(&[1.0, 1.0, 2.0, 2.0], &line), [false, false, true, false]);
        assert_eq!(crossed_below(&[2.0, 1.0, 0.5, 0.5], &line), [false, false, true, false]);
        assert_eq!(crossed_above(&[2.0], &[1.0]), [false]);
    }
}
