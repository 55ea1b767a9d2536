//! The agent of Rust: does what the lines on its standard input say, with one client per name, and
//! tells on its standard output what it was told.
#![allow(clippy::print_stdout)]

mod options;
mod say;
mod vault;

use std::collections::HashMap;
use std::time::Duration;

use iothub_mqtt::hub::{MethodRequest, SystemProperty};
use iothub_mqtt::io::{Ack, Cause};
use iothub_mqtt::mqtt::Delivery;
use iothub_mqtt::{Answer, Completion, DeviceClient, Error, ErrorKind, Result};
use serde_json::{Value, json};

fn main() {
    let mut clients = HashMap::new();
    for line in std::io::stdin().lines() {
        let Ok(line) = line else { break };
        let command: Value = serde_json::from_str(&line).unwrap_or_default();
        if command["do"] == "signed" {
            vault::signed(&command);
            continue;
        }
        match obey(&mut clients, &command) {
            Ok(answer) => say::line(&json!({ "ok": answer })),
            Err(error) => {
                let status = say::status(error.kind());
                say::line(&json!({ "error": { "status": status, "detail": error.detail() } }));
            }
        }
        if command["do"] == "end" {
            break;
        }
    }
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the agent does not know {what}"))
}

fn obey(clients: &mut HashMap<String, DeviceClient>, command: &Value) -> Result<Value> {
    let action = command["do"].as_str().unwrap_or_default();
    let name = command["client"].as_str().unwrap_or_default();
    match action {
        "sync" | "end" => return Ok(json!({})),
        "new" => {
            let client = DeviceClient::threaded(options::config(&command["options"])?)?;
            let owner = name.to_owned();
            client.on_status(Some(Box::new(move |status| say::state(&owner, status))));
            clients.insert(name.to_owned(), client);
            return Ok(json!({}));
        }
        "free" => {
            let client = clients.remove(name).ok_or_else(|| unknown(name))?;
            client.free();
            return Ok(json!({}));
        }
        _ => {}
    }
    let client = clients.get(name).ok_or_else(|| unknown(name))?;
    let number = |argument: &str| command[argument].as_u64().unwrap_or(0);
    let json = command["json"].as_str().unwrap_or_default().as_bytes();
    match action {
        "connect" => client.connect_with(done(name, number("id")))?,
        "close" => {
            client.close_with(Duration::from_millis(number("timeout_ms")), done(name, number("id")))?
        }
        "send" => client.send_with(&options::message(&command["message"])?, done(name, number("id")))?,
        "on_message" => {
            let (owner, ack) = (name.to_owned(), ack(command));
            client.on_message(ack.map(|ack| -> iothub_mqtt::MessageHandler {
                Box::new(move |message, delivery| {
                    let mut event = say::message(message);
                    event["event"] = "message".into();
                    event["client"] = owner.as_str().into();
                    event["delivery"] = delivery.0.into();
                    say::line(&event);
                    ack
                })
            }))?;
        }
        "on_input" => {
            let (owner, ack) = (name.to_owned(), ack(command));
            client.on_input(ack.map(|ack| -> iothub_mqtt::InputHandler {
                Box::new(move |input, message, delivery| {
                    let mut event = say::message(message);
                    event["event"] = "input".into();
                    event["client"] = owner.as_str().into();
                    event["input"] = input.into();
                    event["delivery"] = delivery.0.into();
                    say::line(&event);
                    ack
                })
            }))?;
        }
        "ack" => client.acknowledge(Delivery(number("delivery")))?,
        "on_method" => client
            .on_method(command["on"].as_bool().unwrap_or(false).then(|| answering(client, name, command)))?,
        "respond" => {
            let status =
                u16::try_from(number("status")).map_err(|_| Error::argument("status", "is 0 to 65535"))?;
            client.respond(MethodRequest(number("request")), status, json)?;
        }
        "twin_get" => client.twin_get_with(done(name, number("id")))?,
        "twin_patch" => client.twin_patch_with(json, done(name, number("id")))?,
        "on_desired" => {
            let owner = name.to_owned();
            client.on_desired(command["on"].as_bool().unwrap_or(false).then(
                || -> iothub_mqtt::DesiredHandler {
                    Box::new(move |desired| {
                        let patch = String::from_utf8_lossy(&desired.patch);
                        say::line(&json!({
                            "event": "desired", "client": owner, "json": patch, "version": desired.version,
                        }));
                    })
                },
            ))?;
        }
        "stats" => return Ok(stats(client)),
        other => return Err(unknown(other)),
    }
    Ok(json!({}))
}

/// What the handler of messages says of each: `None` is no handler.
fn ack(command: &Value) -> Option<Ack> {
    match command["ack"].as_str() {
        Some("now") => Some(Ack::Now),
        Some("later") => Some(Ack::Later),
        _ => None,
    }
}

/// A completion that tells how the operation ended.
fn done(client: &str, id: u64) -> Completion {
    let client = client.to_owned();
    Completion::new(move |result| {
        let mut event = json!({ "event": "done", "client": client, "id": id, "status": "OK", "detail": "" });
        match result {
            Ok(Answer::Twin(twin)) => event["twin"] = String::from_utf8_lossy(&twin).into(),
            Ok(Answer::Reported(version)) => event["version"] = version.unwrap_or(0).into(),
            Ok(_) => {}
            Err(error) => {
                event["status"] = say::status(error.kind()).into();
                event["detail"] = error.detail().into();
            }
        }
        say::line(&event);
    })
}

/// A handler of methods, which answers at once if the command says how.
fn answering(client: &DeviceClient, name: &str, command: &Value) -> iothub_mqtt::MethodHandler {
    let (client, owner) = (client.clone(), name.to_owned());
    let status = command["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let json = command["json"].as_str().unwrap_or_default().to_owned();
    Box::new(move |method| {
        say::line(&json!({
            "event": "method", "client": owner, "name": method.name,
            "json": String::from_utf8_lossy(&method.body), "request": method.request.0,
        }));
        if let Some(status) = status
            && let Err(error) = client.respond(method.request, status, json.as_bytes())
        {
            say::line(&json!({ "event": "failed", "client": owner, "detail": error.detail() }));
        }
    })
}

fn stats(client: &DeviceClient) -> Value {
    let stats = client.stats();
    let causes = Cause::ALL.iter().filter(|cause| stats.disconnects(**cause) > 0);
    let disconnects: HashMap<_, _> = causes.map(|cause| (cause.name(), stats.disconnects(*cause))).collect();
    json!({
        "sent": stats.sent, "acknowledged": stats.acknowledged, "resent": stats.resent,
        "expired": stats.expired, "dropped": stats.dropped, "queued": stats.queued,
        "queued_bytes": stats.queued_bytes, "connections": stats.connections,
        "timed": stats.last_round_trip.is_some(), "disconnects": disconnects,
    })
}

/// The fields of a message by the names of the protocol.
const FIELDS: [(&str, SystemProperty); 11] = [
    ("message_id", SystemProperty::MessageId),
    ("correlation_id", SystemProperty::CorrelationId),
    ("content_type", SystemProperty::ContentType),
    ("content_encoding", SystemProperty::ContentEncoding),
    ("output_name", SystemProperty::OutputName),
    ("component", SystemProperty::Component),
    ("creation_time", SystemProperty::CreationTime),
    ("user_id", SystemProperty::UserId),
    ("to", SystemProperty::To),
    ("expiry", SystemProperty::Expiry),
    ("interface_id", SystemProperty::InterfaceId),
];
