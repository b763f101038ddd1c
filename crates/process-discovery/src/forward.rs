//! Forwards: programs that accept connections for another program, such as proxies and tunnels. Their energy is not
//! that of the engine behind them.

use joulemark_meter::pids_are_the_hosts;

use crate::host::Host;
use crate::processes::stat_of;

/// The kernel truncates the name of a program to this length.
const MAX_NAME_BYTES: usize = 15;

const INIT: u32 = 1;
const SERVICE_MANAGER: &str = "systemd";

/// Names of programs: container runtimes and virtual machines, tunnels, relays, reverse proxies, gateways for LLM
/// servers, service managers.
const FORWARDS: &[&str] = &[
    "conmon",
    "containerd",
    "containerd-shim",
    "containerd-shim-runc-v2",
    "docker",
    "docker-proxy",
    "dockerd",
    "gvproxy",
    "incusd",
    "k3s-agent",
    "k3s-server",
    "kube-proxy",
    "kubectl",
    "kubelite",
    "kubelet",
    "lxd",
    "nerdctl",
    "passt",
    "passt.avx2",
    "pasta",
    "pasta.avx2",
    "podman",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
    "vpnkit",
    "autossh",
    "bore",
    "chisel",
    "cloudflared",
    "dropbear",
    "frpc",
    "frps",
    "ngrok",
    "ssh",
    "sshd",
    "sshd-session",
    "tailscaled",
    "wstunnel",
    "inetd",
    "nc",
    "nc.openbsd",
    "nc.traditional",
    "ncat",
    "netcat",
    "redir",
    "rinetd",
    "socat",
    "stunnel",
    "stunnel4",
    "systemd-socket-proxyd",
    "xinetd",
    "apache2",
    "caddy",
    "cilium-agent",
    "cilium-envoy",
    "envoy",
    "haproxy",
    "httpd",
    "lighttpd",
    "linkerd2-proxy",
    "mitmdump",
    "mitmproxy",
    "nginx",
    "openresty",
    "pingora",
    "pound",
    "squid",
    "tinyproxy",
    "traefik",
    "varnishd",
    "litellm",
    SERVICE_MANAGER,
    "init",
];

/// Shells that run the scripts of units and containers.
const SHELLS: [&str; 6] = ["ash", "bash", "busybox", "dash", "sh", "zsh"];

/// Returns the program's name when the process is a forward; `None` otherwise, and for a process that cannot be read.
pub fn forward(host: &Host, pid: u32) -> Option<String> {
    let name = stat_of(host, pid).ok()?.name;
    if pid == INIT && pids_are_the_hosts(&host.proc_root.join("self/ns/pid")) {
        return Some(name);
    }
    let by_name = FORWARDS.iter().find(|known| truncated(known) == name);
    // A process can change its name. Its program file is only readable for the same user.
    let program = std::fs::read_link(host.proc_root.join(format!("{pid}/exe")));
    let by_program = || {
        let program = program.ok()?;
        let name = program.file_name()?.to_str()?;
        FORWARDS.iter().find(|known| **known == name)
    };
    by_name.or_else(by_program).map(|name| (*name).to_owned())
}

/// Returns whether the process is a service manager, which can hold a socket until it starts the service for it.
pub fn is_service_manager(host: &Host, pid: u32) -> bool {
    forward(host, pid).is_some_and(|name| pid == INIT || name == SERVICE_MANAGER)
}

/// Returns whether the process is a shell.
pub fn is_shell(host: &Host, pid: u32) -> bool {
    stat_of(host, pid).is_ok_and(|stat| SHELLS.contains(&stat.name.as_str()))
}

/// Returns a name as the kernel truncates it.
pub fn truncated(name: &str) -> &str {
    name.get(..MAX_NAME_BYTES).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::FakeHost;

    #[test]
    fn a_forward_is_recognised_by_its_full_or_truncated_name() {
        let fake = FakeHost::new();
        let names = ["docker-proxy", "containerd-shim", "systemd-socket-", "nginx", "sshd"];
        for (pid, name) in (100..).zip(names) {
            fake.process(pid, name, 1);
            assert!(forward(&fake.host(), pid).is_some(), "{name}");
        }
        for (pid, name) in (200..).zip(["vllm", "python3", "llama-server", "ollama", "nginx-llm"]) {
            fake.process(pid, name, 1);
            assert_eq!(forward(&fake.host(), pid), None, "{name}");
        }
        assert_eq!(forward(&fake.host(), 999), None);
    }

    #[test]
    fn a_renamed_forward_is_recognised_by_its_program() {
        let fake = FakeHost::new();
        fake.process(100, "exe", 1);
        fake.link("proc/100/exe", "/usr/bin/rootlesskit");
        assert_eq!(forward(&fake.host(), 100).as_deref(), Some("rootlesskit"));
    }

    #[test]
    fn the_first_process_is_an_engine_only_within_a_container() {
        let fake = FakeHost::new();
        fake.process(1, "vllm", 0);
        assert!(is_service_manager(&fake.host(), 1));
        fake.pid_namespace("pid:[4026532201]");
        assert_eq!(forward(&fake.host(), 1), None);
    }
}
