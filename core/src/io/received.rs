//! What comes from the hub for the application, and the handlers that it goes to.

use crate::hub::{self, Desired, Method};
use crate::mqtt::{self, Delivery};
use crate::status::StatusHandler;

/// What a message handler says about the message it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// It is settled.
    Now,
    /// The application acknowledges it later by its delivery number.
    Later,
}

/// Gets a cloud-to-device message and its delivery number; says whether it is settled.
pub type MessageHandler = Box<dyn FnMut(&hub::Message, Delivery) -> Ack + Send>;
/// Gets the name of an input of a module, a message on it and its delivery number; says whether it is
/// settled.
pub type InputHandler = Box<dyn FnMut(&str, &hub::Message, Delivery) -> Ack + Send>;
/// Gets each call of a direct method, to be answered by its request number.
pub type MethodHandler = Box<dyn FnMut(&Method) + Send>;
/// Gets each change of the desired properties.
pub type DesiredHandler = Box<dyn FnMut(&Desired) + Send>;

/// A callback of the application.
pub(crate) enum Handler {
    Status(StatusHandler),
    Topic(Box<dyn FnMut(mqtt::Message) -> Ack + Send>),
    Message(MessageHandler),
    Input(InputHandler),
    Method(MethodHandler),
    Desired(DesiredHandler),
}

/// Which callback something is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Status = 0,
    Topic = 1,
    Message = 2,
    Input = 3,
    Method = 4,
    Desired = 5,
}

pub(super) const ROUTES: usize = 6;

/// Something from the hub, by who handles it.
pub(super) enum Received {
    /// A message that only its topic tells about.
    Topic(mqtt::Message),
    Message(hub::Message, Option<Delivery>),
    Input(String, hub::Message, Option<Delivery>),
    Method(Method),
    Desired(Desired),
}

impl Received {
    pub(super) fn route(&self) -> Route {
        match self {
            Self::Topic(_) => Route::Topic,
            Self::Message(..) => Route::Message,
            Self::Input(..) => Route::Input,
            Self::Method(_) => Route::Method,
            Self::Desired(_) => Route::Desired,
        }
    }

    /// What it counts for in the backlog, with what it costs beside its bytes.
    pub(super) fn weight(&self) -> usize {
        128 + match self {
            Self::Topic(message) => message.payload.len() + message.topic.len(),
            Self::Message(message, _) | Self::Input(_, message, _) => message.size(),
            Self::Method(method) => method.name.len() + method.body.len(),
            Self::Desired(desired) => desired.patch.len(),
        }
    }

    /// To be acknowledged, if at all.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        match self {
            Self::Topic(message) => message.delivery,
            Self::Message(_, delivery) | Self::Input(_, _, delivery) => *delivery,
            Self::Method(_) | Self::Desired(_) => None,
        }
    }
}

impl Handler {
    /// What is for another handler is not called for; then it is not settled either.
    pub(super) fn call(&mut self, received: Received) -> Ack {
        // A message at QoS 0 has no delivery; 0 names none.
        let number = received.delivery().unwrap_or(Delivery(0));
        match (self, received) {
            (Self::Topic(handler), Received::Topic(message)) => return handler(message),
            (Self::Message(handler), Received::Message(message, _)) => return handler(&message, number),
            (Self::Input(handler), Received::Input(name, message, _)) => {
                return handler(&name, &message, number);
            }
            (Self::Method(handler), Received::Method(method)) => handler(&method),
            (Self::Desired(handler), Received::Desired(desired)) => handler(&desired),
            _ => {}
        }
        Ack::Later
    }
}
