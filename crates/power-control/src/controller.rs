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

/// A driver that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(15);
/// A limit is in force at once on most boards, and within a second on all that are known.
const READ_BACK_FOR: Duration = Duration::from_secs(2);
const READ_BACK_EVERY: Duration = Duration::from_millis(100);
/// Longer than anybody looks at a journal.
const JOURNAL_FOR: Duration = Duration::from_secs(2);
/// How long a board is tried to be put back, so that a driver that is just reloaded is waited for.
const RESTORE_FOR: Duration = Duration::from_secs(10);
const RESTORE_EVERY: Duration = Duration::from_millis(500);

/// Sets boards of this host and puts them back.
#[derive(Clone, Debug)]
pub struct Controller {
    pub control: PowerControl,
    /// Path of libnvidia-ml.so; `None` searches the usual places.
    pub nvml_library: Option<PathBuf>,
    /// Where the journals are: one folder for all who set boards of this host.
    pub journals: PathBuf,
}

/// Why a board was not set; all are as they were before.
#[derive(Debug, Error)]
#[error("GPU {uuid} {problem}")]
pub struct SetError {
    pub uuid: String,
    pub problem: SetProblem,
}

/// What kept a board from being set.
#[derive(Debug, Error)]
pub enum SetProblem {
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("does not take what was asked for: {0}")]
    Control(#[from] ControlError),
    #[error("has no power limit")]
    NoLimit,
    #[error("took a power limit of {set_w} W where {asked_w} W was asked for")]
    Rounded { asked_w: f64, set_w: f64 },
    #[error("took the power limit of {set_w} W, and a stricter one of {in_force_w} W is in force")]
    Stricter { set_w: f64, in_force_w: f64 },
    #[error("took the power limit of {set_w} W, and {in_force_w} W is still in force")]
    NotInForce { set_w: f64, in_force_w: f64 },
}

/// A board that was set, and what it has now.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBoard {
    pub uuid: String,
    /// The limit that it had, in watts; `None` for a board that tells none.
    pub limit_before_w: Option<f64>,
    /// The limit that is in force, in watts.
    pub limit_in_force_w: Option<f64>,
}

/// Boards that were set. Dropped without [`Held::restore`] they stay so, for [`Controller::restore_left`].
#[must_use = "what was set is to be put back"]
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
    /// Sets all boards, or none. `set_for` says for whom.
    ///
    /// # Errors
    /// [`SetError`] of the first board that does not have what was asked for; the others are put back.
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

    /// Opens a board's journal. Whoever only looks for what is left has it for a moment.
    async fn journal_of(&self, uuid: &str) -> Result<Journal, JournalError> {
        let mut waited = Duration::ZERO;
        loop {
            match Journal::open(&self.journals, uuid) {
                Err(JournalError::Busy) if waited < JOURNAL_FOR => tokio::time::sleep(READ_BACK_EVERY).await,
                opened => return opened,
            }
            waited += READ_BACK_EVERY;
        }
    }

    async fn set_and_read_back(&self, uuid: &str, index: u32, setting: &Setting) -> Result<Limits, SetProblem> {
        self.apply(uuid, index, *setting).await?;
        let mut waited = Duration::ZERO;
        loop {
            let now = self.read(uuid).await?;
            match differs(setting, &now) {
                None => return Ok(now),
                Some(problem) if waited >= READ_BACK_FOR => return Err(problem),
                Some(_) => tokio::time::sleep(READ_BACK_EVERY).await,
            }
            waited += READ_BACK_EVERY;
        }
    }

    /// Puts back every board of this user that a process set which is gone.
    ///
    /// # Errors
    /// [`JournalError`] where the journals cannot be read.
    pub async fn restore_left(&self) -> Result<Vec<RestoredBoard>, JournalError> {
        let mut all = Vec::new();
        // One at a time: a board that hangs keeps nobody from the journals of others.
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

    /// Returns why boards of this host cannot be set; `None` where those that have a limit can. Changes none. `gpus` are all that
    /// the host has.
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

    /// Checks that boards can be set, without changing any. `gpus` are all that NVML counts, settable or not.
    ///
    /// # Errors
    /// [`ControlError`] in words that say what to do.
    pub async fn check(&self, settable: &[String], gpus: usize) -> Result<(), ControlError> {
        match &self.control {
            PowerControl::Zeusd(socket) => Zeusd::at(socket).check(gpus).await,
            PowerControl::Nvml => {
                for uuid in settable {
                    let (library, uuid) = (self.nvml_library.clone(), uuid.clone());
                    within_patience(move || board::accepts(library.as_deref(), &uuid)).await?;
                }
                Ok(())
            }
        }
    }

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
                    let words = format!("its power limit was set back to {watts} W, and it shows {shown}");
                    return Err(ControlError::Away(words));
                }
            }
        }
        Ok(Restored::Back {
            limit_w: before.limit_w,
        })
    }

    async fn read(&self, uuid: &str) -> Result<Limits, ControlError> {
        let (library, uuid) = (self.nvml_library.clone(), uuid.to_owned());
        within_patience(move || board::reads(library.as_deref(), &uuid)).await
    }

    async fn apply(&self, uuid: &str, index: u32, setting: Setting) -> Result<(), ControlError> {
        match &self.control {
            PowerControl::Zeusd(socket) => Zeusd::at(socket).set(index, &setting).await,
            PowerControl::Nvml => {
                let (library, uuid) = (self.nvml_library.clone(), uuid.to_owned());
                within_patience(move || board::set(library.as_deref(), &uuid, &setting)).await
            }
        }
    }

    async fn unlock(&self, uuid: &str, index: u32, locks: (bool, bool)) -> Result<(), ControlError> {
        match &self.control {
            PowerControl::Zeusd(socket) => Zeusd::at(socket).unlock(index, locks).await,
            PowerControl::Nvml => {
                let (library, uuid) = (self.nvml_library.clone(), uuid.to_owned());
                within_patience(move || board::unlock(library.as_deref(), &uuid, locks)).await
            }
        }
    }
}

impl Held {
    /// Returns the boards, in the order in which they were named.
    pub fn boards(&self) -> impl Iterator<Item = &SetBoard> {
        self.boards.iter().map(|(board, _)| board)
    }

    /// Puts all boards back; one that does not answer is tried for some seconds, and its journal stays then.
    pub async fn restore(self) -> Vec<RestoredBoard> {
        let mut all = Vec::new();
        for (board, mut journal) in self.boards {
            let entry = match journal.entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(error) => {
                    note_unread(&mut all, &board, &error);
                    continue;
                }
            };
            let mut waited = Duration::ZERO;
            let restored = loop {
                let restored = self.controller.restore(&entry, &mut journal).await;
                let is_away = matches!(restored.restored, Restored::Failed(ControlError::Away(_)));
                if !is_away || waited >= RESTORE_FOR {
                    break restored;
                }
                tokio::time::sleep(RESTORE_EVERY).await;
                waited += RESTORE_EVERY;
            };
            all.push(restored);
        }
        all
    }
}

/// Notes a board whose journal cannot be read.
fn note_unread(all: &mut Vec<RestoredBoard>, board: &SetBoard, error: &std::io::Error) {
    all.push(RestoredBoard {
        uuid: board.uuid.clone(),
        set_for: "whoever set it".to_owned(),
        restored: Restored::Failed(ControlError::Away(format!("its journal cannot be read: {error}"))),
    });
}

/// Says in what a board differs from what was asked for.
fn differs(setting: &Setting, now: &Limits) -> Option<SetProblem> {
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

/// Runs what asks the driver, which may never come back.
async fn within_patience<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Result<T, ControlError> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(ask)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ControlError::Away("the call into the driver failed".to_owned())),
        Err(_) => {
            let words = format!("the driver did not answer within {} s", PATIENCE.as_secs());
            Err(ControlError::Away(words))
        }
    }
}
