use std::collections::{BTreeMap, BTreeSet};

use crate::endpoint_address::addresses_here;
use crate::forward::{forward, is_service_manager, truncated};
use crate::host::Host;
use crate::listener::{Listener, answering, listeners};
use crate::not_found::NotFound;
use crate::processes::{parent_of, stat_of, topmost};
use crate::served::Served;

/// Servers whose launcher also starts the processes that compute, each with that launcher: text-generation-inference.
const LAUNCHED: [(&str, &str); 1] = [("text-generation-router", "text-generation-launcher")];

/// The processes that hold each socket, by its inode.
type Holders = BTreeMap<u64, BTreeSet<u32>>;

/// Returns the processes that listen on `port` at the addresses of this host that `name` stands for.
///
/// # Errors
/// Returns the reason when no process listens, when it is a forward, or when it is not visible.
pub fn find(host: &Host, name: &str, port: u16) -> Result<Served, NotFound> {
    let addresses = addresses_here(host, name);
    if addresses.is_empty() {
        return Err(NotFound::AnotherHost { host: name.to_owned() });
    }
    let listeners = listeners(host).map_err(|error| NotFound::SocketsUnreadable {
        reason: error.to_string(),
    })?;
    let sockets = addresses.iter().map(|address| answering(&listeners, *address, port));
    let sockets: Vec<Vec<Listener>> = sockets.filter(|sockets| !sockets.is_empty()).collect();
    let inodes = sockets.iter().flatten().map(|socket| socket.inode).collect();
    let holders = holders(host, &inodes);
    let servers = sockets.iter().map(|sockets| server(host, sockets, &holders));
    let servers: BTreeSet<Vec<u32>> = servers.collect::<Result<_, _>>()?;
    let mut servers: Vec<Vec<u32>> = servers.into_iter().collect();
    match servers.len() {
        0 => Err(NotFound::NobodyListens {
            host: name.to_owned(),
            port,
        }),
        1 => Ok(Served::of_roots(servers.remove(0), found_by(port))),
        _ => Err(NotFound::SeveralServers {
            host: name.to_owned(),
            port,
            pids: servers
                .iter()
                .map(|roots| listed(roots))
                .collect::<Vec<_>>()
                .join(" and "),
        }),
    }
}

fn found_by(port: u16) -> String {
    format!("the listener on port {port}")
}

fn listed(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns the root processes that share the sockets of one address.
fn server(host: &Host, sockets: &[Listener], holders: &Holders) -> Result<Vec<u32>, NotFound> {
    let mut pids = BTreeSet::new();
    for Listener { port, uid, inode, .. } in sockets {
        let holding = holders
            .get(inode)
            .ok_or(NotFound::OwnerHidden { port: *port, uid: *uid })?;
        pids.extend(holding);
    }
    // With socket activation, systemd holds the socket together with the service that it started.
    let (managers, others): (BTreeSet<u32>, BTreeSet<u32>) =
        pids.into_iter().partition(|pid| is_service_manager(host, *pid));
    let roots = topmost(host, if others.is_empty() { &managers } else { &others });
    for pid in &roots {
        if let Some(program) = forward(host, *pid) {
            let port = sockets.first().map_or(0, |socket| socket.port);
            return Err(NotFound::Forward {
                program,
                pid: *pid,
                found_by: found_by(port),
            });
        }
    }
    let launchers: BTreeSet<u32> = roots
        .into_iter()
        .map(|root| launcher_of(host, root).unwrap_or(root))
        .collect();
    Ok(launchers.into_iter().collect())
}

/// Returns the process that started both this server and the processes that compute; `None` for other servers.
fn launcher_of(host: &Host, pid: u32) -> Option<u32> {
    let name = stat_of(host, pid).ok()?.name;
    let (_, launcher) = LAUNCHED.iter().find(|(server, _)| truncated(server) == name)?;
    let parent = parent_of(host, pid).ok()?;
    (stat_of(host, parent).ok()?.name == truncated(launcher)).then_some(parent)
}

/// Searches the open files of all processes for the sockets. Processes whose files cannot be read are skipped.
fn holders(host: &Host, inodes: &BTreeSet<u64>) -> Holders {
    let mut holders = Holders::new();
    if inodes.is_empty() {
        return holders;
    }
    let entries = std::fs::read_dir(&host.proc_root).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let files = std::fs::read_dir(host.proc_root.join(format!("{pid}/fd")));
        let targets = files
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|file| file.path().read_link().ok());
        for inode in targets.filter_map(|target| inode_of(target.to_str()?)) {
            if inodes.contains(&inode) {
                holders.entry(inode).or_default().insert(pid);
            }
        }
    }
    holders
}

/// Returns the inode in the target of a socket's link, such as `socket:[1065]`.
fn inode_of(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests;
