//! Sockets of this process and of children that inherit them, as their standard input.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use crate::fixtures::forks_alone;
use crate::host::Host;
use crate::not_found::NotFound;
use crate::port::find;

/// A child that holds a socket and is killed at the end of the test.
struct Holder(Child);

impl Holder {
    /// Starts a shell that runs `script` and then sleeps without using a CPU.
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

/// Returns a socket at the address; `None` on a host without it.
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
fn this_process_is_found_at_each_address_that_it_listens_at() {
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
fn localhost_is_this_process_where_it_has_both_addresses() {
    loop {
        let (_v4, port) = listening("127.0.0.1").expect("a port");
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            // Another program's, by chance.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            _v6_if_there_is => return assert_eq!(found("localhost", port), [me()]),
        }
    }
}

#[test]
fn a_port_that_was_left_has_no_server() {
    let _alone = forks_alone();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    drop(socket);
    let left = find(&Host::here(), "127.0.0.1", port);
    assert!(matches!(left, Err(NotFound::NobodyListens { .. })), "{left:?}");
}

#[test]
fn a_child_that_inherits_the_socket_is_of_its_parent_until_it_has_it_alone() {
    let _alone = forks_alone();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    let child = Holder::of(&socket, "");
    assert_eq!(found("127.0.0.1", port), [me()]);
    drop(socket);
    assert_eq!(found("127.0.0.1", port), [child.0.id()]);
}

#[test]
fn two_servers_of_one_port_are_told_apart() {
    let _alone = forks_alone();
    let (socket, port) = listening("127.0.0.1").expect("a port");
    // Another address of loopback, where nobody listens by chance.
    let second = TcpListener::bind(("127.0.0.77", port)).expect("the same port");
    let child = Holder::of(&second, "");
    drop(second);
    assert_eq!(found("127.0.0.1", port), [me()]);
    assert_eq!(found("127.0.0.77", port), [child.0.id()]);
    drop(socket);
}

#[test]
fn a_child_called_as_a_forward_is_no_engine() {
    let _alone = forks_alone();
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
