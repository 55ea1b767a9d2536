//! Which HTTP proxy a connection goes through: from a URL, or from the environment as curl reads it.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::dial::place;
use super::tls::server_name;
use crate::error::{Error, ErrorKind, Result};

const DEFAULT_PORT: u16 = 80;

/// An HTTP proxy that is asked to CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of Proxy-Authorization.
    pub(super) authorization: Option<String>,
}

/// Without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("credentials", &self.authorization.is_some())
            .finish()
    }
}

impl Proxy {
    /// `proxy host:port`
    pub(crate) fn words(&self) -> String {
        format!("proxy {}", place(&self.host, self.port))
    }

    /// `http://[user[:password]@]host[:port]`, user and password percent-encoded.
    ///
    /// # Errors
    /// `Unsupported` for another kind of proxy, else `Argument`. The text repeats nothing of `url`:
    /// a mistyped one has its password anywhere.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let refused = |rule: &str| Error::argument("proxy", rule);
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refused("begins with http://"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(unsupported("TLS to the proxy itself (https://)")),
            scheme if scheme.starts_with("socks") => return Err(unsupported("a SOCKS proxy")),
            _ => return Err(refused("begins with http://")),
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(refused(
                "holds a path, a query or a fragment; '/', '?' and '#' in a password are percent-encoded",
            ));
        }
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let authorization = user.map(basic).transpose()?;
        // The colons of IPv6 are inside the brackets.
        let colon = place.rfind(':').filter(|at| place.rfind(']').is_none_or(|bracket| bracket < *at));
        let (host, port) = match colon {
            Some(at) => (&place[..at], Some(&place[at + 1..])),
            None => (place, None),
        };
        if host.is_empty() {
            return Err(refused("has no host"));
        }
        if host.contains(':') && !host.starts_with('[') || server_name(host).is_err() {
            return Err(refused("its host is no DNS name and no address (IPv6 in brackets)"));
        }
        let port = match port {
            None | Some("") => DEFAULT_PORT,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                refused(
                    "its port is no number from 1 to 65535; ':' and '@' in a password are percent-encoded",
                )
            })?,
        };
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, authorization })
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("proxy: {what} is not offered; give an http:// proxy"))
}

/// RFC 7617.
fn basic(user: &str) -> Result<String> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let mut pair: Vec<u8> = percent_decode_str(user).collect();
    if pair.is_empty() || pair.contains(&b':') {
        return Err(Error::argument("proxy", "its user name is empty or holds a colon"));
    }
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    if pair.iter().any(u8::is_ascii_control) {
        return Err(Error::argument("proxy", "its user name or password holds a control character"));
    }
    Ok(format!("Basic {}", STANDARD.encode(pair)))
}

/// A proxy for every host but some.
#[derive(Debug, Clone)]
pub(crate) struct ProxyRule {
    proxy: Proxy,
    except: Vec<String>,
}

impl ProxyRule {
    /// For every host.
    pub(crate) fn always(proxy: Proxy) -> Self {
        Self { proxy, except: Vec::new() }
    }

    /// What the variables say, of which `get` gives the values. As with curl an empty one counts as
    /// absent, the lower-case form comes first, and `http://` may be left out.
    pub(crate) fn from_environment(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let first = |names: [&'static str; 2]| {
            let values = names.into_iter().filter_map(|name| Some((name, get(name)?)));
            values.into_iter().find(|(_, value)| !value.is_empty())
        };
        let named = first(["https_proxy", "HTTPS_PROXY"]).or_else(|| first(["all_proxy", "ALL_PROXY"]));
        let Some((name, url)) = named else { return Ok(None) };
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        let proxy = Proxy::parse(&url)
            .map_err(|error| Error::new(error.kind(), format!("{name}: {}", error.detail())))?;
        let except = first(["no_proxy", "NO_PROXY"]).map(|(_, list)| list).unwrap_or_default();
        let except = except.split([',', ' ']).filter(|one| !one.is_empty()).map(str::to_owned).collect();
        Ok(Some(Self { proxy, except }))
    }

    /// The proxy that leads to `host`, if it is not reached directly.
    pub(crate) fn for_host(&self, host: &str) -> Option<&Proxy> {
        let host =
            host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let direct = match host.parse() {
            Ok(address) => self.except.iter().any(|one| one == "*" || covers(one, address)),
            Err(_) => self.except.iter().any(|one| one == "*" || is_under(&host, one)),
        };
        (!direct).then_some(&self.proxy)
    }
}

/// `example.com` and `.example.com` both stand for that host and all below it.
fn is_under(host: &str, domain: &str) -> bool {
    let domain = domain.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
    let above = host.strip_suffix(&domain);
    !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// `range` is an address, or one with the number of bits that count: `192.0.2.0/24`.
fn covers(range: &str, address: IpAddr) -> bool {
    let (network, bits) = match range.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (range, Some(128)),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']').parse();
    let (Ok(network), Some(bits)) = (network, bits) else { return false };
    // The bits that differ, at the top of 128.
    let differ = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => return false,
    };
    differ == 0 || differ.leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn urls() {
        for (url, host, port, pair) in [
            ("http://proxy.corp", "proxy.corp", 80, None),
            ("HTTP://proxy.corp:3128/", "proxy.corp", 3128, None),
            ("http://192.0.2.7:8080", "192.0.2.7", 8080, None),
            ("http://[2001:db8::7]:8080", "2001:db8::7", 8080, None),
            ("http://[2001:db8::7]", "2001:db8::7", 80, None),
            ("http://proxy.corp:", "proxy.corp", 80, None),
            ("http://me@proxy.corp", "proxy.corp", 80, Some("me:")),
            ("http://me:pass:word@proxy.corp", "proxy.corp", 80, Some("me:pass:word")),
            ("http://CORP%5Cme:p%40ss%2F%3a%23@proxy.corp:1", "proxy.corp", 1, Some("CORP\\me:p@ss/:#")),
            ("http://me:p@ss@proxy.corp", "proxy.corp", 80, Some("me:p@ss")),
        ] {
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{url}");
            let sent = proxy.authorization.map(|value| STANDARD.decode(&value["Basic ".len()..]).unwrap());
            assert_eq!(sent, pair.map(|pair| pair.as_bytes().to_vec()), "{url}");
        }
    }

    #[test]
    fn urls_that_are_refused_repeat_no_secret() {
        for (url, kind, part) in [
            ("", ErrorKind::Argument, "begins with http://"),
            ("proxy.corp:3128", ErrorKind::Argument, "begins with http://"),
            ("ftp://proxy.corp", ErrorKind::Argument, "begins with http://"),
            ("https://me:secret@proxy.corp", ErrorKind::Unsupported, "TLS to the proxy itself"),
            ("socks5h://me:secret@proxy.corp", ErrorKind::Unsupported, "SOCKS"),
            ("http://", ErrorKind::Argument, "has no host"),
            ("http://me:secret@", ErrorKind::Argument, "has no host"),
            ("http://:8080", ErrorKind::Argument, "has no host"),
            ("http://me:sec/secret@proxy.corp", ErrorKind::Argument, "percent-encoded"),
            ("http://proxy.corp/path", ErrorKind::Argument, "holds a path"),
            ("http://proxy.corp?secret", ErrorKind::Argument, "holds a path"),
            ("http://me:secret", ErrorKind::Argument, "port"),
            ("http://proxy.corp:0", ErrorKind::Argument, "port"),
            ("http://proxy.corp:65536", ErrorKind::Argument, "port"),
            ("http://2001:db8::7", ErrorKind::Argument, "brackets"),
            ("http://pro xy", ErrorKind::Argument, "host"),
            ("http://prox\u{e9}", ErrorKind::Argument, "host"),
            ("http://:secret@proxy.corp", ErrorKind::Argument, "user name is empty"),
            ("http://a%3Ab:secret@proxy.corp", ErrorKind::Argument, "colon"),
            ("http://me:secret%0A@proxy.corp", ErrorKind::Argument, "control"),
        ] {
            let error = Proxy::parse(url).unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(error.detail().starts_with("proxy: ") && error.detail().contains(part), "{url}: {error}");
            assert!(!error.detail().contains("secret"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_credentials() {
        let proxy = Proxy::parse("http://me:secret@proxy.corp").unwrap();
        let shown = format!("{:?}", ProxyRule::always(proxy.clone()));
        assert!(shown.contains("proxy.corp"), "{shown}");
        for hidden in ["secret", "me:", proxy.authorization.as_ref().unwrap()] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    fn rule(variables: &[(&str, &str)]) -> Result<Option<ProxyRule>> {
        ProxyRule::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables() {
        for (variables, host) in [
            (&[][..], None),
            (&[("HTTPS_PROXY", "")], None),
            (&[("http_proxy", "http://plain")], None),
            (&[("HTTPS_PROXY", "http://upper")], Some("upper")),
            (&[("HTTPS_PROXY", "http://upper"), ("https_proxy", "http://lower")], Some("lower")),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "http://upper")], Some("upper")),
            (&[("ALL_PROXY", "http://all"), ("HTTPS_PROXY", "http://upper")], Some("upper")),
            (&[("all_proxy", "bare:3128")], Some("bare")),
        ] {
            let found = rule(variables).unwrap().map(|rule| rule.proxy.host);
            assert_eq!(found.as_deref(), host, "{variables:?}");
        }
        let error = rule(&[("ALL_PROXY", "socks5://me:secret@host")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.detail().starts_with("ALL_PROXY: ") && !error.detail().contains("secret"), "{error}");
    }

    #[test]
    fn exceptions() {
        for (list, host, direct) in [
            ("", "hub.example.com", false),
            ("*", "hub.example.com", true),
            ("other.org,*", "192.0.2.1", true),
            ("example.com", "hub.example.com", true),
            (".example.com", "hub.example.com", true),
            (".example.com", "example.com", true),
            ("Example.COM", "HUB.example.com.", true),
            ("example.com", "hubexample.com", false),
            ("hub.example.com", "example.com", false),
            ("*.example.com", "hub.example.com", false),
            ("other.org, example.com", "hub.example.com", true),
            ("other.org example.com", "hub.example.com", true),
            (".", "hub.example.com", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.10", false),
            ("2.1", "192.0.2.1", false),
            ("192.0.2.0/24", "192.0.2.200", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("192.0.2.0/33", "192.0.2.0", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "hub.example.com", false),
            ("192.0.2.0/x", "192.0.2.0", false),
            ("::1", "[::1]", true),
            ("[::1]", "::1", true),
            ("2001:db8::/32", "2001:db8:1::7", true),
            ("2001:db8::/32", "2001:db9::7", false),
            ("::/0", "192.0.2.1", false),
        ] {
            let rule = rule(&[("https_proxy", "http://p"), ("no_proxy", list)]).unwrap().unwrap();
            assert_eq!(rule.for_host(host).is_none(), direct, "{list:?} {host:?}");
        }
    }
}
