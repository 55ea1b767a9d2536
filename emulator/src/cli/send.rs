//! `send`: one cloud-to-device message.

use clap::Args;
use hyper::Method;
use iothub_mqtt::hub::percent;

use super::output::print;
use super::reach::Reach;
use super::service::API;

/// What `send` is asked to send and where to.
#[derive(Args)]
pub(super) struct Send {
    device: String,
    text: String,
    /// An application property; may be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The message that this one is about.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// What the text is, for example application/json.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Which feedback the hub gives: none, positive, negative or full.
    #[arg(long, value_name = "FEEDBACK", value_parser = ["none", "positive", "negative", "full"])]
    ack: Option<String>,
    /// Until when the message may be delivered, for example 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    expiry: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// The text is the user's.
impl std::fmt::Debug for Send {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Send").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Send {
    /// Prints the message id.
    pub(super) fn run(&self) -> Result<(), String> {
        if self.device.contains('/') {
            return Err(format!("{}: modules get no cloud-to-device messages, devices do", self.device));
        }
        let path = format!("/devices/{}/messages/devicebound?{API}", percent::encode(&self.device));
        let mut headers = Vec::new();
        for (name, value) in [
            ("iothub-messageid", &self.message_id),
            ("iothub-correlationid", &self.correlation_id),
            ("content-type", &self.content_type),
            ("iothub-ack", &self.ack),
            ("iothub-expiry", &self.expiry),
        ] {
            headers.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        for property in &self.properties {
            let (name, value) = property
                .split_once('=')
                .ok_or_else(|| format!("--property {property}: must be NAME=VALUE"))?;
            headers.push((format!("iothub-app-{name}"), value.to_owned()));
        }
        let answer = self.reach.service()?.call(Method::POST, &path, &headers, self.text.clone())?;
        let id = answer.headers.get("iothub-messageid").and_then(|id| id.to_str().ok());
        print(id.unwrap_or_default())
    }
}
