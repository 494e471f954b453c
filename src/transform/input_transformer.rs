//! Amazon EventBridge's input transformer (Amazon EventBridge User Guide, "Amazon EventBridge input
//! transformation").
//!
//! A template is JSON, with values in place of `<name>`, or lines of text in quotes. It differs from
//! EventBridge's in one thing, for safety: a value that stands inside quotes is escaped, so that it
//! cannot end the string it stands in and write members of its own.

use std::sync::Arc;

use super::Event;
use super::budget::{Budget, Problem};
use super::json::Json;
use super::output::Output;
use super::path::JsonPath;
use crate::domain::body::InputTransformer;
use crate::domain::field::FieldError;

/// A compiled transformer.
#[derive(Debug)]
pub struct Transformer {
    paths: Vec<(String, JsonPath)>,
    parts: Vec<Part>,
    /// Whether the template is an object or an array.
    is_json: bool,
    /// What it makes.
    pub kind: Kind,
}

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON, or one string in quotes, which is JSON too.
    Json,
    /// Lines of text, each in quotes or none.
    Lines,
}

#[derive(Debug)]
enum Part {
    Text(String),
    /// A value, and whether it stands inside quotes.
    Value(Source, bool),
}

#[derive(Debug, Clone)]
enum Source {
    /// The path at that place.
    Path(usize),
    Constant(Arc<str>),
    IngestionTime,
    /// The event without its `detail`.
    EventWithoutDetail,
    Event,
}

impl Transformer {
    /// Compiles a transformer.
    pub fn compile(settings: &InputTransformer) -> Result<Self, FieldError> {
        let mut paths = Vec::new();
        for (name, path) in &settings.input_paths_map {
            let field = || format!("inputPathsMap.{name:.64}");
            check_name(name).map_err(|problem| FieldError::new(field(), problem))?;
            let path = JsonPath::read(path).map_err(|p| FieldError::new(field(), p.0))?;
            paths.push((name.clone(), path));
        }
        let in_template = |problem: Problem| FieldError::new("inputTemplate", problem.0);
        let template = settings.input_template.trim();
        let is_json = template.starts_with(['{', '[']);
        let parts = parts(settings, &paths).map_err(in_template)?;
        if is_json {
            check_json(&parts).map_err(in_template)?;
        }
        let is_one_string =
            template.starts_with('"') && template.ends_with('"') && template.lines().count() == 1;
        let kind = if is_json || is_one_string { Kind::Json } else { Kind::Lines };
        Ok(Self { paths, parts, is_json, kind })
    }

    /// The text made of an event.
    pub fn apply(
        &self,
        event: &Event<'_>,
        data: &Json,
        budget: &mut Budget,
    ) -> Result<String, Problem> {
        let mut values = Vec::with_capacity(self.paths.len());
        for (_, path) in &self.paths {
            values.push(path.find(data, budget)?);
        }
        let mut output = Output::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => output.push(text)?,
                Part::Value(source, quoted) => {
                    let value = source.value(&values, event, data)?;
                    write(value, *quoted, !self.is_json, &mut output)?;
                }
            }
        }
        Ok(output.into_text())
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > 256 || !name.bytes().all(is_part) {
        return Err("a name has 1 to 256 letters, digits, '_' and '-'".to_owned());
    }
    Ok(())
}

/// Takes a template apart at its `<name>`s.
fn parts(settings: &InputTransformer, paths: &[(String, JsonPath)]) -> Result<Vec<Part>, Problem> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut quotes = Quotes::default();
    let mut rest = settings.input_template.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some((name, after)) = placeholder(rest) {
            let source = source(name, settings, paths)?;
            let whole = matches!(source, Source::Event | Source::EventWithoutDetail);
            if whole && quotes.inside {
                return Err(
                    format!("<{name}> is a value of its own, not a part of a string").into()
                );
            }
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Value(source, quotes.inside));
            rest = after;
            continue;
        }
        quotes.read(c);
        text.push(c);
        rest = &rest[c.len_utf8()..];
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

/// `<name>` at the beginning of a text, and what follows it.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (!name.is_empty() && name.bytes().all(is_part)).then_some((name, after))
}

#[derive(Default)]
struct Quotes {
    inside: bool,
    after_backslash: bool,
}

impl Quotes {
    fn read(&mut self, c: char) {
        match c {
            _ if self.after_backslash => self.after_backslash = false,
            '\\' if self.inside => self.after_backslash = true,
            '"' => self.inside = !self.inside,
            _ => {}
        }
    }
}

fn source(
    name: &str,
    settings: &InputTransformer,
    paths: &[(String, JsonPath)],
) -> Result<Source, Problem> {
    let setting = |value: &Option<String>, field: &str| match value {
        Some(value) => Ok(Source::Constant(value.as_str().into())),
        None => Err(Problem::from(format!("<{name}> stands for the setting {field}: set it"))),
    };
    match name {
        "aws.events.rule-name" => setting(&settings.rule_name, "ruleName"),
        "aws.events.rule-arn" => setting(&settings.rule_arn, "ruleArn"),
        "aws.events.event.ingestion-time" => Ok(Source::IngestionTime),
        "aws.events.event" => Ok(Source::EventWithoutDetail),
        "aws.events.event.json" => Ok(Source::Event),
        name => match paths.iter().position(|(own, _)| own == name) {
            Some(place) => Ok(Source::Path(place)),
            None => Err(format!("<{name:.64}> is not in inputPathsMap").into()),
        },
    }
}

impl Source {
    fn value(
        &self,
        values: &[Option<Json>],
        event: &Event<'_>,
        data: &Json,
    ) -> Result<Option<Json>, Problem> {
        Ok(match self {
            // There is a value for each path.
            Self::Path(place) => values[*place].clone(),
            Self::Constant(text) => Some(Json::String(text.clone())),
            Self::IngestionTime => Some(Json::string(event.accepted_at.to_string())),
            Self::Event => Some(data.clone()),
            Self::EventWithoutDetail => match data {
                Json::Object(object) => {
                    let members = object.members().iter().filter(|(name, _)| **name != *"detail");
                    Some(Json::object(members.cloned().collect())?)
                }
                other => Some(other.clone()),
            },
        })
    }
}

/// Writes a value as EventBridge does: what is not there is an empty string; in lines of text, a
/// list or an object loses its quotes.
fn write(
    value: Option<Json>,
    quoted: bool,
    is_text: bool,
    output: &mut Output,
) -> Result<(), Problem> {
    let value = value.unwrap_or_else(|| Json::string(""));
    let is_whole = matches!(value, Json::Array(_) | Json::Object(_));
    match (quoted, is_text) {
        (false, false) => output.json(&value),
        (true, false) if is_whole => {
            let kind = value.kind();
            Err(format!("a value inside quotes is an {kind}: take the quotes away").into())
        }
        (_, true) if is_whole => output.push(&value.to_json()?.replace('"', "")),
        (true, _) => output.string_content(&value.to_text()?),
        (false, true) => output.push(&value.to_text()?),
    }
}

/// What follows the quote that ends a string.
fn after_quote(text: &str) -> &str {
    let mut quotes = Quotes { inside: true, after_backslash: false };
    let end = text.char_indices().find(|(_, c)| {
        quotes.read(*c);
        !quotes.inside
    });
    end.map_or("", |(at, _)| &text[at + 1..])
}

/// The template has to be JSON, whatever the values are, and no value may be a name.
fn check_json(parts: &[Part]) -> Result<(), Problem> {
    let mut sample = String::new();
    let mut after_value = None;
    for part in parts {
        match part {
            Part::Text(text) => {
                let rest = match after_value.take() {
                    Some(true) => after_quote(text),
                    Some(false) => text,
                    None => "",
                };
                if rest.trim_start().starts_with(':') {
                    return Err("a value cannot stand in the name of a member".into());
                }
                sample.push_str(text);
            }
            Part::Value(_, quoted) => {
                after_value = Some(*quoted);
                sample.push_str(if *quoted { "" } else { "0" });
            }
        }
    }
    Json::parse(&sample).map(drop)
}
