//! Decides which processes are an engine's for sure.

use std::collections::BTreeSet;
use std::fs;

use crate::engine::MARK_VARIABLE;
use crate::process::Process;
use crate::record::Record;

/// What a process's environment says of whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The keeper's mark, which nobody else has.
    Marked(String),
    /// It was read, and there is no mark.
    Unmarked,
    /// It may not be read or is overwritten, as by a process that shows a title of its own in its place.
    Silent,
}

/// A process with all that is needed to judge it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub process: Process,
    pub environment: Environment,
    /// Its `/proc/<pid>/cgroup`.
    pub membership: Option<String>,
}

impl Seen {
    /// Returns every living process of the host.
    pub fn all() -> Vec<Self> {
        let living = Process::all().into_iter().filter(|process| process.is_alive);
        living.map(Self::look_at).collect()
    }

    fn look_at(process: Process) -> Self {
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
        let mut is_silent = true;
        for variable in bytes.split(|byte| *byte == 0) {
            let Some(at) = variable.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            is_silent = false;
            if &variable[..at] == MARK_VARIABLE.as_bytes() {
                return Self::Marked(String::from_utf8_lossy(&variable[at + 1..]).into_owned());
            }
        }
        if is_silent { Self::Silent } else { Self::Unmarked }
    }
}

/// Returns those of `seen` that surely belong to the recorded engine. `members` are the pids in its own cgroup.
///
/// Sure are: the recorded process, by its pid and start time; what has the keeper's mark in its environment; what is in
/// the engine's own cgroup; in the engine's session, what can show no environment (`is_silent_in_session`); the children
/// of these, and all of their sessions: the engine began one of its own, and a session's number is not given to another
/// while it has a member.
pub fn belonging(record: &Record, seen: &[Seen], members: &[u32]) -> Vec<Process> {
    let own = std::process::id();
    let own_session = seen.iter().find(|one| one.process.identity.pid == own);
    let own_session = own_session.map(|one| one.process.session);
    // Never the first process of the host or container, nor the one that sweeps.
    let others: Vec<&Seen> = seen
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

fn is_recorded(record: &Record, seen: &[Seen], one: &Seen) -> bool {
    match &one.environment {
        _ if record.engine == Some(one.process.identity) => true,
        Environment::Marked(mark) => *mark == record.mark,
        Environment::Unmarked => false,
        Environment::Silent => is_silent_in_session(record, seen, one),
    }
}

/// Tells whether a process without a legible environment is of the recorded session and no later one with its number:
/// it started no earlier than the engine, is where the engine was (in the service's cgroup, no other service's), and no
/// other process has the number of the session's leader.
fn is_silent_in_session(record: &Record, seen: &[Seen], one: &Seen) -> bool {
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

    const NOBODY: [u32; 0] = [];
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

    /// A process of init's in a session of its own, in the service's cgroup, whose environment has no mark.
    fn stranger(pid: u32, start_time_ticks: u64) -> Seen {
        Seen {
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

    fn in_session(session: u32, one: Seen) -> Seen {
        let process = Process { session, ..one.process };
        Seen { process, ..one }
    }

    fn child_of(parent: u32, one: Seen) -> Seen {
        let process = Process { parent, ..one.process };
        Seen { process, ..one }
    }

    fn with(environment: Environment, one: Seen) -> Seen {
        Seen { environment, ..one }
    }

    fn marked(mark: &str, one: Seen) -> Seen {
        with(Environment::Marked(mark.to_owned()), one)
    }

    fn found(seen: &[Seen]) -> Vec<u32> {
        let mut found: Vec<u32> = belonging(&record(), seen, &[])
            .iter()
            .map(|process| process.identity.pid)
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn the_engine_and_what_bears_its_mark_belong() {
        let daemon = marked("ours", stranger(710, 1100));
        assert_eq!(found(&[stranger(700, 1000), daemon, stranger(711, 1100)]), [700, 710]);
        assert_eq!(
            found(&[stranger(700, 5000), marked("theirs", stranger(712, 1100))]),
            NOBODY
        );
    }

    #[test]
    fn children_and_sessions_of_what_belongs_belong() {
        let daemon = marked("ours", stranger(710, 1100));
        let child = child_of(710, stranger(720, 1200));
        let grandchild = child_of(720, stranger(705, 1300));
        let beside = in_session(720, stranger(730, 1400));
        assert_eq!(found(&[grandchild, beside, child, daemon]), [705, 710, 720, 730]);
    }

    #[test]
    fn a_process_that_shows_no_environment_is_known_by_its_session() {
        let silent = |one| in_session(700, with(Environment::Silent, one));
        assert_eq!(found(&[silent(stranger(710, 1000))]), [710]);
        assert_eq!(
            found(&[silent(stranger(710, 999))]),
            NOBODY,
            "it was there before the engine"
        );
        let elsewhere = Seen {
            membership: Some("0::/other".to_owned()),
            ..silent(stranger(710, 1000))
        };
        assert_eq!(found(&[elsewhere]), NOBODY, "it is another service's");
        let leader = with(Environment::Silent, stranger(700, 2000));
        assert_eq!(
            found(&[silent(stranger(710, 2100)), leader]),
            NOBODY,
            "the number was used again"
        );
        let anothers = in_session(700, stranger(710, 1000));
        assert_eq!(found(&[anothers]), NOBODY, "its environment says that it is not ours");
    }

    #[test]
    fn members_of_the_engines_cgroup_belong_and_neither_init_nor_the_sweeper_does() {
        let own = std::process::id();
        let seen = [
            marked("ours", stranger(1, 1)),
            marked("ours", stranger(own, 1200)),
            marked("ours", in_session(own, stranger(own + 1, 1200))),
            in_session(own, stranger(own + 2, 1200)),
            stranger(800, 1100),
        ];
        let found = belonging(&record(), &seen, &[800]);
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
        assert_eq!(parsed("worker title\0\0\0"), Environment::Silent);
        assert_eq!(parsed(""), Environment::Silent);
    }
}
