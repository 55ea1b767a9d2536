//! What carries the bytes of a connection.

use std::fmt;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::BytesMut;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

/// What one call of `recv` may bring.
pub(super) const READ_SIZE: usize = 16 * 1024;

/// What carries the bytes.
#[derive(Debug)]
pub enum Carrier {
    /// A connected, non-blocking socket of ours.
    Socket(Arc<OwnedFd>),
    /// A connected, non-blocking socket that somebody else closes, after this wire is gone.
    Borrowed(BorrowedFd<'static>),
    /// Two queues that the host fills and empties, for a TLS that is not ours.
    Queues(Queues),
}

/// Bytes that came, and bytes to go.
#[derive(Default)]
pub struct Queues {
    pub incoming: BytesMut,
    pub outgoing: BytesMut,
    /// Nothing will come any more.
    pub ended: bool,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues")
            .field("incoming", &self.incoming.len())
            .field("outgoing", &self.outgoing.len())
            .field("ended", &self.ended)
            .finish()
    }
}

impl Carrier {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Socket(socket) => Some(socket.as_fd()),
            Self::Borrowed(fd) => Some(*fd),
            Self::Queues(_) => None,
        }
    }

    /// `scratch` and `taken` hold what is returned, the one for a socket and the other for queues.
    pub(super) fn receive<'a>(
        &mut self,
        scratch: &'a mut [MaybeUninit<u8>; READ_SIZE],
        taken: &'a mut BytesMut,
    ) -> io::Result<&'a [u8]> {
        if let Self::Queues(queues) = self {
            *taken = queues.incoming.split();
            return if taken.is_empty() && !queues.ended {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(taken)
            };
        }
        let Some(fd) = self.fd() else { return Err(io::ErrorKind::NotConnected.into()) };
        let ((received, _), _) = rustix::net::recv(fd, &mut scratch[..], RecvFlags::empty())?;
        Ok(received)
    }
}

/// Writes never raise SIGPIPE: the host program's signals are its own.
impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Self::Queues(queues) = self {
            slices.iter().for_each(|slice| queues.outgoing.extend_from_slice(slice));
            return Ok(slices.iter().map(|slice| slice.len()).sum());
        }
        let Some(fd) = self.fd() else { return Err(io::ErrorKind::NotConnected.into()) };
        loop {
            let mut none = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(fd, slices, &mut none, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return Ok(sent?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
