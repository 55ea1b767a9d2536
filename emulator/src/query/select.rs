//! `SELECT ... FROM devices`: queries over documents.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::describe;
use super::evaluate::{evaluate, find};
use super::lexer::{Name, Step};
use super::parser::{Expression, Parser, Refusal};
use super::value::Value;

/// What a query goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    Devices,
    Modules,
}

/// A query as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) collection: Collection,
    top: Option<usize>,
    /// `None` is `*`.
    columns: Option<Vec<Column>>,
    condition: Option<Expression>,
    group: Option<Name>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    alias: String,
    source: Source,
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    Property(Name),
    Count,
    Sum(Name),
    Average(Name),
    Least(Name),
    Most(Name),
}

impl Query {
    /// The error names the character, counted from 1, and the rule.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Parser::new(text)
            .and_then(|mut parser| query(&mut parser))
            .map_err(|refusal| describe(text, &refusal))
    }

    /// Whether the results are whole documents (`x-ms-item-type: Twin`) and not rows of their own (`Raw`).
    pub(crate) fn is_whole(&self) -> bool {
        self.columns.is_none()
    }

    /// The rows, in the order of the documents.
    pub(crate) fn run(&self, documents: impl IntoIterator<Item = Json>) -> Vec<Json> {
        let matching = documents.into_iter().filter(|document| match &self.condition {
            None => true,
            Some(condition) => {
                evaluate(condition, &|name, _| find(document, &name.steps)).truth() == Some(true)
            }
        });
        let top = self.top.unwrap_or(usize::MAX);
        let Some(columns) = &self.columns else {
            return matching.take(top).collect();
        };
        if self.group.is_none() && columns.iter().all(|column| !column.source.is_aggregate()) {
            return matching.take(top).map(|document| row(columns, &[document])).collect();
        }
        let Some(group) = &self.group else {
            return vec![row(columns, &matching.collect::<Vec<_>>())];
        };
        // In the order in which they come up; there may be as many as documents.
        let mut groups: Vec<Vec<Json>> = Vec::new();
        let mut places: HashMap<Option<String>, usize> = HashMap::new();
        for document in matching {
            let value = json(&find(&document, &group.steps)).map(|value| value.to_string());
            let place = *places.entry(value).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(members) => members.push(document),
                None => groups.push(vec![document]),
            }
        }
        groups.iter().take(top).map(|members| row(columns, members)).collect()
    }
}

fn query(parser: &mut Parser) -> Result<Query, Refusal> {
    keyword(parser, "SELECT")?;
    let top = if parser.is_word("top") && !parser.is_call() {
        parser.eat_word("top");
        Some(count(parser)?)
    } else {
        None
    };
    let columns = if parser.eat("*") { None } else { Some(columns(parser)?) };
    keyword(parser, "FROM")?;
    let at = parser.at();
    let name = parser.name()?;
    let collection = match field_names(&name).as_deref() {
        Some("devices") => Collection::Devices,
        Some("devices.modules") => Collection::Modules,
        Some("devices.jobs") => return Err((at, "this hub keeps no jobs".into())),
        _ => return Err((at, "FROM takes devices or devices.modules".into())),
    };
    let condition = if parser.eat_word("where") { Some(parser.expression()?) } else { None };
    let group = if parser.eat_word("group") {
        keyword(parser, "BY")?;
        Some(parser.name()?)
    } else {
        None
    };
    if parser.is_word("order") {
        return parser.refuse("IoT Hub's queries have no ORDER BY");
    }
    parser.expect_end()?;
    check_columns(columns.as_deref(), group.as_ref()).map_err(|rule| (0, rule.to_owned()))?;
    Ok(Query { collection, top, columns, condition, group })
}

/// Without this rule a column would have the value of one document among many.
fn check_columns(columns: Option<&[Column]>, group: Option<&Name>) -> Result<(), &'static str> {
    let Some(columns) = columns else {
        return if group.is_some() { Err("SELECT * does not go with GROUP BY") } else { Ok(()) };
    };
    let aggregates = columns.iter().any(|column| column.source.is_aggregate());
    let strays = columns.iter().any(|column| match &column.source {
        Source::Property(name) => Some(name) != group,
        _ => false,
    });
    if strays && (aggregates || group.is_some()) {
        return Err("beside an aggregate, SELECT may name only the property of GROUP BY");
    }
    Ok(())
}

fn keyword(parser: &mut Parser, word: &str) -> Result<(), Refusal> {
    if parser.eat_word(word) { Ok(()) } else { parser.refuse(format!("{word} must come here")) }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(parser: &mut Parser) -> Result<usize, Refusal> {
    let at = parser.at();
    let number = parser.number().filter(|number| number.fract() == 0.0 && (1.0..=1e9).contains(number));
    number.map(|number| number as usize).ok_or((at, "TOP takes a whole number of at least 1".into()))
}

/// The lower-case text of a name without elements of arrays.
fn field_names(name: &Name) -> Option<String> {
    let fields = name.steps.iter().map(|step| match step {
        Step::Field(field) => Some(field.to_ascii_lowercase()),
        Step::Element(_) => None,
    });
    Some(fields.collect::<Option<Vec<_>>>()?.join("."))
}

fn columns(parser: &mut Parser) -> Result<Vec<Column>, Refusal> {
    let mut columns: Vec<Column> = Vec::new();
    loop {
        let at = parser.at();
        let source = source(parser)?;
        let alias = if parser.eat_word("as") {
            let alias = parser.name()?;
            match &alias.steps[..] {
                [Step::Field(alias)] => alias.clone(),
                _ => return Err((at, "an alias is a single name".into())),
            }
        } else {
            match &source {
                Source::Property(name) => {
                    last_field(name).ok_or((at, "an element needs AS and an alias".to_owned()))?
                }
                // As the database below IoT Hub names what has no name.
                _ => format!("${}", columns.len() + 1),
            }
        };
        if columns.iter().any(|column| column.alias == alias) {
            return Err((at, format!("two columns are called {alias}")));
        }
        columns.push(Column { alias, source });
        if !parser.eat(",") {
            return Ok(columns);
        }
    }
}

fn last_field(name: &Name) -> Option<String> {
    match name.steps.last() {
        Some(Step::Field(field)) => Some(field.clone()),
        _ => None,
    }
}

fn source(parser: &mut Parser) -> Result<Source, Refusal> {
    if !parser.is_call() {
        return parser.name().map(Source::Property);
    }
    let at = parser.at();
    let function = field_names(&parser.name()?).unwrap_or_default();
    parser.expect("(")?;
    let of: Option<fn(Name) -> Source> = match function.as_str() {
        "count" => None,
        "sum" => Some(Source::Sum),
        "avg" => Some(Source::Average),
        "min" => Some(Source::Least),
        "max" => Some(Source::Most),
        _ => return Err((at, "SELECT takes names and COUNT, AVG, SUM, MIN, MAX".into())),
    };
    let source = match of {
        Some(of) => of(parser.name()?),
        None => Source::Count,
    };
    parser.expect(")")?;
    Ok(source)
}

impl Source {
    fn is_aggregate(&self) -> bool {
        !matches!(self, Self::Property(_))
    }

    /// `None` where the row has no such column.
    fn value(&self, members: &[Json]) -> Option<Json> {
        #[allow(clippy::cast_precision_loss)]
        match self {
            Self::Property(name) => json(&find(members.first()?, &name.steps)),
            Self::Count => Some(members.len().into()),
            Self::Sum(name) => Some(number(numbers(members, name).sum())),
            Self::Average(name) => {
                let numbers: Vec<f64> = numbers(members, name).collect();
                (!numbers.is_empty()).then(|| number(numbers.iter().sum::<f64>() / numbers.len() as f64))
            }
            Self::Least(name) => numbers(members, name).min_by(f64::total_cmp).map(number),
            Self::Most(name) => numbers(members, name).max_by(f64::total_cmp).map(number),
        }
    }
}

fn numbers(members: &[Json], name: &Name) -> impl Iterator<Item = f64> {
    members.iter().filter_map(|document| match find(document, &name.steps) {
        Value::Number(number) => Some(number),
        _ => None,
    })
}

fn row(columns: &[Column], members: &[Json]) -> Json {
    let fields =
        columns.iter().filter_map(|column| Some((column.alias.clone(), column.source.value(members)?)));
    Json::Object(fields.collect::<Map<_, _>>())
}

/// A whole number where it is one: a twin's 5 does not come back as 5.0.
#[allow(clippy::cast_possible_truncation)]
fn number(number: f64) -> Json {
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    if whole { (number as i64).into() } else { number.into() }
}

fn json(value: &Value<'_>) -> Option<Json> {
    Some(match value {
        Value::Undefined => return None,
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => number(*value),
        Value::Text(text) => text.as_ref().into(),
        Value::Array(items) => items.to_vec().into(),
        Value::Object(fields) => (*fields).clone().into(),
    })
}
