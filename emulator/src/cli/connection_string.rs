//! `connection-string`: what a device or module connects with.

use clap::Args;
use hyper::Method;
use iothub_mqtt::hub::percent;

use super::output::print;
use super::reach::Reach;

/// Prints one line, which holds a key.
#[derive(Debug, Args)]
pub(super) struct ConnectionString {
    /// The device, or the module of one.
    #[arg(value_name = "DEVICE[/MODULE]")]
    id: String,
    #[command(flatten)]
    reach: Reach,
}

impl ConnectionString {
    pub(super) fn run(&self) -> Result<(), String> {
        let path = format!("/emulator/connection_string?id={}", percent::encode(&self.id));
        let answer = self.reach.service()?.call(Method::GET, &path, &[], String::new())?.json()?;
        let text = answer["connection_string"].as_str();
        print(text.ok_or("the hub's answer has no connection string")?)
    }
}
