//! Cases on fake hosts: forwards, other users, servers at several addresses.

use crate::fixtures::{FakeHost, LOOPBACK};
use crate::not_found::NotFound;
use crate::port::find;

fn reason(fake: &FakeHost, name: &str) -> NotFound {
    find(&fake.host(), name, 8000).expect_err("no engine")
}

fn forward(reason: &NotFound) -> Option<&str> {
    match reason {
        NotFound::Forward { program, .. } => Some(program),
        _ => None,
    }
}

#[test]
fn workers_that_share_a_socket_are_found_by_their_parent() {
    let fake = FakeHost::new();
    for (pid, parent) in [(100, 1), (110, 100), (120, 100), (121, 120)] {
        fake.process(pid, "python3", parent);
    }
    fake.listens("0.0.0.0", 8000, 7, &[100, 110, 121]);
    let served = find(&fake.host(), LOOPBACK, 8000).expect("a server");
    assert_eq!(
        (served.pids, served.found_by.as_str()),
        (vec![100], "the listener on port 8000")
    );
}

#[test]
fn servers_that_share_a_port_are_all_found() {
    let fake = FakeHost::new();
    fake.process(100, "vllm", 1);
    fake.process(200, "vllm", 1);
    fake.listens(LOOPBACK, 8000, 7, &[100]);
    fake.listens(LOOPBACK, 8000, 8, &[200]);
    assert_eq!(find(&fake.host(), LOOPBACK, 8000).expect("both").pids, [100, 200]);
    // A third belongs to another user.
    fake.listens(LOOPBACK, 8000, 9, &[]);
    assert!(matches!(
        reason(&fake, LOOPBACK),
        NotFound::OwnerHidden { port: 8000, .. }
    ));
}

#[test]
fn two_servers_on_one_port_are_distinguished_by_their_addresses() {
    let fake = FakeHost::new();
    fake.process(100, "vllm", 1);
    fake.process(200, "llama-server", 1);
    fake.listens(LOOPBACK, 8000, 7, &[100]);
    fake.listens("0.0.0.0", 8000, 8, &[200]);
    assert_eq!(find(&fake.host(), LOOPBACK, 8000).expect("its own").pids, [100]);
    assert_eq!(find(&fake.host(), "127.0.0.2", 8000).expect("any other").pids, [200]);
    fake.listens("::1", 8000, 9, &[200]);
    let both = reason(&fake, "localhost");
    assert!(
        matches!(&both, NotFound::SeveralServers { pids, .. } if pids == "100 and 200"),
        "{both}"
    );
}

#[test]
fn localhost_is_one_server_that_listens_at_either_or_both_addresses() {
    let fake = FakeHost::new();
    fake.process(100, "vllm", 1);
    fake.listens("::1", 8000, 7, &[100]);
    assert_eq!(find(&fake.host(), "localhost", 8000).expect("by IPv6").pids, [100]);
    fake.listens(LOOPBACK, 8000, 8, &[100]);
    assert_eq!(find(&fake.host(), "localhost", 8000).expect("by both").pids, [100]);
}

#[test]
fn a_forward_is_rejected() {
    for program in ["docker-proxy", "sshd", "nginx", "kubectl", "rootlessport"] {
        let fake = FakeHost::new();
        fake.process(100, program, 1);
        fake.process(110, program, 100);
        fake.listens("::", 8000, 7, &[100, 110]);
        assert_eq!(forward(&reason(&fake, LOOPBACK)), Some(program));
    }
}

#[test]
fn a_socket_held_by_systemd_belongs_to_the_started_engine() {
    let fake = FakeHost::new();
    fake.process(1, "systemd", 0);
    fake.listens(LOOPBACK, 8000, 7, &[1]);
    assert_eq!(forward(&reason(&fake, LOOPBACK)), Some("systemd"));
    fake.process(100, "vllm", 1);
    fake.listens(LOOPBACK, 8000, 7, &[1, 100]);
    assert_eq!(find(&fake.host(), LOOPBACK, 8000).expect("the service").pids, [100]);
    fake.process(100, "systemd-socket-", 1);
    assert_eq!(forward(&reason(&fake, LOOPBACK)), Some("systemd-socket-proxyd"));
}

#[test]
fn a_router_is_found_with_the_launcher_that_starts_its_shards() {
    let fake = FakeHost::new();
    fake.process(90, "bash", 1);
    fake.process(100, "text-generation", 90);
    fake.process(110, "text-generation", 100);
    fake.process(120, "python3", 100);
    fake.listens("0.0.0.0", 8000, 7, &[110]);
    assert_eq!(find(&fake.host(), LOOPBACK, 8000).expect("the launcher").pids, [100]);
}

#[test]
fn a_process_with_unreadable_files_is_reported_as_hidden() {
    let fake = FakeHost::new();
    fake.process(100, "vllm", 1);
    fake.listens(LOOPBACK, 8000, 7, &[100]);
    fake.forbid("proc/100/fd");
    let hidden = reason(&fake, LOOPBACK);
    assert_eq!(hidden, NotFound::OwnerHidden { port: 8000, uid: 1000 });
    let text = hidden.to_string();
    assert!(text.contains("systemd_unit") && text.contains("same user"), "{text}");
}

#[test]
fn a_missing_listener_and_another_host_have_different_reasons() {
    let fake = FakeHost::new();
    assert!(matches!(reason(&fake, LOOPBACK), NotFound::NobodyListens { .. }));
    assert!(matches!(reason(&fake, "192.0.2.1"), NotFound::AnotherHost { .. }));
    assert!(matches!(reason(&fake, "gpu7.example"), NotFound::AnotherHost { .. }));
    std::fs::remove_dir_all(fake.path("proc/net")).expect("no lists");
    assert!(matches!(reason(&fake, LOOPBACK), NotFound::SocketsUnreadable { .. }));
}
