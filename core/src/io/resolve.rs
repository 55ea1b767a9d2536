//! Host names to addresses, on a thread of their own.
//!
//! `getaddrinfo` cannot be interrupted and may take a minute. Clients that look up the same name at
//! the same time share one lookup, and one that hangs is left behind, so that a thousand clients
//! behind a dead name server do not make a thousand threads, again at every attempt.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::wire::lock;

/// Called from any thread, once something is ready to be stepped; must not block.
pub(super) type Wake = Arc<dyn Fn() + Send + Sync>;

/// A lookup older than this may hang on a name server that the network has lost since; a newcomer
/// starts another.
const SHARED_FOR: Duration = Duration::from_secs(10);

type Outcome = Result<Vec<IpAddr>, String>;

/// One client's part in a lookup. Dropping it leaves the lookup alone and its `wake` uncalled.
pub(super) struct Lookup {
    shared: Arc<Shared>,
    _wake: Wake,
}

struct Shared {
    started: Instant,
    state: Mutex<State>,
}

enum State {
    Running(Vec<Weak<dyn Fn() + Send + Sync>>),
    Done(Outcome),
}

static RUNNING: LazyLock<Mutex<HashMap<String, Arc<Shared>>>> = LazyLock::new(Mutex::default);

impl Lookup {
    /// Looks `host` up with `resolve`, or joins a lookup of the same name.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    pub(super) fn start(
        host: &str,
        wake: Wake,
        resolve: impl FnOnce(&str) -> io::Result<Vec<IpAddr>> + Send + 'static,
    ) -> io::Result<Self> {
        let mut running = lock(&RUNNING);
        if let Some(shared) = running.get(host).filter(|shared| shared.started.elapsed() < SHARED_FOR) {
            // It is removed under the lock of the map before it is done, so nobody joins too late.
            if let State::Running(waiting) = &mut *lock(&shared.state) {
                waiting.push(Arc::downgrade(&wake));
            }
            return Ok(Self { shared: shared.clone(), _wake: wake });
        }

        let waiting = vec![Arc::downgrade(&wake)];
        let shared = Arc::new(Shared { started: Instant::now(), state: Mutex::new(State::Running(waiting)) });
        let (name, at) = (host.to_owned(), shared.clone());
        thread::Builder::new().name("iothub-dns".to_owned()).spawn(move || {
            let outcome = resolve(&name).map_err(|error| error.to_string());
            finish(&name, &at, outcome);
        })?;
        running.insert(host.to_owned(), shared.clone());
        Ok(Self { shared, _wake: wake })
    }

    /// The addresses, or a text that says why there are none; `None` while it runs.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &*lock(&self.shared.state) {
            State::Running(_) => None,
            State::Done(outcome) => Some(outcome.clone()),
        }
    }
}

fn finish(name: &str, shared: &Arc<Shared>, outcome: Outcome) {
    let mut running = lock(&RUNNING);
    if running.get(name).is_some_and(|current| Arc::ptr_eq(current, shared)) {
        running.remove(name);
    }
    drop(running);
    let before = std::mem::replace(&mut *lock(&shared.state), State::Done(outcome));
    if let State::Running(waiting) = before {
        for wake in waiting.iter().filter_map(Weak::upgrade) {
            wake();
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("done", &self.outcome().is_some()).finish_non_exhaustive()
    }
}

/// The system's resolver, in the order it prefers (RFC 6724). Blocks.
pub(super) fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// The order in which to try: the families in turn, so that one of them without a route costs one
/// attempt at a time; within a family as the resolver sorted them. No address comes twice.
pub(super) fn interleaved(addresses: Vec<IpAddr>, port: u16) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut these, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut order = VecDeque::with_capacity(these.len() + others.len());
    loop {
        let Some(address) = these.pop_front().or_else(|| others.pop_front()) else {
            return order;
        };
        let address = SocketAddr::new(address, port);
        if !order.contains(&address) {
            order.push_back(address);
        }
        if !others.is_empty() {
            std::mem::swap(&mut these, &mut others);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn waker() -> (Wake, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel();
        (Arc::new(move || sender.send(()).unwrap_or_default()), receiver)
    }

    #[test]
    fn families_take_turns() {
        for (given, expected) in [
            (vec!["::1", "::2", "1.0.0.1", "1.0.0.2"], vec!["::1", "1.0.0.1", "::2", "1.0.0.2"]),
            (vec!["1.0.0.1", "::1", "::2", "::3"], vec!["1.0.0.1", "::1", "::2", "::3"]),
            (vec!["1.0.0.1", "1.0.0.2", "1.0.0.1"], vec!["1.0.0.1", "1.0.0.2"]),
            (vec!["1.0.0.1", "1.0.0.2", "1.0.0.3", "::1"], vec!["1.0.0.1", "::1", "1.0.0.2", "1.0.0.3"]),
            (vec![], vec![]),
        ] {
            let order: Vec<IpAddr> =
                interleaved(ips(&given), 8883).iter().map(|address| address.ip()).collect();
            assert_eq!(order, ips(&expected));
        }
    }

    #[test]
    fn one_lookup_serves_everybody_who_asks_meanwhile() {
        let (release, released) = mpsc::channel::<()>();
        let (first_wake, first_woken) = waker();
        let (second_wake, second_woken) = waker();
        let first = Lookup::start("shared.test", first_wake, move |_| {
            released.recv().unwrap_or_default();
            Ok(ips(&["127.0.0.9"]))
        })
        .unwrap();
        let second =
            Lookup::start("shared.test", second_wake, |_| Err(io::Error::other("asked twice"))).unwrap();
        assert_eq!(first.outcome(), None);
        release.send(()).unwrap();
        first_woken.recv().unwrap();
        second_woken.recv().unwrap();
        for lookup in [&first, &second] {
            assert_eq!(lookup.outcome(), Some(Ok(ips(&["127.0.0.9"]))));
        }
        // The next one asks again.
        let (wake, woken) = waker();
        let third = Lookup::start("shared.test", wake, |_| Err(io::Error::other("asked again"))).unwrap();
        woken.recv().unwrap();
        assert_eq!(third.outcome(), Some(Err("asked again".to_owned())));
    }

    #[test]
    fn nobody_is_woken_for_an_abandoned_lookup() {
        let (release, released) = mpsc::channel::<()>();
        let (wake, woken) = waker();
        let lookup = Lookup::start("abandoned.test", wake, move |_| {
            released.recv().unwrap_or_default();
            Ok(Vec::new())
        })
        .unwrap();
        drop(lookup);
        // The sender lived in the wake, which nothing holds any more although the thread still runs.
        assert_eq!(woken.recv(), Err(mpsc::RecvError));
        drop(release);
    }
}
