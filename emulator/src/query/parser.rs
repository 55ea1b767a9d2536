//! Tokens to expressions.

use super::functions::Function;
use super::lexer::{self, Kind, Name, Token};

/// How deep parentheses, functions and signs may nest; the parser and the evaluation use the stack.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Property {
        name: Name,
        /// In braces: of the system's properties alone.
        system: bool,
    },
    Call(Function, Vec<Expression>),
    Negate(Box<Expression>),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Among {
        value: Box<Expression>,
        constants: Vec<Expression>,
        negated: bool,
    },
    /// Two or more operands of operators of one rank, from left to right.
    Chain(Box<Expression>, Vec<(&'static str, Expression)>),
}

/// From the loosest to the tightest.
const RANKS: [&[&str]; 5] =
    [&["??"], &["=", "!=", "<>"], &["<", "<=", ">", ">="], &["+", "-", "||"], &["*", "/", "%"]];

pub(super) type Refusal = (usize, String);

pub(super) struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    pub(super) fn new(text: &str) -> Result<Self, Refusal> {
        Ok(Self { tokens: lexer::tokens(text)?, next: 0, depth: 0 })
    }

    fn kind(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |token| token.at)
    }

    pub(super) fn refuse<T>(&self, rule: impl Into<String>) -> Result<T, Refusal> {
        Err((self.at(), rule.into()))
    }

    pub(super) fn is_at_end(&self) -> bool {
        *self.kind() == Kind::End
    }

    pub(super) fn expect_end(&self) -> Result<(), Refusal> {
        if self.is_at_end() { Ok(()) } else { self.refuse("an operator or the end must come here") }
    }

    fn eat_sign(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let Kind::Sign(sign) = *self.kind() else {
            return None;
        };
        wanted.contains(&sign).then(|| {
            self.next += 1;
            sign
        })
    }

    pub(super) fn eat(&mut self, sign: &'static str) -> bool {
        self.eat_sign(&[sign]).is_some()
    }

    pub(super) fn expect(&mut self, sign: &'static str) -> Result<(), Refusal> {
        if self.eat(sign) { Ok(()) } else { self.refuse(format!("'{sign}' must come here")) }
    }

    fn word(&self) -> Option<&str> {
        match self.kind() {
            Kind::Name(name) => name.word(),
            _ => None,
        }
    }

    pub(super) fn is_word(&self, wanted: &str) -> bool {
        self.word().is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    }

    pub(super) fn eat_word(&mut self, wanted: &str) -> bool {
        let found = self.is_word(wanted);
        self.next += usize::from(found);
        found
    }

    pub(super) fn name(&mut self) -> Result<Name, Refusal> {
        let Kind::Name(name) = self.kind().clone() else {
            return self.refuse("a name must come here");
        };
        self.next += 1;
        Ok(name)
    }

    pub(super) fn number(&mut self) -> Option<f64> {
        let Kind::Number(number) = *self.kind() else {
            return None;
        };
        self.next += 1;
        Some(number)
    }

    /// Whether a name is followed by an opening parenthesis.
    pub(super) fn is_call(&self) -> bool {
        let after = self.tokens.get(self.next + 1).map(|token| &token.kind);
        self.word().is_some() && after == Some(&Kind::Sign("("))
    }

    pub(super) fn expression(&mut self) -> Result<Expression, Refusal> {
        let first = self.conjunction()?;
        if !self.is_word("or") {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.eat_word("or") {
            operands.push(self.conjunction()?);
        }
        Ok(Expression::Any(operands))
    }

    fn conjunction(&mut self) -> Result<Expression, Refusal> {
        let first = self.negation()?;
        if !self.is_word("and") {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.eat_word("and") {
            operands.push(self.negation()?);
        }
        Ok(Expression::All(operands))
    }

    fn negation(&mut self) -> Result<Expression, Refusal> {
        if self.eat_word("not") {
            return Ok(Expression::Not(Box::new(self.nested(Self::negation)?)));
        }
        self.ranked(&RANKS)
    }

    fn ranked(&mut self, ranks: &[&[&'static str]]) -> Result<Expression, Refusal> {
        let Some((rank, tighter)) = ranks.split_first() else {
            return self.unary();
        };
        let first = self.ranked(tighter)?;
        let mut others = Vec::new();
        while let Some(operator) = self.eat_sign(rank) {
            others.push((operator, self.ranked(tighter)?));
        }
        let whole = if others.is_empty() { first } else { Expression::Chain(Box::new(first), others) };
        if rank.contains(&"=") { self.membership(whole) } else { Ok(whole) }
    }

    fn membership(&mut self, value: Expression) -> Result<Expression, Refusal> {
        let negated = self.is_word("nin");
        if !negated && !self.is_word("in") {
            return Ok(value);
        }
        self.next += 1;
        if !self.eat("[") {
            return self.refuse("a list of constants in [ ] must come here");
        }
        let mut constants = Vec::new();
        loop {
            constants.push(self.constant()?);
            if !self.eat(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Expression::Among { value: Box::new(value), constants, negated })
    }

    fn constant(&mut self) -> Result<Expression, Refusal> {
        let at = self.at();
        match self.nested(Self::unary)? {
            Expression::Negate(inner) if matches!(*inner, Expression::Number(_)) => {
                Ok(Expression::Negate(inner))
            }
            constant @ (Expression::Undefined
            | Expression::Null
            | Expression::Bool(_)
            | Expression::Number(_)
            | Expression::Text(_)) => Ok(constant),
            _ => Err((at, "a constant must come here".into())),
        }
    }

    fn unary(&mut self) -> Result<Expression, Refusal> {
        if self.eat("-") {
            return Ok(Expression::Negate(Box::new(self.nested(Self::unary)?)));
        }
        if self.eat("(") {
            let inner = self.nested(Self::expression)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.eat("{") {
            let name = self.name()?;
            self.expect("}")?;
            return Ok(Expression::Property { name, system: true });
        }
        match self.kind().clone() {
            Kind::Number(number) => {
                self.next += 1;
                Ok(Expression::Number(number))
            }
            Kind::Text(text) => {
                self.next += 1;
                Ok(Expression::Text(text))
            }
            Kind::Name(name) => self.named(name),
            Kind::Sign(_) | Kind::End => self.refuse("a value must come here"),
        }
    }

    fn named(&mut self, name: Name) -> Result<Expression, Refusal> {
        if self.is_call() {
            return self.call(name.word().unwrap_or_default());
        }
        if ["and", "or", "in", "nin"].iter().any(|word| self.is_word(word)) {
            return self.refuse("a value must come here");
        }
        self.next += 1;
        Ok(match name.word().map(str::to_ascii_lowercase).as_deref() {
            Some("true") => Expression::Bool(true),
            Some("false") => Expression::Bool(false),
            Some("null") => Expression::Null,
            Some("undefined") => Expression::Undefined,
            _ => Expression::Property { name, system: false },
        })
    }

    fn call(&mut self, name: &str) -> Result<Expression, Refusal> {
        let at = self.at();
        let function = Function::named(name).ok_or_else(|| (at, format!("there is no function {name}")))?;
        self.next += 2;
        let mut arguments = Vec::new();
        if !self.eat(")") {
            loop {
                arguments.push(self.nested(Self::expression)?);
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        if (function.least..=function.most).contains(&arguments.len()) {
            return Ok(Expression::Call(function, arguments));
        }
        let Function { name, least, most } = function;
        let wanted = match most {
            usize::MAX => format!("{least} or more"),
            most if most == least => least.to_string(),
            most => format!("{least} to {most}"),
        };
        Err((at, format!("{name} takes {wanted} arguments and has {}", arguments.len())))
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Expression, Refusal>,
    ) -> Result<Expression, Refusal> {
        if self.depth == MAX_DEPTH {
            return self.refuse(format!("this is nested more than {MAX_DEPTH} deep"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}
