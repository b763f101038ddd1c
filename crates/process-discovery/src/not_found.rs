use std::path::PathBuf;

use joulemark_measurement::quoted;

/// The reason why the processes of an endpoint were not found, with a way to correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error(
        "the unit {} does not run, and systemd has no file for it; name one that `systemctl status` finds",
        quoted(unit)
    )]
    UnitUnknown { unit: String },
    #[error("the unit {} does not run; start it", quoted(unit))]
    UnitNotRunning { unit: String },
    #[error("several units are called {} ({places}); name the engine by pid_file", quoted(unit))]
    UnitAmbiguous { unit: String, places: String },
    #[error("the unit {} cannot be found: there is no cgroup v2 tree in {}", quoted(unit), cgroup_root.display())]
    NoCgroups { unit: String, cgroup_root: PathBuf },
    #[error("the unit {} cannot be read: {reason}", quoted(unit))]
    UnitUnreadable { unit: String, reason: String },

    #[error("the PID file {} cannot be read: {reason}", path.display())]
    PidFileUnreadable { path: PathBuf, reason: String },
    #[error("the PID file {} contains no process id; accepted is one positive number", path.display())]
    PidFileMalformed { path: PathBuf },
    #[error("process {pid} of the PID file {} is not running", path.display())]
    ProcessGone { path: PathBuf, pid: u32 },
    #[error("process {pid} of the PID file {} cannot be read: {reason}", path.display())]
    ProcessUnreadable { path: PathBuf, pid: u32, reason: String },
    #[error("process {pid} started {later_sec} s after the PID file {} was written: another program has that id now",
             path.display())]
    PidReused { path: PathBuf, pid: u32, later_sec: u64 },
    #[error("process {pid} of the PID file {} is a kernel thread: the file may contain the id within a container; name \
             systemd_unit", path.display())]
    KernelThread { path: PathBuf, pid: u32 },

    #[error(
        "{} is not known to be this host; accepted are the addresses of this host, localhost and this host's name",
        quoted(host)
    )]
    AnotherHost { host: String },
    #[error("the sockets of this host cannot be read: {reason}; name systemd_unit or pid_file")]
    SocketsUnreadable { reason: String },
    #[error(
        "no process visible to this service listens on port {port} of {}; a port that the kernel forwards to a \
             container has no listener on the host: name systemd_unit or pid_file",
        quoted(host)
    )]
    NobodyListens { host: String, port: u16 },
    #[error(
        "the process that listens on port {port} is not visible to this service, which cannot read /proc of another \
             user (id {uid}) or of another container; run this service as the same user, or name systemd_unit or pid_file"
    )]
    OwnerHidden { port: u16, uid: u32 },
    #[error(
        "{} stands for several servers on port {port}, with the processes {pids}; name the address of one",
        quoted(host)
    )]
    SeveralServers { host: String, port: u16, pids: String },

    #[error(
        "{} (process {pid}), found by {found_by}, passes requests on to another program; name systemd_unit or pid_file \
             of the engine itself",
        quoted(program)
    )]
    Forward {
        program: String,
        pid: u32,
        found_by: String,
    },

    #[error("{}", joined(.0))]
    EachWay(Vec<NotFound>),
    #[error("no way to find the processes was given; accepted are systemd_unit, pid_file and an endpoint with a port")]
    NoWay,
}

fn joined(reasons: &[NotFound]) -> String {
    reasons.iter().map(NotFound::to_string).collect::<Vec<_>>().join("; ")
}
