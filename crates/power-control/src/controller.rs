use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use joulemark_measurement::is_same_power_limit;
use joulemark_meter::GpuDevice;
use thiserror::Error;

use crate::board::{self, ControlError, Limits};
use crate::journal::{After, Before, Entry, Journal, JournalError};
use crate::restoring::{Restored, RestoredBoard, Step};
use crate::setting::{PowerControl, Setting};
use crate::zeusd::Zeusd;

/// Maximum duration of a call into the driver.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum wait until a limit is in force. Most boards apply it at once, all known ones within a second.
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(2);
const READ_BACK_PERIOD: Duration = Duration::from_millis(100);
/// Maximum wait for a journal that another process has locked only to read it.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum time spent on restoring a board, which allows for a driver that is being reloaded.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);
const RESTORE_PERIOD: Duration = Duration::from_millis(500);

/// Sets boards of this host and restores them.
#[derive(Clone, Debug)]
pub struct Controller {
    pub control: PowerControl,
    /// Path of libnvidia-ml.so; `None` searches the usual places.
    pub nvml_library: Option<PathBuf>,
    /// Folder of the journals, shared by all programs that set boards of this host.
    pub journals: PathBuf,
}

/// The reason why boards were not set. Boards set before the error are restored.
#[derive(Debug, Error)]
#[error("GPU {uuid} {problem}")]
pub struct SetError {
    pub uuid: String,
    pub problem: SetProblem,
}

/// The reason why one board was not set.
#[derive(Debug, Error)]
pub enum SetProblem {
    #[error("cannot be set: {0}")]
    Journal(#[from] JournalError),
    #[error("does not take what was asked for: {0}")]
    Control(#[from] ControlError),
    #[error("has no power limit")]
    NoLimit,
    #[error("took a power limit of {set_w} W where {asked_w} W was asked for")]
    Rounded { asked_w: f64, set_w: f64 },
    #[error("took the power limit of {set_w} W, but a stricter one of {in_force_w} W is in force")]
    Stricter { set_w: f64, in_force_w: f64 },
    #[error("took the power limit of {set_w} W, but {in_force_w} W is still in force")]
    NotInForce { set_w: f64, in_force_w: f64 },
}

/// A board that was set.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBoard {
    pub uuid: String,
    /// The limit before, in watts; `None` for a board that reports none.
    pub limit_before_w: Option<f64>,
    /// The limit in force now, in watts; `None` when it cannot be read.
    pub limit_in_force_w: Option<f64>,
}

/// Boards that were set. Dropping it without [`Held::restore`] leaves them set, until [`Controller::restore_left`]
/// restores them.
#[must_use = "boards stay set until they are restored"]
pub struct Held {
    controller: Controller,
    boards: Vec<(SetBoard, Journal)>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.boards.iter().map(|(board, _)| board))
            .finish()
    }
}

impl Controller {
    /// Sets all boards or none. `set_for` is a description of the purpose, for messages.
    ///
    /// # Errors
    /// Returns [`SetError`] for the first board that does not have the requested values; the boards set before are
    /// restored.
    pub async fn set(&self, uuids: &[String], setting: Setting, set_for: &str) -> Result<Held, SetError> {
        let mut held = Held {
            controller: self.clone(),
            boards: Vec::new(),
        };
        for uuid in uuids {
            match self.set_one(uuid, setting, set_for).await {
                Ok(board) => held.boards.push(board),
                Err(problem) => {
                    held.restore().await;
                    return Err(SetError {
                        uuid: uuid.clone(),
                        problem,
                    });
                }
            }
        }
        Ok(held)
    }

    /// Sets one board, and first restores it when a dead process has left it set.
    async fn set_one(&self, uuid: &str, setting: Setting, set_for: &str) -> Result<(SetBoard, Journal), SetProblem> {
        let mut journal = self.journal_of(uuid).await?;
        if let Some(left) = journal.entry().map_err(JournalError::from)? {
            self.put_back(&left).await?;
        }
        let limits = self.read(uuid).await?;
        if setting.power_limit_w.is_some() && limits.set_w.is_none() {
            return Err(SetProblem::NoLimit);
        }
        let before = Before {
            uuid: uuid.to_owned(),
            set_for: set_for.to_owned(),
            limit_w: limits.set_w.filter(|_| setting.power_limit_w.is_some()),
            locks_gpu_clock: setting.gpu_clock_mhz.is_some(),
            locks_memory_clock: setting.memory_clock_mhz.is_some(),
            counter_mj: limits.counter_mj,
        };
        journal.begin(&before).map_err(JournalError::from)?;
        match self.set_and_read_back(uuid, limits.index, &setting).await {
            Ok(now) => {
                let after = After {
                    limit_w: now.set_w.filter(|_| setting.power_limit_w.is_some()),
                };
                if let Err(error) = journal.confirm(&after) {
                    let entry = Entry { before, after: None };
                    self.put_back(&entry).await?;
                    return Err(JournalError::from(error).into());
                }
                let board = SetBoard {
                    uuid: uuid.to_owned(),
                    limit_before_w: limits.set_w,
                    limit_in_force_w: now.in_force_w,
                };
                Ok((board, journal))
            }
            Err(problem) => {
                let entry = Entry { before, after: None };
                if self.put_back(&entry).await.is_ok() {
                    journal.clear().map_err(JournalError::from)?;
                }
                Err(problem)
            }
        }
    }

    /// Opens the journal of a board, and waits a moment when another process is reading it.
    async fn journal_of(&self, uuid: &str) -> Result<Journal, JournalError> {
        let mut waited = Duration::ZERO;
        loop {
            match Journal::open(&self.journals, uuid) {
                Err(JournalError::Busy) if waited < JOURNAL_TIMEOUT => tokio::time::sleep(READ_BACK_PERIOD).await,
                opened => return opened,
            }
            waited += READ_BACK_PERIOD;
        }
    }

    async fn set_and_read_back(&self, uuid: &str, index: u32, setting: &Setting) -> Result<Limits, SetProblem> {
        self.apply(uuid, index, *setting).await?;
        let mut waited = Duration::ZERO;
        loop {
            let now = self.read(uuid).await?;
            match difference(setting, &now) {
                None => return Ok(now),
                Some(problem) if waited >= READ_BACK_TIMEOUT => return Err(problem),
                Some(_) => tokio::time::sleep(READ_BACK_PERIOD).await,
            }
            waited += READ_BACK_PERIOD;
        }
    }

    /// Restores every board that dead processes of this user have left set.
    ///
    /// # Errors
    /// Returns [`JournalError`] when the journals cannot be read.
    pub async fn restore_left(&self) -> Result<Vec<RestoredBoard>, JournalError> {
        let mut all = Vec::new();
        // One journal is locked at a time, so that a board that hangs does not lock those of others.
        for path in Journal::left_in(&self.journals)? {
            let Some(mut journal) = Journal::open_left(&self.journals, &path)? else {
                continue;
            };
            if let Some(entry) = journal.entry()? {
                all.push(self.restore(&entry, &mut journal).await);
            }
        }
        Ok(all)
    }

    /// Returns the reason why boards of this host cannot be set; `None` when those with a power limit can. Changes no
    /// values. `gpus` are all GPUs of the host.
    pub async fn problem(&self, gpus: &[GpuDevice]) -> Option<String> {
        let settable = gpus.iter().filter(|gpu| gpu.power_limits.is_some());
        let uuids: Vec<String> = settable.map(|gpu| gpu.uuid.clone()).collect();
        if uuids.is_empty() {
            return Some("no GPU here has a power limit to set".to_owned());
        }
        self.check(&uuids, gpus.len())
            .await
            .err()
            .map(|error| error.to_string())
    }

    /// Checks that boards can be set, without changing values. `gpus` is the number of GPUs in NVML, settable or not.
    ///
    /// # Errors
    /// Returns [`ControlError`] with a message that says what to do.
    pub async fn check(&self, settable: &[String], gpus: usize) -> Result<(), ControlError> {
        match &self.control {
            PowerControl::Zeusd(socket) => Zeusd::at(socket).check(gpus).await,
            PowerControl::Nvml => {
                for uuid in settable {
                    let (library, uuid) = (self.nvml_library.clone(), uuid.clone());
                    with_timeout(move || board::check_permission(library.as_deref(), &uuid)).await?;
                }
                Ok(())
            }
        }
    }

    /// Restores a board and empties its journal.
    async fn restore(&self, entry: &Entry, journal: &mut Journal) -> RestoredBoard {
        let restored = match self.put_back(entry).await {
            Ok(restored) => match journal.clear() {
                Ok(()) => restored,
                Err(error) => Restored::Failed(ControlError::Away(format!("its journal cannot be emptied: {error}"))),
            },
            Err(error) => Restored::Failed(error),
        };
        RestoredBoard::new(&entry.before, restored)
    }

    /// Restores a board to what its journal contains.
    async fn put_back(&self, entry: &Entry) -> Result<Restored, ControlError> {
        let before = &entry.before;
        let now = self.read(&before.uuid).await?;
        let locks = (before.locks_gpu_clock, before.locks_memory_clock);
        if locks.0 || locks.1 {
            self.unlock(&before.uuid, now.index, locks).await?;
        }
        match Step::of(entry, &now) {
            Step::Nothing => {}
            Step::Leave { found_w, set_w } => return Ok(Restored::LeftAlone { found_w, set_w }),
            Step::Set(watts) => {
                let setting = Setting {
                    power_limit_w: Some(watts),
                    ..Setting::default()
                };
                self.apply(&before.uuid, now.index, setting).await?;
                let shown = self.read(&before.uuid).await?.set_w;
                if !shown.is_some_and(|shown| is_same_power_limit(shown, watts)) {
                    let shown = shown.map_or("none".to_owned(), |shown| format!("{shown} W"));
                    let message = format!("its power limit was set to {watts} W, but reads {shown}");
                    return Err(ControlError::Away(message));
                }
            }
        }
        Ok(Restored::Back {
            limit_w: before.limit_w,
        })
    }

    async fn read(&self, uuid: &str) -> Result<Limits, ControlError> {
        let (library, uuid) = (self.nvml_library.clone(), uuid.to_owned());
        with_timeout(move || board::reads(library.as_deref(), &uuid)).await
    }

    async fn apply(&self, uuid: &str, index: u32, setting: Setting) -> Result<(), ControlError> {
        match &self.control {
            PowerControl::Zeusd(socket) => Zeusd::at(socket).set(index, &setting).await,
            PowerControl::Nvml => {
                let (library, uuid) = (self.nvml_library.clone(), uuid.to_owned());
                with_timeout(move || board::set(library.as_deref(), &uuid, &setting)).await
            }
        }
    }

    async fn unlock(&self, uuid: &str, index: u32, locks: (bool, bool)) -> Result<(), ControlError> {
        match &self.control {
            PowerControl::Zeusd(socket) => Zeusd::at(socket).unlock(index, locks).await,
            PowerControl::Nvml => {
                let (library, uuid) = (self.nvml_library.clone(), uuid.to_owned());
                with_timeout(move || board::unlock(library.as_deref(), &uuid, locks)).await
            }
        }
    }
}

impl Held {
    /// Returns the boards, in the order in which they were set.
    pub fn boards(&self) -> impl Iterator<Item = &SetBoard> {
        self.boards.iter().map(|(board, _)| board)
    }

    /// Restores all boards. A board that does not answer is retried for some seconds, after which its journal is left
    /// for [`Controller::restore_left`].
    pub async fn restore(self) -> Vec<RestoredBoard> {
        let mut all = Vec::new();
        for (board, mut journal) in self.boards {
            let entry = match journal.entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(error) => {
                    add_unreadable(&mut all, &board, &error);
                    continue;
                }
            };
            let mut waited = Duration::ZERO;
            let restored = loop {
                let restored = self.controller.restore(&entry, &mut journal).await;
                let is_away = matches!(restored.restored, Restored::Failed(ControlError::Away(_)));
                if !is_away || waited >= RESTORE_TIMEOUT {
                    break restored;
                }
                tokio::time::sleep(RESTORE_PERIOD).await;
                waited += RESTORE_PERIOD;
            };
            all.push(restored);
        }
        all
    }
}

/// Adds a board whose journal cannot be read.
fn add_unreadable(all: &mut Vec<RestoredBoard>, board: &SetBoard, error: &std::io::Error) {
    all.push(RestoredBoard {
        uuid: board.uuid.clone(),
        set_for: "an unknown purpose".to_owned(),
        restored: Restored::Failed(ControlError::Away(format!("its journal cannot be read: {error}"))),
    });
}

/// Returns how a board difference from the requested values; `None` when it does not.
fn difference(setting: &Setting, now: &Limits) -> Option<SetProblem> {
    let asked_w = setting.power_limit_w?;
    let Some(set_w) = now.set_w else {
        return Some(SetProblem::NoLimit);
    };
    if !is_same_power_limit(set_w, asked_w) {
        return Some(SetProblem::Rounded { asked_w, set_w });
    }
    match now.in_force_w {
        Some(in_force_w) if is_same_power_limit(in_force_w, set_w) => None,
        Some(in_force_w) if in_force_w < set_w => Some(SetProblem::Stricter { set_w, in_force_w }),
        Some(in_force_w) => Some(SetProblem::NotInForce { set_w, in_force_w }),
        None => None,
    }
}

/// Runs a call into the driver on a blocking thread, with a timeout.
async fn with_timeout<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Result<T, ControlError> {
    match tokio::time::timeout(TIMEOUT, tokio::task::spawn_blocking(ask)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ControlError::Away("the call into the driver failed".to_owned())),
        Err(_) => {
            let message = format!("the driver did not answer within {} s", TIMEOUT.as_secs());
            Err(ControlError::Away(message))
        }
    }
}
