//! A log file that is kept small: when it is full it becomes `NAME.1`, that one `NAME.2`, and so on.
//! Others may take the file away, as logrotate does; then it goes on in a new one.

use crate::output;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Size at which a file is put away.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Files that were put away and are kept.
const FILES_KEPT: u32 = 5;
/// A file that cannot be put away grows by this part of its size before that is tried again.
const TRIES: u64 = 10;

/// Appends whole lines.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    /// What tells the open file from another one of its name.
    identity: (u64, u64),
    bytes: u64,
    bytes_max: u64,
}

impl RotatingFile {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            file,
            identity: identity(&metadata),
            bytes: metadata.len(),
            bytes_max: FILE_BYTES_MAX,
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        *self = Self { bytes_max: self.bytes_max, ..Self::open(&self.path)? };
        Ok(())
    }

    /// Whether the name leads to the open file.
    fn is_in_place(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity)
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Up to a gap, so that what is tried again and again costs no archive each time.
        let free = (1..FILES_KEPT).find(|number| !self.numbered(*number).exists());
        for number in (1..free.unwrap_or(FILES_KEPT)).rev() {
            std::fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.reopen()
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Write for RotatingFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // Where neither a new file nor another name can be had, the open one is still a log.
        if !self.is_in_place() {
            let _ = self.reopen();
        } else if self.bytes >= self.bytes_max
            && let Err(error) = self.rotate()
        {
            let path = self.path.display();
            output::remark(format!("{path} cannot be put away ({error}) and goes on growing"));
            self.bytes = self.bytes_max - self.bytes_max / TRIES;
        }
        self.file.write_all(text)?;
        self.bytes += text.len() as u64;
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
            log.write_all(format!("line {line:>4}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("keel.log"), "line   19\n");
        assert_eq!(read("keel.log.1"), "line   18\n");
        assert_eq!(read("keel.log.5"), "line   14\n");
        assert!(!directory.path().join("keel.log.6").exists());
    }

    fn log(directory: &Path) -> RotatingFile {
        let mut log = RotatingFile::open(&directory.join("keel.log")).unwrap();
        log.bytes_max = 10;
        log
    }

    #[test]
    fn a_log_that_is_removed_or_moved_away_while_it_is_written_goes_on_in_a_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("keel.log"), directory.path().join("moved"));
        let archive = directory.path().join("keel.log.1");
        std::fs::write(&archive, "archived\n").unwrap();
        let mut log = RotatingFile::open(&path).unwrap();
        log.write_all(b"first\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        log.write_all(b"second\n").unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "first\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second\n");
        std::fs::remove_file(&path).unwrap();
        // As logrotate's `create` does.
        std::fs::write(&path, "").unwrap();
        log.write_all(b"third\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third\n");
        assert_eq!(std::fs::read_to_string(&archive).unwrap(), "archived\n");
    }

    #[test]
    fn a_full_log_that_is_gone_takes_no_archive_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log(directory.path());
        for line in 0..4 {
            log.write_all(format!("line {line:>4}\n").as_bytes()).unwrap();
        }
        std::fs::remove_file(directory.path().join("keel.log")).unwrap();
        for line in 4..6 {
            log.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("keel.log"), "4\n5\n");
        assert_eq!(read("keel.log.1"), "line    2\n");
        assert_eq!(read("keel.log.2"), "line    1\n");
    }

    #[test]
    fn a_log_that_cannot_be_put_away_goes_on_and_keeps_its_archives() {
        let directory = tempfile::tempdir().unwrap();
        let numbered = |number: u32| directory.path().join(format!("keel.log.{number}"));
        for number in 1..FILES_KEPT {
            std::fs::write(numbered(number), number.to_string()).unwrap();
        }
        std::fs::create_dir(numbered(FILES_KEPT)).unwrap();
        let mut log = log(directory.path());
        for line in 0..20 {
            log.write_all(format!("line {line:>4}\n").as_bytes()).unwrap();
        }
        let text = std::fs::read_to_string(directory.path().join("keel.log")).unwrap();
        assert_eq!(text.lines().count(), 20);
        for number in 1..FILES_KEPT {
            assert_eq!(std::fs::read_to_string(numbered(number)).unwrap(), number.to_string());
        }
        std::fs::remove_dir(numbered(FILES_KEPT)).unwrap();
        log.write_all(b"the first\n").unwrap();
        assert_eq!(std::fs::read_to_string(log.path).unwrap(), "the first\n");
    }
}
