//! Rows out of Arrow record batches, which both Parquet and Feather are read into.

use super::{CandleFileError, CellFault, FINITE, Row, TIME_NAMES, VALUE_NAMES, positions};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use keel_core::candle::Candle;
use std::path::Path;

/// The year 5138.
const TIME_BELOW_MS: u64 = 100_000_000_000_000;

/// Positions of the six columns: the time, then those of [`VALUE_NAMES`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) time: usize,
    pub(super) values: [usize; 5],
}

impl Layout {
    /// Finds the columns by name and checks their types.
    pub(super) fn find(path: &Path, schema: &Schema) -> Result<Self, CandleFileError> {
        let seen: Vec<String> =
            schema.fields().iter().map(|f| f.name().to_ascii_lowercase()).collect();
        let (time, values) = positions(path, &seen)?;
        check_types(path, schema, time, values)?;
        Ok(Self { time, values })
    }

    /// The same columns after everything else has been left out.
    pub(super) fn projected(self) -> (Vec<usize>, Self) {
        let mut kept = self.values.to_vec();
        kept.push(self.time);
        kept.sort_unstable();
        kept.dedup();
        let at = |column: usize| kept.partition_point(|kept| *kept < column);
        let layout = Self { time: at(self.time), values: self.values.map(at) };
        (kept, layout)
    }

    /// Appends the rows of a batch.
    pub(super) fn append(self, batch: &RecordBatch, rows: &mut Vec<Row>) {
        let time = batch.column(self.time);
        let values = self.values.map(|at| batch.column(at));
        for at in 0..batch.num_rows() {
            let row = rows.len() + 1;
            rows.push(read_row(time, values, at, row));
        }
    }
}

fn check_types(
    path: &Path,
    schema: &Schema,
    time: usize,
    values: [usize; 5],
) -> Result<(), CandleFileError> {
    let wrong = |column, at: usize, expected| CandleFileError::ColumnType {
        path: path.to_path_buf(),
        column,
        seen: schema.field(at).data_type().to_string(),
        expected,
    };
    if !matches!(schema.field(time).data_type(), DataType::Int64 | DataType::Timestamp(_, _)) {
        return Err(wrong("timestamp", time, "64-bit integers in milliseconds or timestamps"));
    }
    for (at, name) in values.into_iter().zip(VALUE_NAMES) {
        let kind = schema.field(at).data_type();
        if !matches!(kind, DataType::Float64 | DataType::Float32 | DataType::Int64) {
            return Err(wrong(name, at, "64-bit floats"));
        }
    }
    Ok(())
}

fn read_row(time: &ArrayRef, values: [&ArrayRef; 5], at: usize, row: usize) -> Row {
    let open_time_ms = time_ms(time, at).map_err(|seen| CellFault {
        row,
        column: TIME_NAMES[0],
        seen,
        expected: "a whole number of milliseconds, up to the year 5138",
    })?;
    let mut numbers = [0.0; 5];
    for ((number, column), name) in numbers.iter_mut().zip(values).zip(VALUE_NAMES) {
        *number = finite(column, at).map_err(|seen| CellFault {
            row,
            column: name,
            seen,
            expected: FINITE,
        })?;
    }
    let [open, high, low, close, volume] = numbers;
    Ok(Candle { open_time_ms, open, high, low, close, volume })
}

/// Milliseconds since the epoch within the range that CSV has too, or what stands there instead.
fn time_ms(column: &ArrayRef, at: usize) -> Result<i64, String> {
    let ms = unbounded_time_ms(column, at)?;
    // Times far outside of history are damage, and would overflow where they are subtracted.
    if ms.unsigned_abs() < TIME_BELOW_MS { Ok(ms) } else { Err(format!("{ms} milliseconds")) }
}

fn unbounded_time_ms(column: &ArrayRef, at: usize) -> Result<i64, String> {
    if column.is_null(at) {
        return Err("nothing".to_owned());
    }
    let scaled = |value: i64, unit: i64| {
        (value % unit == 0).then_some(value / unit).ok_or_else(|| format!("{value}"))
    };
    match column.data_type() {
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().value(at)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            let value = column.as_primitive::<TimestampSecondType>().value(at);
            value.checked_mul(1000).ok_or_else(|| format!("{value} seconds"))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(column.as_primitive::<TimestampMillisecondType>().value(at))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            scaled(column.as_primitive::<TimestampMicrosecondType>().value(at), 1000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            scaled(column.as_primitive::<TimestampNanosecondType>().value(at), 1_000_000)
        }
        other => Err(other.to_string()),
    }
}

/// A finite number, or what stands there instead.
fn finite(column: &ArrayRef, at: usize) -> Result<f64, String> {
    if column.is_null(at) {
        return Err("nothing".to_owned());
    }
    let value = match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at),
        DataType::Float32 => f64::from(column.as_primitive::<Float32Type>().value(at)),
        DataType::Int64 => {
            let value = column.as_primitive::<Int64Type>().value(at);
            // Beyond 2^53 the nearest f64 would be another number than the one in the file.
            if value.unsigned_abs() > 1 << 53 {
                return Err(value.to_string());
            }
            value as f64
        }
        other => return Err(other.to_string()),
    };
    if value.is_finite() { Ok(value) } else { Err(value.to_string()) }
}
