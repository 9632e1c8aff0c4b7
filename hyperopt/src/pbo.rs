//! Probability of backtest overfitting, by combinatorially symmetric cross-validation.
//!
//! Source: Bailey, Borwein, López de Prado and Zhu, "The probability of backtest overfitting"
//! (2015). The returns are cut into an even number of blocks; for every choice of half of them the
//! best column there is looked up in the other half.

use rayon::prelude::*;

/// Returns of several columns, summed by block of time.
#[derive(Clone, Debug)]
pub struct Blocks {
    blocks: usize,
    /// Rows in each block.
    counts: Vec<f64>,
    /// Sums of each block, by column: adding up blocks then runs along the columns.
    sums: Vec<Vec<f64>>,
    /// Sums of squares, likewise.
    squares: Vec<Vec<f64>>,
}

/// How the choice would have fared.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Overfitting {
    /// Share of choices whose pick lies in the lower half elsewhere. About 0.5 for noise.
    pub probability: f64,
    /// Share of choices whose pick loses elsewhere.
    pub loss_probability: f64,
    /// Number of choices.
    pub choices: u32,
    /// Number of columns.
    pub columns: u32,
    /// Number of blocks.
    pub blocks: u32,
}

impl Blocks {
    /// No column yet; `blocks` is even, from 2 to 16, and at most `rows`.
    #[must_use]
    pub fn new(rows: usize, blocks: usize) -> Option<Self> {
        if !(2..=16).contains(&blocks) || !blocks.is_multiple_of(2) || rows < 2 * blocks {
            return None;
        }
        let counts = (0..blocks)
            .map(|block| {
                let size = (block + 1) * rows / blocks - block * rows / blocks;
                u32::try_from(size).map_or(f64::INFINITY, f64::from)
            })
            .collect();
        let none = || vec![Vec::new(); blocks];
        Some(Self { blocks, counts, sums: none(), squares: none() })
    }

    /// Adds the returns of a column; as many as there are rows.
    pub fn push(&mut self, returns: &[f64]) {
        self.extend([self.summed(returns)]);
    }

    /// The sums of one column, for [`Self::extend`].
    #[must_use]
    pub fn summed(&self, returns: &[f64]) -> Vec<[f64; 2]> {
        let rows = returns.len();
        (0..self.blocks)
            .map(|block| {
                let part = &returns[block * rows / self.blocks..(block + 1) * rows / self.blocks];
                [part.iter().sum(), part.iter().map(|value| value * value).sum()]
            })
            .collect()
    }

    /// Adds columns summed by [`Self::summed`].
    pub fn extend(&mut self, sums: impl IntoIterator<Item = Vec<[f64; 2]>>) {
        for column in sums {
            for (block, [sum, squares]) in column.into_iter().enumerate() {
                self.sums[block].push(sum);
                self.squares[block].push(squares);
            }
        }
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.sums.first().map_or(0, Vec::len)
    }

    /// Judges the choice of the best Sharpe ratio; `None` with fewer than two columns.
    #[must_use]
    pub fn overfitting(&self) -> Option<Overfitting> {
        let columns = self.columns();
        if columns < 2 {
            return None;
        }
        let half = u32::try_from(self.blocks / 2).ok()?;
        let choices: Vec<u32> =
            (0..1_u32 << self.blocks).filter(|choice| choice.count_ones() == half).collect();
        let judged: Vec<(bool, bool)> = choices
            .par_iter()
            .map_init(
                || std::array::from_fn(|_| vec![0.0; columns]),
                |buffers, choice| self.judge(*choice, buffers),
            )
            .collect();
        let share = |pick: fn(&(bool, bool)) -> bool| {
            let count = judged.iter().filter(|judged| pick(judged)).count();
            u32::try_from(count).map_or(f64::NAN, f64::from)
                / u32::try_from(judged.len()).map_or(f64::NAN, f64::from)
        };
        Some(Overfitting {
            probability: share(|judged| judged.0),
            loss_probability: share(|judged| judged.1),
            choices: u32::try_from(choices.len()).ok()?,
            columns: u32::try_from(columns).ok()?,
            blocks: u32::try_from(self.blocks).ok()?,
        })
    }

    /// Whether the pick of the chosen blocks lies in the lower half of the others, and loses there.
    fn judge(&self, choice: u32, buffers: &mut [Vec<f64>; 3]) -> (bool, bool) {
        let [sums, squares, ratios] = buffers;
        self.sharpes(choice, sums, squares, ratios);
        let mut best = 0;
        for (column, ratio) in ratios.iter().enumerate() {
            if *ratio > ratios[best] {
                best = column;
            }
        }
        self.sharpes(!choice, sums, squares, ratios);
        let picked = ratios[best];
        // Rank from below, 1 for the worst; equal ones share the middle of their ranks.
        let below = ratios.iter().filter(|ratio| **ratio < picked).count();
        let equal = ratios.iter().filter(|ratio| (**ratio - picked).abs() <= 0.0).count();
        // ln(w / (1 - w)) <= 0 with w = rank / (columns + 1), times 2 to stay whole.
        let twice_rank = 2 * below + equal + 1;
        (twice_rank <= ratios.len() + 1, picked < 0.0)
    }

    /// Sharpe ratios of all columns over the chosen blocks.
    fn sharpes(&self, choice: u32, sums: &mut [f64], squares: &mut [f64], ratios: &mut [f64]) {
        sums.fill(0.0);
        squares.fill(0.0);
        let mut count = 0.0;
        for block in (0..self.blocks).filter(|block| choice >> block & 1 == 1) {
            count += self.counts[block];
            for (total, part) in sums.iter_mut().zip(&self.sums[block]) {
                *total += part;
            }
            for (total, part) in squares.iter_mut().zip(&self.squares[block]) {
                *total += part;
            }
        }
        for ((ratio, sum), squares) in ratios.iter_mut().zip(sums).zip(squares) {
            let mean = *sum / count;
            let variance = (*squares - count * mean * mean) / (count - 1.0);
            // Below the rounding of the subtraction the returns do not differ.
            *ratio = if variance > *squares * 1e-15 { mean / variance.sqrt() } else { 0.0 };
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exactly these values are meant")]
mod tests {
    use super::*;

    const ROWS: usize = 160;
    const COLUMNS: usize = 10;

    /// The fixture that pypbo was run on: Knuth's generator from 42, row by row.
    fn fixture() -> Vec<Vec<f64>> {
        let mut state = 42_u64;
        let mut columns = vec![Vec::new(); COLUMNS];
        for _ in 0..ROWS {
            for column in &mut columns {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
                column.push(0.02 * (uniform - 0.5));
            }
        }
        columns
    }

    fn judged(columns: &[Vec<f64>], blocks: usize) -> Overfitting {
        let mut all = Blocks::new(ROWS, blocks).unwrap();
        for column in columns {
            all.push(column);
        }
        all.overfitting().unwrap()
    }

    #[test]
    fn the_fixture_of_pypbo_is_reproduced() {
        let columns = fixture();
        assert!((columns[0][0] - 0.001_364_61).abs() < 5e-9);
        assert!((columns[1][0] + 0.005_490_73).abs() < 5e-9);
        let eight = judged(&columns, 8);
        assert_eq!((eight.probability, eight.loss_probability), (7.0 / 70.0, 11.0 / 70.0));
        let sixteen = judged(&columns, 16);
        assert_eq!(sixteen.probability, 1959.0 / 12870.0);
        assert_eq!(sixteen.loss_probability, 2310.0 / 12870.0);
    }

    #[test]
    fn an_edge_is_not_overfitting_and_its_opposite_is() {
        let mut edge = fixture();
        for value in &mut edge[0] {
            *value += 0.004;
        }
        assert_eq!(judged(&edge, 8).probability, 0.0);
        let mut demeaned = fixture();
        for column in &mut demeaned {
            let mean = column.iter().sum::<f64>() / ROWS as f64;
            for value in column {
                *value -= mean;
            }
        }
        assert_eq!(judged(&demeaned, 8).probability, 1.0);
    }

    #[test]
    fn too_little_is_not_judged() {
        assert!(Blocks::new(10, 16).is_none());
        assert!(Blocks::new(100, 7).is_none());
        assert!(Blocks::new(100, 8).unwrap().overfitting().is_none());
    }
}
