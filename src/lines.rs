//! Lines for the terminal and the log, written by threads of their own: a reader that stopped
//! reading, or a disk that hangs, costs lines and never a cycle.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What goes to standard error while a daemon runs.
pub(crate) static REMARKS: OnceLock<Lines> = OnceLock::new();
/// What goes to the log.
pub(crate) static LOG: OnceLock<Lines> = OnceLock::new();

/// Lines that may wait for one writer.
const WAITING_MAX: usize = 1024;
/// The end of the process waits so long for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_millis(300);

/// What happens to a line when too many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It waits for its turn, and so does who wrote it.
    Wait,
    /// It is counted and lost.
    Lose,
}

/// A queue of lines before their writer. What is lost is said with the next line that is not.
#[derive(Debug)]
pub(crate) struct Lines {
    queue: SyncSender<Vec<u8>>,
    when_full: WhenFull,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Lines {
    /// Starts the thread that writes to `sink`. `lost` makes the line that says how many were lost.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn start(
        sink: impl Write + Send + 'static,
        when_full: WhenFull,
        lost: fn(u64) -> String,
    ) -> io::Result<Self> {
        let (queue, lines) = sync_channel(WAITING_MAX);
        let counts = Arc::new(Counts::default());
        let thread = std::thread::Builder::new().name("lines".to_owned());
        thread.spawn({
            let counts = Arc::clone(&counts);
            move || write(&lines, sink, &counts, lost)
        })?;
        Ok(Self { queue, when_full, counts })
    }

    /// Takes a line, with its end.
    pub(crate) fn push(&self, line: Vec<u8>) {
        self.counts.waiting.fetch_add(1, Ordering::SeqCst);
        let is_taken = match self.when_full {
            WhenFull::Wait => self.queue.send(line).is_ok(),
            WhenFull::Lose => self.queue.try_send(line).is_ok(),
        };
        if !is_taken {
            self.counts.waiting.fetch_sub(1, Ordering::SeqCst);
            self.counts.lost.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until every line was written, at most until `until`.
    fn finish(&self, until: Instant) {
        while self.counts.waiting.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(
    lines: &Receiver<Vec<u8>>,
    mut sink: impl Write,
    counts: &Counts,
    told: fn(u64) -> String,
) {
    for line in lines {
        let mut lost = counts.lost.swap(0, Ordering::SeqCst);
        if lost > 0 && sink.write_all(told(lost).as_bytes()).is_ok() {
            lost = 0;
        }
        if sink.write_all(&line).is_err() {
            lost += 1;
        }
        counts.lost.fetch_add(lost, Ordering::SeqCst);
        counts.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for the last lines of the process, though not for ever.
pub(crate) fn finish() {
    let until = Instant::now() + LAST_LINES;
    for lines in [&REMARKS, &LOG].into_iter().filter_map(OnceLock::get) {
        lines.finish(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn told(lost: u64) -> String {
        format!("{lost} lost\n")
    }

    /// F41: the device that is always full takes nothing, and nobody is told to stop.
    #[test]
    fn f041_a_full_disk_costs_log_lines_and_nothing_else() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let lines = Lines::start(full, WhenFull::Lose, told).unwrap();
        lines.push(b"lost\n".to_vec());
        lines.finish(Instant::now() + Duration::from_secs(60));
        assert_eq!(lines.counts.lost.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn f041_a_reader_that_stops_costs_lines_and_hears_how_many_when_it_reads_again() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = Lines::start(writer, WhenFull::Lose, told).unwrap();
        // More than pipe and queue hold.
        let all = 5 * WAITING_MAX;
        for number in 0..all {
            lines.push(format!("{number:>99}\n").into_bytes());
        }
        let read = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        lines.finish(Instant::now() + Duration::from_secs(60));
        lines.push(b"the last\n".to_vec());
        drop(lines);
        let text = read.join().unwrap();
        assert!(text.ends_with("the last\n"));
        let (told, written): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.ends_with(" lost"));
        let lost: usize =
            told.iter().map(|line| line.trim_end_matches(" lost").parse::<usize>().unwrap()).sum();
        assert!(lost > 0);
        assert_eq!(written.len() + lost, all + 1);
    }

    #[test]
    fn who_can_wait_loses_nothing() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = Lines::start(writer, WhenFull::Wait, told).unwrap();
        let count = 3 * WAITING_MAX;
        let read = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text.lines().count()
        });
        for number in 0..count {
            lines.push(format!("{number:>99}\n").into_bytes());
        }
        drop(lines);
        assert_eq!(read.join().unwrap(), count);
    }
}
