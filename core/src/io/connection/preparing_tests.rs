//! Credentials that come from a helper thread, and renewals, under a clock of the test.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Mutex;
use std::sync::mpsc::Sender;

use super::tests::{CONNACK, LIMIT, Rig, packet};
use super::*;

/// Nothing has come from the client.
fn silent(server: &mut std::net::TcpStream) -> bool {
    use std::io::Read;
    server.set_nonblocking(true).unwrap();
    let nothing =
        matches!(server.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
    server.set_nonblocking(false).unwrap();
    nothing
}

#[test]
fn a_renewal_waits_for_what_is_in_flight_and_what_is_queued_follows_unchanged() {
    let mut rig = Rig::new(Some(Duration::from_secs(8)));
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    let flying = rig.publish();
    rig.turn();
    let publish = packet(&mut server);
    rig.now += Duration::from_secs(8);
    rig.turn();
    let queued = [(); 2].map(|()| rig.publish());
    rig.turn();
    assert!(silent(&mut server), "goodbye before the acknowledgement");
    rig.says(&mut server, &[0x40, 2, publish[5], publish[6]]);
    rig.turn();
    flying.try_recv().unwrap().unwrap();
    assert_eq!(packet(&mut server), [0xe0, 0]);
    rig.now += Duration::from_secs(1);
    rig.turn();
    let mut server = rig.greeted();
    rig.says(&mut server, &[0x20, 2, 1, 0]);
    for (queued, id) in queued.iter().zip(publish[6] + 1..) {
        let publish = packet(&mut server);
        assert_eq!((publish[0], publish[6]), (0x32, id), "in order, and no retransmission");
        rig.says(&mut server, &[0x40, 2, publish[5], publish[6]]);
        queued.try_recv().unwrap().unwrap();
    }
}

/// A rig whose credentials serve for 8 s, and are made when the test says so.
fn rig_with_helper() -> (Rig, Sender<bool>) {
    let (release, released) = std::sync::mpsc::channel::<bool>();
    let released = Mutex::new(released);
    let make = move || match released.lock().unwrap().recv() {
        Ok(true) => {
            let connect = crate::mqtt::Connect { client_id: "d".into(), ..crate::mqtt::Connect::default() };
            let renew_after = Some(Duration::from_secs(8));
            Ok(Greeting { connect, renew_after, doubt: None, tls: None })
        }
        _ => Err(Fault::new(Cause::Authentication, "on purpose")),
    };
    let mut rig = Rig::new(None);
    rig.connection.greet = Greet::Aside { what: "the test", make: Arc::new(make) };
    (rig, release)
}

/// Waits until the helper has nothing to do.
fn helped(rig: &Rig) {
    while rig.connection.aside.is_busy() {
        std::thread::yield_now();
    }
}

#[test]
fn the_time_for_an_attempt_begins_with_its_credentials() {
    let (mut rig, release) = rig_with_helper();
    rig.turn();
    assert!(matches!(rig.connection.phase, Phase::Proving(_)));
    let until = rig.connection.deadline().unwrap();
    assert_eq!(until, rig.now + LIMIT);
    rig.now += Duration::from_secs(5);
    release.send(true).unwrap();
    helped(&rig);
    rig.turn();
    let Phase::Dialing(_, left) = &rig.connection.phase else { panic!("does not dial") };
    assert_eq!(*left, until);
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    // They serve from when they were asked for.
    let Phase::Open(open) = &rig.connection.phase else { panic!("not open") };
    assert_eq!(open.renew_at, Some(rig.now + Duration::from_secs(3)));
}

/// Whatever has passed is done by the turn that follows, also where the helper never answers.
#[test]
fn no_deadline_survives_a_helper_that_hangs() {
    let (mut rig, release) = rig_with_helper();
    release.send(true).unwrap();
    rig.turn();
    helped(&rig);
    let mut server = rig.greeted();
    rig.says(&mut server, &CONNACK);
    for step in 0..50 {
        let deadline = rig.connection.deadline().unwrap();
        rig.now = rig.now.max(deadline);
        rig.turn();
        rig.turn();
        assert!(rig.connection.deadline().is_none_or(|deadline| deadline > rig.now), "step {step}");
        if step == 20 {
            assert!(matches!(rig.connection.phase, Phase::Open(_)), "the connection did not serve on");
            assert!(rig.connection.aside.is_busy());
            drop(server.shutdown(std::net::Shutdown::Both));
            rig.connection.turn(true, rig.now);
        }
    }
    assert!(matches!(rig.connection.phase, Phase::Proving(_) | Phase::Waiting(_)));
    let closed = rig.close(Duration::ZERO);
    rig.turn();
    closed.try_recv().unwrap().unwrap();
    release.send(false).unwrap();
}
