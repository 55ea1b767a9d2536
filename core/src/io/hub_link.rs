//! What IoT Hub says and is told beyond telemetry, over the session of one client: the twin, direct
//! methods, and which message is for which handler.
//!
//! Its lock is taken before that of the session, never after.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dispatch::Job;
use super::received::Received;
use super::wire::lock;
use crate::completion::{Answer, Completion};
use crate::error::{Error, Result};
use crate::hub::topic::{self, Incoming};
use crate::hub::twin::Heard;
use crate::hub::{Identity, Message, Method, MethodRequest, Methods, Twin, method, twin};
use crate::mqtt::{self, Drain, Publish, QoS, State};

type Session = Mutex<mqtt::Session<Completion>>;

pub(crate) struct HubLink {
    identity: Identity,
    /// For the answer to a request.
    timeout: Duration,
    talk: Mutex<Talk>,
    /// The application has a handler for topics that IoT Hub does not document.
    takes_topics: AtomicBool,
}

struct Talk {
    twin: Twin<Completion>,
    methods: Methods,
    closed: bool,
    heard: Vec<Heard<Completion>>,
}

impl HubLink {
    pub(crate) fn new(identity: Identity, timeout: Duration) -> Self {
        let twin = Twin::new(fastrand::u32(..));
        let talk = Talk { twin, methods: Methods::default(), closed: false, heard: Vec::new() };
        Self { identity, timeout, talk: Mutex::new(talk), takes_topics: AtomicBool::new(false) }
    }

    /// From now on there is a handler for topics that IoT Hub does not document.
    pub(super) fn take_topics(&self) {
        self.takes_topics.store(true, Ordering::Relaxed);
    }

    /// Requests that are not over.
    pub(super) fn len(&self) -> usize {
        lock(&self.talk).twin.len()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        lock(&self.talk).twin.deadline()
    }

    pub(crate) fn twin_get(&self, session: &Session, done: Completion) -> Result<()> {
        let until = Instant::now() + self.timeout;
        self.request(session, done, |twin, done| twin.get(done, until))
    }

    pub(crate) fn twin_patch(&self, session: &Session, patch: Bytes, done: Completion) -> Result<()> {
        if let Err(error) = twin::check_patch(&patch) {
            done.abandon();
            return Err(error);
        }
        let until = Instant::now() + self.timeout;
        self.request(session, done, |twin, done| twin.report(patch, done, until))
    }

    fn request(
        &self,
        session: &Session,
        done: Completion,
        ask: impl FnOnce(&mut Twin<Completion>, Completion) -> std::result::Result<(), (Error, Completion)>,
    ) -> Result<()> {
        let mut talk = lock(&self.talk);
        let asked = if talk.closed { Err((Error::closed(), done)) } else { ask(&mut talk.twin, done) };
        if asked.is_ok() {
            talk.flush(session, Instant::now());
        }
        drop(talk);
        asked.map_err(|(error, done)| {
            done.abandon();
            error
        })
    }

    /// Whether changes of the desired properties are wanted.
    pub(crate) fn watch(&self, session: &Session, wanted: bool) {
        let mut talk = lock(&self.talk);
        talk.twin.watch(wanted);
        talk.flush(session, Instant::now());
    }

    /// Answers a method, once.
    pub(super) fn respond(
        &self,
        session: &Session,
        request: MethodRequest,
        status: u16,
        body: &[u8],
    ) -> Result<()> {
        method::check_answer(body)?;
        let mut talk = lock(&self.talk);
        if talk.closed {
            return Err(Error::closed());
        }
        let topic = topic::method_response(status, talk.methods.open(request, Instant::now())?);
        // Kept through a reconnect: somebody waits for it.
        let publish = Publish { topic: &topic, payload: body, qos: QoS::AtLeastOnce, retain: false };
        let accepted = lock(session).publish_urgent(&publish, Completion::ignored());
        accepted.map_err(|refused| refused.error)?;
        talk.methods.answered(request);
        Ok(())
    }

    /// Sends what may be sent now.
    pub(super) fn flush(&self, session: &Session, now: Instant) {
        lock(&self.talk).flush(session, now);
    }

    pub(super) fn connected(&self, session: &Session, now: Instant) {
        let mut talk = lock(&self.talk);
        talk.twin.connected();
        talk.flush(session, now);
    }

    pub(super) fn disconnected(&self, session: &Session, jobs: &mut VecDeque<Job>) {
        let mut talk = lock(&self.talk);
        let Talk { twin, heard, .. } = &mut *talk;
        twin.disconnected(heard);
        lock(session).expect(false);
        tell(talk, jobs);
    }

    /// Completes what waits with `Closed`; nothing is accepted afterwards.
    pub(super) fn close(&self, jobs: &mut VecDeque<Job>) {
        let mut talk = lock(&self.talk);
        talk.closed = true;
        let Talk { twin, heard, .. } = &mut *talk;
        twin.close(heard);
        tell(talk, jobs);
    }

    pub(super) fn timer(&self, session: &Session, now: Instant, jobs: &mut VecDeque<Job>) {
        let mut talk = lock(&self.talk);
        let Talk { twin, heard, .. } = &mut *talk;
        if twin.is_kept_back() || twin.deadline().is_some_and(|deadline| now >= deadline) {
            twin.timer(now, heard);
            talk.flush(session, now);
            tell(talk, jobs);
        }
    }

    /// What a message is: something for a handler, or for the link itself.
    pub(super) fn hear(
        &self,
        message: mqtt::Message,
        session: &Session,
        now: Instant,
        jobs: &mut VecDeque<Job>,
    ) -> Option<Received> {
        let delivery = message.delivery;
        let kept = |message: Result<Message>| {
            message.map_err(|error| log::warn!("a message from the hub was dropped: {error}")).ok()
        };
        let received = match topic::parse_incoming(&message.topic, &self.identity) {
            Incoming::C2d { bag } => kept(Message::received(bag, message.payload))
                .map(|message| Received::Message(message, delivery)),
            Incoming::Input { name, bag } => kept(Message::received(bag, message.payload))
                .map(|message| Received::Input(name.into_owned(), message, delivery)),
            Incoming::Unknown if self.takes_topics.load(Ordering::Relaxed) => Some(Received::Topic(message)),
            // Kept for a handler that never comes it would hold back every later acknowledgement.
            Incoming::Unknown => {
                log::warn!("a message on a topic that IoT Hub does not document was dropped");
                None
            }
            service => {
                let mut talk = lock(&self.talk);
                let received = talk.hear(service, &message, now);
                talk.flush(session, now);
                tell(talk, jobs);
                received
            }
        };
        // What no handler acknowledges is settled: it would come again for ever.
        if let Some(delivery) = delivery
            && received.as_ref().is_none_or(|received| received.delivery().is_none())
        {
            let _ = lock(session).acknowledge(delivery);
        }
        received
    }
}

impl Talk {
    fn hear(&mut self, service: Incoming<'_>, message: &mqtt::Message, now: Instant) -> Option<Received> {
        let body = &message.payload;
        match service {
            Incoming::TwinResponse(answer) => {
                self.twin.answered(answer, body.clone(), now, &mut self.heard);
                None
            }
            Incoming::Desired { version } => {
                self.twin.notified(version, body, &mut self.heard);
                None
            }
            Incoming::Method { name, rid } => {
                let request = self.methods.called(rid, message.dup, now)?;
                let name = name.into_owned();
                Some(Received::Method(Method { name, body: body.clone(), request }))
            }
            Incoming::C2d { .. } | Incoming::Input { .. } | Incoming::Unknown => None,
        }
    }

    /// Sends what may be sent now, and tells the session what it is to wait for before it says goodbye.
    fn flush(&mut self, session: &Session, now: Instant) {
        let mut session = lock(session);
        let closing = session.state() == State::Draining(Drain::Everything);
        if closing || session.state() == State::Up {
            self.twin.send(now, |topic, payload| {
                let publish = Publish { topic, payload, qos: QoS::AtMostOnce, retain: false };
                session.publish_urgent(&publish, Completion::ignored()).is_ok()
            });
        }
        // A goodbye for good does not wait for what the library itself has asked.
        session.expect(if closing { !self.twin.is_empty() } else { self.twin.expects() });
    }
}

/// Turns what was heard into work for the application. A log may call the client: nothing is locked then.
fn tell(mut talk: MutexGuard<'_, Talk>, jobs: &mut VecDeque<Job>) {
    let heard = std::mem::take(&mut talk.heard);
    drop(talk);
    for heard in heard {
        match heard {
            Heard::Answer(done, result) => jobs.push_back(Job::Done(done, result.map(Answer::from))),
            Heard::Desired(desired) => jobs.push_back(Job::Received(Received::Desired(desired))),
            Heard::Trouble(text) => log::warn!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests;
