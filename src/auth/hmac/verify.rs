//! Checks a captured request as its receiver would.

use std::borrow::Cow;
use std::sync::Arc;

use super::algorithm::Key;
use super::diagnose;
use super::format::{Format, Version};
use super::message::Message;
use super::signer::{Signer, check_id};
use super::template::{Template, Variable};
use crate::auth::verify::{Captured, Check, Code, Finding, is_equal};

/// What is wrong with a request; nothing if it is authentic.
pub fn verify(signer: &Signer, check: &Check<'_>) -> Vec<Finding> {
    let mut findings = examine(signer, check, mismatch);
    if let Some(found) = findings.iter_mut().find(|f| f.code == Code::HeaderMissing)
        && let Some(hint) = diagnose::renamed(signer, check)
    {
        found.message = format!("{}; {hint}", found.message);
    }
    findings
}

/// Whether there is nothing wrong with a request; does not ask why.
pub fn is_authentic(signer: &Signer, check: &Check<'_>) -> bool {
    examine(signer, check, |_, _, _, _, _| Finding::new(Code::Mismatch, "")).is_empty()
}

/// Says why a signature does not fit.
type Why = fn(&Told<'_>, &Signer, &Check<'_>, &Message<'_>, &[Arc<Key>]) -> Finding;

fn examine(signer: &Signer, check: &Check<'_>, why: Why) -> Vec<Finding> {
    let keys = match keys(signer, check) {
        Ok(keys) => keys,
        Err(finding) => return vec![finding],
    };
    let format = &signer.format;
    let told = match Told::read(format, check.captured) {
        Ok(told) => told,
        Err(finding) => return vec![finding],
    };
    let headers = |name: &str| check.captured.one(name).map(|value| value.as_bytes().to_vec());
    let message = told.message(check.captured, &headers);
    let mut findings = told.faults(format, check, &message);
    // What cannot be read need not be compared.
    if findings.iter().any(|finding| finding.code == Code::Malformed) {
        return findings;
    }
    match told.fits(format, &message, &keys) {
        Ok(true) => {}
        Ok(false) => findings.push(why(&told, signer, check, &message, &keys)),
        Err(finding) => findings.push(finding),
    }
    findings
}

fn keys(signer: &Signer, check: &Check<'_>) -> Result<Vec<Arc<Key>>, Finding> {
    let refuse = |problem: String| Finding::new(Code::Secret, problem);
    check.call.secret(&signer.secret).map_err(|e| refuse(e.to_string()))?;
    let values = check.call.all(&signer.secret).iter();
    values.map(|value| signer.key(value).map_err(|e| refuse(e.to_string()))).collect()
}

/// What a request says of its signature.
pub struct Told<'c> {
    /// The version that counts: the strongest that is there.
    version: &'c Version,
    id: &'c str,
    ts: Option<&'c str>,
    nonce: Option<&'c str>,
    covered: Cow<'c, [String]>,
    sigs: Vec<Cow<'c, str>>,
}

impl<'c> Told<'c> {
    /// Reads it. A version that is stronger than another counts alone, and unknown ones do not count.
    fn read(format: &'c Format, captured: &'c Captured) -> Result<Self, Finding> {
        for version in &format.versions {
            let told = Self::read_version(format, version, captured)?;
            if !told.sigs.is_empty() {
                return told.complete();
            }
        }
        let version = format.sent();
        let carriers = version.headers.iter().filter(|header| header.template.has(&Variable::Sig));
        let names: Vec<&str> = carriers.map(|header| header.name.as_str()).collect();
        let problem = format!("{} holds no signature of a known version", names.join(" and "));
        Err(Finding::new(Code::Malformed, problem))
    }

    fn read_version(
        format: &'c Format,
        version: &'c Version,
        captured: &'c Captured,
    ) -> Result<Self, Finding> {
        let covered = Cow::Borrowed(format.covered.as_slice());
        let mut told = Self { version, id: "", ts: None, nonce: None, covered, sigs: Vec::new() };
        for header in &version.headers {
            let text = captured.one(&header.name)?;
            for (variable, value) in header.layout.read(text)? {
                told.take(variable, Cow::Borrowed(value))?;
            }
        }
        if told.id.is_empty() && version.signs(|v| *v == Variable::Id) {
            // The worker sets it on every call.
            told.id = captured.one("webhook-id")?;
        }
        for (name, template) in &format.query {
            if let Some((Some(variable), 1)) =
                Some((template.variables().next().cloned(), template.0.len()))
                && (variable.is_told() || variable == Variable::Sig)
            {
                told.take_query(variable, name, captured)?;
            }
        }
        if let Some(at) = &format.body_at {
            let problem = |e: String| Finding::new(Code::Malformed, e);
            let text = std::str::from_utf8(&captured.body).map_err(|e| problem(e.to_string()))?;
            at.check_single(text).map_err(problem)?;
            match at.text(text).map_err(problem)? {
                sig if sig.is_empty() => {
                    let problem = format!("the body has no signature at {at}");
                    return Err(Finding::new(Code::HeaderMissing, problem));
                }
                sig => told.sigs.push(Cow::Owned(sig)),
            }
        }
        Ok(told)
    }

    fn take(&mut self, variable: Variable, value: Cow<'c, str>) -> Result<(), Finding> {
        let twice = |known: &str| match value == known {
            true => Ok(()),
            false => Err(Finding::new(Code::Malformed, format!("{variable} is told twice"))),
        };
        match (&variable, &value) {
            (Variable::Sig, _) => self.sigs.push(value),
            (Variable::Id, Cow::Borrowed(text)) => {
                if !self.id.is_empty() {
                    return twice(self.id);
                }
                self.id = text;
            }
            (Variable::Ts, Cow::Borrowed(text)) => match self.ts {
                Some(known) => return twice(known),
                None => self.ts = Some(text),
            },
            (Variable::Nonce, Cow::Borrowed(text)) => self.nonce = Some(text),
            (Variable::CoveredNames, text) => {
                let names = text.split(' ').filter(|name| !name.is_empty());
                self.covered = names.map(str::to_owned).collect();
            }
            // What can be computed is compared as a whole.
            _ => {}
        }
        Ok(())
    }

    fn take_query(
        &mut self,
        variable: Variable,
        name: &str,
        captured: &'c Captured,
    ) -> Result<(), Finding> {
        let query = captured.url.query().unwrap_or_default();
        let mut sent = url::form_urlencoded::parse(query.as_bytes()).filter(|(n, _)| n == name);
        match (sent.next(), sent.next()) {
            (Some((_, value)), None) => self.take(variable, value),
            (None, _) => Err(missing_parameter(name)),
            (Some(_), Some(_)) => {
                let problem = format!("the query parameter {name} is there more than once");
                Err(Finding::new(Code::Malformed, problem))
            }
        }
    }

    /// What is signed has to be there.
    fn complete(self) -> Result<Self, Finding> {
        let lacks = |variable: &Variable| match variable {
            Variable::Ts => self.ts.is_none(),
            Variable::Nonce => self.nonce.is_none(),
            Variable::CoveredNames => self.covered.is_empty(),
            _ => false,
        };
        match self.version.sign.variables().find(|v| lacks(v)) {
            Some(variable) => {
                let problem = format!("the request does not tell {variable}, which is signed");
                Err(Finding::new(Code::Malformed, problem))
            }
            None => Ok(self),
        }
    }

    fn message<'m>(
        &'m self,
        captured: &'m Captured,
        headers: &'m super::message::Headers<'m>,
    ) -> Message<'m> {
        Message {
            id: self.id,
            ts: self.ts.unwrap_or_default(),
            nonce: self.nonce.unwrap_or_default(),
            method: captured.method,
            url: &captured.url,
            body: &captured.body,
            headers,
            covered: &self.covered,
        }
    }

    /// What is wrong besides the signature itself.
    fn faults(&self, format: &Format, check: &Check<'_>, message: &Message<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(ts) = self.ts {
            findings.extend(format.timestamp.check(ts, check.call.now, check.tolerance).err());
        }
        findings.extend(check_id(self.version, self.id).err());
        let is_computed = |template: &Template| {
            !template.has(&Variable::Sig) && !template.variables().any(Variable::is_told)
        };
        for header in self.version.headers.iter().filter(|header| is_computed(&header.template)) {
            let sent = check.captured.one(&header.name);
            findings.extend(differs(message, &header.template, sent, &header.name).err());
        }
        for (name, template) in format.query.iter().filter(|(_, template)| is_computed(template)) {
            let mut sent = check.captured.url.query_pairs().filter(|(n, _)| n == name);
            let value = sent.next().map(|(_, value)| value);
            let is_left_out = message.text(template).is_ok_and(|text| text.is_empty());
            if value.is_none() && is_left_out {
                continue;
            }
            let value = value.as_deref().ok_or_else(|| missing_parameter(name));
            findings.extend(differs(message, template, value, name).err());
        }
        findings
    }

    /// Whether one of the signatures is one of this message under one of these keys.
    pub fn fits<K: AsRef<Key>>(
        &self,
        format: &Format,
        message: &Message<'_>,
        keys: &[K],
    ) -> Result<bool, Finding> {
        let mut fits = false;
        for template in std::iter::once(&self.version.sign).chain(&self.version.also) {
            for key in keys {
                let expected = key.as_ref().sign(|sink| message.fill(template, sink))?;
                let expected = format.output.encode(&expected);
                fits |= self.sigs.iter().any(|sig| is_equal(sig.as_bytes(), expected.as_bytes()));
            }
        }
        Ok(fits)
    }

    /// Whether what is signed holds such a variable.
    pub fn signs(&self, is: impl Fn(&Variable) -> bool) -> bool {
        self.version.signs(is)
    }
}

fn mismatch(
    told: &Told<'_>,
    signer: &Signer,
    check: &Check<'_>,
    message: &Message<'_>,
    keys: &[Arc<Key>],
) -> Finding {
    let output = signer.format.output;
    if told.sigs.iter().any(|sig| output.is_text(sig)) {
        return diagnose::mismatch(told, signer, check, message, keys);
    }
    let problem = format!("the signature is not {}: it is empty or was changed", output.name());
    Finding::new(Code::Malformed, problem)
}

fn missing_parameter(name: &str) -> Finding {
    Finding::new(Code::HeaderMissing, format!("there is no query parameter {name}"))
}

fn differs(
    message: &Message<'_>,
    template: &Template,
    sent: Result<&str, Finding>,
    name: &str,
) -> Result<(), Finding> {
    let expected = message.text(template)?;
    match is_equal(sent?.as_bytes(), expected.as_bytes()) {
        true => Ok(()),
        false => Err(Finding::new(Code::Mismatch, format!("{name} is another than expected"))),
    }
}
