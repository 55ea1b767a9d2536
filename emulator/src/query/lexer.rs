//! Text to tokens.

/// A symbol of the language with the place where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// In bytes from the start of the text.
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Text(String),
    Name(Name),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// A name as it is written, taken apart: `$body.arr[0].x`, `tags.[[a b]]`, `level`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) steps: Vec<Step>,
    /// Whether a part of it stands in brackets: such a name is no keyword.
    pub(crate) bracketed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Field(String),
    Element(usize),
}

impl Name {
    /// The word where the name may be a keyword or the name of a function.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.steps[..] {
            [Step::Field(word)] if !self.bracketed => Some(word),
            _ => None,
        }
    }
}

const SIGNS: [&str; 22] = [
    "<>", "!=", "<=", ">=", "||", "??", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "{",
    "}", ".",
];

/// What IoT Hub's limits on names leave: everything but white space and these.
fn is_name_char(c: char) -> bool {
    !c.is_whitespace() && !"()<>@,;:\\\"'/[]?={}.".contains(c)
}

/// What a name may begin with; the others are operators there.
fn begins_name(c: char) -> bool {
    is_name_char(c) && !"+-*%!|&^~".contains(c)
}

/// The error is a place and a rule.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let at = lexer.at;
        let kind = lexer.next()?;
        let done = kind == Kind::End;
        tokens.push(Token { kind, at });
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn skip_blanks(&mut self) -> Result<(), (usize, String)> {
        loop {
            self.take(char::is_whitespace);
            let at = self.at;
            if !self.eat("/*") {
                return Ok(());
            }
            let end = self.rest().find("*/").ok_or((at, "this comment has no end".to_owned()))?;
            self.at += end + 2;
        }
    }

    fn next(&mut self) -> Result<Kind, (usize, String)> {
        let Some(first) = self.peek() else {
            return Ok(Kind::End);
        };
        if first == '\'' || first == '"' {
            return self.string(first).map(Kind::Text);
        }
        let fraction = || self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
        if (first.is_ascii_digit() || first == '.' && fraction())
            && let Some(number) = self.number()?
        {
            return Ok(Kind::Number(number));
        }
        if begins_name(first) {
            return self.name().map(Kind::Name);
        }
        if self.rest().starts_with("[[") {
            return self.name().map(Kind::Name);
        }
        for sign in SIGNS {
            if self.eat(sign) {
                return Ok(Kind::Sign(sign));
            }
        }
        Err((self.at, format!("'{}' begins nothing that the language has", first.escape_debug())))
    }

    /// `None` where digits begin a name.
    fn number(&mut self) -> Result<Option<f64>, (usize, String)> {
        let start = self.at;
        if self.eat("0x") || self.eat("0X") {
            let digits = self.take(|c| c.is_ascii_hexdigit());
            return match u64::from_str_radix(digits, 16) {
                #[allow(clippy::cast_precision_loss)]
                Ok(number) => Ok(Some(number as f64)),
                Err(_) => Err((start, "a hexadecimal number has 1 to 16 digits after 0x".into())),
            };
        }
        self.take(|c| c.is_ascii_digit());
        let point = self.at;
        if self.eat(".") && self.take(|c| c.is_ascii_digit()).is_empty() {
            self.at = point;
        }
        let exponent = self.at;
        if self.eat("e") || self.eat("E") {
            let _ = self.eat("+") || self.eat("-");
            if self.take(|c| c.is_ascii_digit()).is_empty() {
                self.at = exponent;
            }
        }
        if self.peek().is_some_and(begins_name) {
            self.at = start;
            return if self.peek() == Some('.') {
                Err((start, "a number ends where a name begins".into()))
            } else {
                Ok(None)
            };
        }
        let number = self.text.get(start..self.at).and_then(|digits| digits.parse().ok());
        number.map(Some).ok_or((start, "this is no number".into()))
    }

    fn string(&mut self, quote: char) -> Result<String, (usize, String)> {
        let start = self.at;
        self.at += 1;
        let mut units = Vec::new();
        loop {
            let at = self.at;
            let Some(c) = self.peek() else {
                return Err((start, "this text has no closing quotation mark".into()));
            };
            self.at += c.len_utf8();
            if c == quote {
                let lone = |_| (start, "a \\u in this text stands for half a character".to_owned());
                return String::from_utf16(&units).map_err(lone);
            }
            if c != '\\' {
                units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
                continue;
            }
            let escape = self.peek();
            self.at += escape.map_or(0, char::len_utf8);
            match escape {
                Some(plain @ ('\'' | '"' | '\\')) => units.push(plain as u16),
                Some('u') => {
                    let digits = self.rest().get(..4);
                    let unit = digits
                        .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
                        .and_then(|digits| u16::from_str_radix(digits, 16).ok())
                        .ok_or((at, "\\u needs four hexadecimal digits".to_owned()))?;
                    units.push(unit);
                    self.at += 4;
                }
                _ => return Err((at, "after \\ may come ' \" \\ or u and four digits".into())),
            }
        }
    }

    fn name(&mut self) -> Result<Name, (usize, String)> {
        let mut name = Name { steps: Vec::new(), bracketed: false };
        loop {
            if self.peek().is_some_and(is_name_char) {
                // `a!=1` is a comparison, although a name may have an exclamation mark.
                let rest = self.rest();
                let run = &rest[..rest.find(|c| !is_name_char(c)).unwrap_or(rest.len())];
                let followed = rest[run.len()..].starts_with('=');
                let run = if followed { run.strip_suffix('!').unwrap_or(run) } else { run };
                self.at += run.len();
                name.steps.push(Step::Field(run.to_owned()));
                if name.word().is_some_and(|word| ["in", "nin"].iter().any(|k| word.eq_ignore_ascii_case(k)))
                {
                    return Ok(name);
                }
            } else if self.peek() != Some('[') {
                return Err((self.at, "a name must follow the '.'".into()));
            }
            while self.peek() == Some('[') {
                name.bracketed = true;
                let step = self.bracket()?;
                name.steps.push(step);
            }
            if !self.eat(".") {
                return Ok(name);
            }
        }
    }

    /// `[[name]]`, `['name']`, `["name"]` or `[0]`.
    fn bracket(&mut self) -> Result<Step, (usize, String)> {
        let start = self.at;
        if self.eat("[[") {
            let end = self.rest().find("]]").filter(|end| *end > 0);
            let end = end.ok_or((start, "[[ needs a name and ]]".to_owned()))?;
            let name = self.rest()[..end].to_owned();
            self.at += end + 2;
            return Ok(Step::Field(name));
        }
        self.at += 1;
        let step = match self.peek() {
            Some(quote @ ('\'' | '"')) => Step::Field(self.string(quote)?),
            _ => {
                let digits = self.take(|c| c.is_ascii_digit());
                let rule = "between [ and ] stands a name in quotation marks or the number of an element";
                Step::Element(digits.parse().map_err(|_| (start, rule.to_owned()))?)
            }
        };
        if self.eat("]") { Ok(step) } else { Err((start, "this [ has no ]".into())) }
    }
}
