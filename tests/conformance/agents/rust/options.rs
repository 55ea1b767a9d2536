//! What the agent is told: options of a client, and messages.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use iothub_mqtt::hub::{Message, TokenSource};
use iothub_mqtt::{Config, Error, Result, Transport};
use serde_json::Value;

use crate::vault;

/// The options of a client by the names of the protocol.
pub(crate) fn config(options: &Value) -> Result<Config> {
    let mut config = Config::new();
    for (name, value) in options.as_object().into_iter().flatten() {
        set(&mut config, name, value)?;
    }
    Ok(config)
}

fn set(config: &mut Config, name: &str, value: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    let ms = |value: &Value| Duration::from_millis(number(value));
    match name {
        "connection_string" => config.set_connection_string(&text(value)),
        "identity" => config.set_identity(&text(&value[0]), &text(&value[1]), value[2].as_str()),
        "sas_key" => config.set_sas_key(&text(value)),
        "sas_token" => config.set_sas_token(&text(value)),
        "sas_signer" => {
            config.set_sas_signer(vault::signer(&text(value)));
            Ok(())
        }
        "sas_token_source" => {
            config.set_sas_token_source(token_source(value));
            Ok(())
        }
        "x509_files" => config.set_x509_files(Path::new(&text(&value[0])), Path::new(&text(&value[1]))),
        "sas_life_s" => config.set_sas_life(Duration::from_secs(number(value))),
        "x509" => config.set_x509(text(&value[0]).as_bytes(), text(&value[1]).as_bytes()),
        "trusted_roots" => config.tuning.set_trusted_roots(text(value).as_bytes()),
        "gateway" => config.set_gateway(&text(value)),
        "port" => match u16::try_from(number(value)) {
            Ok(port) => config.tuning.set_port(port),
            Err(_) => Err(Error::argument("port", "is 1 to 65535")),
        },
        "transport" => {
            config.tuning.set_transport(match value.as_str() {
                Some("websocket") => Transport::WebSocket,
                _ => Transport::Mqtt,
            });
            Ok(())
        }
        "proxy" => config.tuning.set_proxy(value.as_str()),
        "local_address" => config.tuning.set_local_address(&text(value)),
        "keep_alive_s" => config.tuning.set_keep_alive(number(value)),
        "ping_timeout_s" => config.tuning.set_ping_timeout(number(value)),
        "connect_timeout_ms" => config.tuning.set_connect_timeout(ms(value)),
        "request_timeout_ms" => config.set_request_timeout(ms(value)),
        "backoff_ms" => config.tuning.set_backoff(ms(&value[0]), ms(&value[1])),
        "slow_backoff_ms" => config.tuning.set_slow_backoff(ms(&value[0]), ms(&value[1])),
        "queue_limits" => {
            config.tuning.set_queue_limits(number(&value[0]) as usize, number(&value[1]) as usize)
        }
        "in_flight" => config.tuning.set_in_flight(number(value) as usize),
        "time_to_live_ms" => config.tuning.set_time_to_live(Some(ms(value))),
        "will" => config.set_will(&message(&value["message"])?, value["qos"].as_u64().unwrap_or(0) as u8),
        "model_id" => config.set_model_id(&text(value)),
        other => Err(super::unknown(other)),
    }
}

/// Gives these tokens one after the other, and the last one from then on.
fn token_source(tokens: &Value) -> TokenSource {
    let tokens: Vec<String> = tokens
        .as_array()
        .into_iter()
        .flatten()
        .map(|token| token.as_str().unwrap_or_default().to_owned())
        .collect();
    let next = AtomicUsize::new(0);
    Arc::new(move || {
        let n = next.fetch_add(1, Ordering::Relaxed).min(tokens.len() - 1);
        Ok(tokens[n].clone())
    })
}

/// A message with its fields and properties.
pub(crate) fn message(told: &Value) -> Result<Message> {
    let body = match told["body_hex"].as_str() {
        Some(digits) => bytes(digits),
        None => told["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    let mut message = Message::new(body);
    for (name, value) in told["fields"].as_object().into_iter().flatten() {
        let field = super::FIELDS.iter().find(|(known, _)| known == name);
        let (_, field) = field.ok_or_else(|| super::unknown(name))?;
        message.set_system(*field, value.as_str().unwrap_or_default())?;
    }
    for (name, value) in told["properties"].as_object().into_iter().flatten() {
        message.set_property(name, value.as_str())?;
    }
    Ok(message)
}

pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let pair =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    digits.as_bytes().chunks(2).filter_map(pair).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
