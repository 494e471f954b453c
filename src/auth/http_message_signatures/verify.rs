//! Checks a signed request as its receiver would (RFC 9421 section 3.2).

use super::Signing;
use super::base::{Base, signature_base};
use super::component::{Component, Message};
use super::content_digest::{self, Wrong};
use super::fields::{self, Bare, InnerList, Item, Member, Parameters, parameter};
use crate::auth::AuthError;
use crate::auth::key::VerifyingKey;
use crate::auth::verify::{Check, Code, Finding};

impl Signing {
    pub(super) fn findings(&self, check: &Check<'_>) -> Vec<Finding> {
        let signed = match self.signed(check) {
            Ok(signed) => signed,
            Err(finding) => return vec![finding],
        };
        let mut findings = self.check_parameters(check, &signed.list.parameters);
        for component in &self.components {
            if !signed.components.contains(component) {
                let mut name = String::new();
                fields::push_item(&mut name, component.item());
                let problem = format!("the signature does not cover {name}");
                findings.push(Finding::new(Code::Mismatch, problem));
            }
        }
        findings.extend(self.check_signature(check, &signed).err());
        findings.extend(self.check_digest(check, &signed.components).err());
        findings
    }

    /// What the two headers say under our label.
    fn signed(&self, check: &Check<'_>) -> Result<Signed, Finding> {
        let label = &self.settings.label;
        let list = match labelled(check, "signature-input", label)? {
            Member::List(list) => list,
            Member::Item(_) => {
                return Err(malformed(format!("{label} in signature-input is not a list")));
            }
        };
        let signature = match labelled(check, "signature", label)? {
            Member::Item(Item { value: Bare::Bytes(bytes), .. }) => bytes,
            Member::Item(_) | Member::List(_) => {
                return Err(malformed(format!("{label} in signature is not bytes, as in :AAA=:")));
            }
        };
        let mut components = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let component = Component::of_item(item.clone())
                .map_err(|e| malformed(format!("{label} in signature-input: {e}")))?;
            if components.contains(&component) {
                return Err(malformed(format!("{label} in signature-input covers a part twice")));
            }
            components.push(component);
        }
        Ok(Signed { list, components, signature })
    }

    fn check_parameters(&self, check: &Check<'_>, parameters: &Parameters) -> Vec<Finding> {
        let settings = &self.settings;
        let mut findings = Vec::new();
        for (key, expected) in [
            ("keyid", settings.key_id.as_deref()),
            ("tag", settings.tag.as_deref()),
            // A signature need not say it; if it does, it may say nothing else.
            ("alg", parameter(parameters, "alg").map(|_| settings.algorithm.name())),
        ] {
            let found = parameter(parameters, key);
            if expected.is_some() && found != expected.map(|e| Bare::String(e.to_owned())).as_ref()
            {
                let problem =
                    format!("the signature's {key} is another than configured, or missing");
                findings.push(Finding::new(Code::Mismatch, problem));
            }
        }
        if settings.nonce && !matches!(parameter(parameters, "nonce"), Some(Bare::String(_))) {
            findings.push(malformed("the signature has no nonce".to_owned()));
        }
        findings.extend(self.check_times(check, parameters).err());
        findings
    }

    fn check_times(&self, check: &Check<'_>, parameters: &Parameters) -> Result<(), Finding> {
        let seconds = |key: &str| match parameter(parameters, key) {
            Some(Bare::Integer(seconds)) => Ok(Some(*seconds)),
            Some(_) => Err(malformed(format!("the signature's {key} is not a number"))),
            None => Ok(None),
        };
        let created = seconds("created")?.ok_or_else(|| {
            malformed("the signature does not say when it was created".to_owned())
        })?;
        let expires = seconds("expires")?;
        if self.settings.expires.is_some() && expires.is_none() {
            return Err(malformed("the signature does not say when it expires".to_owned()));
        }
        let (now, tolerance) = (check.call.now, check.tolerance);
        let late = |problem: &str| Err(Finding::new(Code::OutsideTolerance, problem));
        if created > now.plus(tolerance).as_secs() {
            return late("the signature was created in the future");
        }
        let earliest = now.minus(tolerance).as_secs();
        match expires {
            Some(expires) if expires < earliest => late("the signature has expired"),
            None if created < earliest => late("the signature was created too long ago"),
            Some(_) | None => Ok(()),
        }
    }

    fn check_signature(&self, check: &Check<'_>, signed: &Signed) -> Result<(), Finding> {
        let captured = check.captured;
        let message = Message {
            method: captured.method.as_str(),
            url: &captured.url,
            headers: captured.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            body_length: captured.body.len(),
        };
        let parameters = signed.list.parameters.clone();
        let base = signature_base(&message, &signed.components, parameters)
            .map_err(|e| Finding::new(Code::HeaderMissing, format!("what is signed: {e}")))?;
        self.check_keys(check, &base, &signed.signature)
    }

    fn check_keys(&self, check: &Check<'_>, base: &Base, signature: &[u8]) -> Result<(), Finding> {
        let (algorithm, id) = (self.settings.algorithm.key(), &self.settings.secret);
        let unusable = |e: AuthError| Finding::new(Code::Secret, e.to_string());
        let fits = |key: &VerifyingKey| key.is_signature(base.text.as_bytes(), signature);
        check.call.secret(id).map_err(unusable)?;
        for value in check.call.all(id) {
            if fits(&VerifyingKey::parse(algorithm, id, value).map_err(unusable)?) {
                return Ok(());
            }
        }
        let mut others =
            check.call.all(id).iter().flat_map(|v| VerifyingKey::other_readings(algorithm, v));
        Err(match others.find(|(_, key)| fits(key)) {
            Some((reading, _)) => Finding::new(
                Code::KeyDecoding,
                format!("the signature fits if the secret is read as {reading}"),
            ),
            None => Finding::new(
                Code::Mismatch,
                "the signature is not one of this request under this secret: a covered part was \
                 changed, or the key is another",
            ),
        })
    }

    fn check_digest(&self, check: &Check<'_>, covered: &[Component]) -> Result<(), Finding> {
        if !covered.iter().any(|component| component.is_header("content-digest")) {
            return Ok(());
        }
        let captured = check.captured;
        let value = captured.all("content-digest").collect::<Vec<_>>().join(", ");
        if value.is_empty() {
            return Err(Finding::new(Code::HeaderMissing, "there is no header content-digest"));
        }
        content_digest::check(&value, self.settings.digest, &captured.body).map_err(|wrong| {
            let code = match wrong {
                Wrong::Malformed | Wrong::Missing(_) => Code::Malformed,
                Wrong::Another => Code::BodyChanged,
            };
            Finding::new(code, wrong.to_string())
        })
    }
}

/// A signature as the request carries it.
struct Signed {
    list: InnerList,
    components: Vec<Component>,
    signature: Vec<u8>,
}

fn labelled(check: &Check<'_>, header: &str, label: &str) -> Result<Member, Finding> {
    let lines: Vec<&str> = check.captured.all(header).collect();
    if lines.is_empty() {
        return Err(Finding::new(Code::HeaderMissing, format!("there is no header {header}")));
    }
    let dictionary = fields::read_dictionary(&lines.join(", "))
        .ok_or_else(|| malformed(format!("the header {header} is not a structured dictionary")))?;
    fields::member(&dictionary, label)
        .cloned()
        .ok_or_else(|| malformed(format!("the header {header} has no signature labelled {label}")))
}

fn malformed(problem: String) -> Finding {
    Finding::new(Code::Malformed, problem)
}
