//! The parts of a request that a signature can cover (RFC 9421 section 2).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use url::{Position, Url};

use super::fields::{self, Bare, Item};
use crate::domain::header;

/// A request as signatures see it.
pub struct Message<'m> {
    /// The method.
    pub method: &'m str,
    /// The whole URL. Its fragment and its user name are not sent, and not seen.
    pub url: &'m Url,
    /// The headers in order: a name may come twice, in any case.
    pub headers: Vec<(&'m str, &'m str)>,
    /// The length of the body, for `content-length` where there is no such header yet.
    pub body_length: usize,
}

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    what: What,
    /// The identifier as it stands in `Signature-Input`.
    item: Item,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    /// The parameter of this name, as section 2.2.8 spells it.
    QueryParam(String),
    Header(String, Form),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Whole,
    /// Each line in base64 (`bs`).
    Wrapped,
    /// One member of a dictionary (`key`).
    Member(String),
}

const DERIVED: &str = "expected a header's name in lower case, or one of @method, @target-uri, \
                       @authority, @scheme, @request-target, @path, @query, @query-param;name=\"…\"";

impl Component {
    /// Reads a component of the settings: `@method`, `content-digest`, `@query-param;name="id"`, or the
    /// same as `Signature-Input` writes it.
    ///
    /// # Errors
    /// If there is no such part of a request.
    pub fn of_setting(text: &str) -> Result<Self, String> {
        let item = if text.starts_with('"') {
            fields::read_item(text)
        } else {
            let (name, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
            fields::read_parameters(rest).map(|mut parameters| {
                for (key, value) in &mut parameters {
                    if let Bare::Token(word) = value
                        && matches!(key.as_str(), "name" | "key")
                    {
                        *value = Bare::String(std::mem::take(word));
                    }
                }
                Item { value: Bare::String(name.to_ascii_lowercase()), parameters }
            })
        };
        Self::of_item(item.ok_or_else(|| format!("not a component: {DERIVED}"))?)
    }

    /// Reads a component's identifier.
    ///
    /// # Errors
    /// If there is no such part of a request.
    pub fn of_item(item: Item) -> Result<Self, String> {
        let Bare::String(name) = &item.value else {
            return Err(format!("not a component: {DERIVED}"));
        };
        let what = match name.as_str() {
            "@query-param" => return Self::of_query_param(item),
            "@method" => What::Method,
            "@target-uri" => What::TargetUri,
            "@authority" => What::Authority,
            "@scheme" => What::Scheme,
            "@request-target" => What::RequestTarget,
            "@path" => What::Path,
            "@query" => What::Query,
            name if header::check_name(name).as_deref() == Ok(name) && !is_ours(name) => {
                What::Header(name.to_owned(), form(&item)?)
            }
            _ => return Err(format!("not a component of a request that can be signed: {DERIVED}")),
        };
        if !matches!(what, What::Header(..)) && !item.parameters.is_empty() {
            return Err(format!("{name} takes no parameters in the signature of a request"));
        }
        Ok(Self { what, item })
    }

    fn of_query_param(item: Item) -> Result<Self, String> {
        let name = match &item.parameters[..] {
            [(key, Bare::String(name))] if key == "name" => name.clone(),
            _ => {
                return Err(
                    "@query-param takes name and nothing else: @query-param;name=\"id\"".into()
                );
            }
        };
        if name.is_empty() || !is_encoded(&name) {
            return Err(
                "the name of @query-param is percent-encoded: all but letters, digits and \
                        *-._ is written as %XX (RFC 9421 section 2.2.8)"
                    .into(),
            );
        }
        Ok(Self { what: What::QueryParam(name), item })
    }

    /// The identifier.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Whether it is this header, as a whole or a part of it.
    pub fn is_header(&self, name: &str) -> bool {
        matches!(&self.what, What::Header(own, _) if own == name)
    }

    /// Whether another query parameter could change it.
    pub fn covers_query(&self) -> bool {
        match self.what {
            What::TargetUri | What::RequestTarget | What::Query | What::QueryParam(_) => true,
            What::Method | What::Authority | What::Scheme | What::Path | What::Header(..) => false,
        }
    }

    /// Appends its value.
    ///
    /// # Errors
    /// If the request does not have it, or not in a way that can be signed.
    pub fn push_value(&self, to: &mut String, message: &Message<'_>) -> Result<(), String> {
        let url = message.url;
        match &self.what {
            What::Method => to.push_str(message.method),
            What::Authority => to.push_str(authority(url)),
            What::Scheme => to.push_str(url.scheme()),
            What::Path => to.push_str(url.path()),
            What::RequestTarget => to.push_str(&url[Position::BeforePath..Position::AfterQuery]),
            What::TargetUri => {
                to.push_str(url.scheme());
                to.push_str("://");
                to.push_str(authority(url));
                to.push_str(&url[Position::BeforePath..Position::AfterQuery]);
            }
            // Without a query it is the question mark alone (section 2.2.7).
            What::Query => {
                to.push('?');
                to.push_str(url.query().unwrap_or_default());
            }
            What::QueryParam(name) => {
                let mut named = url.query_pairs().filter(|(n, _)| encoded(n) == *name);
                match (named.next(), named.next()) {
                    (Some((_, value)), None) => to.push_str(&encoded(&value)),
                    (None, _) => return Err(format!("there is no query parameter {name}")),
                    (Some(_), Some(_)) => {
                        return Err(format!(
                            "the query parameter {name} is there twice: cover @query instead \
                             (RFC 9421 section 2.2.8)"
                        ));
                    }
                }
            }
            What::Header(name, form) => push_header(to, message, name, form)?,
        }
        Ok(())
    }
}

/// Whether a header is one that the signature itself sets.
fn is_ours(name: &str) -> bool {
    matches!(name, "signature" | "signature-input")
}

fn form(item: &Item) -> Result<Form, String> {
    match &item.parameters[..] {
        [] => Ok(Form::Whole),
        [(key, Bare::Boolean(true))] if key == "bs" => Ok(Form::Wrapped),
        [(key, Bare::String(member))] if key == "key" => Ok(Form::Member(member.clone())),
        _ => Err("of a header's parameters, bs and key=\"…\" are supported, one at a time".into()),
    }
}

/// Host and port; the port is left out where it is the scheme's own (section 2.2.3).
fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn push_header(
    to: &mut String,
    message: &Message<'_>,
    name: &str,
    form: &Form,
) -> Result<(), String> {
    let mut lines: Vec<&str> = message
        .headers
        .iter()
        .filter(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches([' ', '\t']))
        .collect();
    let length = message.body_length.to_string();
    if lines.is_empty() {
        match name {
            // What sends the request takes both from there.
            "host" => lines.push(authority(message.url)),
            "content-length" if message.body_length > 0 => lines.push(&length),
            "content-length" => {
                return Err("there is no header content-length: the body is empty".into());
            }
            _ => return Err(format!("there is no header {name}")),
        }
    }
    if !lines.iter().all(|line| fields::is_string(&line.replace('\t', " ")))
        && *form != Form::Wrapped
    {
        return Err(format!("the header {name} holds more than ASCII: cover it as {name};bs"));
    }
    match form {
        Form::Whole => push_joined(to, lines.iter().map(|line| (*line).to_owned())),
        Form::Wrapped => {
            let wrap = |line: &&str| format!(":{}:", BASE64_STANDARD.encode(line));
            push_joined(to, lines.iter().map(wrap));
        }
        Form::Member(key) => {
            let dictionary = fields::read_dictionary(&lines.join(", "))
                .ok_or_else(|| format!("the header {name} is no dictionary"))?;
            let member = fields::member(&dictionary, key)
                .ok_or_else(|| format!("the header {name} has no member {key}"))?;
            fields::push_member(to, member);
        }
    }
    Ok(())
}

fn push_joined(to: &mut String, lines: impl Iterator<Item = String>) {
    for (index, line) in lines.enumerate() {
        to.push_str(if index > 0 { ", " } else { "" });
        to.push_str(&line);
    }
}

/// Percent-encodes with the set of `application/x-www-form-urlencoded`, a space as `%20`.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Whether a text is what [`encoded`] makes of some text.
fn is_encoded(text: &str) -> bool {
    let mut pieces = text.split('%');
    let is_kept = |piece: &str| encoded(piece) == piece;
    pieces.next().is_none_or(is_kept)
        && pieces.all(|piece| {
            let Some((hex, rest)) = piece.split_at_checked(2) else { return false };
            let byte = u8::from_str_radix(hex, 16).unwrap_or_default();
            hex == format!("{byte:02X}")
                && !(byte.is_ascii() && is_kept(&char::from(byte).to_string()))
                && is_kept(rest)
        })
}
