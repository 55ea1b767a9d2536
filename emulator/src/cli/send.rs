//! `send`: one cloud-to-device message.

use clap::Args;
use hyper::Method;
use iothub_mqtt::hub::percent;

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
        let path = format!("/devices/{}/messages/devicebound?{API}", percent::encode(&self.device));
        let mut headers = Vec::new();
        if let Some(id) = &self.message_id {
            headers.push(("iothub-messageid".to_owned(), id.clone()));
        }
        for property in &self.properties {
            let (name, value) = property
                .split_once('=')
                .ok_or_else(|| format!("--property {property}: must be NAME=VALUE"))?;
            headers.push((format!("iothub-app-{name}"), value.to_owned()));
        }
        let answer = self.reach.service()?.call(Method::POST, &path, &headers, self.text.clone())?;
        let id = answer.headers.get("iothub-messageid").and_then(|id| id.to_str().ok());
        println!("{}", id.unwrap_or_default());
        Ok(())
    }
}
