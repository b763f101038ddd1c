//! Raises the limit on open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files besides connections: the database, workers' pipes and locks, the meter's sources, model files.
const OTHERS: u64 = 512;

/// Raises the soft limit on open files to the hard limit, since each connection is an open file. Warns when the limit
/// is too low for `max_connections`.
pub fn allow_for(max_connections: u32) {
    let needed = u64::from(max_connections) + OTHERS;
    let most = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(now, most)| {
        if now < most {
            setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        }
        Ok(most)
    });
    match most {
        Ok(most) if most < needed => tracing::warn!(
            "at most {most} files may be open, and max_connections is {max_connections}: raise the limit (LimitNOFILE= of \
             systemd, ulimit -Hn) to {needed}, or lower max_connections"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit on open files cannot be raised"),
    }
}
