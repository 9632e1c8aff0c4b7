//! Credentials: how they are written in the configuration, and how they are looked up.

use crate::document::is_owner_only;
use crate::problem::{Fault, ProblemKind};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What is shown instead of a secret.
pub const REDACTED: &str = "[redacted]";

/// A looked-up credential. Its text is never shown, and is overwritten in memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text of a credential.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, to sign or send with, and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A credential as the configuration writes it, not yet looked up.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `""`: none given.
    Blank,
    /// Something like `YOUR_API_KEY`, good enough for a dry run only.
    Placeholder,
    /// `"${NAME}"`: the environment variable of that name.
    Env(String),
    /// `"file:PATH"`: the content of a file that only its owner can read.
    File(PathBuf),
    /// The credential itself.
    Literal(Secret),
}

impl SecretRef {
    /// How it may be shown: the reference, or `[redacted]`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Blank => String::new(),
            Self::Placeholder | Self::Literal(_) => REDACTED.to_owned(),
            Self::Env(name) => format!("${{{name}}}"),
            Self::File(path) => format!("file:{}", path.display()),
        }
    }

    /// Reads the notation. The fault never quotes the text.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Ok(Self::Blank);
        }
        if let Some(rest) = text.strip_prefix("${") {
            return match rest.strip_suffix('}') {
                Some(name) if is_env_name(name) => Ok(Self::Env(name.to_owned())),
                _ => Err(Fault::new(
                    ProblemKind::BadValue,
                    "text that begins like a reference to an environment variable",
                    "\"${ENV_NAME}\" with a name of letters, digits and `_`",
                )),
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            if path.trim().is_empty() || path.chars().any(char::is_control) {
                return Err(Fault::new(
                    ProblemKind::BadValue,
                    "`file:` without a usable path",
                    "\"file:PATH\"",
                ));
            }
            return Ok(Self::File(PathBuf::from(path)));
        }
        if is_placeholder(text) {
            return Ok(Self::Placeholder);
        }
        Ok(Self::Literal(Secret::new(text.to_owned())))
    }

    /// Looks the credential up. The fault never quotes it.
    pub(crate) fn resolve(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, Fault> {
        let fault = |seen: String, expected: &str| Fault::new(ProblemKind::Secret, seen, expected);
        match self {
            Self::Blank => {
                Err(fault("no credential".to_owned(), "\"${ENV_NAME}\" or \"file:PATH\""))
            }
            Self::Placeholder => Err(fault("a placeholder".to_owned(), "a real credential")
                .action("write \"${ENV_NAME}\" or \"file:PATH\"")),
            Self::Literal(secret) => Ok(secret.clone()),
            Self::Env(name) => match env(name) {
                Some(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim().to_owned())),
                Some(_) => {
                    Err(fault(format!("environment variable {name} is empty"), "a credential")
                        .action(format!("set {name} in the environment or in .env")))
                }
                None => {
                    Err(fault(format!("environment variable {name} is not set"), "a credential")
                        .action(format!("set {name} in the environment or in .env")))
                }
            },
            Self::File(path) => read_secret_file(path),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Why a literal credential in a file that others can read is refused, and the way out.
pub(crate) fn readable_by_others(path: &Path) -> Fault {
    Fault::new(
        ProblemKind::Secret,
        format!("a credential in {}, which others can read", path.display()),
        "\"${ENV_NAME}\", \"file:PATH\", or a file that only its owner can read",
    )
    .action(chmod(path))
}

fn chmod(path: &Path) -> String {
    format!("run: chmod 600 {}", path.display())
}

fn is_env_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether text stands where a credential has still to be written.
fn is_placeholder(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.starts_with("YOUR_")
        || upper.starts_with("YOUR-")
        || upper.starts_with("YOUR ")
        || ["PLACEHOLDER", "CHANGE_ME", "CHANGEME", "REPLACE_ME", "<", "N/A"]
            .iter()
            .any(|start| upper.starts_with(start))
        || upper.chars().all(|c| matches!(c, 'X' | '*' | '.' | '-'))
}

fn read_secret_file(path: &Path) -> Result<Secret, Fault> {
    const SECRET_BYTES_MAX: u64 = 64 * 1024;
    let shown = path.display();
    let fault = |seen: String, expected: &str| Fault::new(ProblemKind::Secret, seen, expected);
    let unreadable = |error: std::io::Error| {
        fault(format!("{shown} cannot be read: {error}"), "a file with the credential")
    };
    let named = fs::symlink_metadata(path).map_err(unreadable)?;
    if named.is_symlink() {
        return Err(fault(format!("{shown} is a symbolic link"), "the file itself")
            .action("name the file that the link points to"));
    }
    if !named.is_file() {
        return Err(fault(format!("{shown} is not a regular file"), "a file with the credential"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let opened = file.metadata().map_err(unreadable)?;
    if !is_same_file(&named, &opened) {
        return Err(fault(format!("{shown} changed while it was opened"), "a file that stays"));
    }
    if !is_owner_only(&opened) {
        return Err(fault(
            format!("{shown} can be read by others"),
            "a file that only its owner can read",
        )
        .action(chmod(path)));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
        let seen = format!("{shown} is larger than {SECRET_BYTES_MAX} bytes");
        return Err(fault(seen, "a file with the credential alone"));
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(fault(format!("{shown} is empty"), "a file with the credential"));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

/// Guards against a link that is put in place between the question and the opening.
#[cfg(unix)]
fn is_same_file(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same_file(_a: &fs::Metadata, _b: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "s3cr3t-canary";

    #[test]
    fn notations_are_told_apart() {
        assert_eq!(SecretRef::parse("").unwrap(), SecretRef::Blank);
        assert_eq!(SecretRef::parse("${A_1}").unwrap(), SecretRef::Env("A_1".to_owned()));
        assert_eq!(SecretRef::parse("file:./k").unwrap(), SecretRef::File(PathBuf::from("./k")));
        for placeholder in ["YOUR_API_KEY", "your-secret", "xxxx", "<key>", "CHANGEME"] {
            assert_eq!(SecretRef::parse(placeholder).unwrap(), SecretRef::Placeholder);
        }
        for bad in ["${", "${}", "${1A}", "${A", "${A B}", "file:", "${A}tail"] {
            assert!(SecretRef::parse(bad).is_err(), "{bad}");
        }
        assert!(matches!(SecretRef::parse(CANARY).unwrap(), SecretRef::Literal(_)));
    }

    #[test]
    fn nothing_shows_the_text() {
        let literal = SecretRef::parse(CANARY).unwrap();
        assert_eq!(format!("{literal:?} {}", literal.shown()), "[redacted] [redacted]");
        let malformed = SecretRef::parse(&format!("${{{CANARY}")).unwrap_err();
        assert!(!format!("{malformed:?}").contains(CANARY));
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_file_is_read_only_when_it_is_private_and_no_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, format!("{CANARY}\n")).unwrap();
        let env = |_: &str| None;
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let reference = SecretRef::File(path.clone());
        let shown = format!("{:?}", reference.resolve(&env).unwrap_err());
        assert!(shown.contains(&format!("chmod 600 {}", path.display())), "{shown}");
        assert!(!shown.contains(CANARY));
        mode(0o600);
        assert_eq!(reference.resolve(&env).unwrap().expose(), CANARY);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        let shown = format!("{:?}", SecretRef::File(link).resolve(&env).unwrap_err());
        assert!(shown.contains("symbolic link"), "{shown}");
    }
}
