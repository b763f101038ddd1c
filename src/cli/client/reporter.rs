//! Messages and progress bars on standard error.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar};

/// Prints messages on standard error, and progress bars if that is a terminal.
#[derive(Clone)]
pub struct Reporter {
    bars: MultiProgress,
    is_quiet: bool,
    is_terminal: bool,
    interruption_note: Arc<Mutex<String>>,
}

impl Reporter {
    /// Creates a reporter; `is_quiet` suppresses all but errors.
    pub fn new(is_quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            bars: MultiProgress::new(),
            is_quiet,
            is_terminal: stderr().is_terminal() && !dumb,
            interruption_note: Arc::default(),
        }
    }

    /// Prints a line, unless the reporter is quiet.
    pub fn say(&self, line: &str) {
        if !self.is_quiet {
            self.say_always(line);
        }
    }

    /// Prints a line, also with `--quiet`.
    pub fn say_always(&self, line: &str) {
        // A closed standard error is ignored, since there is no other place to report it.
        self.bars.suspend(|| drop(writeln!(stderr(), "{line}")));
    }

    /// Shows a progress bar; returns `None` without a terminal or with `--quiet`.
    pub fn bar(&self, bar: ProgressBar) -> Option<ProgressBar> {
        (self.is_terminal && !self.is_quiet).then(|| self.bars.add(bar))
    }

    /// Removes the progress bars.
    pub fn clear(&self) {
        // If the terminal is gone, there is nothing to clear.
        let _ = self.bars.clear();
    }

    /// Sets the note that is printed if the command is interrupted from now on.
    pub fn set_interruption_note(&self, note: impl Into<String>) {
        *self.interruption_note.lock().unwrap_or_else(PoisonError::into_inner) = note.into();
    }

    /// Returns the note for an interruption, which may be empty.
    pub fn interruption_note(&self) -> String {
        self.interruption_note
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
