//! A TCP proxy on loopback that can be slow, deaf or brutal.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct State {
    /// Bytes a second upwards; `None` is as fast as it goes.
    rate: Option<usize>,
    frozen: bool,
    refusing: bool,
    stopped: bool,
    links: Vec<TcpStream>,
    accepted: usize,
}

/// Forwards connections to one address until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Self {
        Self::on("127.0.0.1", target)
    }

    /// Listens on a loopback address of its own.
    pub fn on(host: &str, target: SocketAddr) -> Self {
        Self::joining(host, move |_| TcpStream::connect(target).ok())
    }

    /// Joins each connection with the one that `open` makes for it, on a thread of its own.
    pub(crate) fn joining(
        host: &str,
        open: impl Fn(&mut TcpStream) -> Option<TcpStream> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let accepting = Arc::clone(&shared);
        let open = Arc::new(open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = accepting.0.lock().unwrap();
                if state.stopped {
                    break;
                }
                state.accepted += 1;
                accepting.1.notify_all();
                if state.refusing {
                    reset(&client);
                    continue;
                }
                client.set_nodelay(true).unwrap();
                state.links.push(client.try_clone().unwrap());
                let (open, shared) = (Arc::clone(&open), Arc::clone(&accepting));
                thread::spawn(move || join(client, &*open, shared));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.0.lock().unwrap());
        self.shared.1.notify_all();
    }

    /// Resets every connection.
    pub fn cut(&self) {
        self.change(|state| state.links.drain(..).for_each(|link| reset(&link)));
    }

    /// Holds all bytes back, with the connections open: what a dead cellular link looks like.
    pub fn freeze(&self, frozen: bool) {
        self.change(|state| state.frozen = frozen);
    }

    /// Resets new connections at once.
    pub fn refuse(&self, refusing: bool) {
        self.change(|state| state.refusing = refusing);
    }

    pub fn limit(&self, bytes_per_second: usize) {
        self.change(|state| state.rate = Some(bytes_per_second));
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.shared.0.lock().unwrap().accepted
    }

    pub fn wait_accepted(&self, count: usize) {
        let state = self.shared.0.lock().unwrap();
        let (state, timeout) =
            self.shared.1.wait_timeout_while(state, super::PATIENCE, |state| state.accepted < count).unwrap();
        // A lock poisoned by the panic would have the drop panic, too.
        drop(state);
        assert!(!timeout.timed_out(), "fewer than {count} connections");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| state.stopped = true);
        self.cut();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

/// Closes with a reset instead of an orderly end.
fn reset(link: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(link, Some(Duration::ZERO)).unwrap();
    let _ = link.shutdown(Shutdown::Both);
}

fn join(
    mut client: TcpStream,
    open: &dyn Fn(&mut TcpStream) -> Option<TcpStream>,
    shared: Arc<(Mutex<State>, Condvar)>,
) {
    let Some(server) = open(&mut client) else {
        // The list of links holds a copy: dropping this one closes nothing.
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    server.set_nodelay(true).unwrap();
    shared.0.lock().unwrap().links.push(server.try_clone().unwrap());
    let (client2, server2, down) =
        (client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&shared));
    thread::spawn(move || forward(server2, client2, &down, false));
    forward(client, server, &shared, true);
}

fn forward(mut from: TcpStream, mut to: TcpStream, shared: &(Mutex<State>, Condvar), up: bool) {
    // Small pieces, so that a limited rate is smooth.
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let state = shared.0.lock().unwrap();
        let state = shared.1.wait_while(state, |state| state.frozen && !state.stopped).unwrap();
        let pause = state.rate.filter(|_| up).map(|rate| Duration::from_secs_f64(n as f64 / rate as f64));
        drop(state);
        if let Some(pause) = pause {
            let until = Instant::now() + pause;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                thread::sleep(left);
            }
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
