//! A log file that is kept small: when it is full it becomes `NAME.1`, that one `NAME.2`, and so on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Size at which a file is put away.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Files that were put away and are kept.
const FILES_KEPT: u32 = 5;

/// Appends whole lines. What cannot be written is counted and said with the next line that can: a
/// full disk must not stop trading.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    lost: u64,
}

impl RotatingFile {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, bytes_max: FILE_BYTES_MAX, lost: 0 })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FILES_KEPT).rev() {
            let from = self.numbered(number);
            if from.exists() {
                std::fs::rename(from, self.numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if self.bytes >= self.bytes_max {
            self.rotate()?;
        }
        if self.lost > 0 {
            let remark = format!("{} log lines before this one could not be written\n", self.lost);
            self.file.write_all(remark.as_bytes())?;
            self.bytes += remark.len() as u64;
            self.lost = 0;
        }
        self.file.write_all(text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.append(text).is_err() {
            self.lost = self.lost.saturating_add(1);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_away_and_only_so_many_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keel.log");
        let mut log = RotatingFile::open(&path).unwrap();
        log.bytes_max = 10;
        for line in 0..20 {
            writeln!(log, "line {line:>4}").unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("keel.log"), "line   19\n");
        assert_eq!(read("keel.log.1"), "line   18\n");
        assert_eq!(read("keel.log.5"), "line   14\n");
        assert!(!directory.path().join("keel.log.6").exists());
    }

    /// F41: the device that is always full takes nothing, and nobody is told to stop.
    #[test]
    fn f041_a_full_disk_costs_log_lines_and_nothing_else() {
        let mut log = RotatingFile::open(Path::new("/dev/full")).unwrap();
        assert!(writeln!(log, "lost").is_ok());
        assert_eq!(log.lost, 1);
    }
}
