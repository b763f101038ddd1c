//! The library as it stands: initialised, or away and being opened again.
//!
//! Owns when it is tried again. All that may hang for seconds (shutting down, initialising, asking a board that fell off
//! the bus) happens on threads of its own, so that the meter goes on reading everything else.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use joulemark_measurement::Backoff;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// Half a second: a driver that is reloaded is away for seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A board that stays away for hours costs a try a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A reading of the meter's own that is still under way ends within this.
const LAST_USER_PAUSE: Duration = Duration::from_millis(5);

/// The reason why the library is away.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NvmlAway(String);

/// NVML, shared by all that read from it.
pub struct Session {
    library: OsString,
    /// How many there are.
    boards: usize,
    state: Mutex<State>,
}

struct State {
    /// None while it is being opened again.
    nvml: Option<Arc<Nvml>>,
    /// Boards that were lost in this generation.
    lost: BTreeSet<String>,
    /// Grows whenever something came back: handles and indices from before are to be found again.
    generation: u32,
    why_away: String,
}

impl State {
    fn next_generation(&mut self) {
        self.generation += 1;
        self.lost.clear();
    }
}

impl Session {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The library and its generation. The library is to be let go of after each use.
    ///
    /// # Errors
    /// Returns why it is away, while it is opened again.
    pub fn current(&self) -> Result<(Arc<Nvml>, u32), NvmlAway> {
        let state = self.state();
        match &state.nvml {
            Some(nvml) => Ok((Arc::clone(nvml), state.generation)),
            None => Err(NvmlAway(state.why_away.clone())),
        }
    }

    /// Notes that a board of `generation` is lost: it is waited for beside the others; without any other the library
    /// itself begins anew.
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

    /// The library of this generation is of no more use: it is shut down and opened again until that works.
    pub fn reopen(self: &Arc<Self>, generation: u32, why: &str) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let Some(nvml) = state.nvml.take() else { return };
        why.clone_into(&mut state.why_away);
        drop(state);
        tracing::warn!("NVML is opened again and again until it works: {why}");
        let session = Arc::downgrade(self);
        in_the_background(move || {
            shut_down(nvml);
            again_and_again(&session, |session| {
                let nvml = Nvml::builder().lib_path(&session.library).init()?;
                // A driver that is only half there initialises and then sees no device. One board may stay broken.
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

    /// Asks for one board until it answers, while the others are read as ever.
    fn await_board(self: &Arc<Self>, uuid: &str, generation: u32) {
        let (session, uuid) = (Arc::downgrade(self), uuid.to_owned());
        in_the_background(move || {
            again_and_again(&session, |session| {
                // Whatever makes a new generation has every board looked for: nothing is left to wait for.
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

/// Waits for the meter to let go of it: initialising again before it is shut down would change nothing.
fn shut_down(mut nvml: Arc<Nvml>) {
    loop {
        match Arc::try_unwrap(nvml) {
            // Its end is expected to fail: the driver it spoke to is gone.
            Ok(last) => return drop(last.shutdown()),
            Err(shared) => nvml = shared,
        }
        std::thread::sleep(LAST_USER_PAUSE);
    }
}

/// Until `attempt` works or nobody needs the session any more.
fn again_and_again(session: &Weak<Session>, attempt: impl Fn(&Session) -> Result<(), NvmlError>) {
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

fn in_the_background(work: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new().name("nvml-again".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::error!(%error, "no thread to open NVML again: its GPUs stay unread");
    }
}
