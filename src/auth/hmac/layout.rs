//! How values stand in a header, and how they are read out of it again.
//!
//! A receiver does not compare the header with one text: elements come in any order, with white space
//! between, and those it does not know are for others.

use super::template::{Piece, Template, Variable};
use crate::auth::verify::{Code, Finding};

/// A header's template, taken apart at its separators.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What stands between two elements; `None` if there is but one.
    pub separator: Option<char>,
    elements: Vec<Element>,
    /// What stands between two signatures of one element.
    join: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Element {
    prefix: String,
    variable: Option<Variable>,
    suffix: String,
}

/// A value that was read, and of what.
pub type Read<'t> = (Variable, &'t str);

impl Layout {
    /// Takes a template apart. `join` is what stands between two signatures.
    ///
    /// # Errors
    /// If two variables have nothing between them: no receiver could tell where one ends.
    pub fn new(template: &Template, join: Option<&str>) -> Result<Self, String> {
        let separator = separator(template, join)?;
        let mut elements = vec![Element::default()];
        for piece in &template.0 {
            let text = match piece {
                Piece::Text(text) => text,
                Piece::Variable(variable) => {
                    let last = elements.last_mut().filter(|last| last.variable.is_none());
                    last.ok_or("two variables have no separator between them")?.variable =
                        Some(variable.clone());
                    continue;
                }
            };
            let mut texts = match separator {
                Some(separator) => text.split(separator).collect(),
                None => vec![text.as_str()],
            }
            .into_iter()
            .map(str::trim_start);
            if let (Some(text), Some(last)) = (texts.next(), elements.last_mut()) {
                let of = if last.variable.is_some() { &mut last.suffix } else { &mut last.prefix };
                of.push_str(text);
            }
            let element = |text: &str| Element { prefix: text.to_owned(), ..Element::default() };
            elements.extend(texts.map(element));
        }
        // A later signature that is an element of its own begins as `join` says.
        let own = join.zip(separator).and_then(|(join, separator)| join.strip_prefix(separator));
        if let Some(prefix) = own.filter(|_| template.has(&Variable::Sig)) {
            let prefix = prefix.to_owned();
            elements.push(Element { prefix, variable: Some(Variable::Sig), ..Element::default() });
        }
        elements.retain(|element| element.variable.is_some());
        elements.sort_by_key(|element| std::cmp::Reverse(element.prefix.len()));
        let join = join.filter(|_| own.is_none()).map(str::to_owned);
        Ok(Self { separator, elements, join })
    }

    /// The values that stand in a header. Elements that are not known are left out.
    ///
    /// # Errors
    /// If something that is no signature stands there twice.
    pub fn read<'t>(&self, text: &'t str) -> Result<Vec<Read<'t>>, Finding> {
        let mut read = Vec::new();
        let mut taken = vec![false; self.elements.len()];
        let parts: Vec<&str> = match self.separator {
            Some(separator) => text.split(separator).map(str::trim).collect(),
            None => vec![text],
        };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let value = |e: &Element| part.strip_prefix(&*e.prefix)?.strip_suffix(&*e.suffix);
            let fitting =
                self.elements.iter().enumerate().filter_map(|(i, e)| Some((i, e, value(e)?)));
            for (index, element, value) in fitting {
                let Some(variable) = element.variable.clone() else { continue };
                let is_free = variable == Variable::Sig || !taken[index];
                if !is_free && element.prefix.is_empty() {
                    continue;
                }
                if !is_free {
                    let problem = format!("{:?} is there more than once", element.prefix);
                    return Err(Finding::new(Code::Malformed, problem));
                }
                taken[index] = true;
                match (&self.join, &variable) {
                    (Some(join), Variable::Sig) => {
                        read.extend(value.split(&**join).map(|v| (Variable::Sig, v)));
                    }
                    _ => read.push((variable, value)),
                }
                break;
            }
        }
        Ok(read)
    }
}

/// The character that parts the elements: it stands between two variables, or begins what stands
/// between two signatures.
fn separator(template: &Template, join: Option<&str>) -> Result<Option<char>, String> {
    const USUAL: [char; 5] = [',', ';', ' ', '&', '|'];
    let first = |text: &str| text.chars().find(|c| USUAL.contains(c)).or(text.chars().next());
    let mut variables = 0;
    let mut between = None;
    for piece in &template.0 {
        match piece {
            Piece::Variable(_) => variables += 1,
            Piece::Text(text) if variables == 1 && between.is_none() => between = Some(text),
            Piece::Text(_) => {}
        }
    }
    match (variables, between) {
        (0 | 1, _) if template.has(&Variable::Sig) => {
            Ok(join.and_then(|join| join.chars().next()).filter(|c| USUAL.contains(c)))
        }
        (0 | 1, _) => Ok(None),
        (_, Some(text)) => Ok(first(text)),
        (_, None) => Err("two variables have nothing between them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'t>(
        template: &str,
        join: Option<&str>,
        text: &'t str,
    ) -> Option<Vec<(String, &'t str)>> {
        let layout = Layout::new(&Template::parse(template).unwrap(), join).unwrap();
        let read = layout.read(text).ok()?;
        Some(read.into_iter().map(|(variable, value)| (variable.to_string(), value)).collect())
    }

    fn sigs(sigs: &[&'static str]) -> Option<Vec<(String, &'static str)>> {
        Some(sigs.iter().map(|sig| ("{sig}".to_owned(), *sig)).collect())
    }

    #[test]
    fn elements_are_read_in_any_order_and_unknown_ones_left_out() {
        let stripe = |text| read("t={ts},v1={sig}", Some(",v1="), text);
        let values = |ts, sig| Some(vec![("{ts}".to_owned(), ts), ("{sig}".to_owned(), sig)]);
        assert_eq!(stripe("t=1, v0=x,v1=a"), values("1", "a"));
        assert_eq!(stripe("v1=a,v1=b,").unwrap(), sigs(&["a", "b"]).unwrap());
        assert_eq!(stripe("t=1,t=1,v1=a"), None);
        assert_eq!(stripe("garbage"), Some(Vec::new()));
        assert_eq!(read("{ts}.{sig}", None, "1.a"), values("1", "a"));
        assert_eq!(read(r#"ts="{ts}",s="{sig}""#, None, r#"s="a",ts="1""#).unwrap().len(), 2);
    }

    #[test]
    fn signatures_of_a_rotation_are_read_one_by_one() {
        assert_eq!(read("v1,{sig}", Some(" v1,"), "v1,a v2,b v1,c="), sigs(&["a", "c="]));
        assert_eq!(read("v0={sig}", Some(","), "v0=a,b"), sigs(&["a", "b"]));
        assert_eq!(read("sha256={sig}", None, "sha256=a=,b"), sigs(&["a=,b"]));
        assert_eq!(read("{sig}", Some("--"), "a--b"), sigs(&["a", "b"]));
    }

    #[test]
    fn what_no_receiver_could_read_is_refused() {
        assert!(Layout::new(&Template::parse("{ts}{sig}").unwrap(), None).is_err());
    }
}
