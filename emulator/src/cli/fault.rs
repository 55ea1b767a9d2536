//! `fault`: something goes wrong on demand.

use clap::Args;
use hyper::Method;

use super::output::print;
use super::reach::Reach;
use crate::faults::{Fault, FaultKind};

/// Prints how many connections the fault has reached at once, and whether it waits for later ones.
#[derive(Debug, Args)]
pub(super) struct Arm {
    /// `iothub-emulator --help` says what each does.
    #[arg(
        value_name = "NAME",
        value_parser = FaultKind::NAMES.map(|(name, _)| name),
        required_unless_present_any = ["list", "clear"]
    )]
    fault: Option<String>,
    /// Print the faults that wait, and arm none.
    #[arg(long, conflicts_with_all = ["fault", "clear"])]
    list: bool,
    /// Forget the faults that wait; what has begun on a connection goes on.
    #[arg(long, conflicts_with = "fault")]
    clear: bool,
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
        const PATH: &str = "/emulator/faults";
        let Some(fault) = &self.fault else {
            let service = self.reach.service()?;
            if self.clear {
                return service.call(Method::DELETE, PATH, &[], String::new()).map(|_| ());
            }
            let answer = service.call(Method::GET, PATH, &[], String::new())?.json()?;
            return print(&answer["waiting"]);
        };
        let Self { count, for_ms, after_messages, code, .. } = *self;
        let fault =
            Fault { fault: fault.clone(), device: self.device.clone(), count, for_ms, after_messages, code };
        let body = serde_json::to_string(&fault).map_err(|e| e.to_string())?;
        let json = [("content-type".to_owned(), "application/json".to_owned())];
        let answer = self.reach.service()?.call(Method::POST, PATH, &json, body)?;
        print(answer.json()?)
    }
}
