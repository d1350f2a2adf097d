//! How the program speaks: to standard error, as text or JSON; where that is the journal, with the priorities it sorts by.
//!
//! The daemon also keeps its last lines in memory, for `warren bugreport` on hosts that keep no journal.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;
use crate::{config, service};

/// Starts to log, once. Gives what was logged last.
pub fn start(default: &str, format: LogFormat) -> RecentLog {
    let filter = EnvFilter::new(config::log_filter().unwrap_or_else(|| default.to_owned()));
    let recent = RecentLog::default();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(recent.clone());
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text if service::logs_to_journal() => {
            log.with_ansi(false).event_format(ForJournal::default()).init();
        }
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal() && !config::no_color()).init(),
    }
    recent
}

/// The last lines that were logged. Cheap to clone.
#[derive(Clone, Default)]
pub struct RecentLog(Arc<Mutex<VecDeque<String>>>);

impl RecentLog {
    /// Oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().map(|lines| lines.iter().cloned().collect()).unwrap_or_default()
    }

    fn note(&self, line: &str) {
        // a log that cannot be kept is no reason to fail
        let Ok(mut lines) = self.0.lock() else { return };
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        let end = line.char_indices().map(|(start, _)| start).nth(MAX_LINE).unwrap_or(line.len());
        lines.push_back(line[..end].trim_end().to_owned());
    }
}

/// One event on its way to standard error.
pub struct Tee {
    recent: RecentLog,
}

impl Write for Tee {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // the subscriber hands over each event in one piece
        self.recent.note(&String::from_utf8_lossy(line));
        io::stderr().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for RecentLog {
    type Writer = Tee;

    fn make_writer(&'a self) -> Tee {
        Tee { recent: self.clone() }
    }
}

/// A line as systemd reads it from standard error (sd-daemon(3)): the priority in front, no time, for the journal has it.
struct ForJournal(Format<Full, ()>);

impl Default for ForJournal {
    fn default() -> Self {
        Self(Format::default().with_ansi(false).with_level(false).with_target(false).without_time())
    }
}

impl<S, N> FormatEvent<S, N> for ForJournal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str(priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As in syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Hours of an agent that is well, minutes of one that is not.
const MAX_LINES: usize = 500;
/// Longer than any line of ours.
const MAX_LINE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let recent = RecentLog::default();

        for number in 0..MAX_LINES + 3 {
            recent.note(&format!("line {number}\n"));
        }
        recent.note(&"ä".repeat(2 * MAX_LINE));

        let lines = recent.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (MAX_LINES, "line 4"));
        assert_eq!(lines[MAX_LINES - 1].chars().count(), MAX_LINE);
    }
}
