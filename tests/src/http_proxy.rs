//! An HTTP proxy on loopback that knows CONNECT, and how proxies fail.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::PATIENCE;
use crate::proxy::Proxy;

/// A request head above this is none.
const MAX_HEAD: usize = 16 * 1024;

/// What the proxy does with a CONNECT that it has read and whose credentials are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Answers 200 and forwards.
    #[default]
    Forward,
    /// Answers this status and closes.
    Refuse(u16),
    /// As `Forward` for targets with this port, and 403 for others.
    OnlyPort(u16),
    /// Answers nothing and keeps the connection.
    Silent,
    /// Answers what is not HTTP and keeps the connection.
    Garbage,
    /// Answers 200 and then headers without an end, for as long as somebody reads them.
    EndlessHead,
    /// As `Forward`, with the head of the answer in single bytes.
    Trickle,
    /// Answers 200 and closes.
    CloseAfterHead,
    /// Closes in the middle of the head.
    CloseInHead,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    /// The value that Proxy-Authorization has to have.
    authorization: Option<String>,
    /// Where to connect to instead of asking for the address of the target's name.
    server: Option<SocketAddr>,
    /// The same for targets with one port.
    servers: Vec<(u16, SocketAddr)>,
    targets: Vec<String>,
    unauthorized: usize,
}

/// Serves CONNECT until it is dropped.
#[derive(Debug)]
pub struct HttpProxy {
    proxy: Proxy,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl HttpProxy {
    pub fn start() -> Self {
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let serving = Arc::clone(&shared);
        Self { proxy: Proxy::joining("127.0.0.1", move |client| connect(client, &serving)), shared }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.0.lock().unwrap());
        self.shared.1.notify_all();
    }

    /// Answers 407 to a request without these credentials.
    pub fn demand(&self, user: &str, password: &str) {
        let authorization = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        self.change(|state| state.authorization = Some(authorization));
    }

    /// Connects to `server` whatever the target is called, so that the target may have a name that
    /// only a proxy could resolve.
    pub fn resolve_to(&self, server: SocketAddr) {
        self.change(|state| state.server = Some(server));
    }

    /// As [`HttpProxy::resolve_to`], for targets with this port.
    pub fn resolve_port_to(&self, port: u16, server: SocketAddr) {
        self.change(|state| state.servers.push((port, server)));
    }

    /// From the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.change(|state| state.behaviour = behaviour);
    }

    /// What a client is configured with, without credentials.
    pub fn url(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    pub fn port(&self) -> u16 {
        self.proxy.port()
    }

    /// The connections below: to cut, freeze, limit and count them.
    pub fn tcp(&self) -> &Proxy {
        &self.proxy
    }

    /// The targets of the CONNECTs so far, `host:port`, those included that were not forwarded.
    pub fn targets(&self) -> Vec<String> {
        self.shared.0.lock().unwrap().targets.clone()
    }

    pub fn wait_targets(&self, count: usize) {
        let state = self.shared.0.lock().unwrap();
        let (state, timeout) =
            self.shared.1.wait_timeout_while(state, PATIENCE, |state| state.targets.len() < count).unwrap();
        // A lock poisoned by the panic would have the threads panic, too.
        drop(state);
        assert!(!timeout.timed_out(), "fewer than {count} CONNECTs");
    }

    /// How often 407 was the answer.
    pub fn unauthorized(&self) -> usize {
        self.shared.0.lock().unwrap().unauthorized
    }
}

/// Reads a request and answers it; the connection to its target where it is forwarded.
fn connect(client: &mut TcpStream, shared: &(Mutex<State>, Condvar)) -> Option<TcpStream> {
    let head = read_head(client)?;
    let mut lines = head.split("\r\n");
    let request: Vec<&str> = lines.next()?.split(' ').collect();
    let ["CONNECT", target, "HTTP/1.1" | "HTTP/1.0"] = request[..] else {
        answer(client, 405, "Allow: CONNECT\r\n");
        return None;
    };
    let given = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    let (behaviour, server) = {
        let mut state = shared.0.lock().unwrap();
        state.targets.push(target.to_owned());
        shared.1.notify_all();
        if state.authorization.is_some() && given != state.authorization {
            state.unauthorized += 1;
            drop(state);
            answer(client, 407, "Proxy-Authenticate: Basic realm=\"test\"\r\n");
            return None;
        }
        let port = target.rsplit(':').next().and_then(|port| port.parse().ok());
        let by_port = state.servers.iter().find(|(known, _)| port == Some(*known)).map(|(_, server)| *server);
        (state.behaviour, by_port.or(state.server))
    };
    const HEAD: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";
    let behaviour = match behaviour {
        Behaviour::OnlyPort(port) if target.ends_with(&format!(":{port}")) => Behaviour::Forward,
        Behaviour::OnlyPort(_) => Behaviour::Refuse(403),
        other => other,
    };
    match behaviour {
        Behaviour::Refuse(status) => answer(client, status, ""),
        Behaviour::Silent => until_closed(client),
        Behaviour::Garbage => {
            let _ = client.write_all(b"SSH-2.0-what did you expect?\r\n\r\n");
            until_closed(client);
        }
        Behaviour::EndlessHead => {
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\n");
            while client.write_all(b"X-More: and more and more\r\n").is_ok() {}
        }
        Behaviour::CloseAfterHead => drop(client.write_all(HEAD)),
        Behaviour::CloseInHead => drop(client.write_all(&HEAD[..HEAD.len() - 2])),
        Behaviour::Forward | Behaviour::Trickle | Behaviour::OnlyPort(_) => {
            let reached = match server {
                Some(address) => TcpStream::connect(address),
                None => TcpStream::connect(target),
            };
            let Ok(server) = reached else {
                answer(client, 502, "");
                return None;
            };
            let size = if behaviour == Behaviour::Trickle { 1 } else { HEAD.len() };
            for part in HEAD.chunks(size) {
                client.write_all(part).ok()?;
            }
            return Some(server);
        }
    }
    None
}

/// Up to the empty line and not one byte further: what follows is the tunnel's.
fn read_head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD || !matches!(client.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn answer(client: &mut TcpStream, status: u16, headers: &str) {
    // A client that has gone needs no answer.
    let _ = write!(
        client,
        "HTTP/1.1 {status} As asked for\r\n{headers}Content-Length: 4\r\nConnection: close\r\n\r\nno.\n"
    );
}

fn until_closed(client: &mut TcpStream) {
    let mut unread = [0; 1024];
    while matches!(client.read(&mut unread), Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that sends back the first line of each connection, and its port.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut bytes = [0; 64];
                    while let Ok(n @ 1..) = client.read(&mut bytes) {
                        client.write_all(&bytes[..n]).unwrap();
                    }
                });
            }
        });
        port
    }

    fn ask(proxy: &HttpProxy, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    fn status(client: &mut TcpStream) -> String {
        read_head(client).unwrap().lines().next().unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    fn is_closed(client: &mut TcpStream) -> bool {
        loop {
            match client.read(&mut [0; 64]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }

    #[test]
    fn it_forwards_what_it_is_asked_to_and_remembers_it() {
        let (proxy, port) = (HttpProxy::start(), echo());
        let target = format!("localhost:{port}");
        for behaviour in [Behaviour::Forward, Behaviour::Trickle] {
            proxy.behave(behaviour);
            // The tunnel's first bytes come with the head.
            let mut client =
                ask(&proxy, &format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nhello"));
            assert_eq!(status(&mut client), "200");
            let mut back = [0; 5];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"hello");
            proxy.tcp().cut();
            assert!(is_closed(&mut client));
        }
        assert_eq!(proxy.targets(), [target.clone(), target]);
    }

    #[test]
    fn names_that_only_it_can_resolve_reach_the_server_that_it_is_given() {
        let (proxy, port) = (HttpProxy::start(), echo());
        proxy.resolve_to(([127, 0, 0, 1], port).into());
        let mut client = ask(&proxy, "CONNECT nowhere.invalid:8883 HTTP/1.1\r\n\r\nhello");
        assert_eq!(status(&mut client), "200");
        client.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(proxy.targets(), ["nowhere.invalid:8883"]);
    }

    #[test]
    fn credentials_are_demanded() {
        let (proxy, port) = (HttpProxy::start(), echo());
        proxy.demand("Aladdin", "open sesame");
        for (header, expected) in [
            ("", "407"),
            ("Proxy-Authorization: Basic QWxhZGRpbjpvcGVu\r\n", "407"),
            ("proxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", "200"),
        ] {
            let mut client = ask(&proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{header}\r\n"));
            assert_eq!(status(&mut client), expected, "{header:?}");
            assert!(expected == "200" || is_closed(&mut client));
        }
        assert_eq!(proxy.unauthorized(), 2);
    }

    #[test]
    fn it_fails_as_it_is_told_to() {
        let (proxy, port) = (HttpProxy::start(), echo());
        let request = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n");
        proxy.behave(Behaviour::Refuse(503));
        let mut client = ask(&proxy, &request);
        assert_eq!(status(&mut client), "503");
        assert!(is_closed(&mut client));

        proxy.behave(Behaviour::CloseAfterHead);
        let mut client = ask(&proxy, &request);
        assert_eq!(status(&mut client), "200");
        assert!(is_closed(&mut client));

        proxy.behave(Behaviour::CloseInHead);
        let mut client = ask(&proxy, &request);
        assert_eq!(read_head(&mut client), None);

        proxy.behave(Behaviour::Silent);
        let mut client = ask(&proxy, &request);
        proxy.wait_targets(4);
        proxy.tcp().cut();
        assert_eq!(read_head(&mut client), None, "not one byte");

        proxy.behave(Behaviour::Garbage);
        let mut client = ask(&proxy, &request);
        assert!(read_head(&mut client).unwrap().starts_with("SSH"));

        proxy.behave(Behaviour::EndlessHead);
        let mut client = ask(&proxy, &request);
        assert_eq!(read_head(&mut client), None, "longer than a head may be");

        proxy.behave(Behaviour::Forward);
        let mut client = ask(&proxy, "GET http://127.0.0.1/ HTTP/1.1\r\n\r\n");
        assert_eq!(status(&mut client), "405");
        let mut client = ask(&proxy, "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n");
        assert_eq!(status(&mut client), "502");
    }
}
