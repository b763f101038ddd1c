use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Proxy, end, start_on_a_free_port};

/// A proxy that was set up with little more than where to pass requests to.
pub struct Bare {
    pub address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Bare {
    /// nginx with `lines` in its `location`; Caddy needs none, and takes none.
    pub fn start(proxy: Proxy, server: &str, lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (process, address) = start_on_a_free_port(|port| match proxy {
            Proxy::Nginx => nginx(&folder, port, server, lines),
            Proxy::Caddy => caddy(&folder, port, server),
        });
        Self {
            address,
            process,
            _folder: folder,
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn nginx(folder: &TempDir, port: u16, server: &str, lines: &str) -> Command {
    let at = folder.path().display();
    let config = format!(
        "daemon off; pid {at}/nginx.pid; error_log {at}/proxy.log; events {{ worker_connections 64; }}
         http {{
             access_log off;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {server}; {lines} }} }}
         }}"
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config).expect("it is written");
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(file)
        .arg("-e")
        .arg(folder.path().join("proxy.log"))
        .arg("-p")
        .arg(folder.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn caddy(folder: &TempDir, port: u16, server: &str) -> Command {
    let address = server.strip_prefix("http://").expect("an address");
    let config = format!("{{\n\tadmin off\n}}\nhttp://:{port} {{\n\tbind 127.0.0.1\n\treverse_proxy {address}\n}}\n");
    let file = folder.path().join("Caddyfile");
    std::fs::write(&file, config).expect("it is written");
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    for home in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(home, folder.path());
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}
