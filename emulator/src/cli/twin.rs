//! `twin`: the twin of a device or module.

use clap::{Args, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::output::print;
use super::reach::Reach;
use super::service::{self, API};

/// Prints the twin as it is afterwards.
#[derive(Args)]
pub(super) struct Twin {
    /// The device, or the module of one.
    #[arg(value_name = "DEVICE[/MODULE]")]
    id: String,
    #[arg(value_enum, default_value_t = Action::Get)]
    action: Action,
    /// What is merged into the desired properties or the tags; null deletes.
    #[arg(value_name = "JSON")]
    patch: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// The patch is the user's.
impl std::fmt::Debug for Twin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Twin").field("id", &self.id).field("action", &self.action).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    Get,
    SetDesired,
    SetTags,
}

impl Twin {
    pub(super) fn run(&self) -> Result<(), String> {
        let path = format!("/twins/{}?{API}", service::target(&self.id));
        let (method, body) = match self.change()? {
            None => (Method::GET, String::new()),
            Some(change) => (Method::PATCH, change.to_string()),
        };
        let twin = self.reach.service()?.call(method, &path, &[], body)?.json()?;
        print(format_args!("{twin:#}"))
    }

    /// What to send to the hub, if it is not only asked.
    fn change(&self) -> Result<Option<Value>, String> {
        let Some(patch) = &self.patch else {
            return match self.action {
                Action::Get => Ok(None),
                Action::SetDesired | Action::SetTags => {
                    Err("set-desired and set-tags need a JSON object".into())
                }
            };
        };
        let patch = service::json("the patch", patch)?;
        match self.action {
            Action::Get => Err("get takes no JSON".into()),
            Action::SetDesired => Ok(Some(json!({ "properties": { "desired": patch } }))),
            Action::SetTags => Ok(Some(json!({ "tags": patch }))),
        }
    }
}
