//! From where a connection goes out: an address or an interface of this machine.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net;
use socket2::SockRef;

use super::cause::{Cause, Fault};

/// What a socket is bound to before it connects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bind {
    pub address: Option<IpAddr>,
    /// As in `ip link`.
    pub interface: Option<String>,
}

impl Bind {
    /// Why `peer` is not to be tried at all.
    pub(super) fn excludes(&self, peer: SocketAddr) -> Option<Fault> {
        let address = self.address.filter(|address| address.is_ipv4() != peer.is_ipv4())?;
        let detail = format!("{peer}: not tried, the local address {address} is of the other family");
        Some(Fault::new(Cause::Unreachable, detail))
    }

    /// Binds `socket`, which is to connect to `peer`.
    pub(super) fn apply(&self, socket: &OwnedFd, peer: SocketAddr) -> Result<(), Fault> {
        if let Some(name) = &self.interface {
            SockRef::from(socket).bind_device(Some(name.as_bytes())).map_err(|error| {
                let (cause, text) = match Errno::from_io_error(&error) {
                    Some(Errno::NODEV) => (Cause::Unreachable, "there is no such interface".to_owned()),
                    Some(Errno::PERM | Errno::ACCESS) => {
                        (Cause::Network, "the system does not permit it (CAP_NET_RAW is needed)".to_owned())
                    }
                    _ => (Cause::Network, error.to_string()),
                };
                Fault::new(cause, format!("{peer}: cannot bind to the interface {name}: {text}"))
            })?;
        }
        if let Some(address) = self.address {
            net::bind(socket, &SocketAddr::new(address, 0)).map_err(|errno| {
                let error = std::io::Error::from(errno);
                let cause = Fault::io("", &error).cause;
                Fault::new(cause, format!("{peer}: cannot bind to the local address {address}: {error}"))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{Ipv4Addr, Ipv6Addr};

    use rustix::net::{AddressFamily, SocketType};

    use super::*;

    fn peer() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 8883))
    }

    fn socket() -> OwnedFd {
        net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()
    }

    #[test]
    fn an_address_of_this_machine() {
        let bind = Bind { address: Some(Ipv4Addr::new(127, 0, 0, 3).into()), ..Bind::default() };
        let socket = socket();
        bind.apply(&socket, peer()).unwrap();
        let name: SocketAddr = net::getsockname(&socket).unwrap().try_into().unwrap();
        assert_eq!(Some(name.ip()), bind.address);
        assert!(bind.excludes(peer()).is_none());
        let other = bind.excludes((Ipv6Addr::LOCALHOST, 8883).into()).unwrap();
        assert!(other.detail.contains("127.0.0.3 is of the other family"), "{other}");
    }

    #[test]
    fn an_address_of_another_machine() {
        let bind = Bind { address: Some(Ipv4Addr::new(192, 0, 2, 1).into()), ..Bind::default() };
        let fault = bind.apply(&socket(), peer()).unwrap_err();
        assert_eq!(fault.cause, Cause::Unreachable);
        assert!(
            fault.detail.contains("127.0.0.1:8883: cannot bind to the local address 192.0.2.1"),
            "{fault}"
        );
    }

    #[test]
    fn an_interface() {
        let bind = |name: &str| Bind { interface: Some(name.to_owned()), ..Bind::default() };
        let fault = bind("no-such-link").apply(&socket(), peer()).unwrap_err();
        assert!(fault.detail.contains("cannot bind to the interface no-such-link: "), "{fault}");
        // A kernel that asks for CAP_NET_RAW does so before it looks for the interface.
        let permitted = fault.detail.ends_with("there is no such interface");
        assert!(permitted || fault.detail.contains("CAP_NET_RAW"), "{fault}");
        let socket = socket();
        if permitted {
            bind("lo").apply(&socket, peer()).unwrap();
            assert_eq!(SockRef::from(&socket).device().unwrap().unwrap(), b"lo\0"[..2]);
        }
    }
}
