//! Expressions to values.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::functions;
use super::lexer::{Name, Step};
use super::parser::Expression;
use super::value::Value;

/// Finds the value of a name; the flag asks for the system's properties alone.
pub(super) type Lookup<'a, 'f> = &'f dyn Fn(&Name, bool) -> Value<'a>;

pub(super) fn evaluate<'a>(expression: &Expression, lookup: Lookup<'a, '_>) -> Value<'a> {
    let value_of = |operand: &Expression| evaluate(operand, lookup);
    match expression {
        Expression::Undefined => Value::Undefined,
        Expression::Null => Value::Null,
        Expression::Bool(value) => Value::Bool(*value),
        Expression::Number(number) => Value::number(*number),
        Expression::Text(text) => Value::Text(text.clone().into()),
        Expression::Property { name, system } => lookup(name, *system),
        Expression::Call(function, arguments) => {
            function.call(&arguments.iter().map(value_of).collect::<Vec<_>>())
        }
        Expression::Negate(operand) => match value_of(operand) {
            Value::Number(number) => Value::Number(-number),
            _ => Value::Undefined,
        },
        Expression::Not(operand) => Value::from_truth(value_of(operand).truth().map(|truth| !truth)),
        Expression::All(operands) => Value::from_truth(all(operands.iter().map(|o| value_of(o).truth()))),
        Expression::Any(operands) => {
            // Not one of them is false the other way round.
            let inverted = operands.iter().map(|o| value_of(o).truth().map(|truth| !truth));
            Value::from_truth(all(inverted).map(|truth| !truth))
        }
        Expression::Among { value, constants, negated } => {
            let value = value_of(value);
            let found = value
                .equals(&Value::Null)
                .map(|_| constants.iter().any(|constant| value.equals(&value_of(constant)) == Some(true)));
            Value::from_truth(found.map(|found| found != *negated))
        }
        Expression::Chain(first, others) => others
            .iter()
            .fold(value_of(first), |left, (operator, right)| operate(left, operator, value_of(right))),
    }
}

/// False where one is, else undefined where one is.
fn all(operands: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for operand in operands {
        match operand {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

fn operate<'a>(left: Value<'a>, operator: &str, right: Value<'a>) -> Value<'a> {
    let order = |holds: fn(Ordering) -> bool| Value::from_truth(left.compare(&right).map(holds));
    let number = |result: fn(f64, f64) -> f64| match (&left, &right) {
        (Value::Number(a), Value::Number(b)) => Value::number(result(*a, *b)),
        _ => Value::Undefined,
    };
    match operator {
        "=" => Value::from_truth(left.equals(&right)),
        "!=" | "<>" => Value::from_truth(left.equals(&right).map(|equal| !equal)),
        "<" => order(Ordering::is_lt),
        "<=" => order(Ordering::is_le),
        ">" => order(Ordering::is_gt),
        ">=" => order(Ordering::is_ge),
        "+" => number(|a, b| a + b),
        "-" => number(|a, b| a - b),
        "*" => number(|a, b| a * b),
        "/" => number(|a, b| a / b),
        "%" => number(|a, b| a % b),
        "||" => functions::concat(&[left, right]),
        "??" if left == Value::Undefined => right,
        _ => left,
    }
}

/// What is at `steps` of a document. Names are compared as they are and, where there is none,
/// without regard to case: IoT Hub's queries have none.
pub(crate) fn find<'a>(document: &'a Json, steps: &[Step]) -> Value<'a> {
    let mut place = document;
    for step in steps {
        let next = match (step, place) {
            (Step::Field(name), Json::Object(fields)) => fields.get(name).or_else(|| {
                fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }),
            (Step::Element(index), Json::Array(items)) => items.get(*index),
            _ => None,
        };
        let Some(next) = next else {
            return Value::Undefined;
        };
        place = next;
    }
    place.into()
}
