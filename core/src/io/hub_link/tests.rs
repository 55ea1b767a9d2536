#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{self, Receiver};

use bytes::BytesMut;

use super::*;
use crate::completion::Answer;
use crate::mqtt::{Connect, Settings};

/// A link and its session, which is up.
struct Lab {
    link: HubLink,
    session: Session,
    now: Instant,
    jobs: VecDeque<Job>,
}

impl Lab {
    fn new() -> Self {
        let identity = Identity::new("h.azure-devices.net", "d", None).unwrap();
        let now = Instant::now();
        let session = Mutex::new(mqtt::Session::new(Settings::default(), now));
        let connect = Connect { client_id: "d".into(), ..Connect::default() };
        lock(&session).start(&connect, now).unwrap();
        let link = HubLink::new(identity, Duration::from_secs(60));
        let mut lab = Self { link, session, now, jobs: VecDeque::new() };
        lab.written();
        lab.hears(&[0x20, 2, 0, 0]);
        lab.link.connected(&lab.session, now);
        lab
    }

    fn hears(&mut self, bytes: &[u8]) {
        lock(&self.session).input(&mut BytesMut::from(bytes), self.now).unwrap();
    }

    fn written(&mut self) -> Vec<u8> {
        let mut out = BytesMut::new();
        lock(&self.session).output(&mut out, self.now);
        out.to_vec()
    }

    fn get(&self) -> Receiver<Result<Answer>> {
        let (sender, answer) = mpsc::channel();
        let done = Completion::new(move |result| sender.send(result).unwrap_or_default());
        self.link.twin_get(&self.session, done).unwrap();
        answer
    }
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

const DISCONNECT: [u8; 2] = [0xe0, 0];

#[test]
fn a_request_that_found_no_room_is_sent_once_there_is_some() {
    let mut lab = Lab::new();
    let publish = Publish { topic: "t", payload: b"", qos: QoS::AtLeastOnce, retain: false };
    while lock(&lab.session).publish_urgent(&publish, Completion::ignored()).is_ok() {}
    let _answer = lab.get();
    assert!(!holds(&lab.written(), "twin/GET"));
    lab.hears(&[0x40, 2, 0, 1]);
    lab.link.timer(&lab.session, lab.now, &mut lab.jobs);
    assert!(holds(&lab.written(), "twin/GET"));
}

#[test]
fn a_goodbye_waits_for_the_requests_of_the_application_alone() {
    let mut lab = Lab::new();
    lab.link.watch(&lab.session, true);
    assert!(holds(&lab.written(), "twin/GET"));
    lock(&lab.session).disconnect(Drain::Everything);
    lab.link.flush(&lab.session, lab.now);
    assert_eq!(lab.written(), DISCONNECT);

    let mut lab = Lab::new();
    let _answer = lab.get();
    assert!(holds(&lab.written(), "twin/GET"));
    lock(&lab.session).disconnect(Drain::Everything);
    lab.link.flush(&lab.session, lab.now);
    assert!(lab.written().is_empty());
    // The time of the request is over.
    lab.link.timer(&lab.session, lab.now + Duration::from_secs(61), &mut lab.jobs);
    assert_eq!(lab.written(), DISCONNECT);
}
