//! Applies a deadline to driver calls before the meter runs: the driver may hang on one board or on all.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::source::current_call::CurrentCall;
use joulemark_measurement::clock::Monotonic;

/// Deadline of an initialisation. Without persistence mode the driver wakes its boards first, which takes one or two
/// seconds each.
const INIT_DEADLINE: Duration = Duration::from_secs(30);

/// Deadline of the query of one board. Boards are queried in parallel after the library is initialised.
pub const BOARD_DEADLINE: Duration = Duration::from_secs(3);

/// A query that runs on its own thread.
pub struct Query<T> {
    call: CurrentCall,
    answer: Receiver<T>,
    deadline: Monotonic,
    timeout: Duration,
}

impl<T: Send + 'static> Query<T> {
    /// Starts a query that has to end within `timeout`.
    pub fn begin(timeout: Duration, look: impl FnOnce(CurrentCall) -> T + Send + 'static) -> Self {
        let (send, answer) = mpsc::channel();
        let call = CurrentCall::default();
        let deadline = Monotonic(Monotonic::now().0 + timeout.as_nanos() as u64);
        let its_call = call.clone();
        let started = std::thread::Builder::new().name("nvml-look".to_owned()).spawn(move || {
            // The caller may have given up.
            send.send(look(its_call)).ok();
        });
        if let Err(error) = started {
            tracing::error!(%error, "cannot start a thread to query NVML");
        }
        Self {
            call,
            answer,
            deadline,
            timeout,
        }
    }

    /// Waits for the answer until the deadline.
    ///
    /// # Errors
    /// Returns a text that names the call that hangs, or in which the query failed.
    pub fn end(self) -> Result<T, String> {
        let left = Duration::from_nanos(self.deadline.0.saturating_sub(Monotonic::now().0));
        self.answer.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!(
                "the driver hangs: {} has not returned for {} s",
                self.call.name(),
                self.timeout.as_secs()
            ),
            RecvTimeoutError::Disconnected => format!("the query failed in {}", self.call.name()),
        })
    }
}

/// Runs `look` within the deadline of an initialisation; `first` is the name of its first call.
///
/// # Errors
/// Returns a text that names the call that hangs, or in which the query failed.
pub fn within_deadline<T: Send + 'static>(
    first: &'static str,
    look: impl FnOnce(CurrentCall) -> T + Send + 'static,
) -> Result<T, String> {
    let look = Query::begin(INIT_DEADLINE, move |call| {
        call.begin(first);
        look(call)
    });
    look.end()
}
