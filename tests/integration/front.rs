//! nginx or Caddy in front of a server, with the files of `deploy/` in which only paths and ports are replaced: a process
//! of the test's own, a port that was free, a certificate made for it.

mod bare;
mod caddy;
pub mod certificate;
mod nginx;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;

pub use bare::Bare;

use crate::guarded::Guarded;
use crate::installed;
use certificate::Certificate;

/// Where a Prometheus runs that the proxies' files name.
pub const PROMETHEUS: &str = "127.0.0.3";
/// The name in the files of `deploy/`, which is left as it is.
pub const HOST: &str = "gpubox.example.org";
/// Who has a password at the proxy.
pub const USER: &str = "grace";
pub const PASSWORD: &str = "correct horse";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    Nginx,
    Caddy,
}

/// How the proxy knows its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Basic,
    /// An identity provider at this address.
    Provider(SocketAddr),
}

pub struct Front {
    pub proxy: Proxy,
    /// With the prefix, without a slash at the end.
    pub url: String,
    pub address: SocketAddr,
    pub client: reqwest::Client,
    pub guarded: Guarded,
    pub folder: TempDir,
    process: Child,
}

/// Where the parts of a configuration are, for the proxy's own file to be rewritten.
struct Scene<'a> {
    folder: &'a Path,
    socket: &'a Path,
    certificate: &'a Certificate,
    port: u16,
    identity: Identity,
}

impl Proxy {
    /// Returns both proxies.
    ///
    /// # Panics
    /// Panics when one is not installed, with the package to install.
    pub fn installed() -> [Self; 2] {
        for (program, package) in [("nginx", "nginx-light"), ("caddy", "caddy"), ("openssl", "openssl")] {
            installed(program, package);
        }
        [Self::Nginx, Self::Caddy]
    }
}

impl Front {
    pub fn start(proxy: Proxy, options: &[&str]) -> Self {
        Self::start_with(proxy, Identity::Basic, options)
    }

    pub fn start_with(proxy: Proxy, identity: Identity, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("http.sock");
        let listen = format!("unix:{}", socket.display());
        let mut all = vec!["--listen", &listen, "--trusted-proxy", "unix"];
        all.extend(["--identity-header", "X-Remote-User"]);
        all.extend(options);
        let guarded = Guarded::start(&all);
        let certificate = Certificate::make(HOST, folder.path());
        let (process, address) = start_on_a_free_port(|port| {
            let scene = Scene {
                folder: folder.path(),
                socket: &socket,
                certificate: &certificate,
                port,
                identity,
            };
            match proxy {
                Proxy::Nginx => nginx::command(&scene),
                Proxy::Caddy => caddy::command(&scene),
            }
        });
        Self {
            proxy,
            url: format!("https://{HOST}:{}/joulemark", address.port()),
            address,
            client: client(&certificate, address),
            guarded,
            folder,
            process,
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// As the user who has a password.
    pub fn by_user(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).basic_auth(USER, Some(PASSWORD))
    }

    /// What the proxy says of itself, for a test that fails.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("proxy.log")).unwrap_or_default()
    }

    /// The authority that the proxy's certificate is from, for other programs.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{:?} says: {}", self.proxy, self.log());
        }
        end(&mut self.process);
    }
}

/// In order: SIGTERM has nginx take its workers along, which SIGKILL would leave behind.
fn end(process: &mut Child) {
    if let Ok(None) = process.try_wait() {
        let _ = kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM);
    }
    let _ = process.wait();
}

fn client(certificate: &Certificate, address: SocketAddr) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(&certificate.authority).expect("a certificate");
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve(HOST, address)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client")
}

/// Another program may take the port between our looking and the proxy's: then again with another.
fn start_on_a_free_port(command: impl Fn(u16) -> Command) -> (Child, SocketAddr) {
    for _ in 0..5 {
        let port = free_port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut process = command(port).stdin(Stdio::null()).spawn().expect("the proxy starts");
        for _ in 0..400 {
            if process.try_wait().expect("it is ours").is_some() {
                break;
            }
            if TcpStream::connect(address).is_ok() {
                return (process, address);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        end(&mut process);
    }
    panic!("the proxy does not listen; its log is in proxy.log of its folder");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// One of the files that are tested, with each `(old, new)` replaced, each of which must be there.
fn rewritten(file: &str, replacements: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    let mut text = std::fs::read_to_string(&path).expect("the file is there");
    for (old, new) in replacements {
        assert!(text.contains(old), "{old:?} is not in deploy/{file}");
        text = text.replace(old, new);
    }
    text
}
