//! The terminal: what goes to standard output, and how a closed pipe ends it.

use crate::lines::{Lines, REMARKS, WhenFull};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Prints one line. A reader that went away (`keel trades | head`) ends the program quietly.
pub fn line(text: impl Display) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}")
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        std::process::exit(0);
    }
}

/// Prints a value as indented JSON.
pub fn json(value: &serde_json::Value) {
    // Pretty-printing a value cannot fail: its keys are strings.
    line(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a remark for the person at the terminal, apart from the answer on standard output.
pub fn remark(text: impl Display) {
    let line = format!("{text}\n");
    match REMARKS.get() {
        Some(lines) => lines.push(line.into_bytes()),
        // Nothing can be done about a standard error that is closed.
        None => drop(io::stderr().lock().write_all(line.as_bytes())),
    }
}

/// From now on a remark never waits for its reader; some are lost when nobody reads.
///
/// # Errors
/// When there can be no more threads.
pub fn never_wait() -> io::Result<()> {
    let lost = |count| format!("{count} lines were lost: nobody read them\n");
    let lines = Lines::start(io::stderr(), WhenFull::Lose, lost)?;
    // A second start in one process keeps the first.
    let _ = REMARKS.set(lines);
    Ok(())
}

/// Whether somebody is watching, so that a progress bar makes sense.
#[must_use]
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// A table with the first `left` columns aligned to the left and the others to the right.
#[must_use]
pub fn table(header: &[&str], left: usize, rows: Vec<Vec<String>>) -> String {
    use comfy_table::{CellAlignment, Table, presets};
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if i == 0 { 0 } else { 2 }, 0));
        if i >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A decimal in text with thousands separated by commas and `places` decimals, for people.
#[must_use]
pub fn money(text: &str, places: u32) -> String {
    text.parse::<rust_decimal::Decimal>()
        .map_or_else(|_| text.to_owned(), |value| decimal(value, places))
}

/// The same for a decimal.
#[must_use]
pub fn decimal(value: rust_decimal::Decimal, places: u32) -> String {
    let rounded = format!("{:.*}", places as usize, value.round_dp(places));
    let (sign, digits) =
        rounded.strip_prefix('-').map_or(("", rounded.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{fraction}")
    }
}

/// A price with five significant digits or two decimals, whichever shows more.
#[must_use]
pub fn price(text: &str) -> String {
    let Ok(value) = text.parse::<rust_decimal::Decimal>() else { return text.to_owned() };
    if value.abs() >= rust_decimal::Decimal::ONE_THOUSAND {
        decimal(value, 2)
    } else {
        value.round_sf(5).unwrap_or(value).normalize().to_string()
    }
}

/// How far a long command is: a bar for somebody who watches, every tenth in lines otherwise. Threads
/// may share it.
#[derive(Debug)]
pub struct Progress {
    bar: Option<indicatif::ProgressBar>,
    what: &'static str,
    total: usize,
    done: AtomicUsize,
    tenth_shown: AtomicUsize,
}

impl Progress {
    /// Progress towards `total` of `what`, such as cycles.
    #[must_use]
    pub fn new(what: &'static str, total: usize) -> Self {
        let bar = is_watched().then(|| {
            let bar = indicatif::ProgressBar::new(total as u64);
            let template = format!("{{bar:30}} {{pos}}/{{len}} {what}  {{eta}} left");
            indicatif::ProgressStyle::with_template(&template)
                .map_or(bar.clone(), |style| bar.clone().with_style(style))
        });
        Self { bar, what, total, done: AtomicUsize::new(0), tenth_shown: AtomicUsize::new(0) }
    }

    /// One more is done, whichever it was.
    pub fn one_more(&self) {
        self.at(self.done.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// `done` of the total are done.
    pub fn at(&self, done: usize) {
        // Drawing costs more than a cycle: fifty times are enough.
        if done < self.total && !done.is_multiple_of((self.total / 50).max(1)) {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None => {
                let tenth = done * 10 / self.total.max(1);
                if self.total > 1_000
                    && tenth > self.tenth_shown.fetch_max(tenth, Ordering::Relaxed)
                {
                    remark(format!("{:>3} %  {done} {}", tenth * 10, self.what));
                }
            }
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped() {
        assert_eq!(money("1234567.891", 2), "1,234,567.89");
        assert_eq!(money("-999.5", 0), "-1,000");
        assert_eq!(money("12", 2), "12.00");
        assert_eq!(price("0.000012345678"), "0.000012346");
        assert_eq!(price("65000.5"), "65,000.50");
    }
}
