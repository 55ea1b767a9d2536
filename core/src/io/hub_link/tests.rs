#![allow(clippy::unwrap_used, clippy::panic)]

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
fn a_client_with_many_answers_to_give_still_listens_after_a_lost_session() {
    let mut lab = Lab::new();
    let filters = vec![(topic::METHODS.to_owned(), QoS::AtMostOnce)];
    lock(&lab.session).subscribe(filters, Completion::ignored()).unwrap();
    lab.written();
    lab.hears(&[0x90, 3, 0, 1, 0]);
    let publish = Publish { topic: "t", payload: b"", qos: QoS::AtLeastOnce, retain: false };
    while lock(&lab.session).publish_urgent(&publish, Completion::ignored()).is_ok() {}
    lock(&lab.session).stop();
    lab.link.disconnected(&lab.session, &mut lab.jobs);
    lab.up();
    assert!(holds(&lab.written(), topic::METHODS));
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

/// What a hub out of its mind may send, and an application may ask, in any order: each request ends
/// once, and no time that has come is left standing.
#[test]
fn each_request_ends_once_whatever_the_hub_says() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut lab = Lab::new();
        let mut asked = 0;
        let (sender, ends) = mpsc::channel();
        let salt = salt(&mut lab);
        for _ in 0..rng.usize(1..200) {
            let done = || {
                let sender = sender.clone();
                Completion::new(move |_| sender.send(()).unwrap_or_default())
            };
            match rng.u32(0..12) {
                0 => asked += usize::from(lab.link.twin_get(&lab.session, done()).is_ok()),
                1 | 2 => {
                    asked += usize::from(lab.link.twin_patch(&lab.session, "{}".into(), done()).is_ok());
                }
                3 => lab.link.watch(&lab.session, rng.bool()),
                4 => lab.now += Duration::from_millis(rng.u64(0..20_000)),
                5 => {
                    lock(&lab.session).stop();
                    lab.link.disconnected(&lab.session, &mut lab.jobs);
                    if rng.bool() {
                        lab.up();
                    }
                }
                6 => lock(&lab.session).disconnect(if rng.bool() {
                    Drain::InFlight
                } else {
                    Drain::Everything
                }),
                7 => {
                    let request = MethodRequest(rng.u64(0..3));
                    let _ = lab.link.respond(&lab.session, request, rng.u16(..), b"{}");
                }
                _ => lab.rave(&mut rng, &salt),
            }
            lab.link.timer(&lab.session, lab.now, &mut lab.jobs);
            assert!(lab.link.deadline().is_none_or(|deadline| deadline > lab.now), "{seed}");
            lab.written();
            for job in lab.jobs.drain(..) {
                if let Job::Done(done, result) = job {
                    done.complete(result);
                }
            }
        }
        lab.link.close(&mut lab.jobs);
        lab.jobs.clear();
        drop(sender);
        assert_eq!(asked, ends.iter().count(), "{seed}");
    }
}

/// The salt of the requests.
fn salt(lab: &mut Lab) -> String {
    drop(lab.get());
    let written = String::from_utf8_lossy(&lab.written()).into_owned();
    written.split_once("$rid=").unwrap().1[..8].to_owned()
}

impl Lab {
    fn up(&mut self) {
        let connect = Connect { client_id: "d".into(), ..Connect::default() };
        lock(&self.session).start(&connect, self.now).unwrap();
        self.written();
        self.hears(&[0x20, 2, 0, 0]);
        self.link.connected(&self.session, self.now);
    }

    fn rave(&mut self, rng: &mut fastrand::Rng, salt: &str) {
        const STATUSES: [u16; 8] = [200, 204, 400, 404, 429, 500, 0, 65_535];
        const VERSIONS: [u64; 7] = [0, 1, 2, 3, 4, u64::MAX - 1, u64::MAX];
        const NOTHING: [&str; 5] = ["", "{", "[]", "{\"desired\":{}}", "{\"desired\":{\"$version\":-1}}"];
        let version = VERSIONS[rng.usize(0..VERSIONS.len())];
        let rid = format!("{salt}-{:x}", rng.u64(0..12));
        let topic = match rng.u32(0..5) {
            0 => format!("$iothub/twin/PATCH/properties/desired/?$version={version}"),
            1 => format!("$iothub/methods/POST/{}/?$rid={}", rng.u8(..), rng.u8(..)),
            2 => format!("$iothub/{}", rng.alphabetic()),
            _ => {
                let status = STATUSES[rng.usize(0..STATUSES.len())];
                format!("$iothub/twin/res/{status}/?$rid={rid}&$version={version}&retry-after={}", rng.u8(..))
            }
        };
        let payload = match rng.u32(0..3) {
            0 => NOTHING[rng.usize(0..NOTHING.len())].to_owned(),
            1 => format!("{{\"a\":{},\"$version\":{version}}}", rng.u8(..)),
            _ => format!("{{\"desired\":{{\"a\":{},\"$version\":{version}}},\"reported\":{{}}}}", rng.u8(..)),
        };
        let message = mqtt::Message {
            topic,
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            dup: rng.bool(),
            id: 0,
            delivery: None,
        };
        self.link.hear(message, &self.session, self.now, &mut self.jobs);
    }
}

/// Acknowledgements leave in order: one that nobody gives would hold back all others.
#[test]
fn a_message_that_nobody_takes_is_settled() {
    for taken in [false, true] {
        let mut lab = Lab::new();
        if taken {
            lab.link.take_topics();
        }
        lab.hears(&[0x32, 6, 0, 1, b'x', 0, 7, b'm']);
        let Some(mqtt::Event::Message(message)) =
            lock(&lab.session).take_events().into_iter().find(|e| matches!(e, mqtt::Event::Message(_)))
        else {
            panic!("no message")
        };
        let received = lab.link.hear(message, &lab.session, lab.now, &mut lab.jobs);
        assert_eq!(received.is_some(), taken);
        assert_eq!(lab.written(), if taken { vec![] } else { vec![0x40, 2, 0, 7] });
    }
}
