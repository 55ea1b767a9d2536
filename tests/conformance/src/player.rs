//! Plays one scenario with one agent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::agent::{Agent, Answer};
use crate::backend::{self, Calls};
use crate::log::{Log, Operation};
use crate::matching::{self, numbered};
use crate::scenario::{Actor, Scenario, Step};
use crate::storm::Storm;
use crate::world::World;

/// What went wrong, and where.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) step: String,
    pub(crate) reason: String,
}

/// The faults beneath a scenario that has none of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) kind: &'static str,
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Player<'a> {
    pub(super) agent: &'a mut Agent,
    pub(super) world: World,
    pub(super) log: Log,
    calls: Calls,
    /// The options of every client that says nothing else.
    options: &'a Map<String, Value>,
    /// The agent's names for the scenario's clients.
    clients: HashMap<String, String>,
    /// Deliveries and requests by the scenario's names.
    pub(super) numbers: HashMap<String, u64>,
    pub(super) operations: HashMap<String, u64>,
    /// The desired properties that the patches make, by client.
    pub(super) documents: HashMap<String, Value>,
    /// Messages may come more than once.
    pub(super) again: bool,
    /// Faults come at any time.
    pub(super) stormy: bool,
}

/// Plays `scenario`; how many faults there were.
pub(crate) fn play(
    scenario: &Scenario,
    agent: &mut Agent,
    weather: Option<Weather>,
) -> Result<usize, Failure> {
    let outside = |reason| Failure { step: "around the steps".to_owned(), reason };
    let world = World::start().map_err(outside)?;
    let mut player = Player {
        agent,
        world,
        log: Log::default(),
        calls: Calls::default(),
        options: &scenario.options,
        clients: HashMap::new(),
        numbers: HashMap::new(),
        operations: HashMap::new(),
        documents: HashMap::new(),
        again: scenario.again || weather.is_some(),
        stormy: weather.is_some(),
    };
    let storm = match weather {
        Some(weather) => {
            let hub = Arc::clone(player.world.hub().map_err(outside)?);
            Some(Storm::start(weather.kind, hub, weather.seed))
        }
        None => None,
    };
    let played = scenario.steps.iter().enumerate().try_for_each(|(number, step)| {
        player
            .step(step)
            .map_err(|reason| Failure { step: format!("step {}: {}", number + 1, step.text), reason })
    });
    let faults = storm.map_or(0, Storm::end);
    played?;
    player.end().map_err(|reason| Failure { step: "after the last step".to_owned(), reason })?;
    Ok(faults)
}

/// What is told to who does not say which client it means.
const CLIENT: &str = "device";

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let repeat = step.arguments.get("repeat").and_then(Value::as_u64);
        let mut rounds: Vec<Map<String, Value>> = match repeat {
            Some(count) => (1..=count).map(|n| numbered(&step.arguments, n)).collect(),
            None => vec![step.arguments.clone()],
        };
        let (mut client, mut error, mut gives) = (None, None, None);
        for round in &mut rounds {
            round.remove("repeat");
            client = round.remove("client");
            error = round.remove("error");
            gives = round.remove("gives");
        }
        let client = client.as_ref().and_then(Value::as_str).unwrap_or(CLIENT);
        if step.actor == Actor::Device {
            let error = error.as_ref().and_then(Value::as_str);
            return self.device(client, &step.what, rounds, error, gives.as_ref());
        }
        for round in rounds {
            match step.actor {
                Actor::Device => {}
                Actor::Sees => {
                    let client = self.known_client(client)?;
                    self.sees(&client, &step.what, &round)?;
                }
                Actor::Backend => {
                    let told = self.backend(&step.what, &round);
                    match (told, error.as_ref().and_then(Value::as_str)) {
                        (told, None) => told?,
                        (Ok(()), Some(_)) => return Err("the hub took it".to_owned()),
                        (Err(told), Some(part)) if told.contains(part) => {}
                        (Err(told), Some(part)) => return Err(format!("{told:?} does not say {part:?}")),
                    }
                }
                Actor::Hub => self.hub(&step.what, &round)?,
                Actor::Fault => self.world.fault(&step.what, &round)?,
                Actor::Quiet => self.quiet(client, &step.what)?,
            }
        }
        Ok(())
    }

    pub(super) fn known_client(&self, name: &str) -> Result<String, String> {
        self.clients.get(name).cloned().ok_or_else(|| format!("there is no client {name:?} yet"))
    }

    fn backend(&mut self, what: &str, arguments: &Map<String, Value>) -> Result<(), String> {
        if what == "answered" {
            return self.calls.answered(arguments);
        }
        let hub = Arc::clone(self.world.hub()?);
        let to = arguments.get("to").and_then(Value::as_str).unwrap_or(crate::world::DEVICE);
        match what {
            "send" => backend::send(&hub, arguments),
            "input" => backend::send_input(&hub, arguments),
            "call" => self.calls.start(hub, arguments, self.stormy),
            "update" => {
                let desired = matching::json(arguments.get("desired").ok_or("an update needs desired")?)?;
                hub.update_desired(to, &desired).map(drop).map_err(|error| error.to_string())
            }
            "twin" => {
                let twin = hub.twin(to).ok_or("there is no such twin")?;
                for section in ["desired", "reported"] {
                    let Some(expected) = arguments.get(section) else { continue };
                    let actual = without_dollars(&twin["properties"][section]);
                    if actual != matching::json(expected)? {
                        return Err(format!("{section} is {actual}"));
                    }
                }
                Ok(())
            }
            other => Err(format!("a back-end does not {other}")),
        }
    }

    /// Gives commands to the agent, all before the first answer is read.
    fn device(
        &mut self,
        client: &str,
        what: &str,
        rounds: Vec<Map<String, Value>>,
        error: Option<&str>,
        gives: Option<&Value>,
    ) -> Result<(), String> {
        if what == "new" {
            let options = rounds.first().and_then(|round| round.get("options")).and_then(Value::as_object);
            return self.new_client(client, &options.cloned().unwrap_or_default(), error);
        }
        if !self.clients.contains_key(client) {
            self.new_client(client, &Map::new(), None)?;
        }
        let wire = self.known_client(client)?;
        let mut numbers = Vec::new();
        let mut commands = Vec::new();
        for mut arguments in rounds {
            let operation = match what {
                "send" => Some(Operation::Send),
                "connect" | "close" | "twin_get" | "twin_patch" => Some(Operation::Other),
                _ => None,
            };
            let name = arguments.remove("as");
            let mut command = self.command(what, arguments)?;
            command.insert("do".to_owned(), what.into());
            command.insert("client".to_owned(), wire.clone().into());
            let number = operation.map(|operation| {
                let number = self.agent.next_number();
                self.log.begun(number, &wire, operation);
                command.insert("id".to_owned(), number.into());
                number
            });
            if let (Some(name), Some(number)) = (name.as_ref().and_then(Value::as_str), number) {
                self.operations.insert(name.to_owned(), number);
            }
            numbers.push(number);
            commands.push(Value::Object(command));
        }
        if what == "on_desired" {
            self.log.desired_anew(&wire);
            self.documents.remove(&wire);
        }
        for (answer, number) in self.agent.commands(&commands)?.into_iter().zip(numbers) {
            if let (Answer::Error { .. }, Some(number)) = (&answer, number) {
                self.log.refused(number);
            }
            self.check_answer(what, &answer, error, gives)?;
        }
        self.take_all()?;
        if what == "free" {
            self.log.freed(&wire);
            self.sync()?;
        }
        Ok(())
    }

    fn check_answer(
        &self,
        what: &str,
        answer: &Answer,
        error: Option<&str>,
        gives: Option<&Value>,
    ) -> Result<(), String> {
        match (answer, error) {
            (Answer::Error { status, .. }, Some(expected)) if status == expected => Ok(()),
            // The connection that the message came on may have ended; then it comes again.
            (Answer::Error { status, .. }, None) if self.stormy && what == "ack" && status == "NOT_FOUND" => {
                Ok(())
            }
            (Answer::Error { status, detail }, _) => Err(format!("refused: {status}: {detail}")),
            (Answer::Ok(_), Some(expected)) => Err(format!("accepted; {expected} was expected")),
            (Answer::Ok(told), None) => match gives {
                Some(gives) if !matching::contains(told, &matching::json(gives)?) => {
                    Err(format!("gives {told}"))
                }
                _ => Ok(()),
            },
        }
    }

    fn new_client(
        &mut self,
        client: &str,
        own: &Map<String, Value>,
        error: Option<&str>,
    ) -> Result<(), String> {
        let options = self.world.client_options(self.options, own)?;
        let wire = format!("{client}-{}", self.agent.next_number());
        let command = json!({ "do": "new", "client": wire, "options": options });
        let answer = self.agent.commands(&[command])?.pop().ok_or("no answer")?;
        if matches!(answer, Answer::Ok(_)) {
            self.log.add_client(&wire);
            self.clients.insert(client.to_owned(), wire);
        }
        self.check_answer("new", &answer, error, None)
    }

    /// A step's arguments as the agent gets them.
    fn command(&self, what: &str, arguments: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut command = Map::new();
        match what {
            "send" => {
                let body = matching::body(&arguments)?.unwrap_or_default();
                let mut message = match String::from_utf8(body) {
                    Ok(text) => json!({ "body": text }),
                    Err(bytes) => json!({ "body_hex": matching::to_hex(bytes.as_bytes()) }),
                };
                for part in ["fields", "properties"] {
                    if let Some(value) = arguments.get(part) {
                        message[part] = matching::json(value)?;
                    }
                }
                command.insert("message".to_owned(), message);
                return Ok(command);
            }
            "on_message" | "on_input" => command.insert("ack".to_owned(), "now".into()),
            "on_method" | "on_desired" => command.insert("on".to_owned(), true.into()),
            "close" => command.insert("timeout_ms".to_owned(), 30_000.into()),
            "respond" => command.insert("status".to_owned(), 200.into()),
            _ => None,
        };
        for (name, value) in arguments {
            match (name.as_str(), &value) {
                ("delivery" | "request", Value::String(known)) => {
                    let number =
                        self.numbers.get(known).ok_or_else(|| format!("nothing is called {known:?}"))?;
                    command.insert(name, (*number).into());
                }
                ("size", size) => {
                    let size = size.as_u64().unwrap_or(0);
                    let text = match what {
                        "twin_patch" => matching::large_object(size).to_string(),
                        _ => format!("\"{}\"", "x".repeat((size as usize).saturating_sub(2))),
                    };
                    command.insert("json".to_owned(), text.into());
                }
                // As text, so that what the library is given is what the scenario says.
                ("json", value) if !value.is_string() => {
                    command.insert(name, value.to_string().into());
                }
                _ => {
                    command.insert(name, value);
                }
            }
        }
        Ok(command)
    }

    /// Takes what has come so far.
    pub(super) fn take_all(&mut self) -> Result<(), String> {
        while let Some(event) = self.agent.event(Instant::now())? {
            self.log.take(event)?;
        }
        Ok(())
    }

    /// What the agent said before its answer is known after this.
    fn sync(&mut self) -> Result<(), String> {
        self.agent.commands(&[json!({ "do": "sync" })])?;
        self.take_all()
    }

    /// Frees what is left, and checks what must hold for everything.
    fn end(&mut self) -> Result<(), String> {
        for client in self.log.living() {
            let answer = self.agent.commands(&[json!({ "do": "free", "client": client })])?;
            self.take_all()?;
            self.log.freed(&client);
            if let Some(Answer::Error { status, detail }) = answer.first() {
                return Err(format!("free: {status}: {detail}"));
            }
        }
        self.sync()?;
        self.log.check_end(self.again)?;
        match self.world.log.surplus(self.again) {
            Some(surplus) => Err(surplus),
            None => Ok(()),
        }
    }
}

/// Without what the hub adds: `$version`, `$metadata`.
fn without_dollars(section: &Value) -> Value {
    let members = section.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('$'));
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}
