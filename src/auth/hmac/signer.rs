//! Signs requests in a format.

use std::sync::Arc;

use super::algorithm::Key;
use super::format::{Format, Version};
use super::key::Spelling;
use super::message::Message;
use super::template::{Template, Variable};
use crate::auth::prepared::Prepared;
use crate::auth::verify::{Code, Finding};
use crate::auth::{AuthError, Call, Part};
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::request::OutboundRequest;
use crate::domain::secret::{Facts, SecretBytes};

/// Headers that the worker sets on every call, with the same value as a format does.
const WORKERS_OWN: [&str; 2] = ["webhook-id", "idempotency-key"];

/// A format with the secret that it signs with.
pub struct Signer {
    /// The format.
    pub format: Format,
    /// The secret.
    pub secret: SecretId,
    keys: Prepared<Key>,
}

impl Signer {
    /// A format with the secret that it signs with.
    pub fn new(format: Format, secret: SecretId) -> Self {
        Self { format, secret, keys: Prepared::default() }
    }

    /// The parts of the request that signing sets.
    pub fn sets(&self) -> Vec<Part> {
        let names = self.format.sent().headers.iter().map(|header| header.name.clone());
        let headers = names.filter(|name| !WORKERS_OWN.contains(&name.as_str())).map(Part::Header);
        let query = self.format.query.iter().map(|(name, _)| Part::Query(name.clone()));
        let body = self.format.body_at.iter().map(|at| Part::Body(at.to_string()));
        headers.chain(query).chain(body).collect()
    }

    /// The key of a value of the secret.
    ///
    /// # Errors
    /// If it is not spelled as the format has it.
    pub fn key(&self, value: &SecretBytes) -> Result<Arc<Key>, AuthError> {
        self.keys.get(value, |value| {
            let wrong = |problem: &str| AuthError::of_secret(&self.secret, problem);
            let bytes = self.format.key.decode(value.expose());
            let bytes = bytes.ok_or_else(|| wrong(&self.format.key.wanted()))?;
            self.format.mac.key(&bytes).map_err(wrong)
        })
    }

    /// Checks what is known of a stored value of the secret, which is a certificate or an asymmetric key.
    ///
    /// # Errors
    /// If it cannot be spelled as the format has its key.
    pub fn check_facts(&self, facts: &Facts) -> Result<(), AuthError> {
        let is_pair = self.format.mac.is_asymmetric();
        let fits = match self.format.key.spelling {
            Spelling::Utf8 => true,
            Spelling::Base64 | Spelling::Hex => {
                is_pair && facts.key_type.as_deref() == Some("Ed25519")
            }
        };
        if fits {
            return Ok(());
        }
        let found = facts.key_type.as_deref().unwrap_or("unknown kind");
        let problem = format!("found a key of the kind {found}; {}", self.format.key.wanted());
        Err(AuthError::of_secret(&self.secret, problem))
    }

    /// Signs a request: changes its query and its body, and returns the headers to be set.
    ///
    /// # Errors
    /// If the request has no such parts, or none that can be signed without doubt.
    pub fn sign(
        &self,
        request: &mut OutboundRequest,
        call: &Call<'_>,
    ) -> Result<Vec<(String, String)>, AuthError> {
        let version = self.format.sent();
        check_id(version, call.job_id.as_str()).map_err(fail)?;
        let ts = self.format.timestamp.write(call.now);
        let nonce = if self.format.uses_nonce() { (call.nonce)() } else { String::new() };
        self.add_query(request, call, &ts, &nonce)?;
        let (sigs, headers) = self.with_message(request, call, &ts, &nonce, |message| {
            let sigs = self.signatures(version, message, call)?;
            let mut headers = Vec::with_capacity(version.headers.len());
            for header in &version.headers {
                let value = fill(message, &header.template, &sigs).map_err(fail)?;
                header::check_value(&value).map_err(|e| AuthError::new(e.to_string()))?;
                headers.push((header.name.clone(), value));
            }
            Ok((sigs, headers))
        })?;
        for (name, template) in self.format.query.iter().filter(|(_, t)| t.has(&Variable::Sig)) {
            let sigs = sigs.as_str();
            let value = self.with_message(request, call, &ts, &nonce, |message| {
                fill(message, template, sigs).map_err(fail)
            })?;
            add(request, name, &value)?;
        }
        if let Some(at) = &self.format.body_at {
            let text = std::str::from_utf8(&request.body);
            let text = text.map_err(|_| AuthError::new("the body is not JSON: it is not UTF-8"))?;
            request.body = at.put(text, &sigs).map_err(AuthError::new)?.into();
        }
        Ok(headers)
    }

    /// The query parameters but the signature, which may cover them.
    fn add_query(
        &self,
        request: &mut OutboundRequest,
        call: &Call<'_>,
        ts: &str,
        nonce: &str,
    ) -> Result<(), AuthError> {
        for (name, template) in self.format.query.iter().filter(|(_, t)| !t.has(&Variable::Sig)) {
            let value = self.with_message(request, call, ts, nonce, |message| {
                message.text(template).map_err(fail)
            })?;
            add(request, name, &value)?;
        }
        Ok(())
    }

    fn with_message<T>(
        &self,
        request: &OutboundRequest,
        call: &Call<'_>,
        ts: &str,
        nonce: &str,
        run: impl FnOnce(&Message<'_>) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        let header = |name: &str| match request.header(name) {
            Some(value) => Ok(value.expose().to_vec()),
            None => Err(Finding::new(Code::HeaderMissing, format!("there is no header {name}"))),
        };
        let url = request.full_url();
        run(&Message {
            id: call.job_id.as_str(),
            ts,
            nonce,
            method: request.method,
            url: &url,
            body: &request.body,
            headers: &header,
            covered: &self.format.covered,
        })
    }

    /// The signatures of the values in use, or of the current one alone.
    fn signatures(
        &self,
        version: &Version,
        message: &Message<'_>,
        call: &Call<'_>,
    ) -> Result<String, AuthError> {
        let mut text = self.signature(version, message, call.secret(&self.secret)?)?;
        if let Some(between) = &self.format.rotation {
            for value in call.all(&self.secret).iter().skip(1) {
                text.push_str(between);
                text.push_str(&self.signature(version, message, value)?);
            }
        }
        Ok(text)
    }

    fn signature(
        &self,
        version: &Version,
        message: &Message<'_>,
        value: &SecretBytes,
    ) -> Result<String, AuthError> {
        let signed = self.key(value)?.sign(|sink| message.fill(&version.sign, sink));
        signed.map(|bytes| self.format.output.encode(&bytes)).map_err(fail)
    }
}

/// Refuses an id that could end elsewhere for its receiver: two messages could share a signature.
pub fn check_id(version: &Version, id: &str) -> Result<(), Finding> {
    let in_headers = version.headers.iter().filter(|header| header.template.has(&Variable::Id));
    let ends = in_headers.filter_map(|header| header.layout.separator);
    match version.sign.ends_id().into_iter().chain(ends).find(|end| id.contains(*end)) {
        Some(end) => {
            let problem = format!("the job's id holds a {end:?}, which ends the id in this format");
            Err(Finding::new(Code::Malformed, problem))
        }
        None => Ok(()),
    }
}

/// The filled template with `{sig}`.
fn fill(message: &Message<'_>, template: &Template, sigs: &str) -> Result<String, Finding> {
    use super::template::Piece;
    let mut text = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Variable(Variable::Sig) => text.push_str(sigs),
            Piece::Text(_) | Piece::Variable(_) => {
                text.push_str(&message.text(&Template(vec![piece.clone()]))?);
            }
        }
    }
    Ok(text)
}

/// Adds a query parameter that has a value. One that is there already may say the same.
fn add(request: &mut OutboundRequest, name: &str, value: &str) -> Result<(), AuthError> {
    let sent = request.full_url().into_owned();
    let mut there = sent.query_pairs().filter(|(n, _)| n == name);
    match there.next() {
        Some((_, known)) if known == value && there.next().is_none() => Ok(()),
        Some(_) => Err(AuthError::new(format!("the query parameter {name} is set already"))),
        None if value.is_empty() => Ok(()),
        None => {
            request.url.query_pairs_mut().append_pair(name, value);
            Ok(())
        }
    }
}

fn fail(finding: Finding) -> AuthError {
    AuthError::new(finding.message)
}
