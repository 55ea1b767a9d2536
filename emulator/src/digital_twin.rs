//! The digital twin of IoT Plug and Play: another view of a device's twin, by components and properties
//! with the state of their synchronisation, and changes to it as JSON Patch. Pure.

use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// Makes the view from the twin as the service API shows it.
pub(crate) fn view(twin: &Value) -> Value {
    let section = |name: &str| object(&twin["properties"][name]);
    let (desired, reported) = (section("desired"), section("reported"));
    let version = desired.get("$version").cloned().unwrap_or_default();
    let times = object(&reported_times(&reported)).clone();
    let (mut root, mut metadata) = properties(&desired, &reported, &version, &times);
    metadata.insert("$model".into(), twin["modelId"].clone());
    for name in names(&desired, &reported) {
        let (wanted, told) = (part(&desired, name), part(&reported, name));
        if !is_component(&wanted) && !is_component(&told) {
            continue;
        }
        let times = part(&times, name);
        let (mut component, metadata) = properties(&wanted, &told, &version, &times);
        component.insert("$metadata".into(), metadata.into());
        root.insert(name.to_owned(), component.into());
    }
    root.insert("$dtId".into(), twin["deviceId"].clone());
    root.insert("$metadata".into(), metadata.into());
    root.into()
}

/// The desired properties, as a merge patch, that a JSON Patch asks for; the error is for people.
pub(crate) fn desired(operations: &Value) -> Result<Object, String> {
    let operations = operations.as_array().ok_or("the body must be an array of operations")?;
    let mut patch = Object::new();
    for operation in operations {
        let text = |name: &str| {
            operation[name].as_str().ok_or_else(|| format!("each operation needs the text '{name}'"))
        };
        let path = text("path")?;
        let value = match text("op")? {
            "add" | "replace" => operation
                .get("value")
                .cloned()
                .ok_or_else(|| format!("{path}: add and replace need a value"))?,
            "remove" => Value::Null,
            other => return Err(format!("{path}: op must be add, replace or remove, not {other}")),
        };
        let names: Vec<String> =
            path.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
        match names.as_slice() {
            [name] if !name.is_empty() => {
                patch.insert(name.clone(), whole(value));
            }
            [component, name] if !component.is_empty() && !name.is_empty() => {
                let component = patch.entry(component.clone()).or_insert_with(|| json!({ "__t": "c" }));
                component[name.as_str()] = value;
            }
            _ => return Err(format!("{path} must be /PROPERTY, /COMPONENT or /COMPONENT/PROPERTY")),
        }
    }
    Ok(patch)
}

/// A component comes with `$metadata`, which the twin marks in its own way.
fn whole(mut value: Value) -> Value {
    if let Some(component) = value.as_object_mut()
        && component.remove("$metadata").is_some()
    {
        component.insert("__t".into(), "c".into());
    }
    value
}

/// The properties of one level that are no components, and what is known about each.
fn properties(desired: &Object, reported: &Object, version: &Value, times: &Object) -> (Object, Object) {
    let (mut values, mut metadata) = (Object::new(), Object::new());
    for name in names(desired, reported) {
        let (wanted, told) = (desired.get(name), reported.get(name));
        if [wanted, told].iter().flatten().any(|value| is_component(&object(value))) || name == "__t" {
            continue;
        }
        let mut known = Object::new();
        if let Some(wanted) = wanted {
            known.insert("desiredValue".into(), wanted.clone());
            known.insert("desiredVersion".into(), version.clone());
        }
        if let Some(told) = told {
            let value = match acknowledged(told) {
                Some(answer) => {
                    for (from, to) in [("av", "ackVersion"), ("ac", "ackCode"), ("ad", "ackDescription")] {
                        if let Some(value) = answer.get(from) {
                            known.insert(to.into(), value.clone());
                        }
                    }
                    answer["value"].clone()
                }
                None => told.clone(),
            };
            values.insert(name.to_owned(), value);
            known.insert(
                "lastUpdateTime".into(),
                times.get(name).map_or(Value::Null, |t| t["$lastUpdated"].clone()),
            );
        }
        metadata.insert(name.to_owned(), known.into());
    }
    (values, metadata)
}

/// The answer of a device to a writable property.
fn acknowledged(value: &Value) -> Option<&Object> {
    let answer = value.as_object()?;
    (answer.contains_key("value") && answer.contains_key("ac") && answer.contains_key("av")).then_some(answer)
}

fn is_component(object: &Object) -> bool {
    object.get("__t").is_some_and(|mark| mark == "c")
}

fn reported_times(reported: &Object) -> Value {
    reported.get("$metadata").cloned().unwrap_or_default()
}

fn object(value: &Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

fn part(section: &Object, name: &str) -> Object {
    section.get(name).map(object).unwrap_or_default()
}

/// The names of either, without what the hub adds, each once.
fn names<'a>(desired: &'a Object, reported: &'a Object) -> impl Iterator<Item = &'a str> {
    let only_desired = desired.keys().filter(|name| !reported.contains_key(*name));
    reported.keys().chain(only_desired).map(String::as_str).filter(|name| !name.starts_with('$'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_components_values_and_their_state() {
        let twin = json!({
            "deviceId": "d", "modelId": "dtmi:com:example:Controller;2",
            "properties": {
                "desired": {
                    "thermostat": { "__t": "c", "target": 20 }, "wanted": 1, "$version": 4, "$metadata": {},
                },
                "reported": {
                    "serial": "x",
                    "thermostat": {
                        "__t": "c", "max": 25.3,
                        "target": { "value": 19, "ac": 200, "av": 3, "ad": "done" },
                    },
                    "$version": 7,
                    "$metadata": {
                        "serial": { "$lastUpdated": "T1" },
                        "thermostat": {
                            "max": { "$lastUpdated": "T2" },
                            "target": { "$lastUpdated": "T3", "value": { "$lastUpdated": "T3" } },
                        },
                    },
                },
            },
        });
        let expected = json!({
            "$dtId": "d",
            "serial": "x",
            "thermostat": {
                "max": 25.3,
                "target": 19,
                "$metadata": {
                    "max": { "lastUpdateTime": "T2" },
                    "target": {
                        "desiredValue": 20, "desiredVersion": 4, "ackVersion": 3, "ackCode": 200,
                        "ackDescription": "done", "lastUpdateTime": "T3",
                    },
                },
            },
            "$metadata": {
                "$model": "dtmi:com:example:Controller;2",
                "serial": { "lastUpdateTime": "T1" },
                "wanted": { "desiredValue": 1, "desiredVersion": 4 },
            },
        });
        assert_eq!(view(&twin), expected);
    }

    #[test]
    fn a_json_patch_becomes_desired_properties() {
        let operations = json!([
            { "op": "add", "path": "/interval", "value": 5 },
            { "op": "replace", "path": "/thermostat/target", "value": 21 },
            { "op": "remove", "path": "/thermostat/old" },
            { "op": "add", "path": "/other", "value": { "$metadata": {}, "x": 1 } },
            { "op": "remove", "path": "/a~1b" },
        ]);
        let expected = json!({
            "interval": 5,
            "thermostat": { "__t": "c", "target": 21, "old": null },
            "other": { "__t": "c", "x": 1 },
            "a/b": null,
        });
        assert_eq!(Value::from(desired(&operations).unwrap()), expected);
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        for (operations, part) in [
            (json!({}), "array"),
            (json!([{ "path": "/a", "value": 1 }]), "'op'"),
            (json!([{ "op": "add", "value": 1 }]), "'path'"),
            (json!([{ "op": "add", "path": "/a" }]), "need a value"),
            (json!([{ "op": "move", "path": "/a", "value": 1 }]), "not move"),
            (json!([{ "op": "add", "path": "a", "value": 1 }]), "must be /PROPERTY"),
            (json!([{ "op": "add", "path": "/a/b/c", "value": 1 }]), "must be /PROPERTY"),
            (json!([{ "op": "add", "path": "/", "value": 1 }]), "must be /PROPERTY"),
        ] {
            let error = desired(&operations).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
