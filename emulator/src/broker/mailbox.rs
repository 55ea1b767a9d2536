//! What a live connection is asked to do, and how it learns that it is over.
//!
//! Smaller than the channels of the runtime, which hold room for 32 from the start: a fleet has one
//! of these for each device, nearly always empty.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::registry::Command;

#[derive(Debug, Default)]
struct State {
    commands: VecDeque<Command>,
    /// One of the ends is gone.
    over: bool,
    reader: Option<Waker>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let reader = {
            let mut state = self.state();
            state.over = true;
            state.commands.clear();
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }
}

/// The end in the [`crate::registry::Link`]; dropping it ends the connection.
#[derive(Debug)]
pub(crate) struct Mailbox(Arc<Shared>);

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Inbox(Arc<Shared>);

pub(super) fn mailbox() -> (Mailbox, Inbox) {
    let shared = Arc::new(Shared::default());
    (Mailbox(shared.clone()), Inbox(shared))
}

impl Mailbox {
    /// False where the connection is gone.
    pub(crate) fn send(&self, command: Command) -> bool {
        let reader = {
            let mut state = self.0.state();
            if state.over {
                return false;
            }
            // To look into the queue once is to look for all.
            let again = matches!((&command, state.commands.back()), (Command::Queue, Some(Command::Queue)));
            if !again {
                state.commands.push_back(command);
            }
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
        true
    }
}

impl Inbox {
    /// The next command; `None` as soon as the connection is over, whatever was asked before.
    pub(super) async fn next(&mut self) -> Option<Command> {
        poll_fn(|cx| {
            let mut state = self.0.state();
            if state.over {
                return Poll::Ready(None);
            }
            if let Some(command) = state.commands.pop_front() {
                return Poll::Ready(Some(command));
            }
            match &mut state.reader {
                Some(waker) => waker.clone_from(cx.waker()),
                None => state.reader = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }

    /// Whether the connection is over, and otherwise the next command if there is one.
    pub(super) fn try_next(&mut self) -> Result<Option<Command>, Over> {
        let mut state = self.0.state();
        if state.over { Err(Over) } else { Ok(state.commands.pop_front()) }
    }
}

/// Somebody took the link out and recorded why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Over;

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::broker::rules::Subject;

    fn publish(topic: &str) -> Command {
        Command::Publish { subject: Subject::Methods, topic: topic.into(), body: bytes::Bytes::new() }
    }

    #[tokio::test]
    async fn commands_come_in_order_and_the_end_overtakes_them() {
        let (mailbox, mut inbox) = mailbox();
        let waiting = tokio::spawn(async move { (inbox.next().await, inbox) });
        tokio::task::yield_now().await;
        assert!(mailbox.send(publish("a")));
        let (first, mut inbox) = waiting.await.unwrap();
        assert!(matches!(first, Some(Command::Publish { topic, .. }) if topic == "a"));
        assert!(mailbox.send(Command::Queue) && mailbox.send(Command::Queue) && mailbox.send(publish("b")));
        assert!(matches!(inbox.try_next(), Ok(Some(Command::Queue))));
        assert!(matches!(inbox.try_next(), Ok(Some(Command::Publish { .. }))), "one look is enough");
        assert!(matches!(inbox.try_next(), Ok(None)));
        assert!(mailbox.send(Command::Queue));
        let waiting =
            tokio::spawn(async move { inbox.next().await.is_some() && inbox.next().await.is_none() });
        tokio::task::yield_now().await;
        drop(mailbox);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn nothing_is_taken_for_a_connection_that_is_gone() {
        let (mailbox, inbox) = mailbox();
        drop(inbox);
        assert!(!mailbox.send(Command::Queue));
        let (mailbox, mut inbox) = super::mailbox();
        mailbox.send(Command::Queue);
        drop(mailbox);
        assert_eq!(inbox.try_next().err(), Some(Over));
        assert!(inbox.next().await.is_none());
    }
}
