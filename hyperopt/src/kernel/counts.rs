//! How many multiples the close lies above (or, negative, below) in each row, and where it changes.

use std::ops::Range;

/// Columns of one pair.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) close: &'a [f64],
    pub(super) middle: &'a [f64],
    pub(super) atr: &'a [f64],
    pub(super) inverse: &'a [f64],
}

/// Counts multiples, which are equally far apart.
pub(super) struct Counter<'a> {
    mults: &'a [f64],
    per_unit: f64,
}

/// A row in which rounding could decide.
const DOUBT: i16 = i16::MIN;

/// Bound on the relative error of all roundings between a comparison of `close` with
/// `middle + atr * mult` and one of `z` with a multiple; the true bound is below 1e-15.
const ERROR: f64 = 4e-15;

/// Adding this to a small whole number leaves it in the lowest bits of the float.
const WHOLE_IN_LOW_BITS: f64 = 6_755_399_441_055_744.0;

impl<'a> Counter<'a> {
    pub(super) fn new(mults: &'a [f64], step: f64) -> Self {
        Self { mults, per_unit: 1.0 / step }
    }

    #[inline(always)]
    pub(super) fn count(&self, line: Line<'_>, rows: Range<usize>, counts: &mut [i16]) {
        let (first, per_unit) = (self.mults[0], self.per_unit);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand multiples")]
        let most = self.mults.len() as f64;
        let close = &line.close[rows.clone()];
        let middle = &line.middle[rows.clone()];
        let inverse = &line.inverse[rows.clone()];
        let columns = close.iter().zip(middle).zip(inverse).zip(&mut counts[rows.clone()]);
        // A flag and not a number: a counter that may overflow keeps the loop from being vectorised.
        let mut is_doubtful = false;
        for (((close, middle), inverse), count) in columns {
            let above = close - middle;
            let distance = above.abs();
            // Multiple number i is passed when i < place.
            let place = (distance * inverse - first) * per_unit;
            let error = ((middle.abs() + 4.0 * distance) * inverse + first) * per_unit * ERROR;
            let whole = place.ceil();
            // Also false for NaN, which a range of 0 leaves.
            let sure = (place - place.round_ties_even()).abs() > error;
            let bounded = whole.max(0.0).min(most);
            let signed = if above > 0.0 { bounded } else { -bounded };
            #[expect(clippy::cast_possible_truncation, reason = "the number is in the low bits")]
            let number = (signed + WHOLE_IN_LOW_BITS).to_bits() as i16;
            *count = if sure { number } else { DOUBT };
            is_doubtful |= !sure;
        }
        if is_doubtful {
            for row in rows {
                if counts[row] == DOUBT {
                    counts[row] = self.exactly(line.close[row], line.middle[row], line.atr[row]);
                }
            }
        }
    }

    /// The comparisons of the indicator, on multiples in ascending order.
    #[cold]
    #[inline(never)]
    fn exactly(&self, close: f64, middle: f64, atr: f64) -> i16 {
        let above = self.mults.partition_point(|mult| close > middle + atr * mult);
        let below = self.mults.partition_point(|mult| close < middle - atr * mult);
        let number = |count: usize| i16::try_from(count).unwrap_or(i16::MAX);
        if above > 0 { number(above) } else { -number(below) }
    }
}

/// Rows with volume in which some multiple is crossed outwards, written to `events`.
#[inline(always)]
pub(super) fn events<'e>(
    counts: &[i16],
    traded: &[bool],
    rows: Range<usize>,
    events: &'e mut [u32],
) -> &'e [u32] {
    let mut found = 0;
    let mut before = counts[rows.start - 1];
    for row in rows {
        let now = counts[row];
        let crossed = (now > before.max(0)) | (now < before.min(0));
        #[expect(clippy::cast_possible_truncation, reason = "rows are far below 2^32")]
        let number = row as u32;
        // Written always and kept when it counts: no branch to mispredict.
        events[found] = number;
        found += usize::from(crossed & traded[row]);
        before = now;
    }
    &events[..found]
}
