//! Decides which processes certainly belong to an engine.

use std::collections::BTreeSet;
use std::fs;

use crate::engine::MARK_VARIABLE;
use crate::process::Process;
use crate::record::Record;

/// Whether a process has the keeper's mark in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// It has this mark, which is unique to one keeper.
    Marked(String),
    /// Its environment was read and contains no mark.
    Unmarked,
    /// Its environment cannot be read, or was overwritten, as by a program that sets its process title.
    Unknown,
}

/// A process with everything that is needed to decide about it.
#[derive(Clone, Debug)]
pub struct ObservedProcess {
    pub process: Process,
    pub environment: Environment,
    /// The text of its `/proc/<pid>/cgroup`; `None` when it cannot be read.
    pub membership: Option<String>,
}

impl ObservedProcess {
    /// Returns every running process of the host.
    pub fn all() -> Vec<Self> {
        let living = Process::all().into_iter().filter(|process| process.is_alive);
        living.map(Self::observe).collect()
    }

    fn observe(process: Process) -> Self {
        let folder = format!("/proc/{}", process.identity.pid);
        Self {
            environment: Environment::parse(&fs::read(format!("{folder}/environ")).unwrap_or_default()),
            membership: fs::read_to_string(format!("{folder}/cgroup")).ok(),
            process,
        }
    }
}

impl Environment {
    fn parse(bytes: &[u8]) -> Self {
        let mut is_unknown = true;
        for variable in bytes.split(|byte| *byte == 0) {
            let Some(at) = variable.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            is_unknown = false;
            if &variable[..at] == MARK_VARIABLE.as_bytes() {
                return Self::Marked(String::from_utf8_lossy(&variable[at + 1..]).into_owned());
            }
        }
        if is_unknown { Self::Unknown } else { Self::Unmarked }
    }
}

/// Returns the processes in `seen` that certainly belong to the recorded engine. `members` are the pids in its cgroup.
///
/// These are: the recorded process, by pid and start time; processes with the keeper's mark in their environment;
/// members of the engine's cgroup; processes in the engine's session whose environment is unknown
/// (`is_unknown_in_recorded_session`); the children of all these; and all processes in their sessions. The engine began
/// a session of its own, and the id of a session is not reused while it has a member.
pub fn owned_processes(record: &Record, seen: &[ObservedProcess], members: &[u32]) -> Vec<Process> {
    let own = std::process::id();
    let own_session = seen.iter().find(|one| one.process.identity.pid == own);
    let own_session = own_session.map(|one| one.process.session);
    // Excludes the init process of the host or container, and the process that sweeps.
    let others: Vec<&ObservedProcess> = seen
        .iter()
        .filter(|one| ![0, 1, own].contains(&one.process.identity.pid))
        .collect();
    let mut pids = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for one in &others {
            let Process {
                identity,
                parent,
                session,
                ..
            } = &one.process;
            let is_known = members.contains(&identity.pid) || is_recorded(record, seen, one);
            let is_related = pids.contains(parent) || sessions.contains(session);
            if (is_known || is_related) && pids.insert(identity.pid) {
                found.push(one.process.clone());
                if Some(*session) != own_session {
                    sessions.insert(*session);
                }
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Returns whether a process belongs to the engine by its own properties, without its relatives.
fn is_recorded(record: &Record, seen: &[ObservedProcess], one: &ObservedProcess) -> bool {
    match &one.environment {
        _ if record.engine == Some(one.process.identity) => true,
        Environment::Marked(mark) => *mark == record.mark,
        Environment::Unmarked => false,
        Environment::Unknown => is_unknown_in_recorded_session(record, seen, one),
    }
}

/// Returns whether a process with an unknown environment is in the recorded session, and not in a later one with the
/// same id: it started no earlier than the engine, is in the engine's cgroup, and the pid of the session's leader has
/// not been reused.
fn is_unknown_in_recorded_session(record: &Record, seen: &[ObservedProcess], one: &ObservedProcess) -> bool {
    let Some(engine) = record.engine else { return false };
    let leader = seen.iter().find(|other| other.process.identity.pid == engine.pid);
    one.process.session == engine.pid
        && one.process.identity.start_time_ticks >= engine.start_time_ticks
        && leader.is_none_or(|leader| leader.process.identity == engine)
        && one.membership.is_some()
        && one.membership == record.membership
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Identity;

    const NONE: [u32; 0] = [];
    const ENGINE: Identity = identity(700, 1000);

    const fn identity(pid: u32, start_time_ticks: u64) -> Identity {
        Identity { pid, start_time_ticks }
    }

    fn record() -> Record {
        Record {
            boot_id: String::new(),
            keeper: identity(600, 990),
            engine: Some(ENGINE),
            mark: "ours".to_owned(),
            cgroup: None,
            membership: Some("0::/service".to_owned()),
        }
    }

    /// Returns a child of init in a session of its own, in the cgroup of the service, without a mark in its
    /// environment.
    fn stranger(pid: u32, start_time_ticks: u64) -> ObservedProcess {
        ObservedProcess {
            process: Process {
                identity: identity(pid, start_time_ticks),
                parent: 1,
                group: pid,
                session: pid,
                name: "program".to_owned(),
                is_alive: true,
            },
            environment: Environment::Unmarked,
            membership: record().membership,
        }
    }

    fn in_session(session: u32, one: ObservedProcess) -> ObservedProcess {
        let process = Process { session, ..one.process };
        ObservedProcess { process, ..one }
    }

    fn child_of(parent: u32, one: ObservedProcess) -> ObservedProcess {
        let process = Process { parent, ..one.process };
        ObservedProcess { process, ..one }
    }

    fn with(environment: Environment, one: ObservedProcess) -> ObservedProcess {
        ObservedProcess { environment, ..one }
    }

    fn marked(mark: &str, one: ObservedProcess) -> ObservedProcess {
        with(Environment::Marked(mark.to_owned()), one)
    }

    fn found(seen: &[ObservedProcess]) -> Vec<u32> {
        let mut found: Vec<u32> = owned_processes(&record(), seen, &[])
            .iter()
            .map(|process| process.identity.pid)
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn the_engine_and_processes_with_its_mark_belong() {
        let daemon = marked("ours", stranger(710, 1100));
        assert_eq!(found(&[stranger(700, 1000), daemon, stranger(711, 1100)]), [700, 710]);
        assert_eq!(
            found(&[stranger(700, 5000), marked("theirs", stranger(712, 1100))]),
            NONE
        );
    }

    #[test]
    fn children_and_sessions_of_owned_processes_belong() {
        let daemon = marked("ours", stranger(710, 1100));
        let child = child_of(710, stranger(720, 1200));
        let grandchild = child_of(720, stranger(705, 1300));
        let beside = in_session(720, stranger(730, 1400));
        assert_eq!(found(&[grandchild, beside, child, daemon]), [705, 710, 720, 730]);
    }

    #[test]
    fn a_process_with_an_unknown_environment_is_identified_by_its_session() {
        let unknown = |one| in_session(700, with(Environment::Unknown, one));
        assert_eq!(found(&[unknown(stranger(710, 1000))]), [710]);
        assert_eq!(
            found(&[unknown(stranger(710, 999))]),
            NONE,
            "it started before the engine"
        );
        let elsewhere = ObservedProcess {
            membership: Some("0::/other".to_owned()),
            ..unknown(stranger(710, 1000))
        };
        assert_eq!(found(&[elsewhere]), NONE, "it is in the cgroup of another service");
        let leader = with(Environment::Unknown, stranger(700, 2000));
        assert_eq!(
            found(&[unknown(stranger(710, 2100)), leader]),
            NONE,
            "the pid was reused"
        );
        let anothers = in_session(700, stranger(710, 1000));
        assert_eq!(found(&[anothers]), NONE, "its environment has no mark");
    }

    #[test]
    fn members_of_the_engines_cgroup_belong_except_init_and_the_sweeper() {
        let own = std::process::id();
        let seen = [
            marked("ours", stranger(1, 1)),
            marked("ours", stranger(own, 1200)),
            marked("ours", in_session(own, stranger(own + 1, 1200))),
            in_session(own, stranger(own + 2, 1200)),
            stranger(800, 1100),
        ];
        let found = owned_processes(&record(), &seen, &[800]);
        let found: BTreeSet<u32> = found.iter().map(|process| process.identity.pid).collect();
        assert_eq!(
            found,
            BTreeSet::from([800, own + 1]),
            "the sweeper's session is not the engine's"
        );
    }

    #[test]
    fn an_environment_is_read_by_whole_names() {
        let parsed = |text: &str| Environment::parse(text.as_bytes());
        assert_eq!(parsed("A=1\0ENGINE_OF=x=y\0"), Environment::Marked("x=y".to_owned()));
        assert_eq!(parsed("A=ENGINE_OF=x\0MY_ENGINE_OF=z\0"), Environment::Unmarked);
        assert_eq!(parsed("worker title\0\0\0"), Environment::Unknown);
        assert_eq!(parsed(""), Environment::Unknown);
    }
}
