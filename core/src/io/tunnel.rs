//! The way through an HTTP proxy: CONNECT and its answer, over a socket that is connected to the proxy.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::cause::{Cause, Fault};
use super::http_head::Head;
use super::interest::Interest;
use super::proxy::Proxy;

/// One CONNECT. The bytes after the proxy's answer are the target's, and are left in the socket.
pub(super) struct Tunnel {
    /// `proxy host:port`, for texts.
    proxy: String,
    /// `host:port`
    target: String,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    has_credentials: bool,
}

/// The request holds credentials.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("proxy", &self.proxy)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Both names are `host:port`.
    pub(super) fn new(proxy: &Proxy, name: &str, target: &str) -> Self {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &proxy.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        Self {
            proxy: name.to_owned(),
            target: target.to_owned(),
            request: request.into_bytes(),
            sent: 0,
            answer: Vec::new(),
            has_credentials: proxy.authorization.is_some(),
        }
    }

    pub(super) fn want(&self) -> Interest {
        if self.sent < self.request.len() { Interest::WRITE } else { Interest::READ }
    }

    /// Goes as far as possible without waiting. Returns whether the socket leads to the target now.
    pub(super) fn advance(&mut self, socket: &OwnedFd) -> Result<bool, Fault> {
        while self.sent < self.request.len() {
            match send(socket, &self.request[self.sent..], SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(self.broken(errno)),
            }
        }
        let mut scratch = [MaybeUninit::<u8>::uninit(); 2048];
        loop {
            // Looked at first: only the bytes that belong to the answer are taken.
            let received = match recv(socket, &mut scratch[..], RecvFlags::PEEK) {
                Ok(((received, _), _)) => received,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(self.broken(errno)),
            };
            if received.is_empty() {
                return Err(self.fault("closed the connection before it answered CONNECT"));
            }
            let (before, count) = (self.answer.len(), received.len());
            self.answer.extend_from_slice(received);
            let head = Head::parse(&self.answer).map_err(|what| self.fault(&format!("sent {what}")))?;
            let taken = head.as_ref().map_or(count, |head| head.length.saturating_sub(before));
            match recv(socket, &mut scratch[..taken], RecvFlags::empty()) {
                Ok(_) => {}
                Err(errno) => return Err(self.broken(errno)),
            }
            if let Some(head) = head {
                return self.judge(&head);
            }
        }
    }

    fn judge(&self, head: &Head) -> Result<bool, Fault> {
        let Self { target, .. } = self;
        let text = match head.status {
            200..=299 => return Ok(true),
            407 => self.unauthorized(head),
            403 => format!("does not allow connections to {target}"),
            500..=599 => format!("cannot reach {target}"),
            _ => format!("refuses to connect to {target}"),
        };
        Err(self.fault(&format!("{text} (it answered {})", head.answer())))
    }

    fn unauthorized(&self, head: &Head) -> String {
        let schemes: Vec<&str> = head
            .values("proxy-authenticate")
            .filter_map(|value| value.split_whitespace().next())
            .take(4)
            .collect();
        if !schemes.is_empty() && !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
            return format!("asks for authentication by {}; only Basic is offered", schemes.join(" or "));
        }
        match self.has_credentials {
            true => "does not take the user name and password of its URL".to_owned(),
            false => "asks for a user name and a password: give them in its URL".to_owned(),
        }
    }

    /// The time is over.
    pub(super) fn late(&self, limit: Duration) -> Fault {
        self.fault(&format!("did not answer CONNECT within {:.1} s", limit.as_secs_f64()))
    }

    fn broken(&self, errno: Errno) -> Fault {
        self.fault(&format!(
            "broke the connection before it answered CONNECT: {}",
            std::io::Error::from(errno)
        ))
    }

    fn fault(&self, text: &str) -> Fault {
        Fault::new(Cause::Proxy, format!("{} {text}", self.proxy))
    }
}

#[cfg(test)]
mod tests;
