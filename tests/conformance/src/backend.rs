//! The other side of the hub: messages, calls of methods, desired properties.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use iothub_emulator::{CloudMessage, Hub};
use iothub_tests::PATIENCE;
use serde_json::{Map, Value};

use crate::matching;
use crate::world::DEVICE;

type Called = Result<(u16, Value), u16>;

/// Calls of methods that wait for their answers.
#[derive(Debug, Default)]
pub(crate) struct Calls(HashMap<String, Receiver<Called>>);

pub(crate) fn send(hub: &Hub, arguments: &Map<String, Value>) -> Result<(), String> {
    let message = message(arguments)?;
    hub.send_c2d(to(arguments), message).map(drop).map_err(|error| error.to_string())
}

pub(crate) fn send_input(hub: &Hub, arguments: &Map<String, Value>) -> Result<(), String> {
    let message = message(arguments)?;
    let input = arguments.get("input").and_then(Value::as_str).unwrap_or_default();
    hub.send_input(to(arguments), input, message).map(drop).map_err(|error| error.to_string())
}

fn to(arguments: &Map<String, Value>) -> &str {
    arguments.get("to").and_then(Value::as_str).unwrap_or(DEVICE)
}

fn message(arguments: &Map<String, Value>) -> Result<CloudMessage, String> {
    let mut message = CloudMessage::new(matching::body(arguments)?.unwrap_or_default());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    message.message_id = arguments.get("id").and_then(text);
    message.bag = arguments.get("bag").and_then(text);
    if let Some(fields) = arguments.get("fields").and_then(Value::as_object) {
        for (name, value) in fields {
            let field = match name.as_str() {
                "correlation_id" => &mut message.correlation_id,
                "user_id" => &mut message.user_id,
                "content_type" => &mut message.content_type,
                "content_encoding" => &mut message.content_encoding,
                other => return Err(format!("a back-end sets no {other:?}")),
            };
            *field = text(value);
        }
    }
    if let Some(properties) = arguments.get("properties") {
        let properties = matching::json(properties)?;
        let properties = properties.as_object().ok_or("properties must be an object")?;
        message.properties = properties.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    }
    Ok(message)
}

impl Calls {
    /// Calls in the background. Where faults come in between, a call whose answer is lost is made again,
    /// as a back-end does.
    pub(crate) fn start(
        &mut self,
        hub: Arc<Hub>,
        arguments: &Map<String, Value>,
        stormy: bool,
    ) -> Result<(), String> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::to_owned);
        let method = text("method").ok_or("a call needs a method")?;
        let id = to(arguments).to_owned();
        let payload = match arguments.get("size").and_then(Value::as_u64) {
            Some(size) => Some("x".repeat(size as usize - 2).into()),
            None => arguments.get("json").map(matching::json).transpose()?,
        };
        let time = |name: &str, default: Duration| {
            arguments.get(name).and_then(Value::as_u64).map_or(default, Duration::from_millis)
        };
        let connect = time("connect_ms", PATIENCE);
        let response = time("response_ms", if stormy { Duration::from_millis(500) } else { PATIENCE });
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let end = Instant::now() + PATIENCE;
            loop {
                let answer = hub.call_method(&id, &method, payload.as_ref(), connect, response);
                if stormy && answer.is_err() && Instant::now() < end {
                    continue;
                }
                // Before it tells: a hub that nobody calls can be stopped.
                drop(hub);
                return sender.send(answer.map_err(|error| error.status));
            }
        });
        self.0.insert(text("as").unwrap_or_default(), receiver);
        Ok(())
    }

    /// Waits for an answer, and compares it.
    pub(crate) fn answered(&mut self, arguments: &Map<String, Value>) -> Result<(), String> {
        let name = arguments.get("of").and_then(Value::as_str).unwrap_or_default();
        let receiver = self.0.remove(name).ok_or_else(|| format!("nobody made a call {name:?}"))?;
        let called = receiver.recv_timeout(PATIENCE).map_err(|_| "the call ends neither way".to_owned())?;
        match (called, arguments.get("refused").and_then(Value::as_u64)) {
            (Err(status), Some(expected)) if u64::from(status) == expected => Ok(()),
            (Err(status), _) => Err(format!("the caller was told {status}")),
            (Ok(answer), Some(_)) => Err(format!("the call was answered: {answer:?}")),
            (Ok((status, json)), None) => {
                let expected = arguments.get("status").and_then(Value::as_u64).unwrap_or(200);
                if u64::from(status) != expected {
                    return Err(format!("answered with status {status}, not {expected}"));
                }
                let size = arguments.get("size").and_then(Value::as_u64);
                let expected = match (arguments.get("json"), size) {
                    (Some(json), _) => matching::json(json)?,
                    (None, Some(size)) => "x".repeat(size as usize - 2).into(),
                    (None, None) => return Ok(()),
                };
                if json == expected { Ok(()) } else { Err(format!("answered with {json}, not {expected}")) }
            }
        }
    }
}
