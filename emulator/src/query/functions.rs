//! The functions of conditions. An argument of the wrong kind makes the result undefined.

use std::borrow::Cow;

use super::value::Value;

/// A function by its name and how many arguments it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
}

const fn function(name: &'static str, least: usize, most: usize) -> Function {
    Function { name, least, most }
}

/// Those of IoT Hub's documentation; the ones without an underscore are other spellings of those with.
const FUNCTIONS: [Function; 28] = [
    function("ABS", 1, 1),
    function("EXP", 1, 1),
    function("POWER", 2, 2),
    function("SQUARE", 1, 1),
    function("CEILING", 1, 1),
    function("FLOOR", 1, 1),
    function("SIGN", 1, 1),
    function("SQRT", 1, 1),
    function("AS_NUMBER", 1, 1),
    function("IS_ARRAY", 1, 1),
    function("IS_BOOL", 1, 1),
    function("IS_DEFINED", 1, 1),
    function("IS_NULL", 1, 1),
    function("IS_NUMBER", 1, 1),
    function("IS_OBJECT", 1, 1),
    function("IS_PRIMITIVE", 1, 1),
    function("IS_STRING", 1, 1),
    function("CONCAT", 2, usize::MAX),
    function("LENGTH", 1, 1),
    function("LOWER", 1, 1),
    function("UPPER", 1, 1),
    function("SUBSTRING", 2, 3),
    function("INDEX_OF", 2, 2),
    function("STARTS_WITH", 2, 2),
    function("ENDS_WITH", 2, 2),
    function("CONTAINS", 2, 2),
    function("STARTSWITH", 2, 2),
    function("ENDSWITH", 2, 2),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS.into_iter().find(|function| function.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn call<'a>(self, arguments: &[Value<'a>]) -> Value<'a> {
        match (self.name, arguments) {
            ("CONCAT", parts) => concat(parts),
            (name, [value]) => one(name, value),
            (name, [Value::Text(text), Value::Text(part)]) => two_texts(name, text, part),
            ("POWER", [Value::Number(base), Value::Number(exponent)]) => Value::number(base.powf(*exponent)),
            ("SUBSTRING", [Value::Text(text), Value::Number(start)]) => substring(text, *start, None),
            ("SUBSTRING", [Value::Text(text), Value::Number(start), Value::Number(length)]) => {
                substring(text, *start, Some(*length))
            }
            _ => Value::Undefined,
        }
    }
}

fn one<'a>(name: &str, value: &Value<'a>) -> Value<'a> {
    match (name, value) {
        ("IS_ARRAY", value) => Value::Bool(matches!(value, Value::Array(_))),
        ("IS_BOOL", value) => Value::Bool(matches!(value, Value::Bool(_))),
        ("IS_DEFINED", value) => Value::Bool(*value != Value::Undefined),
        ("IS_NULL", value) => Value::Bool(*value == Value::Null),
        ("IS_NUMBER", value) => Value::Bool(matches!(value, Value::Number(number) if number.is_finite())),
        ("IS_OBJECT", value) => Value::Bool(matches!(value, Value::Object(_))),
        ("IS_PRIMITIVE", value) => {
            Value::Bool(!matches!(value, Value::Undefined | Value::Array(_) | Value::Object(_)))
        }
        ("IS_STRING", value) => Value::Bool(matches!(value, Value::Text(_))),
        ("AS_NUMBER", Value::Text(text)) => {
            // Rust reads `inf` and `nan`, too.
            let digits = text.trim();
            let plain = !digits.is_empty() && digits.bytes().all(|b| b"0123456789+-.eE".contains(&b));
            Value::number(if plain { digits.parse().unwrap_or(f64::NAN) } else { f64::NAN })
        }
        ("AS_NUMBER", Value::Number(number)) => Value::Number(*number),
        ("LENGTH", Value::Text(text)) => Value::Number(count(text)),
        ("LOWER", Value::Text(text)) => Value::Text(text.to_lowercase().into()),
        ("UPPER", Value::Text(text)) => Value::Text(text.to_uppercase().into()),
        (name, Value::Number(x)) => Value::number(match name {
            "ABS" => x.abs(),
            "EXP" => x.exp(),
            "SQUARE" => x * x,
            "CEILING" => x.ceil(),
            "FLOOR" => x.floor(),
            "SIGN" if *x == 0.0 => 0.0,
            "SIGN" => x.signum(),
            "SQRT" => x.sqrt(),
            _ => f64::NAN,
        }),
        _ => Value::Undefined,
    }
}

fn two_texts<'a>(name: &str, text: &str, part: &str) -> Value<'a> {
    match name {
        "INDEX_OF" => Value::Number(text.find(part).map_or(-1.0, |at| count(&text[..at]))),
        "STARTS_WITH" | "STARTSWITH" => Value::Bool(text.starts_with(part)),
        "ENDS_WITH" | "ENDSWITH" => Value::Bool(text.ends_with(part)),
        "CONTAINS" => Value::Bool(text.contains(part)),
        _ => Value::Undefined,
    }
}

/// Characters as .NET counts them: UTF-16 code units.
#[allow(clippy::cast_precision_loss)]
fn count(text: &str) -> f64 {
    text.encode_utf16().count() as f64
}

/// A property without a value counts as empty text.
pub(super) fn concat<'a>(parts: &[Value<'_>]) -> Value<'a> {
    let mut whole = String::new();
    for part in parts {
        match part {
            Value::Text(text) => whole.push_str(text),
            Value::Null => {}
            _ => return Value::Undefined,
        }
    }
    Value::Text(Cow::Owned(whole))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn substring<'a>(text: &str, start: f64, length: Option<f64>) -> Value<'a> {
    let units: Vec<u16> = text.encode_utf16().collect();
    // A fraction counts as the whole number below it; what is negative or too large is outside.
    let place = |number: f64| (0.0..=1e9).contains(&number).then_some(number as usize);
    let part = place(start).and_then(|start| match length {
        None => units.get(start..),
        Some(length) => units.get(start..start + place(length)?),
    });
    part.and_then(|units| String::from_utf16(units).ok())
        .map_or(Value::Undefined, |text| Value::Text(text.into()))
}
