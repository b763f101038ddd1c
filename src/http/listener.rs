//! Sources of connections: a TCP port, or a Unix socket that only some programs of this host may use.

use std::fs::{File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as BlockingAddress, UnixStream as BlockingStream};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::access::Peer;
use crate::config::Listen;

/// A connection of a client.
pub type Stream = Either<TcpStream, UnixStream>;

/// Mode of the socket: its owner and its group may connect. The group is that of the folder if it has the set-group-ID
/// bit.
const SOCKET_MODE: u32 = 0o660;
/// Maximum number of connections that the kernel queues; it lowers this to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub enum Listener {
    Port(TcpListener),
    Socket(UnixListener, SocketFile),
}

/// The file of a Unix socket, removed with the listener so that clients fail at once instead of waiting.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Listener {
    /// Binds the configured port or socket.
    ///
    /// # Errors
    /// Returns the error of the operating system; `AddrInUse` if another server already listens there.
    pub fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Address(address) => bind_port(*address).map(Self::Port),
            Listen::Socket(path) => {
                remove_stale_socket(path)?;
                bind_socket(path)
            }
        }
    }

    /// Returns the address for clients, with the actual port if port 0 was configured.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn address(&self) -> io::Result<String> {
        match self {
            Self::Port(listener) => listener.local_addr().map(|address| format!("http://{address}")),
            Self::Socket(_, SocketFile(path)) => Ok(format!("unix:{}", path.display())),
        }
    }

    /// Accepts the next connection.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Port(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are small and complete; waiting for more data would only delay them.
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), Peer::Address(address)))
            }
            Self::Socket(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), Peer::Socket))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already together with its folder.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds a TCP port.
fn bind_port(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A port can be bound again at once after its last server stopped.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Creates the socket in a private folder, and links it to its path once it has its mode, so that it never appears
/// there with another mode. Changing the umask instead would affect all threads.
fn bind_socket(path: &Path) -> io::Result<Listener> {
    // Checks that clients can use the path; the temporary path may be longer.
    BlockingAddress::from_pathname(path)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let private = tempfile::Builder::new()
        .prefix(".joulemark-socket-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let folder = File::open(private.path())?;
    // A new folder inherits the set-group-ID bit, and the socket inherits the group.
    let made = PathBuf::from(format!("/proc/self/fd/{}/socket", folder.as_raw_fd()));
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, Permissions::from_mode(SOCKET_MODE))?;
    // Unlike a rename, a hard link replaces nothing.
    match std::fs::hard_link(private.path().join("socket"), path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(io::ErrorKind::AddrInUse.into()),
        linked => linked.map(|()| Listener::Socket(listener, SocketFile(path.to_owned()))),
    }
}

/// Removes the socket of a server that is no longer running. Any other file stays, and a socket that answers belongs to
/// another server.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?.file_type().is_socket(),
    };
    if !is_socket {
        let message = "there is a file with that name, and it is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match BlockingStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_open_to_its_owner_and_group_and_removed_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listen = Listen::Socket(path.clone());
        let listener = Listener::bind(&listen).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, SOCKET_MODE);
        assert_eq!(listener.address().unwrap(), format!("unix:{}", path.display()));
        let second = Listener::bind(&listen).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_its_folders_group_from_its_first_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let seen = path.clone();
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let watcher = std::thread::spawn(move || {
            let mut modes = std::collections::BTreeSet::new();
            while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                if let Ok(metadata) = seen.symlink_metadata() {
                    modes.insert(metadata.mode() & 0o7777);
                }
            }
            modes
        });
        for _ in 0..200 {
            drop(Listener::bind(&Listen::Socket(path.clone())).unwrap());
        }
        over.send(()).unwrap();
        let modes = watcher.join().unwrap();
        assert!(modes.iter().all(|mode| *mode == SOCKET_MODE), "{modes:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn a_link_or_a_pipe_in_the_sockets_place_is_neither_followed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("elsewhere", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["link", "pipe"] {
            let refused = Listener::bind(&Listen::Socket(path(name))).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{name}");
        }
        assert!(!path("elsewhere").exists());
        let long = folder.path().join("x".repeat(120));
        assert!(
            Listener::bind(&Listen::Socket(long)).is_err(),
            "no client could name it"
        );
    }

    #[tokio::test]
    async fn only_a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listen = Listen::Socket(path.clone());
        // The standard library leaves the file behind, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind(&listen).unwrap());
        std::fs::write(&path, "notes").unwrap();
        let refused = Listener::bind(&listen).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
    }
}
