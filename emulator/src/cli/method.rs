//! `method`: a direct method of a device or module.

use clap::Args;
use hyper::Method as Verb;
use serde_json::json;

use super::output::print;
use super::reach::Reach;
use super::service::{self, API};

/// Prints `{"status":…,"payload":…}`; a status of the device's own is no error of this program.
#[derive(Args)]
pub(super) struct Method {
    /// The device, or the module of one.
    #[arg(value_name = "DEVICE[/MODULE]")]
    id: String,
    name: String,
    /// The payload; none where it is left out.
    #[arg(value_name = "JSON")]
    payload: Option<String>,
    /// How long the device may take to answer, in seconds: 5 to 300.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// How long it may take to connect and subscribe, in seconds: 0 to 300.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    connect_timeout: u64,
    #[command(flatten)]
    reach: Reach,
}

/// The payload is the user's.
impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Method {
    pub(super) fn run(&self) -> Result<(), String> {
        let mut body = json!({
            "methodName": self.name,
            "responseTimeoutInSeconds": self.timeout,
            "connectTimeoutInSeconds": self.connect_timeout,
        });
        if let Some(payload) = &self.payload {
            body["payload"] = service::json("the payload", payload)?;
        }
        let path = format!("/twins/{}/methods?{API}", service::target(&self.id));
        let answer = self.reach.service()?.call(Verb::POST, &path, &[], body.to_string())?;
        print(answer.json()?)
    }
}
