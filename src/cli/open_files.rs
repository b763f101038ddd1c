use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Beside connections: the database, workers' pipes and locks, the meter's sources, model files.
const OTHERS: u64 = 512;

/// Takes as many open files as the system lets this process have: each connection is one, and the usual limit of 1024
/// is for programs that use `select`. Warns where connections could still run out of them.
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
