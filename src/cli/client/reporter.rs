use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar};

/// What is said on standard error beside the output: lines for everyone, bars where it is a terminal.
#[derive(Clone)]
pub struct Reporter {
    bars: MultiProgress,
    is_quiet: bool,
    is_terminal: bool,
    last_words: Arc<Mutex<String>>,
}

impl Reporter {
    pub fn new(is_quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            bars: MultiProgress::new(),
            is_quiet,
            is_terminal: stderr().is_terminal() && !dumb,
            last_words: Arc::default(),
        }
    }

    pub fn say(&self, line: &str) {
        if !self.is_quiet {
            self.complain(line);
        }
    }

    /// What is said also to those who want quiet.
    pub fn complain(&self, line: &str) {
        // Nobody is left to tell when standard error is closed.
        self.bars.suspend(|| drop(writeln!(stderr(), "{line}")));
    }

    /// A bar to draw on; none where there is no terminal, or nothing is to be said.
    pub fn bar(&self, bar: ProgressBar) -> Option<ProgressBar> {
        (self.is_terminal && !self.is_quiet).then(|| self.bars.add(bar))
    }

    pub fn clear(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.bars.clear();
    }

    /// What to say when the command is cut short from now on.
    pub fn set_last_words(&self, words: impl Into<String>) {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = words.into();
    }

    pub fn last_words(&self) -> String {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
