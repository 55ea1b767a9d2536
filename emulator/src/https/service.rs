//! The part of IoT Hub's service API that there is: C2D, twins, direct methods.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::authorize;
use crate::broker::Broker;
use crate::c2d::CloudMessage;
use crate::error::HubError;
use crate::identity::Identity;

#[derive(Deserialize)]
pub(super) struct Target {
    device: String,
    module: Option<String>,
}

impl Target {
    fn identity(self) -> Identity {
        match self.module {
            Some(module) => Identity::module(self.device, module),
            None => Identity::device(self.device),
        }
    }
}

type Shared = State<Arc<Broker>>;

pub(super) async fn send_c2d(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, [(&'static str, String); 1]), HubError> {
    authorize(&broker, &headers, &["devices", &device, "messages", "devicebound"])?;
    let message_id = broker.send_c2d(&device, cloud_message(&headers, body)?)?;
    Ok((StatusCode::NO_CONTENT, [("iothub-messageid", message_id)]))
}

/// Not IoT Hub's own: to an input of a module, as another module would send it.
pub(super) async fn send_input(
    State(broker): Shared,
    Path((device, module, input)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, [(&'static str, String); 1]), HubError> {
    authorize(&broker, &headers, &["devices", &device, "modules", &module, "inputs", &input])?;
    let module = Identity::module(device, module);
    let message_id = broker.send_input(&module, &input, cloud_message(&headers, body)?)?;
    Ok((StatusCode::NO_CONTENT, [("iothub-messageid", message_id)]))
}

/// Reads a message whose properties are headers; header names reach us in lower case. An empty
/// value is the empty string; null has no header. `emulator-bag`, which IoT Hub does not have, is
/// [`CloudMessage::bag`].
fn cloud_message(headers: &HeaderMap, body: Bytes) -> Result<CloudMessage, HubError> {
    let mut message = CloudMessage::new(body);
    for (name, value) in headers {
        let text = || {
            std::str::from_utf8(value.as_bytes())
                .map(str::to_owned)
                .map_err(|_| HubError::argument(format!("the header {name} is not UTF-8")))
        };
        match name.as_str() {
            "iothub-messageid" => message.message_id = Some(text()?),
            "iothub-correlationid" => message.correlation_id = Some(text()?),
            "iothub-userid" => message.user_id = Some(text()?),
            "iothub-expiry" => {
                let time = text()?.parse();
                let rule = "iothub-expiry must be a time like 2026-01-31T12:00:00Z";
                message.expiry = Some(time.map_err(|_| HubError::argument(rule))?);
            }
            "iothub-ack" => {
                let ack = text()?.to_ascii_lowercase();
                if !["none", "positive", "negative", "full"].contains(&ack.as_str()) {
                    return Err(HubError::argument("iothub-ack must be none, positive, negative or full"));
                }
                message.ack = Some(ack);
            }
            "content-type" => message.content_type = Some(text()?),
            "content-encoding" => message.content_encoding = Some(text()?),
            "emulator-bag" => message.bag = Some(text()?),
            other => {
                if let Some(property) = other.strip_prefix("iothub-app-") {
                    message.properties.push((property.to_owned(), Some(text()?)));
                }
            }
        }
    }
    Ok(message)
}

pub(super) async fn read_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, &["twins", &target.device])?;
    broker.twin(&target.identity()).map(Json)
}

pub(super) async fn patch_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, HubError> {
    change_twin(&broker, target, &headers, &body, false)
}

pub(super) async fn put_twin(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, HubError> {
    change_twin(&broker, target, &headers, &body, true)
}

fn change_twin(
    broker: &Broker,
    target: Target,
    headers: &HeaderMap,
    body: &[u8],
    replace: bool,
) -> Result<Json<Value>, HubError> {
    authorize(broker, headers, &["twins", &target.device])?;
    let change: Map<String, Value> = parse(body)?;
    let etag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    broker.update_twin(&target.identity(), &change, replace, etag).map(Json)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodCall {
    method_name: String,
    payload: Option<Value>,
    response_timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
}

pub(super) async fn call_method(
    State(broker): Shared,
    Path(target): Path<Target>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, HubError> {
    authorize(&broker, &headers, &["twins", &target.device, "methods"])?;
    let call: MethodCall = parse(&body)?;
    let response = call.response_timeout_in_seconds.unwrap_or(30);
    let connect = call.connect_timeout_in_seconds.unwrap_or(0);
    if !(5..=300).contains(&response) {
        return Err(HubError::argument("responseTimeoutInSeconds must be 5 to 300"));
    }
    if connect > 300 {
        return Err(HubError::argument("connectTimeoutInSeconds must be 0 to 300"));
    }
    let (status, payload) = broker
        .call_method(
            &target.identity(),
            &call.method_name,
            call.payload.as_ref(),
            Duration::from_secs(connect),
            Duration::from_secs(response),
        )
        .await?;
    Ok(Json(json!({ "status": status, "payload": payload })))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HubError> {
    serde_json::from_slice(body).map_err(|e| HubError::argument(format!("the body: {e}")))
}
