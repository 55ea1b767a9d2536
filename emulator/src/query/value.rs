//! What an expression comes to.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

/// A value of JSON, or that there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Array(&'a [Json]),
    Object(&'a Map<String, Json>),
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(text.into()),
            Json::Array(items) => Self::Array(items),
            Json::Object(fields) => Self::Object(fields),
        }
    }
}

impl Value<'_> {
    /// What is no number is undefined.
    pub(crate) fn number(number: f64) -> Self {
        if number.is_nan() { Self::Undefined } else { Self::Number(number) }
    }

    /// The order of two values of one kind that has one.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Whether two values are the same; `None` where one is undefined, an object or an array:
    /// IoT Hub compares only primitive values.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        let primitive = |value: &Self| !matches!(value, Self::Undefined | Self::Array(_) | Self::Object(_));
        (primitive(self) && primitive(other)).then(|| self == other)
    }

    /// What AND, OR and NOT take: null counts as false, anything else that is no boolean is undefined.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Null => Some(false),
            _ => None,
        }
    }

    pub(super) fn from_truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Undefined, Self::Bool)
    }
}
