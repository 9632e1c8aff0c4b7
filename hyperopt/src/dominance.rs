//! Dominance candles on cleaned series, with the alignments that Freqtrade's strategy shows.

use crate::candles::Candles;
use std::collections::BTreeMap;

/// How the assets' rows are matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// By time, over the range that all assets cover.
    #[default]
    Common,
    /// By row number; an asset adds nothing in rows it does not have.
    Rows,
    /// By time; an asset adds nothing at times it does not have.
    Date,
}

/// One asset of the portfolio.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name, for messages.
    pub ticker: String,
    /// Its market capitalisation, above 0.
    pub market_cap: f64,
    /// Its cleaned candles.
    pub candles: Candles,
}

/// Why there are no dominance candles.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DominanceError {
    /// The target is not in the list.
    #[error("the portfolio does not hold the target {target}; it holds {held}")]
    NoTarget {
        /// The asset asked for.
        target: String,
        /// What there is.
        held: String,
    },
    /// A capitalisation is not a positive number.
    #[error("the market cap of {ticker} is {cap}; expected a number above 0")]
    BadCap {
        /// The asset.
        ticker: String,
        /// What was given.
        cap: f64,
    },
    /// No time is covered by all.
    #[error(
        "no time is covered by all assets; {late} starts after {early} has ended, leave one of them out or use --align date"
    )]
    NoCommonRange {
        /// The asset that starts last.
        late: String,
        /// The asset that ends first.
        early: String,
    },
}

/// Candles of the target for trading and, of equal length, its dominance for the signals.
#[derive(Clone, Debug, PartialEq)]
pub struct Dominance {
    /// The target's own candles.
    pub traded: Candles,
    /// Share in percent; times and volume are the target's. High may lie below low.
    pub share: Candles,
}

/// `price_target * k_target / sum_j(price_j * k_j) * 100` with `k = cap / last close loaded`, for
/// each of open, high, low and close.
///
/// # Errors
/// No such target, a capitalisation that is not positive, no common range.
pub fn dominance(
    target: &str,
    members: &[Member],
    align: Align,
) -> Result<Dominance, DominanceError> {
    let Some(index) = members.iter().position(|member| member.ticker == target) else {
        let held: Vec<&str> = members.iter().map(|member| member.ticker.as_str()).collect();
        return Err(DominanceError::NoTarget { target: target.to_owned(), held: held.join(", ") });
    };
    if let Some(bad) = members.iter().find(|m| !m.market_cap.is_finite() || m.market_cap <= 0.0) {
        return Err(DominanceError::BadCap { ticker: bad.ticker.clone(), cap: bad.market_cap });
    }
    let cut;
    let members = if align == Align::Common {
        cut = common_range(members)?;
        &cut
    } else {
        members
    };
    let traded = members[index].candles.clone();
    let column = |pick: fn(&Candles) -> &[f64]| share(&traded, members, index, align, pick);
    let share = Candles {
        timeframe: traded.timeframe,
        open_time_ms: traded.open_time_ms.clone(),
        open: column(|candles| &candles.open),
        high: column(|candles| &candles.high),
        low: column(|candles| &candles.low),
        close: column(|candles| &candles.close),
        volume: traded.volume.clone(),
    };
    Ok(Dominance { traded, share })
}

fn common_range(members: &[Member]) -> Result<Vec<Member>, DominanceError> {
    let first = |member: &Member| member.candles.open_time_ms.first().copied();
    let last = |member: &Member| member.candles.open_time_ms.last().copied();
    let (Some(late), Some(early)) =
        (members.iter().max_by_key(|m| first(m)), members.iter().min_by_key(|m| last(m)))
    else {
        return Ok(Vec::new());
    };
    let (start, end) = (first(late), last(early));
    if start > end {
        return Err(DominanceError::NoCommonRange {
            late: late.ticker.clone(),
            early: early.ticker.clone(),
        });
    }
    Ok(members
        .iter()
        .map(|member| {
            let times = &member.candles.open_time_ms;
            let from = times.partition_point(|time| Some(*time) < start);
            let to = times.partition_point(|time| Some(*time) <= end);
            Member { candles: member.candles.slice(from, to), ..member.clone() }
        })
        .collect())
}

fn share(
    traded: &Candles,
    members: &[Member],
    index: usize,
    align: Align,
    pick: fn(&Candles) -> &[f64],
) -> Vec<f64> {
    let caps = |member: &Member| -> Vec<f64> {
        let k = member.candles.close.last().map_or(0.0, |close| member.market_cap / close);
        pick(&member.candles).iter().map(|price| k * price).collect()
    };
    let mut total = vec![0.0; traded.len()];
    for member in members {
        let caps = caps(member);
        if align == Align::Date {
            let by_time: BTreeMap<i64, f64> =
                member.candles.open_time_ms.iter().copied().zip(caps).collect();
            for (sum, time) in total.iter_mut().zip(&traded.open_time_ms) {
                *sum += by_time.get(time).copied().unwrap_or(0.0);
            }
        } else {
            // Common ranges of gapless series have equal rows, so the row number is the time.
            for (sum, cap) in total.iter_mut().zip(caps) {
                *sum += cap;
            }
        }
    }
    caps(&members[index]).iter().zip(&total).map(|(own, total)| own / total * 100.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keel_core::time::Timeframe;

    fn member(ticker: &str, market_cap: f64, first_hour: i64, prices: &[f64]) -> Member {
        let times = (first_hour..).take(prices.len()).map(|hour| hour * 3_600_000).collect();
        Member {
            ticker: ticker.into(),
            market_cap,
            candles: Candles {
                timeframe: Timeframe::H1,
                open_time_ms: times,
                open: prices.to_vec(),
                high: prices.to_vec(),
                low: prices.to_vec(),
                close: prices.to_vec(),
                volume: vec![1.0; prices.len()],
            },
        }
    }

    #[test]
    fn alignments_differ_where_the_ranges_do() {
        let members = [member("A", 10.0, 0, &[1.0, 1.0, 1.0]), member("B", 30.0, 1, &[1.0, 1.0])];
        let close = |align| dominance("A", &members, align).unwrap().share.close;
        assert_eq!(close(Align::Common), [25.0, 25.0]);
        assert_eq!(close(Align::Rows), [25.0, 25.0, 100.0]);
        assert_eq!(close(Align::Date), [100.0, 25.0, 25.0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let apart = [member("A", 1.0, 0, &[1.0]), member("B", 1.0, 5, &[1.0])];
        let error = dominance("A", &apart, Align::Common).unwrap_err().to_string();
        assert!(error.contains("B starts after A has ended"), "{error}");
        assert!(matches!(
            dominance("C", &apart, Align::Rows),
            Err(DominanceError::NoTarget { .. })
        ));
        let free = [member("A", 0.0, 0, &[1.0])];
        assert!(matches!(dominance("A", &free, Align::Rows), Err(DominanceError::BadCap { .. })));
    }
}
