//! The library as it stands: initialised, or away and being opened again.
//!
//! Owns when it is tried again. All that may hang for seconds (shutting down, initialising, asking a board that fell off
//! the bus) happens on threads of its own, so that the meter goes on reading everything else.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// Half a second: a driver that is reloaded is away for seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A board that stays away for hours costs a try a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A reading of the meter's own that is still under way ends within this.
const LAST_USER_PAUSE: Duration = Duration::from_millis(5);

/// NVML, shared by all that read from it.
pub struct Session {
    library: OsString,
    state: Mutex<State>,
}

struct State {
    /// None while it is being opened again.
    nvml: Option<Arc<Nvml>>,
    /// Grows whenever something came back: handles and indices from before are to be found again.
    generation: u32,
    why_away: String,
}

impl Session {
    pub fn new(nvml: Nvml, library: OsString) -> Arc<Self> {
        Arc::new(Self {
            library,
            state: Mutex::new(State {
                nvml: Some(Arc::new(nvml)),
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
    /// Why it is away, while it is opened again.
    pub fn current(&self) -> Result<(Arc<Nvml>, u32), String> {
        let state = self.state();
        match &state.nvml {
            Some(nvml) => Ok((Arc::clone(nvml), state.generation)),
            None => Err(state.why_away.clone()),
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
                state.generation += 1;
                tracing::info!("NVML works again");
                Ok(())
            });
        });
    }

    /// Asks for one board until it answers, while the others are read as ever.
    pub fn await_board(self: &Arc<Self>, uuid: &str, generation: u32) {
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
                    state.generation += 1;
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
    let mut pause = FIRST_PAUSE;
    loop {
        std::thread::sleep(pause);
        let Some(session) = session.upgrade() else { return };
        match attempt(&session) {
            Ok(()) => return,
            Err(error) => tracing::debug!("NVML is not back yet: {error}"),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn in_the_background(work: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new().name("nvml-again".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::error!(%error, "no thread to open NVML again: its GPUs stay unread");
    }
}
