//! Tables of columns, written as CSV and as Parquet with the same names and rows.

use super::{ExportError, failed};
use crate::story::{Story, float};
use arrow_array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use keel_core::time::{Timeframe, Timestamp};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;
use std::sync::Arc;

/// What a column holds.
#[derive(Clone, Debug)]
pub enum Values {
    /// Moments: text in CSV, a timestamp in UTC in Parquet.
    Moments(Vec<Timestamp>),
    /// Whole numbers.
    Whole(Vec<u64>),
    /// Exact decimals: their digits in CSV and, as text, in Parquet.
    Exact(Vec<Decimal>),
    /// Numbers for analytics; NaN is an empty cell.
    Numbers(Vec<f64>),
    /// Words.
    Words(Vec<String>),
}

impl Values {
    const fn len(&self) -> usize {
        match self {
            Self::Moments(values) => values.len(),
            Self::Whole(values) => values.len(),
            Self::Exact(values) => values.len(),
            Self::Numbers(values) => values.len(),
            Self::Words(values) => values.len(),
        }
    }

    fn text(&self, row: usize) -> String {
        match self {
            Self::Moments(values) => values.get(row).map(ToString::to_string),
            Self::Whole(values) => values.get(row).map(ToString::to_string),
            Self::Exact(values) => values.get(row).map(|value| value.normalize().to_string()),
            Self::Numbers(values) => {
                values.get(row).filter(|value| value.is_finite()).map(ToString::to_string)
            }
            Self::Words(values) => values.get(row).map(|text| harmless(text)),
        }
        .unwrap_or_default()
    }

    fn array(&self) -> (DataType, ArrayRef) {
        match self {
            Self::Moments(values) => (
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                Arc::new(
                    TimestampMillisecondArray::from_iter_values(
                        values.iter().map(|moment| moment.ms()),
                    )
                    .with_timezone("UTC"),
                ),
            ),
            Self::Whole(values) => {
                (DataType::UInt64, Arc::new(UInt64Array::from_iter_values(values.iter().copied())))
            }
            Self::Exact(values) => (
                DataType::Utf8,
                Arc::new(StringArray::from_iter_values(
                    values.iter().map(|value| value.normalize().to_string()),
                )),
            ),
            Self::Numbers(values) => (
                DataType::Float64,
                Arc::new(
                    values
                        .iter()
                        .map(|value| value.is_finite().then_some(*value))
                        .collect::<Float64Array>(),
                ),
            ),
            Self::Words(values) => {
                (DataType::Utf8, Arc::new(StringArray::from_iter_values(values.iter())))
            }
        }
    }
}

/// Text that a spreadsheet would take for a formula gets a quote before it.
pub(super) fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// A named column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// Columns of equal length.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// From left to right.
    pub columns: Vec<Column>,
}

impl Table {
    /// The same table with one more column.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, values: Values) -> Self {
        self.columns.push(Column { name: name.into(), values });
        self
    }

    /// As CSV with a header.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn csv(&self) -> Result<Vec<u8>, ExportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|column| &column.name)).map_err(failed)?;
        let rows = self.columns.first().map_or(0, |column| column.values.len());
        for row in 0..rows {
            let cells = self.columns.iter().map(|column| column.values.text(row));
            writer.write_record(cells).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)
    }

    /// As Parquet, compressed with zstd.
    ///
    /// # Errors
    /// When columns differ in length.
    pub fn parquet(&self) -> Result<Vec<u8>, ExportError> {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = self
            .columns
            .iter()
            .map(|column| {
                let (kind, array) = column.values.array();
                (Field::new(&column.name, kind, true), array)
            })
            .unzip();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, schema, Some(properties)).map_err(failed)?;
        writer.write(&batch).map_err(failed)?;
        writer.close().map_err(failed)?;
        Ok(bytes)
    }
}

fn moments(story: &Story) -> Vec<Timestamp> {
    story.cycles.iter().map(|cycle| cycle.at).collect()
}

/// One row per cycle: value, stablecoin, deposits, benchmarks.
#[must_use]
pub fn equity(story: &Story) -> Table {
    let cycles = &story.cycles;
    let mut table = Table::default()
        .with("time", Values::Moments(moments(story)))
        .with("cycle", Values::Whole(cycles.iter().map(|cycle| cycle.number).collect()))
        .with("value_before", Values::Exact(cycles.iter().map(|cycle| cycle.before).collect()))
        .with("value", Values::Exact(cycles.iter().map(|cycle| cycle.after).collect()))
        .with(
            "stablecoin",
            Values::Exact(cycles.iter().map(|cycle| cycle.stablecoin_after).collect()),
        )
        .with("flow", Values::Exact((0..cycles.len()).map(|place| story.flow(place)).collect()))
        .with("trigger", Values::Words(cycles.iter().map(|cycle| cycle.trigger.clone()).collect()));
    for benchmark in &story.benchmarks {
        table = table.with(column_name(&benchmark.name), Values::Numbers(benchmark.values.clone()));
    }
    table
}

fn column_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("benchmark_{}", name.chars().map(plain).collect::<String>())
}

/// One row per UTC day: the last value of the day, its flows and its time-weighted return.
#[must_use]
pub fn daily(story: &Story) -> Table {
    let (mut days, mut values, mut flows, mut returns) = (vec![], vec![], vec![], vec![]);
    let mut before = story.capital();
    for (place, cycle) in story.cycles.iter().enumerate() {
        let day = Timeframe::D1.floor(cycle.at);
        if days.last() != Some(&day) {
            days.push(day);
            values.push(cycle.after);
            flows.push(Decimal::ZERO);
            returns.push(1.0);
        }
        let flow = story.flow(place);
        let invested = float(before + flow);
        let growth = if invested > 0.0 { float(cycle.after) / invested } else { 1.0 };
        before = cycle.after;
        if let (Some(value), Some(sum), Some(product)) =
            (values.last_mut(), flows.last_mut(), returns.last_mut())
        {
            *value = cycle.after;
            *sum += flow;
            *product *= growth;
        }
    }
    let date = |day: &Timestamp| day.to_string().chars().take(10).collect();
    Table::default()
        .with("day", Values::Words(days.iter().map(date).collect()))
        .with("value", Values::Exact(values))
        .with("flow", Values::Exact(flows))
        .with(
            "return",
            Values::Numbers(returns.into_iter().map(|growth: f64| growth - 1.0).collect()),
        )
}

/// One row per UTC day and asset, as of the last cycle of the day, before its orders: price, amount,
/// weight, target, signals. A row for every cycle would be tens of megabytes for a few years.
#[must_use]
pub fn weights(story: &Story) -> Table {
    let is_last = |place: usize| {
        let day = |place: usize| story.cycles.get(place).map(|c| Timeframe::D1.bucket(c.at));
        day(place) != day(place + 1)
    };
    let days: Vec<_> =
        story.cycles.iter().enumerate().filter(|(place, _)| is_last(*place)).collect();
    let rows = || {
        days.iter().flat_map(|(_, cycle)| {
            cycle.rows.iter().zip(&story.assets).map(move |(row, asset)| (cycle, row, asset))
        })
    };
    let weight = |total: Decimal, value: Decimal| value.checked_div(total).map_or(f64::NAN, float);
    Table::default()
        .with("time", Values::Moments(rows().map(|(cycle, ..)| cycle.at).collect()))
        .with("cycle", Values::Whole(rows().map(|(cycle, ..)| cycle.number).collect()))
        .with("ticker", Values::Words(rows().map(|(_, _, asset)| asset.ticker.clone()).collect()))
        .with(
            "price",
            Values::Numbers(rows().map(|(_, row, _)| row.price.map_or(f64::NAN, float)).collect()),
        )
        .with("amount", Values::Exact(rows().map(|(_, row, _)| row.free).collect()))
        .with(
            "weight",
            Values::Numbers(rows().map(|(c, row, _)| weight(c.before, row.value())).collect()),
        )
        .with("target", Values::Numbers(rows().map(|(_, row, _)| float(row.ratio)).collect()))
        .with(
            "position_signal",
            Values::Numbers(rows().map(|(_, row, _)| f64::from(i8::from(row.position))).collect()),
        )
        .with(
            "trend_signal",
            Values::Numbers(rows().map(|(_, row, _)| f64::from(i8::from(row.trend))).collect()),
        )
}
