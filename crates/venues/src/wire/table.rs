//! Tables of markets, of which one row may be odd.

use super::{Answer, unknown};
use crate::api::ApiError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One row in so many may be odd. More of them are another shape and no accident.
const ROWS_PER_ODD_ONE: usize = 10;

/// A row of a table that is read as a structure: an odd one does not spoil the table.
pub struct Row<T>(pub Answer<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let row = serde_json::from_value(Value::deserialize(input)?);
        Ok(Self(row.map_err(|error| unknown(error.to_string()))))
    }
}

/// The rows of a table of markets without those that cannot be read: each costs its own market only.
///
/// # Errors
/// [`ApiError::Unknown`] when more than a tenth of them cannot.
pub fn most_rows<T>(rows: impl IntoIterator<Item = Answer<T>>) -> Answer<Vec<T>> {
    let (mut read, mut odd) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => read.push(row),
            Err(error) => odd.push(error),
        }
    }
    let all = read.len() + odd.len();
    let Some(first) = odd.first() else { return Ok(read) };
    let why = match first {
        ApiError::Unknown(why) => why.clone(),
        other => other.to_string(),
    };
    let what = format!("{} of {all} rows of the table of markets cannot be read: {why}", odd.len());
    if odd.len() * ROWS_PER_ODD_ONE > all {
        return Err(unknown(what));
    }
    tracing::debug!("{what}");
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_table_may_be_odd_and_no_more() {
        let row = |number: usize, odd: usize| {
            if number < odd { Err(unknown("odd")) } else { Ok(number) }
        };
        let read = |all: usize, odd: usize| most_rows((0..all).map(|number| row(number, odd)));
        assert_eq!(read(10, 1), Ok((1..10).collect()));
        assert_eq!(read(0, 0), Ok(Vec::new()));
        for (all, odd) in [(9, 1), (19, 2), (1, 1), (10, 10)] {
            assert!(read(all, odd).is_err(), "{odd} of {all}");
        }
    }
}
