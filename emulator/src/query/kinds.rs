//! What kind of value an expression has, as far as that is known before there is a message.
//!
//! IoT Hub refuses a route whose condition puts together what never fits, above all the properties
//! of a message, which are text, and numbers.

use super::functions::Takes;
use super::lexer::{Name, Step};
use super::parser::Expression;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Bool,
    /// Not known: of the body or the twin, null, undefined.
    Any,
}

impl Kind {
    fn may_be(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any
    }

    pub(super) fn of(expression: &Expression) -> Self {
        match expression {
            Expression::Undefined | Expression::Null => Self::Any,
            Expression::Bool(_)
            | Expression::Not(_)
            | Expression::All(_)
            | Expression::Any(_)
            | Expression::Among { .. } => Self::Bool,
            Expression::Number(_) | Expression::Negate(_) => Self::Number,
            Expression::Text(_) => Self::Text,
            Expression::Property { name, .. } => Self::of_property(name),
            Expression::Call(function, _) => function.gives,
            Expression::Chain(first, others) => match others.last() {
                None => Self::of(first),
                Some(("+" | "-" | "*" | "/" | "%", _)) => Self::Number,
                Some(("||", _)) => Self::Text,
                Some(("??", last)) => Self::of(last),
                Some(_) => Self::Bool,
            },
        }
    }

    fn of_property(name: &Name) -> Self {
        let known = |first: &str| ["$body", "$twin"].iter().any(|name| first.eq_ignore_ascii_case(name));
        match name.steps.first() {
            Some(Step::Field(first)) if known(first) => Self::Any,
            _ => Self::Text,
        }
    }
}

/// The kind of `left operator right`; the error is a rule.
pub(super) fn of_operation(operator: &str, left: Kind, right: Kind) -> Result<Kind, &'static str> {
    let both = |wanted| left.may_be(wanted) && right.may_be(wanted);
    let alike = left.may_be(right) || right == Kind::Any;
    match operator {
        "+" | "-" | "*" | "/" | "%" if both(Kind::Number) => Ok(Kind::Number),
        "+" | "-" | "*" | "/" | "%" => Err("this takes numbers; AS_NUMBER reads one from a property"),
        "||" if both(Kind::Text) => Ok(Kind::Text),
        "||" => Err("this takes text"),
        "??" if alike => Ok(if left == Kind::Any { right } else { left }),
        _ if alike && operator != "??" => Ok(Kind::Bool),
        _ => Err("these two never compare; properties are text, and AS_NUMBER reads a number from one"),
    }
}

/// Checks an operand of AND, OR or NOT.
pub(super) fn check_condition(operand: Kind) -> Result<(), &'static str> {
    if operand.may_be(Kind::Bool) { Ok(()) } else { Err("a condition must come here, not text or a number") }
}

/// Checks the operand of a sign.
pub(super) fn check_number(operand: Kind) -> Result<(), &'static str> {
    if operand.may_be(Kind::Number) { Ok(()) } else { Err("a number must follow the sign") }
}

/// Checks the arguments of a function.
pub(super) fn check_arguments(takes: Takes, arguments: &[Expression]) -> Result<(), &'static str> {
    let all = |arguments: &[Expression], wanted| arguments.iter().all(|a| Kind::of(a).may_be(wanted));
    match takes {
        Takes::Anything => Ok(()),
        Takes::Numbers if all(arguments, Kind::Number) => Ok(()),
        Takes::Numbers => Err("this takes numbers; AS_NUMBER reads one from a property"),
        Takes::Texts if all(arguments, Kind::Text) => Ok(()),
        Takes::Texts => Err("this takes text"),
        Takes::TextOrNumber if all(arguments, Kind::Text) || all(arguments, Kind::Number) => Ok(()),
        Takes::TextOrNumber => Err("this takes text or a number"),
        Takes::TextAndNumbers => match arguments.split_first() {
            Some((text, rest)) if Kind::of(text).may_be(Kind::Text) && all(rest, Kind::Number) => Ok(()),
            _ => Err("this takes text and then numbers"),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::query::Condition;

    #[test]
    fn a_condition_on_messages_that_never_fits_is_refused() {
        let never = "these two never compare; properties are text, and AS_NUMBER reads a number from one";
        let numbers = "this takes numbers; AS_NUMBER reads one from a property";
        let condition = "a condition must come here, not text or a number";
        for (text, at, rule) in [
            ("count > 2", 7, never),
            ("$messageId = 7", 12, never),
            ("{$messageId} = 7", 14, never),
            ("level = true", 7, never),
            ("3 = 'a'", 3, never),
            ("length(level) = '2'", 15, never),
            ("level IN ['a', 3]", 16, never),
            ("(level ?? 3) = 3", 8, never),
            ("count + 1 = 3", 7, numbers),
            ("1 + 2 + count = 3", 7, numbers),
            ("power(count, 2) = 4", 1, numbers),
            ("'a' || 3 = 'a3'", 5, "this takes text"),
            ("length(3) = 1", 1, "this takes text"),
            ("substring(level, count) = 'a'", 1, "this takes text and then numbers"),
            ("as_number(true) = 1", 1, "this takes text or a number"),
            ("level AND true", 1, condition),
            ("true OR level", 9, condition),
            ("NOT level", 5, condition),
            ("-level = 3", 2, "a number must follow the sign"),
        ] {
            let error = Condition::parse(text).unwrap_err();
            assert_eq!(error, format!("at character {at}: {rule}"), "{text}");
        }
        for text in [
            "true",
            "3",
            "'text'",
            "level",
            "as_number(count) > 2",
            "$body.a > 2 AND $body.b = 'x' OR NOT $body.c",
            "$twin.tags.floor = '1' AND $TWIN.tags.floor = 1",
            "$body.a + $body.b[0] * 2 >= $body.c",
            "length($body.a) = 2",
            "level = null OR $body.a <> null OR undefined",
            "level IN ['a', 'b'] AND $body.a IN [1, 'b', null]",
            "(level ?? 'x') || '!' = 'x!'",
            "(as_number(count) ?? 12.5) = 3",
            "is_defined(level) = true",
            "starts_with(level, 'a') AND contains($body.a, level)",
        ] {
            assert!(Condition::parse(text).is_ok(), "{text}: {:?}", Condition::parse(text));
        }
    }
}
