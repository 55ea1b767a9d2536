//! IoT Hub's query language: conditions of routes, and queries over twins. Pure.
//!
//! A condition that names what is not there is undefined, which is not true: it selects nothing,
//! and neither does its NOT.

mod evaluate;
mod functions;
mod lexer;
mod parser;
mod select;
mod value;

pub(crate) use evaluate::find;
pub(crate) use lexer::{Name, Step};
pub(crate) use select::{Collection, Query};
pub(crate) use value::Value;

use parser::{Expression, Parser, Refusal};

/// What a message or a twin has to be like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition(Expression);

impl Condition {
    /// The error names the character, counted from 1, and the rule.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parsed = Parser::new(text).and_then(|mut parser| {
            let expression = parser.expression()?;
            parser.expect_end()?;
            Ok(Self(expression))
        });
        parsed.map_err(|refusal| describe(text, &refusal))
    }

    /// `None` where the condition is neither true nor false.
    ///
    /// `lookup` gives the value of a name; its flag is set where a name stands in braces, which
    /// asks for the system's properties alone.
    pub(crate) fn holds<'a>(&self, lookup: &dyn Fn(&Name, bool) -> Value<'a>) -> Option<bool> {
        evaluate::evaluate(&self.0, lookup).truth()
    }
}

fn describe(text: &str, (at, rule): &Refusal) -> String {
    let place = text.get(..*at).map_or(0, |before| before.chars().count()) + 1;
    match text.get(*at..).and_then(|rest| rest.chars().next()) {
        Some(_) => format!("at character {place}: {rule}"),
        None => format!("at the end: {rule}"),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
