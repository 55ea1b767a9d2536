//! Options of the way to the peer: transport, proxy, local address and interface.

use std::net::IpAddr;
use std::time::Duration;

use super::{Tuning, within};
use crate::error::{Error, Result};
use crate::io::{Proxy, ProxyRule, Via};

/// What carries MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// MQTT over TLS, by default on port 8883.
    #[default]
    Mqtt,
    /// MQTT in a WebSocket over TLS, by default on port 443, for networks that let nothing else out.
    WebSocket,
}

impl Transport {
    const fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 8883,
            Self::WebSocket => 443,
        }
    }
}

/// Where IoT Hub's WebSocket is.
pub(super) const WEBSOCKET_PATH: &str = "/$iothub/websocket";

impl Tuning {
    /// What carries MQTT; it decides the port unless [`Tuning::set_port`] does. Default
    /// [`Transport::Mqtt`].
    pub fn set_transport(&mut self, transport: Transport) {
        self.transport = transport;
    }

    /// An HTTP proxy that is asked to CONNECT: `http://[user[:password]@]host[:port]`, port 80 unless
    /// given, user and password percent-encoded and sent as Basic authentication (RFC 7617), in clear.
    /// `None`, the default: no proxy. The proxy resolves the name of the peer.
    ///
    /// # Errors
    /// `Unsupported` for `https://` and SOCKS proxies, else `Argument`; the text repeats nothing of `url`.
    pub fn set_proxy(&mut self, url: Option<&str>) -> Result<()> {
        self.proxy = url.map(Proxy::parse).transpose()?.map(ProxyRule::always);
        Ok(())
    }

    /// The proxy that the environment names, as curl reads it: the variables `https_proxy`, else
    /// `all_proxy`, and `no_proxy` with names (each standing for all below it), addresses, ranges such
    /// as `10.0.0.0/8`, or `*`; each also in upper case, the lower-case form first. They are read now;
    /// the host that is dialled is compared when the client is made. Without such a variable: no proxy.
    ///
    /// # Errors
    /// As [`Tuning::set_proxy`], naming the variable.
    pub fn set_proxy_from_environment(&mut self) -> Result<()> {
        self.proxy = ProxyRule::from_environment(|name| std::env::var(name).ok())?;
        Ok(())
    }

    /// The address of this machine to connect from: an IPv4 or IPv6 literal. Addresses of the peer of
    /// the other family are not tried. By default the system chooses.
    pub fn set_local_address(&mut self, address: &str) -> Result<()> {
        let address: IpAddr = address
            .parse()
            .map_err(|_| Error::argument("local_address", "must be an IPv4 or IPv6 address, without port"))?;
        if address.is_unspecified() || address.is_multicast() {
            return Err(Error::argument("local_address", "must be the address of one interface"));
        }
        self.bind.address = Some(address);
        Ok(())
    }

    /// The interface to connect through, as in `ip link` (Linux's `SO_BINDTODEVICE`): 1 to 15 bytes. A
    /// process without `CAP_NET_RAW` needs Linux 5.7. Name lookups go their own way. By default the
    /// routes decide.
    pub fn set_interface(&mut self, name: &str) -> Result<()> {
        let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if !(1..=15).contains(&name.len()) || !name.bytes().all(legal) || matches!(name, "." | "..") {
            return Err(Error::argument("interface", "must be 1 to 15 bytes, without white space and '/'"));
        }
        self.bind.interface = Some(name.to_owned());
        Ok(())
    }

    /// How long the socket may take no byte while some wait to go: 1 s to 600 s, default 30 s.
    pub fn set_stall_timeout(&mut self, seconds: u64) -> Result<()> {
        self.stall_timeout = Duration::from_secs(within("stall_timeout", seconds, 1, 600)?);
        Ok(())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(self.transport.default_port())
    }

    /// The way to `host`.
    pub(crate) fn via(&self, host: &str) -> Via {
        let proxy = self.proxy.as_ref().and_then(|rule| rule.for_host(host)).cloned();
        Via { proxy, bind: self.bind.clone() }
    }

    pub(crate) fn websocket_path(&self) -> Option<String> {
        (self.transport == Transport::WebSocket).then(|| self.websocket_path.to_string())
    }
}

/// A path that may be put into a request as it is.
pub(super) fn check_path(path: &str) -> Result<()> {
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        let rule = "begins with '/' and holds visible ASCII without '#' (percent-encode the rest)";
        return Err(Error::argument("websocket_path", rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_transport_decides_the_port_unless_it_was_set() {
        let mut tuning = Tuning::default();
        assert_eq!(tuning.port(), 8883);
        assert_eq!(tuning.websocket_path(), None);
        tuning.set_transport(Transport::WebSocket);
        assert_eq!(tuning.port(), 443);
        assert_eq!(tuning.websocket_path().unwrap(), "/$iothub/websocket");
        tuning.set_port(8883).unwrap();
        assert_eq!(tuning.port(), 8883);
    }

    #[test]
    fn ranges() {
        let mut tuning = Tuning::default();
        for address in ["127.0.0.1", "::1", "2001:db8::7"] {
            tuning.set_local_address(address).unwrap();
        }
        for address in ["", "localhost", "127.0.0.1:80", "[::1]", "0.0.0.0", "::", "224.0.0.1", "fe80::1%lo"]
        {
            let error = tuning.set_local_address(address).unwrap_err();
            assert!(error.detail().starts_with("local_address: must be "), "{address}: {error}");
        }
        for name in ["lo", "wwan0.100", "123456789012345"] {
            tuning.set_interface(name).unwrap();
        }
        for name in ["", "1234567890123456", "a b", "a/b", ".", "..", "caf\u{e9}", "a\0"] {
            let error = tuning.set_interface(name).unwrap_err();
            assert!(error.detail().starts_with("interface: must be "), "{name}: {error}");
        }
        for seconds in [0, 601, u64::MAX] {
            let error = tuning.set_stall_timeout(seconds).unwrap_err();
            assert_eq!(error.detail(), format!("stall_timeout: {seconds} is not in 1..=600"));
        }
        tuning.set_stall_timeout(1).unwrap();
        tuning.set_stall_timeout(600).unwrap();
        assert_eq!(tuning.via("localhost").bind.interface.as_deref(), Some("123456789012345"));
    }

    #[test]
    fn a_proxy_that_is_refused_leaves_the_one_before() {
        let mut tuning = Tuning::default();
        tuning.set_proxy(Some("http://me:secret@proxy.corp:3128")).unwrap();
        tuning.set_proxy(Some("https://proxy.corp")).unwrap_err();
        let proxy = tuning.via("hub.example.com").proxy.unwrap();
        assert!(format!("{proxy:?}").contains("proxy.corp"));
        assert!(!format!("{tuning:?}").contains("secret"));
        tuning.set_proxy(None).unwrap();
        assert!(tuning.via("hub.example.com").proxy.is_none());
    }

    #[test]
    fn paths() {
        for path in ["/", "/mqtt", WEBSOCKET_PATH, "/a%20b?c=d"] {
            check_path(path).unwrap();
        }
        for path in ["", "mqtt", "/a b", "/a\r\nX: y", "/a#b", "/caf\u{e9}"] {
            check_path(path).unwrap_err();
        }
    }
}
