//! One attempt at a TCP connection, to one address.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::seconds;
use crate::io::bind::Bind;
use crate::io::cause::{Cause, Fault};

/// A connection in progress.
#[derive(Debug)]
pub(super) struct Attempt {
    pub socket: Arc<OwnedFd>,
    pub address: SocketAddr,
    pub since: Instant,
    pub until: Instant,
}

/// Starts to connect; the outcome comes with [`is_connected`].
pub(super) fn connect(address: SocketAddr, bind: &Bind) -> Result<OwnedFd, Fault> {
    if let Some(fault) = bind.excludes(address) {
        return Err(fault);
    }
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)
        .and_then(|socket| sockopt::set_tcp_nodelay(&socket, true).map(|()| socket))
        .map_err(|errno| refusal(address, errno))?;
    bind.apply(&socket, address)?;
    match net::connect(&socket, &address) {
        // An interrupted connect goes on in the background as well.
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(errno) => Err(refusal(address, errno)),
    }
}

/// `false` while the connection is still in progress.
pub(super) fn is_connected(socket: &OwnedFd) -> rustix::io::Result<bool> {
    sockopt::socket_error(socket)??;
    let peer = match net::getpeername(socket) {
        Ok(peer) => peer,
        Err(Errno::NOTCONN) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    // TCP lets a socket that tries a free port of its own machine connect to itself.
    if peer == Some(net::getsockname(socket)?) { Err(Errno::CONNREFUSED) } else { Ok(true) }
}

pub(super) fn no_answer(address: SocketAddr, after: Duration) -> Fault {
    Fault::new(Cause::ConnectTimeout, format!("{address}: no answer in {}", seconds(after)))
}

pub(super) fn refusal(address: SocketAddr, errno: Errno) -> Fault {
    let fault = Fault::io(&address.to_string(), &errno.into());
    match errno {
        Errno::TIMEDOUT => Fault { cause: Cause::ConnectTimeout, ..fault },
        // The kernel was built or started without IPv6.
        Errno::AFNOSUPPORT => Fault { cause: Cause::Unreachable, ..fault },
        _ => fault,
    }
}
