//! Cases with real sockets, of this process and of children that inherit them as their standard input.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use crate::fixtures::exclude_other_forks;
use crate::host::Host;
use crate::not_found::NotFound;
use crate::port::find;

/// A child that holds a socket and is killed when it is dropped.
struct Holder(Child);

impl Holder {
    /// Starts a shell that runs `script` and then stops itself, using no CPU time.
    fn of(socket: &TcpListener, script: &str) -> Self {
        let inherited = OwnedFd::from(socket.try_clone().expect("a second handle"));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{script}\nkill -STOP $$")]);
        Self(command.stdin(Stdio::from(inherited)).spawn().expect("a shell"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a listening socket at the address; `None` on a host without that address.
fn listening(address: &str) -> Option<(TcpListener, u16)> {
    let address: IpAddr = address.parse().expect("an address");
    let socket = TcpListener::bind(SocketAddr::new(address, 0)).ok()?;
    let port = socket.local_addr().expect("its address").port();
    Some((socket, port))
}

fn found(name: &str, port: u16) -> Vec<u32> {
    find(&Host::here(), name, port).expect("a server").pids
}

fn me() -> u32 {
    std::process::id()
}

#[test]
fn this_process_is_found_at_each_of_its_addresses() {
    for (bound, names) in [
        ("127.0.0.1", &["127.0.0.1", "::ffff:127.0.0.1"][..]),
        ("::1", &["::1", "[::1]"]),
        ("0.0.0.0", &["127.0.0.1", "127.0.0.5", "0.0.0.0"]),
        ("::", &["::1", "127.0.0.1"]),
        ("::ffff:127.0.0.1", &["127.0.0.1"]),
    ] {
        let Some((_socket, port)) = listening(bound) else {
            assert!(bound.contains(':'), "every host has {bound}");
            continue;
        };
        for name in names {
            assert_eq!(found(name, port), [me()], "{name} of {bound}");
        }
    }
}

#[test]
fn localhost_is_this_process_when_it_has_both_addresses() {
    loop {
        let (_v4, port) = listening("127.0.0.1").expect("a port");
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            // Another program has the port.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            _v6_if_there_is => return assert_eq!(found("localhost", port), [me()]),
        }
    }
}

#[test]
fn a_closed_port_has_no_server() {
    let _alone = exclude_other_forks();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    drop(socket);
    let left = find(&Host::here(), "127.0.0.1", port);
    assert!(matches!(left, Err(NotFound::NobodyListens { .. })), "{left:?}");
}

#[test]
fn an_inherited_socket_belongs_to_the_parent_while_it_is_open_there() {
    let _alone = exclude_other_forks();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    let child = Holder::of(&socket, "");
    assert_eq!(found("127.0.0.1", port), [me()]);
    drop(socket);
    assert_eq!(found("127.0.0.1", port), [child.0.id()]);
}

#[test]
fn two_real_servers_on_one_port_are_distinguished() {
    let _alone = exclude_other_forks();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    // Another loopback address, on which no other program listens.
    let second = TcpListener::bind(("127.0.0.77", port)).expect("the same port");
    let child = Holder::of(&second, "");
    drop(second);
    assert_eq!(found("127.0.0.1", port), [me()]);
    assert_eq!(found("127.0.0.77", port), [child.0.id()]);
    drop(socket);
}

#[test]
fn a_child_with_the_name_of_a_forward_is_rejected() {
    let _alone = exclude_other_forks();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    let child = Holder::of(&socket, "printf socat > /proc/$$/comm");
    drop(socket);
    let is_named =
        || std::fs::read_to_string(format!("/proc/{}/comm", child.0.id())).is_ok_and(|name| name == "socat\n");
    while !is_named() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let reason = find(&Host::here(), "127.0.0.1", port).expect_err("a forward");
    assert!(
        matches!(&reason, NotFound::Forward { program, .. } if program == "socat"),
        "{reason}"
    );
}
