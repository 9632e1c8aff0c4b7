//! Parquet: the format of the candle store.

use super::columns::Layout;
use super::{CandleFileError, Row, TIME_NAMES, VALUE_NAMES, damaged};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use keel_core::candle::Candle;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

pub(super) fn read(path: &Path, file: File) -> Result<Vec<Row>, CandleFileError> {
    let size = file
        .metadata()
        .map_err(|source| CandleFileError::Read { path: path.to_path_buf(), source })?
        .len();
    let damaged =
        |source: Box<dyn std::error::Error + Send + Sync>| damaged(path, "Parquet", source);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(Box::new(e)))?;
    if !columns_fit(builder.metadata(), size) {
        return Err(damaged("a column lies outside of the file".into()));
    }
    let (kept, layout) = Layout::find(path, builder.schema())?.projected();
    let mask = ProjectionMask::roots(builder.parquet_schema(), kept);
    let reader = builder.with_projection(mask).build().map_err(|e| damaged(Box::new(e)))?;
    let mut rows = Vec::new();
    for batch in reader {
        layout.append(&batch.map_err(|e| damaged(Box::new(e)))?, &mut rows);
    }
    Ok(rows)
}

/// The decoder takes the places of the columns for granted.
fn columns_fit(metadata: &ParquetMetaData, size: u64) -> bool {
    metadata.row_groups().iter().flat_map(|group| group.columns()).all(|column| {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let end = start.checked_add(column.compressed_size());
        start >= 0
            && column.compressed_size() >= 0
            && end.and_then(|end| u64::try_from(end).ok()).is_some_and(|end| end <= size)
    })
}

/// Writes candles as Parquet, zstd-compressed: `timestamp` (64-bit integer, milliseconds UTC, start
/// of the bar, delta-encoded), `open`, `high`, `low`, `close` and `volume` (64-bit floats). The file
/// appears whole or not at all, and the same candles give the same bytes.
///
/// # Errors
/// What the file system or the encoder said; the file is as it was then.
pub fn write_parquet(path: &Path, candles: &[Candle]) -> Result<(), CandleFileError> {
    keel_files::replace(path, |out| encode(out, candles)).map_err(|source| CandleFileError::Write {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

fn encode(out: &mut (dyn std::io::Write + Send), candles: &[Candle]) -> Result<(), ParquetError> {
    // Declared as nullable, though nothing is ever missing, like the files of other writers.
    let mut fields = vec![Field::new(TIME_NAMES[0], DataType::Int64, true)];
    fields.extend(VALUE_NAMES.map(|name| Field::new(name, DataType::Float64, true)));
    let schema = Arc::new(Schema::new(fields));
    let value = |pick: fn(&Candle) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(candles.iter().map(pick)))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(candles.iter().map(|c| c.open_time_ms))),
        value(|c| c.open),
        value(|c| c.high),
        value(|c| c.low),
        value(|c| c.close),
        value(|c| c.volume),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let time = ColumnPath::from(TIME_NAMES[0]);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_column_dictionary_enabled(time.clone(), false)
        .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
        .build();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}
