use std::path::PathBuf;

use crate::host::Host;
use crate::not_found::NotFound;
use crate::served::Served;
use crate::{pid_file, port, unit};

/// A way to find the processes that serve an endpoint. The order of the variants is the order of preference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindBy {
    /// The name of a systemd unit, of the system or of a user; a name without a type means a service.
    Unit(String),
    /// A file that contains the pid of the engine's root process.
    PidFile(PathBuf),
    /// The endpoint: the processes that listen on it.
    Port { host: String, port: u16 },
}

/// Returns the processes found by the most preferred way that succeeds. [`Served::passed_over`] contains the reasons of
/// the ways that failed before it.
///
/// # Errors
/// Returns the reason when no way succeeds, or the reasons of all ways when there are several.
pub fn find(by: &[FindBy]) -> Result<Served, NotFound> {
    find_on(&Host::here(), by)
}

fn find_on(host: &Host, by: &[FindBy]) -> Result<Served, NotFound> {
    let mut ways: Vec<&FindBy> = by.iter().collect();
    ways.sort();
    let mut reasons = Vec::new();
    for way in ways {
        let found = match way {
            FindBy::Unit(name) => unit::find(host, name),
            FindBy::PidFile(path) => pid_file::find(host, path),
            FindBy::Port { host: name, port } => port::find(host, name, *port),
        };
        match found {
            Ok(served) => {
                return Ok(Served {
                    passed_over: reasons,
                    ..served
                });
            }
            Err(reason) => reasons.push(reason),
        }
    }
    match reasons.len() {
        0 => Err(NotFound::NoWay),
        1 => Err(reasons.remove(0)),
        _ => Err(NotFound::EachWay(reasons)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{FakeHost, LOOPBACK};

    fn endpoint() -> FindBy {
        FindBy::Port {
            host: "127.0.0.1".to_owned(),
            port: 8000,
        }
    }

    #[test]
    fn the_unit_is_preferred_to_the_port_in_any_order() {
        let fake = FakeHost::new();
        fake.process(100, "vllm", 1);
        fake.process(200, "python3", 1);
        fake.unit("system.slice/vllm.service", &[100]);
        fake.listens(LOOPBACK, 8000, 7, &[200]);
        let by = [endpoint(), FindBy::Unit("vllm.service".to_owned())];
        let served = find_on(&fake.host(), &by).expect("the unit");
        assert_eq!((served.pids, served.passed_over), (vec![100], vec![]));
    }

    #[test]
    fn a_failed_way_is_reported_beside_the_successful_one() {
        let fake = FakeHost::new();
        fake.process(200, "python3", 1);
        fake.listens(LOOPBACK, 8000, 7, &[200]);
        let by = [FindBy::Unit("vllm.service".to_owned()), endpoint()];
        let served = find_on(&fake.host(), &by).expect("the listener");
        assert_eq!(served.pids, [200]);
        assert!(matches!(&served.passed_over[..], [NotFound::UnitUnknown { .. }]));
    }

    #[test]
    fn when_every_way_fails_each_reason_is_given() {
        let fake = FakeHost::new();
        let by = [FindBy::Unit("vllm.service".to_owned()), endpoint()];
        let reason = find_on(&fake.host(), &by).expect_err("nothing runs").to_string();
        assert!(
            reason.contains("vllm.service") && reason.contains("port 8000"),
            "{reason}"
        );
        assert_eq!(find_on(&fake.host(), &[]).expect_err("no way"), NotFound::NoWay);
    }
}
