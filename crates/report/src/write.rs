//! Everything about a run, written into one directory.

use crate::export;
use crate::html;
use crate::story::Story;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A file that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written ({cause}); expected a writable directory with free space", path.display())]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong.
    pub cause: String,
}

struct Writer<'a> {
    directory: &'a Path,
    written: Vec<PathBuf>,
}

impl Writer<'_> {
    fn put(&mut self, name: &str, bytes: Result<Vec<u8>, impl Display>) -> Result<(), ReportError> {
        let path = self.directory.join(name);
        let error =
            |cause: &dyn Display| ReportError { path: path.clone(), cause: cause.to_string() };
        let bytes = bytes.map_err(|cause| error(&cause))?;
        keel_files::write_atomic(&path, &bytes).map_err(|cause| error(&cause))?;
        self.written.push(path);
        Ok(())
    }
}

/// Writes the report, the picture and the tables into `directory`, which is made if needed, and
/// returns their paths. Files of an earlier report there are replaced, each in one step.
///
/// # Errors
/// The first file that could not be written.
pub fn write(directory: &Path, story: &Story) -> Result<Vec<PathBuf>, ReportError> {
    std::fs::create_dir_all(directory)
        .map_err(|cause| ReportError { path: directory.to_owned(), cause: cause.to_string() })?;
    let mut writer = Writer { directory, written: Vec::new() };
    writer.put("report.html", Ok::<_, String>(html::page(story).into_bytes()))?;
    writer.put("chart.png", crate::png::main_chart(story))?;
    let tables = [
        ("equity", export::equity(story)),
        ("daily", export::daily(story)),
        ("weights", export::weights(story)),
        ("trades", export::trades(story)),
    ];
    for (name, table) in &tables {
        writer.put(&format!("{name}.csv"), table.csv())?;
        writer.put(&format!("{name}.parquet"), table.parquet())?;
    }
    Ok(writer.written)
}
