//! Programs that listen for others. Their energy is not that of the engine behind them.

use joulemark_meter::pids_are_the_hosts;

use crate::host::Host;
use crate::processes::stat_of;

/// The kernel cuts a program's name to these bytes.
const MAX_NAME_BYTES: usize = 15;

const INIT: u32 = 1;
const SERVICE_MANAGER: &str = "systemd";

/// Ports of containers and virtual machines, tunnels, relays, reverse proxies, gateways of LLM servers, service managers.
/// File names of the programs.
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

/// Shells that scripts of units and containers run in.
const SHELLS: [&str; 6] = ["ash", "bash", "busybox", "dash", "sh", "zsh"];

/// Returns the program's name where the process is a forward and no engine; `None` for any other, also for one that
/// cannot be read.
pub fn forward(host: &Host, pid: u32) -> Option<String> {
    let name = stat_of(host, pid).ok()?.name;
    if pid == INIT && pids_are_the_hosts(&host.proc_root.join("self/ns/pid")) {
        return Some(name);
    }
    let by_name = FORWARDS.iter().find(|known| cut(known) == name);
    // A process may call itself otherwise; its program can be read of the same user alone.
    let program = std::fs::read_link(host.proc_root.join(format!("{pid}/exe")));
    let by_program = || {
        let program = program.ok()?;
        let name = program.file_name()?.to_str()?;
        FORWARDS.iter().find(|known| **known == name)
    };
    by_name.or_else(by_program).map(|name| (*name).to_owned())
}

/// Tells whether the process starts others once somebody connects, and holds their sockets until then.
pub fn is_service_manager(host: &Host, pid: u32) -> bool {
    forward(host, pid).is_some_and(|name| pid == INIT || name == SERVICE_MANAGER)
}

/// Tells whether the process does nothing but run other programs.
pub fn is_shell(host: &Host, pid: u32) -> bool {
    stat_of(host, pid).is_ok_and(|stat| SHELLS.contains(&stat.name.as_str()))
}

/// Returns the name as the kernel keeps it.
pub fn cut(name: &str) -> &str {
    name.get(..MAX_NAME_BYTES).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::FakeHost;

    #[test]
    fn a_forward_is_known_by_its_name_cut_or_not() {
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
    fn a_forward_that_calls_itself_otherwise_is_known_by_its_program() {
        let fake = FakeHost::new();
        fake.process(100, "exe", 1);
        fake.link("proc/100/exe", "/usr/bin/rootlesskit");
        assert_eq!(forward(&fake.host(), 100).as_deref(), Some("rootlesskit"));
    }

    #[test]
    fn the_first_process_is_an_engine_within_a_container_alone() {
        let fake = FakeHost::new();
        fake.process(1, "vllm", 0);
        assert!(is_service_manager(&fake.host(), 1));
        fake.pid_namespace("pid:[4026532201]");
        assert_eq!(forward(&fake.host(), 1), None);
    }
}
