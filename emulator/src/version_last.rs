//! Twins as text for devices.

use serde_json::Value;

/// JSON with `$version` behind the properties beside it, as IoT Hub writes it: the samples of the
/// embedded SDK for C stop reading there.
pub(crate) fn text(document: &Value) -> String {
    let mut out = String::new();
    write(document, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    let Value::Object(fields) = value else {
        out.push_str(&value.to_string());
        return;
    };
    let (version, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "$version");
    out.push('{');
    for (at, (name, value)) in others.into_iter().chain(version).enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        write(value, out);
    }
    out.push('}');
}
