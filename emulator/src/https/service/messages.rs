//! Messages to devices, and to the inputs of modules.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::Shared;
use crate::auth::Right;
use crate::broker::Broker;
use crate::c2d::CloudMessage;
use crate::error::HubError;
use crate::https::refusal::authorize;
use crate::identity::Identity;

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new()
        .route("/devices/{device}/messages/devicebound", post(send_c2d))
        .route("/devices/{device}/modules/{module}/inputs/{input}", post(send_input))
}

async fn send_c2d(
    State(broker): Shared,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, [(&'static str, String); 1]), HubError> {
    authorize(&broker, &headers, Right::ServiceConnect, &["devices", &device, "messages", "devicebound"])?;
    let message_id = broker.send_c2d(&device, cloud_message(&headers, body)?)?;
    Ok((StatusCode::NO_CONTENT, [("iothub-messageid", message_id)]))
}

/// Not IoT Hub's own: to an input of a module, as another module would send it.
async fn send_input(
    State(broker): Shared,
    Path((device, module, input)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, [(&'static str, String); 1]), HubError> {
    authorize(
        &broker,
        &headers,
        Right::ServiceConnect,
        &["devices", &device, "modules", &module, "inputs", &input],
    )?;
    let module = Identity::module(device, module);
    let message_id = broker.send_input(&module, &input, cloud_message(&headers, body)?)?;
    Ok((StatusCode::NO_CONTENT, [("iothub-messageid", message_id)]))
}

/// Reads a message whose properties are headers; header names reach us in lower case. An empty
/// value is the empty string; null has no header. `emulator-bag`, which IoT Hub does not have, is
/// [`CloudMessage::bag`]; nor has it `emulator-properties`, application properties as a JSON object,
/// whose names keep their upper case.
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
            "emulator-properties" => {
                let pairs: BTreeMap<String, Option<String>> = serde_json::from_str(&text()?)
                    .map_err(|e| HubError::argument(format!("emulator-properties: {e}")))?;
                message.properties.extend(pairs);
            }
            other => {
                if let Some(property) = other.strip_prefix("iothub-app-") {
                    message.properties.push((property.to_owned(), Some(text()?)));
                }
            }
        }
    }
    Ok(message)
}
