#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

fn pair() -> (Arc<OwnedFd>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Arc::new(OwnedFd::from(ours)), theirs)
}

#[test]
fn each_ring_is_heard_once() {
    let (set, bell) = FdSet::new().unwrap();
    assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Not);
    for _ in 0..3 {
        bell.ring();
        bell.ring();
        assert_eq!(set.wait(PATIENCE).unwrap(), Woken::Otherwise);
        assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Not);
    }
}

#[test]
fn a_ring_wakes_another_thread() {
    let (set, bell) = FdSet::new().unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| bell.ring());
        assert_eq!(set.wait(PATIENCE).unwrap(), Woken::Otherwise);
    });
}

#[test]
fn a_lapse_is_reported_once_and_a_later_alarm_waits_for_it() {
    let (set, _bell) = FdSet::new().unwrap();
    let mut watched = Watched::default();
    let now = Instant::now();
    let (early, late) = (now + Duration::from_millis(5), now + Duration::from_secs(3600));
    set.arm(&mut watched, Some(late), now);
    set.arm(&mut watched, Some(early), now);
    // Neither moves what is early enough.
    set.arm(&mut watched, Some(late), now);
    set.arm(&mut watched, None, now);
    assert_eq!(set.wait(PATIENCE).unwrap(), Woken::Otherwise);
    assert!(Instant::now() >= early);
    assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Not);
    // It has lapsed, so the next is set although it is later, and one in the past comes at once.
    set.arm(&mut watched, Some(late), Instant::now());
    assert_eq!((watched.alarm, set.wait(AT_ONCE).unwrap()), (Some(late), Woken::Not));
    set.arm(&mut watched, Some(now), Instant::now());
    assert_eq!(set.wait(PATIENCE).unwrap(), Woken::Otherwise);
}

#[test]
fn a_socket_is_reported_as_long_as_it_is_ready() {
    let (set, _bell) = FdSet::new().unwrap();
    let mut watched = Watched::default();
    let (socket, mut peer) = pair();
    set.watch(&mut watched, Some((&socket, Interest::READ)));
    assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Not);
    set.watch(&mut watched, Some((&socket, Interest { read: true, write: true })));
    assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Socket);
    set.watch(&mut watched, Some((&socket, Interest::READ)));
    assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Not);
    peer.write_all(b"x").unwrap();
    for _ in 0..2 {
        assert_eq!(set.wait(PATIENCE).unwrap(), Woken::Socket);
    }
}

/// As after fork: the copy of the socket in the child outlives that of the parent.
#[test]
fn a_socket_that_is_gone_is_not_heard_of_even_if_somebody_holds_a_copy() {
    let (set, _bell) = FdSet::new().unwrap();
    let mut watched = Watched::default();
    let (socket, mut peer) = pair();
    let copy = socket.try_clone().unwrap();
    set.watch(&mut watched, Some((&socket, Interest::READ)));
    drop(socket);
    let (next, _other) = pair();
    set.watch(&mut watched, Some((&next, Interest::READ)));
    peer.write_all(b"x").unwrap();
    assert_eq!(set.wait(AT_ONCE).unwrap(), Woken::Not);
    drop(copy);
    // The last copy was ours: the peer sees the end.
    assert!(peer.read(&mut [0]).is_ok_and(|n| n == 0) || peer.write_all(b"x").is_err());
    set.watch(&mut watched, None);
    assert!(watched.socket.is_none());
}
