//! Receives bytes together with the time at which the kernel received them (`SO_TIMESTAMPNS`, socket(7)), so that the
//! delay of a busy reader is known.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;
use std::time::Duration;

use joulemark_measurement::clock::since_wall_stamp;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// Size of the control buffer, in words of 8 bytes: a header of 16 bytes, a time of 16, and some spare room.
const CONTROL_WORDS: usize = 8;

/// The result of one call.
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Time from the arrival of the last byte to the end of the call; `None` where the kernel does not report it.
    pub(crate) lag: Option<Duration>,
}

/// Turns on arrival times for a socket.
///
/// # Errors
/// Returns the errors of setsockopt(2).
#[expect(
    unsafe_code,
    reason = "nix offers the option only with a dependency that nothing else needs"
)]
pub(crate) fn ask_for_times(socket: &TcpStream) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = mem::size_of_val(&on) as libc::socklen_t;
    // SAFETY: the option's value is an int that outlives the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            length,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Receives bytes into the free part of the buffer.
///
/// # Errors
/// Returns the errors of recvmsg(2), `WouldBlock` where no bytes are available.
#[expect(unsafe_code, reason = "recvmsg fills memory that is given by pointers")]
pub(crate) fn receive(socket: &TcpStream, into: &mut ReadBuf<'_>) -> io::Result<Received> {
    let mut control = MaybeUninit::<[u64; CONTROL_WORDS]>::uninit();
    // SAFETY: only the kernel writes to the slice, and nobody reads it before.
    let room = unsafe { into.unfilled_mut() };
    let mut piece = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    // SAFETY: zeros are a valid msghdr without buffers.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control) as _;
    // SAFETY: both buffers live until the call returns, and the lengths are correct.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let bytes = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel wrote that many bytes to the beginning of the free part.
    unsafe { into.assume_init(bytes) };
    into.advance(bytes);
    // SAFETY: the kernel has just filled in the message.
    let arrived = unsafe { arrival(&message) };
    let lag = arrived.and_then(since_wall_stamp);
    Ok(Received { bytes, lag })
}

/// Returns when the last byte of a message arrived, since the epoch.
///
/// # Safety
/// recvmsg(2) must have filled in the message, and its control buffer must still exist.
#[expect(unsafe_code, reason = "control messages are walked by pointers")]
unsafe fn arrival(message: &libc::msghdr) -> Option<Duration> {
    // SAFETY: guaranteed by the caller; a header is non-null only where the kernel wrote all of it.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: a message of this type contains a timespec, which may be unaligned.
    let time = unsafe { libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned() };
    duration(time)
}

fn duration(time: libc::timespec) -> Option<Duration> {
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}
