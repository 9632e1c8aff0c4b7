//! Replaces a file in one step, so that a reader sees the old content or the new one.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes what `fill` produces to `path`: into a new file beside it, flushed to the disk, then
/// renamed over it. After an error `path` is as it was and nothing is left beside it.
///
/// # Errors
/// What the file system or `fill` answered.
pub(crate) fn replace<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
) -> Result<(), E> {
    let directory = parent(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".keel-").suffix(".tmp");
    // A temporary file is private by default; data files follow the umask like any other file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(&directory)?;
    let mut buffered = BufWriter::new(file);
    fill(&mut buffered)?;
    let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Without this a power cut may forget the rename.
    #[cfg(unix)]
    File::open(&directory)?.sync_all()?;
    Ok(())
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        replace::<io::Error>(&path, |out| out.write_all(b"old")).unwrap();
        let failed = replace::<io::Error>(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
