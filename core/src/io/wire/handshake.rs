//! TLS brought up by a thread that may wait, because the key signs through a callback.

use std::io;
use std::mem::MaybeUninit;
use std::time::Instant;

use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Wire, decrypt};
use crate::io::carrier::READ_SIZE;
use crate::io::cause::{Cause, Fault};

impl Wire {
    /// Blocks until TLS has verified the peer, or `until`. For sockets of ours alone.
    pub(in crate::io) fn secure(&mut self, until: Instant) -> Result<(), Fault> {
        let mut scratch = [MaybeUninit::<u8>::uninit(); READ_SIZE];
        loop {
            let blocked = self.write_records()?;
            if self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking()) {
                // What is left of our last flight goes as everything else does.
                return Ok(());
            }
            self.wait(blocked, until)?;
            let mut taken = BytesMut::new();
            let received = match self.carrier.receive(&mut scratch, &mut taken) {
                Ok([]) => {
                    let text = format!("{}: closed by the peer during the TLS handshake", self.peer);
                    return Err(Fault::new(Cause::ClosedByHub, text));
                }
                Ok(received) => received,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(error) => return Err(Fault::io(&self.peer, &error)),
            };
            let Some(tls) = &mut self.tls else { return Ok(()) };
            if let Err(error) = decrypt(tls, received, &mut self.incoming) {
                // The alert that says what was wrong, if it can leave at once.
                let _ = tls.write_tls(&mut self.carrier);
                return Err(Fault::tls(&self.peer, &error));
            }
        }
    }

    /// Returns whether the socket takes no more.
    fn write_records(&mut self) -> Result<bool, Fault> {
        let Some(tls) = &mut self.tls else { return Ok(false) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.carrier) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(Fault::io(&self.peer, &error)),
            }
        }
        Ok(false)
    }

    fn wait(&self, for_room: bool, until: Instant) -> Result<(), Fault> {
        let Some(socket) = self.socket() else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        let late = || Fault::new(Cause::ConnectTimeout, format!("{}: no time left for TLS", self.peer));
        if left.is_zero() {
            return Err(late());
        }
        let flags = if for_room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(socket, flags)], Some(&left)) {
            Ok(0) => Err(late()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Fault::io(&self.peer, &errno.into())),
        }
    }
}
