//! Scenarios as they stand in their files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One story with its expectations.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Of its file and its table: `twin.a_report_is_refused`.
    pub(crate) name: String,
    pub(crate) shows: String,
    /// Of every client that says nothing else.
    pub(crate) options: Map<String, Value>,
    /// Why no other fault may come in between.
    pub(crate) alone: Option<String>,
    /// Telemetry and cloud-to-device messages may come more than once.
    pub(crate) again: bool,
    /// It takes seconds: it is begun early.
    pub(crate) slow: bool,
    /// By language, or `all`: why it cannot pass yet.
    pub(crate) pending: BTreeMap<String, String>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A command to the agent, whose answer is checked.
    Device,
    /// What the application was told.
    Sees,
    /// The other side of the hub.
    Backend,
    /// What the hub recorded.
    Hub,
    Fault,
    /// Nothing of this kind has come beyond what was expected.
    Quiet,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) actor: Actor,
    pub(crate) what: String,
    pub(crate) arguments: Map<String, Value>,
    /// As it stands in the file, for people.
    pub(crate) text: String,
}

const ACTORS: [(&str, Actor); 6] = [
    ("device", Actor::Device),
    ("sees", Actor::Sees),
    ("backend", Actor::Backend),
    ("hub", Actor::Hub),
    ("fault", Actor::Fault),
    ("quiet", Actor::Quiet),
];

/// Which words an actor knows, and which arguments go with each.
fn allowed(actor: Actor, what: &str) -> Option<&'static [&'static str]> {
    let known: &[&str] = match (actor, what) {
        (Actor::Device, "new") => &["options"],
        (Actor::Device, "connect" | "twin_get") => &["as"],
        (Actor::Device, "close") => &["as", "timeout_ms"],
        (Actor::Device, "free" | "stats") => &[],
        (Actor::Device, "send") => &["as", "body", "body_hex", "size", "fields", "properties"],
        (Actor::Device, "on_message" | "on_input") => &["ack"],
        (Actor::Device, "ack") => &["delivery"],
        (Actor::Device, "on_method") => &["on", "status", "json"],
        (Actor::Device, "respond") => &["request", "status", "json", "size"],
        (Actor::Device, "twin_patch") => &["as", "json", "size"],
        (Actor::Device, "on_desired") => &["on"],
        (Actor::Sees, "done") => &["of", "status", "under_faults", "detail", "twin", "version"],
        (Actor::Sees, "message") => &["body", "body_hex", "size", "fields", "properties", "as"],
        (Actor::Sees, "input") => &["input", "body", "body_hex", "fields", "properties", "as"],
        (Actor::Sees, "method") => &["name", "json", "as"],
        (Actor::Sees, "desired") => &["json", "version", "document"],
        (Actor::Sees, "state") => &["state", "cause", "status", "detail"],
        (Actor::Backend, "send") => &["to", "id", "body", "body_hex", "size", "fields", "properties", "bag"],
        (Actor::Backend, "input") => &["to", "input", "id", "body", "properties"],
        (Actor::Backend, "call") => &["to", "as", "method", "json", "size", "connect_ms", "response_ms"],
        (Actor::Backend, "answered") => &["of", "status", "json", "refused", "size"],
        (Actor::Backend, "update") => &["to", "desired"],
        (Actor::Backend, "twin") => &["to", "desired", "reported"],
        (Actor::Hub, "telemetry") => &["from", "body", "body_hex", "size", "system", "properties"],
        (Actor::Hub, "connected") => &["from", "session_present", "protocol"],
        (Actor::Hub, "disconnected" | "refused") => &["from", "code", "return_code"],
        (Actor::Hub, "c2d") => &["from", "state", "message_id", "delivery_count"],
        (Actor::Hub, "subscribed") => &["from", "filters"],
        (Actor::Hub, "twin") => &["from", "section", "version", "patch", "status"],
        (Actor::Fault, "stop_hub" | "start_hub") => &[],
        (Actor::Fault, _) => &["to", "count", "for_ms", "after_messages", "code"],
        (Actor::Quiet, "message" | "input" | "method" | "desired" | "state" | "telemetry") => &[],
        _ => return None,
    };
    Some(known)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    shows: String,
    #[serde(default)]
    options: Map<String, Value>,
    alone: Option<String>,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    slow: bool,
    #[serde(default)]
    pending: BTreeMap<String, String>,
    steps: Vec<Map<String, Value>>,
}

/// Every scenario, in the order of the files and of the scenarios in them.
pub(crate) fn load() -> Result<Vec<Scenario>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = files.map_while(Result::ok).map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let subject = path.file_stem().unwrap_or_default().to_string_lossy();
        scenarios.extend(parse(&subject, &text).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    Ok(scenarios)
}

fn parse(subject: &str, text: &str) -> Result<Vec<Scenario>, String> {
    let written: BTreeMap<String, Written> = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut scenarios = Vec::new();
    for (name, written) in written {
        let step = |(number, map)| step(map).map_err(|error| format!("{name}, step {}: {error}", number + 1));
        let steps = written.steps.into_iter().enumerate().map(step).collect::<Result<_, _>>()?;
        scenarios.push(Scenario {
            name: format!("{subject}.{name}"),
            shows: written.shows,
            options: written.options,
            alone: written.alone,
            again: written.again,
            slow: written.slow,
            pending: written.pending,
            steps,
        });
    }
    Ok(scenarios)
}

fn step(mut map: Map<String, Value>) -> Result<Step, String> {
    let text = Value::Object(map.clone()).to_string();
    let (actor, what) = ACTORS
        .iter()
        .find_map(|(word, actor)| map.remove(*word).map(|what| (*actor, what)))
        .ok_or("names none of device, sees, backend, hub, fault, quiet")?;
    let what = what.as_str().ok_or("the actor's word must be text")?.to_owned();
    let known = allowed(actor, &what).ok_or_else(|| format!("{actor:?} does not know {what:?}"))?;
    let common: &[&str] = match actor {
        Actor::Device => &["client", "error", "gives", "repeat"],
        Actor::Sees => &["client", "repeat"],
        Actor::Quiet => &["client"],
        Actor::Backend | Actor::Hub => &["repeat", "error"],
        Actor::Fault => &[],
    };
    if let Some(strange) =
        map.keys().find(|key| !known.contains(&key.as_str()) && !common.contains(&key.as_str()))
    {
        return Err(format!("{what:?} has no argument {strange:?}"));
    }
    Ok(Step { actor, what, arguments: map, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_files_can_be_played() {
        let scenarios = load().unwrap();
        assert!(scenarios.len() >= 40, "{}", scenarios.len());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("[a]\nsteps = []", "shows"),
            ("[a]\nshows = \"\"\nsteps = []\nstep = 1", "step"),
            ("[a]\nshows = \"\"\nsteps = [{ devise = \"send\" }]", "names none"),
            ("[a]\nshows = \"\"\nsteps = [{ device = \"dance\" }]", "dance"),
            (
                "[a]\nshows = \"\"\nsteps = [{ device = \"connect\" }, { device = \"send\", bdoy = \"\" }]",
                "step 2",
            ),
        ] {
            let error = parse("x", text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
