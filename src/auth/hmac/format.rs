//! A format: everything that a signature scheme with a shared secret is made of, checked and parsed.

use super::algorithm::{Algorithm, Encoding};
use super::json::Pointer;
use super::key::KeyFormat;
use super::layout::Layout;
use super::preset::Preset;
use super::template::{Template, Variable};
use super::timestamp::Unit;
use crate::domain::field::FieldError;
use crate::domain::header;

/// A format as settings or a preset describe it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What computes the signature.
    pub mac: Algorithm,
    /// How the secret becomes the key.
    pub key: KeyFormat,
    /// What is signed.
    pub string_to_sign: String,
    /// What receivers accept as signed besides.
    pub also: Vec<String>,
    /// How the signature is written.
    pub output: Encoding,
    /// The headers that are set, name and template.
    pub headers: Vec<(String, String)>,
    /// The query parameters that are added, name and template.
    pub query: Vec<(String, String)>,
    /// The place in a JSON body that the signature is put at.
    pub body_at: Option<String>,
    /// How `{ts}` is written.
    pub timestamp: Unit,
    /// What stands between the signatures of a rotation.
    pub rotation: Option<String>,
    /// The headers that are covered.
    pub covered_headers: Vec<String>,
    /// What is signed and set instead where headers are covered.
    pub covered: Option<(String, Vec<(String, String)>)>,
}

impl From<&Preset> for Spec {
    fn from(preset: &Preset) -> Self {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        Self {
            mac: preset.mac,
            key: KeyFormat { spelling: preset.key, prefix: preset.key_prefix.to_owned() },
            string_to_sign: preset.string_to_sign.to_owned(),
            also: preset.also.iter().map(|text| (*text).to_owned()).collect(),
            output: preset.output,
            headers: pairs(preset.headers),
            query: pairs(preset.query),
            body_at: preset.body_at.map(str::to_owned),
            timestamp: preset.timestamp,
            rotation: preset.join.map(str::to_owned),
            covered_headers: Vec::new(),
            covered: preset.covered.map(|(sign, headers)| (sign.to_owned(), pairs(headers))),
        }
    }
}

/// A format, ready for use.
pub struct Format {
    /// What computes the signature.
    pub mac: Algorithm,
    /// How the secret becomes the key.
    pub key: KeyFormat,
    /// How the signature is written.
    pub output: Encoding,
    /// How `{ts}` is written.
    pub timestamp: Unit,
    /// What stands between the signatures of a rotation; `None` if only the current value signs.
    pub rotation: Option<String>,
    /// The versions that a receiver accepts, the strongest first. The last is the one that is sent.
    pub versions: Vec<Version>,
    /// The query parameters that are added.
    pub query: Vec<(String, Template)>,
    /// The place in a JSON body that the signature is put at.
    pub body_at: Option<Pointer>,
    /// The headers that are covered, in lower case.
    pub covered: Vec<String>,
}

/// What is signed, and the headers that carry it.
pub struct Version {
    /// What is signed.
    pub sign: Template,
    /// What receivers accept as signed besides.
    pub also: Vec<Template>,
    /// The headers.
    pub headers: Vec<HeaderFormat>,
}

/// A header of a format.
pub struct HeaderFormat {
    /// Its name, in lower case.
    pub name: String,
    /// What it holds.
    pub template: Template,
    /// The same, to be read.
    pub layout: Layout,
}

impl Version {
    /// Whether what is signed holds such a variable.
    pub fn signs(&self, is: impl Fn(&Variable) -> bool) -> bool {
        self.sign.variables().any(is)
    }
}

impl Format {
    /// Checks a description.
    ///
    /// # Errors
    /// With the path of the setting that is wrong.
    pub fn new(spec: &Spec) -> Result<Self, FieldError> {
        let covered = covered_names(&spec.covered_headers)?;
        let plain = || version(spec, &spec.string_to_sign, &spec.headers);
        let versions = match &spec.covered {
            Some((sign, headers)) if covered.is_empty() => {
                vec![version(spec, sign, headers)?, plain()?]
            }
            Some((sign, headers)) => vec![version(spec, sign, headers)?],
            None => vec![plain()?],
        };
        let mut query = Vec::new();
        for (name, text) in &spec.query {
            let path = format!("query.{name}");
            query.push((name.clone(), carrier(&path, text)?));
        }
        let body_at = spec.body_at.as_deref().map(Pointer::parse).transpose();
        let format = Self {
            mac: spec.mac,
            key: spec.key.clone(),
            output: spec.output,
            timestamp: spec.timestamp,
            rotation: spec.rotation.clone(),
            versions,
            query,
            body_at: body_at.map_err(|problem| FieldError::new("body_at", problem))?,
            covered,
        };
        format.versions.iter().try_for_each(|version| format.check(version))?;
        format.check_covered()?;
        Ok(format)
    }

    /// The version that is sent.
    pub fn sent(&self) -> &Version {
        // `new` makes one or two.
        &self.versions[self.versions.len() - 1]
    }

    /// Whether what is signed covers the URL's query.
    pub fn covers_url(&self) -> bool {
        self.sent().signs(Variable::covers_query)
    }

    /// Whether a call needs a random text.
    pub fn uses_nonce(&self) -> bool {
        let nonce = Variable::Nonce;
        self.sent().sign.has(&nonce)
            || self.carriers(self.sent()).any(|carrier| carrier.has(&nonce))
    }

    fn check(&self, version: &Version) -> Result<(), FieldError> {
        let refuse = |problem: &str| Err(FieldError::new("string_to_sign", problem));
        if version.signs(|v| *v == Variable::Sig) {
            return refuse("{sig} is what is made of it: it cannot stand in it");
        }
        if !version.signs(|_| true) {
            return refuse(
                "it names no variable: the signature would cover nothing of the request",
            );
        }
        let carriers: Vec<&Template> = self.carriers(version).collect();
        let stands = |variable: &Variable| carriers.iter().any(|carrier| carrier.has(variable));
        if !stands(&Variable::Sig) && self.body_at.is_none() {
            let problem =
                "{sig} stands nowhere: expected it in a header, a query parameter or body_at";
            return Err(FieldError::new("headers", problem));
        }
        if let Some(told) = version.sign.variables().find(|v| v.is_told() && !stands(v)) {
            return refuse(&format!(
                "{told} is signed, but no header and no query parameter tells it to the receiver"
            ));
        }
        if self.body_at.is_some() && version.signs(Variable::covers_body) {
            return refuse("the signature is put in the body (body_at): it cannot cover the body");
        }
        if version.signs(Variable::covers_query)
            && self.query.iter().any(|(_, template)| template.has(&Variable::Sig))
        {
            return refuse(
                "{sig} stands in the query: the URL cannot be signed, put {sig} in a header",
            );
        }
        Ok(())
    }

    fn check_covered(&self) -> Result<(), FieldError> {
        let uses = |v: &Variable| matches!(v, Variable::CoveredNames | Variable::CoveredValues);
        let used = self.sent().signs(uses);
        let problem = match (used, self.covered.is_empty()) {
            (true, true) => "missing: expected the names of the headers that are signed",
            (false, false) => {
                "this format covers no headers: expected {covered_values} in string_to_sign"
            }
            (true, false) | (false, true) => return Ok(()),
        };
        Err(FieldError::new("covered_headers", problem))
    }

    fn carriers<'f>(&'f self, version: &'f Version) -> impl Iterator<Item = &'f Template> {
        let headers = version.headers.iter().map(|header| &header.template);
        headers.chain(self.query.iter().map(|(_, template)| template))
    }
}

fn version(spec: &Spec, sign: &str, headers: &[(String, String)]) -> Result<Version, FieldError> {
    let parse = |text: &str| {
        Template::parse(text).map_err(|problem| FieldError::new("string_to_sign", problem))
    };
    let mut formats: Vec<HeaderFormat> = Vec::new();
    for (name, text) in headers {
        let path = format!("headers.{name}");
        let refuse = |problem: String| FieldError::new(path.as_str(), problem);
        let name = header::check_name(name).map_err(|e| refuse(e.to_string()))?;
        if formats.iter().any(|format| format.name == name) {
            return Err(refuse("this header is there twice".to_owned()));
        }
        let template = carrier(&path, text)?;
        let layout = Layout::new(&template, spec.rotation.as_deref()).map_err(refuse)?;
        formats.push(HeaderFormat { name, template, layout });
    }
    let also = spec.also.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
    Ok(Version { sign: parse(sign)?, also, headers: formats })
}

/// A template whose text is sent in a header or a query parameter.
fn carrier(path: &str, text: &str) -> Result<Template, FieldError> {
    let refuse = |problem: String| FieldError::new(path, problem);
    header::check_value(text).map_err(|e| refuse(e.to_string()))?;
    let template = Template::parse(text).map_err(refuse)?;
    if let Some(long) = template.variables().find(|v| !v.is_short()) {
        return Err(refuse(format!("{long} cannot stand in a header or a query parameter")));
    }
    if template.variables().filter(|v| **v == Variable::Sig).count() > 1 {
        return Err(refuse("{sig} stands here twice".to_owned()));
    }
    Ok(template)
}

fn covered_names(names: &[String]) -> Result<Vec<String>, FieldError> {
    let mut covered = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let refuse =
            |problem: String| FieldError::new(format!("covered_headers[{index}]"), problem);
        let name = header::check_name(name).map_err(|e| refuse(e.to_string()))?;
        if covered.contains(&name) {
            return Err(refuse("this header is there twice".to_owned()));
        }
        covered.push(name);
    }
    Ok(covered)
}
