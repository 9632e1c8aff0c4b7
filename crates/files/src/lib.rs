//! Files replaced in one step, so that a reader sees the old content or the new one.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Replaces the content of `path` by `bytes`, making its directory if needed. After an error or a
/// crash the file has its old content.
///
/// # Errors
/// A path that names no file, and what the file system answered.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory_of(path)?)?;
    replace(path, |out| out.write_all(bytes))
}

/// Replaces the content of `path` by what `fill` writes, for content that need not be in memory as
/// a whole. It goes to a new file beside `path`, is flushed to the disk, and takes the name of
/// `path`. The directory must be there. After an error `path` is as it was, and nothing is left
/// beside it.
///
/// # Errors
/// A path that names no file, and what the file system or `fill` answered.
pub fn replace<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
) -> Result<(), E> {
    let directory = directory_of(path)?;
    let mut builder = tempfile::Builder::new();
    // Hidden, so that what a crash leaves behind is not taken for data.
    builder.prefix(".keel-").suffix(".tmp");
    // A temporary file is private by default; ours follow the umask like any other file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(directory)?;
    let mut buffered = BufWriter::new(file);
    fill(&mut buffered)?;
    let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)?;
    Ok(())
}

fn directory_of(path: &Path) -> io::Result<&Path> {
    if path.file_name().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` names no file; expected a path that ends in a name", path.display()),
        ));
    }
    Ok(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Without this a power cut may forget the new name.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        write_atomic(&path, b"old").unwrap();
        let failed = replace::<io::Error>(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names_in(directory.path()), 1);
    }

    #[test]
    fn the_new_content_replaces_the_old_one_and_directories_are_made_on_request_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/sub/a.txt");
        let fill = |out: &mut (dyn Write + Send)| out.write_all(b"content");
        assert_eq!(replace::<io::Error>(&path, fill).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!directory.path().join("new").exists());
        write_atomic(&path, b"first, and longer").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names_in(&directory.path().join("new/sub")), 1);
    }

    #[test]
    fn what_is_no_file_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("folder");
        fs::create_dir(&folder).unwrap();
        for path in [Path::new(""), Path::new(".."), &folder] {
            assert!(write_atomic(path, b"x").is_err(), "{}", path.display());
        }
        assert!(folder.is_dir());
        assert_eq!(names_in(directory.path()), 1);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them_read() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (plain, ours) = (directory.path().join("plain"), directory.path().join("ours"));
        fs::write(&plain, "x").unwrap();
        write_atomic(&ours, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
