//! A deadline for what is asked of a driver before the meter runs: it may hang on one board, or on all.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::source::current_call::CurrentCall;
use joulemark_measurement::clock::Monotonic;

/// A driver without persistence mode wakes its boards first, which takes a second or two each.
const INIT_DEADLINE: Duration = Duration::from_secs(30);

/// The boards are looked at side by side, once the library is initialised.
pub const BOARD_DEADLINE: Duration = Duration::from_secs(3);

/// One look, on a thread of its own.
pub struct Look<T> {
    call: CurrentCall,
    answer: Receiver<T>,
    deadline: Monotonic,
    patience: Duration,
}

impl<T: Send + 'static> Look<T> {
    /// Begins to look.
    pub fn begin(patience: Duration, look: impl FnOnce(CurrentCall) -> T + Send + 'static) -> Self {
        let (send, answer) = mpsc::channel();
        let call = CurrentCall::default();
        let deadline = Monotonic(Monotonic::now().0 + patience.as_nanos() as u64);
        let its_call = call.clone();
        let started = std::thread::Builder::new().name("nvml-look".to_owned()).spawn(move || {
            // Who asked may have given up.
            send.send(look(its_call)).ok();
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread to look at NVML");
        }
        Self {
            call,
            answer,
            deadline,
            patience,
        }
    }

    /// Waits for the answer until the deadline; returns which call hangs when there is none.
    pub fn end(self) -> Result<T, String> {
        let left = Duration::from_nanos(self.deadline.0.saturating_sub(Monotonic::now().0));
        self.answer.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!(
                "the driver hangs: {} has not returned for {} s",
                self.call.name(),
                self.patience.as_secs()
            ),
            RecvTimeoutError::Disconnected => format!("the look at it failed in {}", self.call.name()),
        })
    }
}

/// Runs `first` and what follows it within the deadline of an initialisation; returns which call hangs otherwise.
pub fn within_deadline<T: Send + 'static>(
    first: &'static str,
    look: impl FnOnce(CurrentCall) -> T + Send + 'static,
) -> Result<T, String> {
    let look = Look::begin(INIT_DEADLINE, move |call| {
        call.begin(first);
        look(call)
    });
    look.end()
}
