//! `keel config`: the configuration explained, shown and started.

use crate::cli::ConfigArg;
use crate::commands::check;
use crate::exit::{Code, Failure};
use crate::output;
use serde_json::{Map, Value};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

/// What to do with configurations.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the JSON Schema, for editors that check and complete while you type.
    #[command(after_help = "Example:
  keel config schema > portfolio/configs/schema.json")]
    Schema,
    /// Show the whole configuration with its defaults; credentials stay hidden.
    #[command(after_help = "Examples:
  keel config show -c my.json
  keel config show --json | jq .bot_settings")]
    Show(ShowArgs),
    /// Write a commented configuration to start from; never over an existing file.
    #[command(after_help = "Example:
  keel config new my.json")]
    New(NewArgs),
}

/// Arguments of `keel config show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `keel config new`.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// The file to write.
    #[arg(value_name = "PATH", default_value = "portfolio/configs/portfolio_config.json")]
    path: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong, or the new file exists or cannot be written.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Schema => {
            output::json(&keel_config::schema());
            Ok(())
        }
        Command::Show(args) => show(args),
        Command::New(args) => new(&args.path),
    }
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let effective = keel_config::effective(&check::load(&args.config, ConfigArg::load, args.json)?);
    if args.json {
        output::json(&effective);
        return Ok(());
    }
    output::line(format!("{} with its defaults", args.config.config.display()));
    for (name, section) in effective.as_object().into_iter().flatten() {
        print_section(name, section);
    }
    Ok(())
}

fn print_section(name: &str, section: &Value) {
    match section {
        Value::Array(rows) if rows.iter().all(Value::is_object) => {
            output::line(format!("\n{name}\n{}", indented(&list(rows))));
        }
        // A map of named entries, such as exchanges: each is a section of its own.
        Value::Object(entries) if !entries.is_empty() && entries.values().all(Value::is_object) => {
            for (entry, fields) in entries {
                print_section(&format!("{name}.{entry}"), fields);
            }
        }
        Value::Object(fields) => {
            let rows = fields.iter().map(|(key, value)| vec![key.clone(), text(value)]).collect();
            let body = if fields.is_empty() { "none".to_owned() } else { pairs(rows) };
            output::line(format!("\n{name}\n{}", indented(&body)));
        }
        other => output::line(format!("\n{name}  {}", text(other))),
    }
}

/// Objects as a table, with the keys of all of them as columns in the order they first occur.
fn list(rows: &[Value]) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for row in rows.iter().filter_map(Value::as_object) {
        for key in row.keys() {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
    }
    let cells = rows.iter().map(|row| keys.iter().map(|key| text(&row[*key])).collect()).collect();
    output::table(&keys, keys.len(), cells)
}

fn pairs(rows: Vec<Vec<String>>) -> String {
    let width = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    rows.iter().map(|row| format!("{:width$}  {}", row[0], row[1])).collect::<Vec<_>>().join("\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// A value on one line.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        Value::Object(fields) => joined(fields),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn joined(fields: &Map<String, Value>) -> String {
    let field = |(key, value): (&String, &Value)| match value {
        Value::Object(inner) => format!("{key}: ({})", joined(inner)),
        other => format!("{key}: {}", text(other)),
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn new(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    reserve(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists if path.symlink_metadata().is_ok() => Failure::new(
            Code::BadInput,
            format!(
                "{shown} exists and was left as it is; expected a new path: name another one, such as `keel config new my.json`"
            ),
        ),
        _ => cannot_write(path, &error),
    })?;
    if let Err(error) = keel_files::write_atomic(path, keel_config::starter().as_bytes()) {
        // The empty file is ours, and nobody would know what to do with it.
        let _ = std::fs::remove_file(path);
        return Err(cannot_write(path, &error));
    }
    output::line(format!("Wrote {shown}: a paper portfolio with a comment for every setting."));
    output::line(format!(
        "Next: edit it, then `keel check -c {shown}` looks for mistakes, and `keel config show -c {shown}` shows what it means."
    ));
    Ok(())
}

/// Takes the name, so that no file that appears meanwhile is overwritten.
fn reserve(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path).map(|_| ())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::CannotWrite,
        format!(
            "{} cannot be written ({error}); expected a new file in a writable directory with free space: name another path",
            path.display()
        ),
    )
}
