//! `fault`: something goes wrong on demand.

use clap::Args;
use hyper::Method;

use super::output::print;
use super::reach::Reach;
use crate::faults::Fault;

/// `iothub-emulator --help` names the faults. Prints how many connections it has reached at once.
#[derive(Debug, Args)]
pub(super) struct Arm {
    #[arg(value_name = "NAME")]
    fault: String,
    /// The device or module that it is for; * is everybody.
    #[arg(long, value_name = "DEVICE[/MODULE]", default_value = "*")]
    device: String,
    /// How often it happens.
    #[arg(long, value_name = "COUNT")]
    count: Option<u32>,
    /// How long it lasts.
    #[arg(long, value_name = "MILLISECONDS")]
    for_ms: Option<u64>,
    /// drop and lose_session: the message of a connection at which it happens.
    #[arg(long, value_name = "NUMBER")]
    after_messages: Option<u32>,
    /// refuse: the return code of CONNACK; server_error: the status.
    #[arg(long, value_name = "CODE")]
    code: Option<u16>,
    #[command(flatten)]
    reach: Reach,
}

impl Arm {
    pub(super) fn run(&self) -> Result<(), String> {
        let Self { count, for_ms, after_messages, code, .. } = *self;
        let fault = Fault {
            fault: self.fault.clone(),
            device: self.device.clone(),
            count,
            for_ms,
            after_messages,
            code,
        };
        let body = serde_json::to_string(&fault).map_err(|e| e.to_string())?;
        let json = [("content-type".to_owned(), "application/json".to_owned())];
        let answer = self.reach.service()?.call(Method::POST, "/emulator/faults", &json, body)?;
        print(answer.json()?)
    }
}
