//! Feather: an Arrow IPC file, the way Freqtrade stores candles.

use super::columns::Layout;
use super::{CandleFileError, Row, damaged};
use arrow_ipc::reader::FileReader;
use arrow_ipc::{Block, Message, RecordBatch, root_as_footer, root_as_message};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

const KIND: &str = "Feather (Arrow IPC)";
const MAGIC: &[u8] = b"ARROW1";
const MAGIC_V1: &[u8] = b"FEA1";
/// More than a column of a hundred million bars; a larger figure can only be damage.
const COLUMN_BYTES_MAX: i64 = 1 << 30;

pub(super) fn read(path: &Path, mut file: File) -> Result<Vec<Row>, CandleFileError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|source| CandleFileError::Read { path: path.to_path_buf(), source })?;
    if bytes.starts_with(MAGIC_V1) {
        return Err(damaged(path, KIND, "it is Feather version 1; write it again as version 2"));
    }
    if lengths_fit(&bytes).is_none() {
        return Err(damaged(path, KIND, "a length in it does not fit the size of the file"));
    }
    let damaged = |source| damaged(path, KIND, source);
    let reader = FileReader::try_new(Cursor::new(bytes), None).map_err(damaged)?;
    let layout = Layout::find(path, &reader.schema())?;
    let mut rows = Vec::new();
    for batch in reader {
        layout.append(&batch.map_err(damaged)?, &mut rows);
    }
    Ok(rows)
}

/// Walks the file as far as its lengths go. The decoder reserves memory as it is told to, and a
/// single damaged length would end the program, so none is believed that does not fit.
///
/// Source: Apache Arrow Columnar Format, "IPC File Format" and "Compression".
fn lengths_fit(bytes: &[u8]) -> Option<()> {
    let body = bytes.strip_suffix(MAGIC)?;
    let (body, footer_length) = body.split_last_chunk::<4>()?;
    let footer_length = usize::try_from(i32::from_le_bytes(*footer_length)).ok()?;
    let footer = root_as_footer(body.get(body.len().checked_sub(footer_length)?..)?).ok()?;
    for block in footer.dictionaries().into_iter().flatten() {
        let (message, buffers) = parts(bytes, block)?;
        batch_fits(message.header_as_dictionary_batch()?.data()?, buffers)?;
    }
    for block in footer.recordBatches().into_iter().flatten() {
        let (message, buffers) = parts(bytes, block)?;
        batch_fits(message.header_as_record_batch()?, buffers)?;
    }
    Some(())
}

/// The description of a block, and the bytes of its columns.
fn parts<'a>(bytes: &'a [u8], block: &Block) -> Option<(Message<'a>, &'a [u8])> {
    let head = within(bytes, block.offset(), i64::from(block.metaDataLength()))?;
    let start = block.offset().checked_add(i64::from(block.metaDataLength()))?;
    let buffers = within(bytes, start, block.bodyLength())?;
    // A marker of four bytes came in with version 0.15 of the format; then follows the length.
    let marker = if head.starts_with(&[0xff; 4]) { 4 } else { 0 };
    let message = root_as_message(head.get(marker + 4..)?).ok()?;
    Some((message, buffers))
}

fn batch_fits(batch: RecordBatch<'_>, buffers: &[u8]) -> Option<()> {
    for buffer in batch.buffers().into_iter().flatten() {
        let content = within(buffers, buffer.offset(), buffer.length())?;
        if batch.compression().is_some() && !content.is_empty() {
            // Minus one stands for a column that was left uncompressed.
            let unpacked = i64::from_le_bytes(*content.first_chunk::<8>()?);
            (-1..=COLUMN_BYTES_MAX).contains(&unpacked).then_some(())?;
        }
    }
    Some(())
}

fn within(bytes: &[u8], start: i64, length: i64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}
