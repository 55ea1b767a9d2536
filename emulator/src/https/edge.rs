//! What IoT Edge's hub offers on top: a module calls direct methods with a token of its own.

use axum::http::{HeaderMap, header};

use crate::broker::Broker;
use crate::error::HubError;
use crate::identity::Identity;
use crate::time::unix_now;

/// `DEVICE/MODULE` of the module that asks, where one does.
const CALLER: &str = "x-ms-edge-moduleid";

/// Whether a module asks for something of `device`, which is its own, and with its token; an error
/// where one asks that may not. A request without the header is a back-end's.
pub(super) fn admit_module(broker: &Broker, headers: &HeaderMap, device: &str) -> Result<bool, HubError> {
    let Some(caller) = headers.get(CALLER) else {
        return Ok(false);
    };
    let caller = Identity::parse(caller.to_str().unwrap_or_default());
    if caller.device_id().is_empty() || caller.module_id().is_none_or(str::is_empty) {
        return Err(HubError::argument(format!("{CALLER} must be DEVICE/MODULE")));
    }
    let refused = |why: String| HubError::new(401_002, "IotHubUnauthorizedAccess", why);
    if caller.device_id() != device {
        return Err(refused(format!("{caller} is no module of {device}")));
    }
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    broker.admit(&caller, token, None, unix_now()).map(|_| true).map_err(|cause| refused(cause.reason))
}
