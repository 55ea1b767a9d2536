//! What a scenario expects of the application and of the hub.

use std::time::Instant;

use iothub_tests::PATIENCE;
use serde_json::{Map, Value};

use crate::hub_log;
use crate::log::{Kind, Log};
use crate::matching::{self, show};
use crate::player::Player;
use crate::world::DEVICE;

impl Player<'_> {
    /// Takes events until `find` finds what it looks for.
    fn wait<T>(&mut self, what: &str, mut find: impl FnMut(&mut Log) -> Option<T>) -> Result<T, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = find(&mut self.log) {
                return Ok(found);
            }
            let event = self.agent.event(until)?.ok_or_else(|| format!("no {what} came"))?;
            self.log.take(event)?;
        }
    }

    pub(super) fn sees(
        &mut self,
        client: &str,
        what: &str,
        expected: &Map<String, Value>,
    ) -> Result<(), String> {
        match what {
            "done" => self.sees_done(expected),
            "state" => self.sees_state(client, expected),
            "desired" => self.sees_desired(client, expected),
            "method" => {
                let event = self.wait("method", |log| log.next(client, Kind::Method))?;
                equal("name", &event["name"], expected.get("name"))?;
                if let Some(json) = expected.get("json") {
                    let told = event["json"].as_str().unwrap_or_default();
                    let same = match matching::json(json) {
                        Ok(json) => serde_json::from_str::<Value>(told).is_ok_and(|told| told == json),
                        Err(_) => json == told,
                    };
                    if !same {
                        return Err(format!("json is {told:?}"));
                    }
                }
                self.capture(expected, &event["request"])
            }
            _ => self.sees_message(client, what, expected),
        }
    }

    /// Keeps a delivery or request by the name that the scenario gives it.
    fn capture(&mut self, expected: &Map<String, Value>, number: &Value) -> Result<(), String> {
        if let Some(name) = expected.get("as").and_then(Value::as_str) {
            let number = number.as_u64().ok_or("it has no number")?;
            self.numbers.insert(name.to_owned(), number);
        }
        Ok(())
    }

    fn sees_done(&mut self, expected: &Map<String, Value>) -> Result<(), String> {
        let name = expected.get("of").and_then(Value::as_str).unwrap_or_default();
        let number = *self.operations.get(name).ok_or_else(|| format!("nothing is called {name:?}"))?;
        let done = self.wait("completion", |log| log.done(number).cloned())?;
        let status = expected.get("status").and_then(Value::as_str).unwrap_or("OK");
        let detail = done["detail"].as_str().unwrap_or_default();
        let tolerated = expected.get("under_faults").filter(|_| self.stormy);
        if tolerated.is_some_and(|tolerated| done["status"] == *tolerated) {
            return Ok(());
        }
        if done["status"] != status {
            return Err(format!("{name} completed with {}: {detail}", done["status"]));
        }
        if (status == "OK") != detail.is_empty() {
            return Err(format!("{name} completed with {status} and the detail {detail:?}"));
        }
        if let Some(part) = expected.get("detail").and_then(Value::as_str)
            && !detail.contains(part)
        {
            return Err(format!("{name}: {detail:?} does not say {part:?}"));
        }
        if let Some(twin) = expected.get("twin") {
            let told = matching::text(&done["twin"]);
            if !matching::contains(&told, &matching::json(twin)?) {
                return Err(format!("{name}: the twin is {told}"));
            }
        }
        // A report that is sent again counts again.
        if self.stormy { Ok(()) } else { equal("version", &done["version"], expected.get("version")) }
    }

    /// States in between are passed over: how many there are is a matter of timing.
    fn sees_state(&mut self, client: &str, expected: &Map<String, Value>) -> Result<(), String> {
        let stormy = self.stormy;
        let mut passed = Vec::new();
        let found = self.wait("state", |log| {
            while let Some(event) = log.next(client, Kind::State) {
                let same = |name: &str| expected.get(name).is_none_or(|expected| event[name] == *expected);
                let detail = expected.get("detail").and_then(Value::as_str).unwrap_or_default();
                let told = event["detail"].as_str().unwrap_or_default();
                let why = stormy || same("cause") && same("status") && told.contains(detail);
                if same("state") && why {
                    return Some(());
                }
                passed.push(event.to_string());
            }
            None
        });
        found.map_err(|error| format!("{error}; but {}", passed.join(", ")))
    }

    fn sees_desired(&mut self, client: &str, expected: &Map<String, Value>) -> Result<(), String> {
        let expects_patch = expected.get("json").map(matching::json).transpose()?;
        let mut wanted = expected.get("document").map(matching::json).transpose()?;
        if let Some(patch) = &expects_patch
            && self.stormy
        {
            // What was missed comes as one patch: only what all of them add up to is certain.
            let key = format!("{client} expects");
            let mut document = self.documents.get(&key).cloned().unwrap_or_default();
            matching::merge(&mut document, patch);
            self.documents.insert(key, document.clone());
            wanted = Some(document);
        }
        loop {
            let known = self.documents.get(client);
            if wanted.is_some() && known == wanted.as_ref() {
                return Ok(());
            }
            let seen = known.map_or("nothing".to_owned(), Value::to_string);
            let event = self
                .wait("desired", |log| log.next(client, Kind::Desired))
                .map_err(|error| format!("{error}; seen is {seen}"))?;
            let patch = matching::text(&event["json"]);
            if patch.get("$version").is_some() {
                return Err(format!("the patch has a $version: {patch}"));
            }
            matching::merge(self.documents.entry(client.to_owned()).or_insert(Value::Null), &patch);
            if wanted.is_none() {
                if let Some(expected) = expects_patch
                    && expected != patch
                {
                    return Err(format!("the patch is {patch}"));
                }
                return equal("version", &event["version"], expected.get("version"));
            }
        }
    }

    fn sees_message(
        &mut self,
        client: &str,
        what: &str,
        expected: &Map<String, Value>,
    ) -> Result<(), String> {
        let kind = Kind::named(what).ok_or_else(|| format!("nobody sees {what:?}"))?;
        loop {
            let event = self.wait(what, |log| log.next(client, kind))?;
            let body = matching::told_body(&event)?;
            let wanted = matching::body(expected)?;
            if wanted.as_ref().is_some_and(|wanted| *wanted != body) {
                if self.again && self.log.is_known(client, &body) {
                    continue;
                }
                return Err(format!("the body is {}", show(&body)));
            }
            equal("input", &event["input"], expected.get("input"))?;
            if let Some(properties) = expected.get("properties") {
                equal("properties", &event["properties"], Some(&matching::json(properties)?))?;
            }
            if let Some(fields) = expected.get("fields")
                && !matching::contains(&event["fields"], fields)
            {
                return Err(format!("the fields are {}", event["fields"]));
            }
            self.log.expected(client, body);
            return self.capture(expected, &event["delivery"]);
        }
    }

    pub(super) fn hub(&mut self, kind: &str, expected: &Map<String, Value>) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let from = expected.get("from").and_then(Value::as_str).unwrap_or(DEVICE);
        let mut expected = expected.clone();
        expected.remove("from");
        let mut passed = Vec::new();
        loop {
            let Some(event) = self.world.log.next(from, kind, until) else {
                let last = passed.iter().rev().take(3).map(Value::to_string).collect::<Vec<_>>().join(", ");
                return Err(format!("the hub has recorded no such {kind} of {from}; last {last}"));
            };
            if kind != "telemetry" {
                if matching::contains(&event, &Value::Object(expected.clone())) {
                    return Ok(());
                }
                passed.push(event);
                continue;
            }
            let body = hub_log::told_body(&event);
            if matching::body(&expected)?.is_some_and(|wanted| wanted != body) {
                if self.again && self.world.log.is_known(from, &body) {
                    continue;
                }
                return Err(format!("the body is {}", show(&body)));
            }
            if let Some(system) = expected.get("system")
                && !matching::contains(&event["system"], system)
            {
                return Err(format!("the system properties are {}", event["system"]));
            }
            if let Some(properties) = expected.get("properties") {
                let mut told = event["properties"].clone();
                if let Some(told) = told.as_object_mut().filter(|_| self.again) {
                    told.remove("mqtt-dup");
                }
                equal("properties", &told, Some(&matching::json(properties)?))?;
            }
            self.world.log.expected(from, body);
            return Ok(());
        }
    }

    /// Nothing has come so far that was not expected. A step before has to be one whose end shows that
    /// it would have come by now.
    pub(super) fn quiet(&mut self, client: &str, what: &str) -> Result<(), String> {
        self.take_all()?;
        if what == "telemetry" {
            return self.world.log.surplus(self.again).map_or(Ok(()), Err);
        }
        let kind = Kind::named(what).ok_or_else(|| format!("there is no kind {what:?}"))?;
        let client = self.known_client(client)?;
        match self.log.waiting(&client, kind) {
            0 => Ok(()),
            _ if self.again => Ok(()),
            count => Err(format!("{count} came")),
        }
    }
}

fn equal(name: &str, actual: &Value, expected: Option<&Value>) -> Result<(), String> {
    match expected {
        Some(expected) if actual != expected => Err(format!("{name} is {actual}")),
        _ => Ok(()),
    }
}
