//! The configuration as users meet it: files on disk, problems, secrets, reloading.

#[cfg(test)]
mod files;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod support;
