//! Holds the NVML library: initialised, or away and being reopened.
//!
//! Owns the times of further attempts. Calls that may hang for seconds (shutdown, initialisation, queries of a board
//! that fell off the bus) run on other threads, so that the meter continues to read everything else.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use joulemark_measurement::Backoff;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// First pause between attempts. A driver that is reloaded is away for seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause between attempts: a board that is away for hours costs one attempt a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Pause while a reading of the meter still uses the library.
const LAST_USER_PAUSE: Duration = Duration::from_millis(5);

/// The reason why the library is away.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NvmlAway(String);

/// The NVML library, shared by everything that reads from it.
pub struct Session {
    library: OsString,
    /// Number of boards.
    boards: usize,
    state: Mutex<State>,
}

/// The library's present state.
struct State {
    /// The library; `None` while it is being reopened.
    nvml: Option<Arc<Nvml>>,
    /// UUIDs of the boards that were lost in this generation.
    lost: BTreeSet<String>,
    /// Number that grows whenever something came back. Handles and indices of an earlier generation have to be looked
    /// up again.
    generation: u32,
    why_away: String,
}

impl State {
    /// Starts a new generation, in which no board is lost.
    fn next_generation(&mut self) {
        self.generation += 1;
        self.lost.clear();
    }
}

impl Session {
    /// Creates a session of an initialised library.
    pub fn new(nvml: Arc<Nvml>, library: OsString, boards: usize) -> Arc<Self> {
        Arc::new(Self {
            library,
            boards,
            state: Mutex::new(State {
                nvml: Some(nvml),
                lost: BTreeSet::new(),
                generation: 0,
                why_away: String::new(),
            }),
        })
    }

    /// Locks the state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the library and its generation. The caller must drop the library after each use.
    ///
    /// # Errors
    /// Returns the reason why the library is away while it is reopened.
    pub fn current(&self) -> Result<(Arc<Nvml>, u32), NvmlAway> {
        let state = self.state();
        match &state.nvml {
            Some(nvml) => Ok((Arc::clone(nvml), state.generation)),
            None => Err(NvmlAway(state.why_away.clone())),
        }
    }

    /// Records that a board of `generation` is lost. Waits for it in the background. When no board is left, reopens the
    /// library.
    pub fn lose(self: &Arc<Self>, uuid: &str, generation: u32, why: &str) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        state.lost.insert(uuid.to_owned());
        let is_any_left = state.lost.len() < self.boards;
        drop(state);
        match is_any_left {
            true => self.await_board(uuid, generation),
            false => self.reopen(generation, why),
        }
    }

    /// Shuts the library of this generation down and reopens it in the background until that works.
    pub fn reopen(self: &Arc<Self>, generation: u32, why: &str) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let Some(nvml) = state.nvml.take() else { return };
        why.clone_into(&mut state.why_away);
        drop(state);
        tracing::warn!("NVML is reopened until it works: {why}");
        let session = Arc::downgrade(self);
        in_the_background(move || {
            shut_down(nvml);
            retry(&session, |session| {
                let nvml = Nvml::builder().lib_path(&session.library).init()?;
                // A driver that is only partly loaded initialises and then sees no device. One board may stay broken.
                let uuid = |index| nvml.device_by_index(index)?.uuid();
                let mut uuids = (0..nvml.device_count()?).rev().map(uuid);
                let first = uuids.next().unwrap_or(Err(NvmlError::NotFound));
                first.or_else(|error| uuids.find_map(Result::ok).ok_or(error))?;
                let mut state = session.state();
                state.nvml = Some(Arc::new(nvml));
                state.next_generation();
                tracing::info!("NVML works again");
                Ok(())
            });
        });
    }

    /// Queries one board in the background until it answers, while the others are read as before.
    fn await_board(self: &Arc<Self>, uuid: &str, generation: u32) {
        let (session, uuid) = (Arc::downgrade(self), uuid.to_owned());
        in_the_background(move || {
            retry(&session, |session| {
                // A new generation looks up every board, so that nothing is left to wait for.
                let Ok((nvml, now)) = session.current() else {
                    return Ok(());
                };
                if now != generation {
                    return Ok(());
                }
                let device = nvml.device_by_uuid(uuid.as_str())?;
                device
                    .total_energy_consumption()
                    .or_else(|_| device.power_usage().map(u64::from))?;
                let mut state = session.state();
                if state.generation == generation {
                    state.next_generation();
                    tracing::info!("GPU {uuid} answers again");
                }
                Ok(())
            });
        });
    }
}

/// Shuts the library down once the meter does not use it any more: initialising it before would have no effect.
fn shut_down(mut nvml: Arc<Nvml>) {
    loop {
        match Arc::try_unwrap(nvml) {
            // The shutdown is expected to fail, because its driver is gone.
            Ok(last) => return drop(last.shutdown()),
            Err(shared) => nvml = shared,
        }
        std::thread::sleep(LAST_USER_PAUSE);
    }
}

/// Repeats `attempt` with a backoff until it works or the session is dropped.
fn retry(session: &Weak<Session>, attempt: impl Fn(&Session) -> Result<(), NvmlError>) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        std::thread::sleep(backoff.next_pause());
        let Some(session) = session.upgrade() else { return };
        match attempt(&session) {
            Ok(()) => return,
            Err(error) => tracing::debug!("NVML is not back yet: {error}"),
        }
    }
}

/// Runs `work` on another thread.
fn in_the_background(work: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new().name("nvml-again".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::error!(%error, "cannot start a thread to reopen NVML: its GPUs are not read");
    }
}
