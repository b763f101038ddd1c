//! Where connections come from: a port, or a socket in the file system that only some of this host's programs may use.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::access::Peer;
use crate::config::Listen;

pub type Stream = Either<TcpStream, UnixStream>;

/// Its owner and its group may connect; the group is the folder's where that has the set-group-ID bit.
const SOCKET_MODE: u32 = 0o660;
/// Connections that the kernel holds until they are accepted; it lowers this to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub enum Listener {
    Port(TcpListener),
    Socket(UnixListener, SocketFile),
}

/// Gone with the listener, so that nobody waits at a door that is never opened again.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Listener {
    /// # Errors
    /// The operating system's; `AddrInUse` where another server listens already.
    pub fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Address(address) => bind_port(*address).map(Self::Port),
            Listen::Socket(path) => {
                remove_what_a_dead_server_left(path)?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
                Ok(Self::Socket(listener, file))
            }
        }
    }

    /// Where clients find it, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> io::Result<String> {
        match self {
            Self::Port(listener) => listener.local_addr().map(|address| format!("http://{address}")),
            Self::Socket(_, SocketFile(path)) => Ok(format!("unix:{}", path.display())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Port(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are small and whole: waiting for more to send with them only makes them late.
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
        // It may be gone with its folder already.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn bind_port(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A server that was just stopped does not keep the port from the next one.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A file that is no socket is somebody's, and a socket that answers is another server's.
fn remove_what_a_dead_server_left(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?.file_type().is_socket(),
    };
    if !is_socket {
        let message = "there is a file of that name that is no socket";
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
    async fn a_socket_is_its_owners_and_its_groups_and_goes_with_its_listener() {
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
    async fn what_a_dead_server_left_is_taken_over_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listen = Listen::Socket(path.clone());
        // The standard library's leaves its file behind, as a process that was killed does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind(&listen).unwrap());
        std::fs::write(&path, "notes").unwrap();
        let refused = Listener::bind(&listen).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
    }
}
