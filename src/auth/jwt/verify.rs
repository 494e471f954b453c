//! Checks a token as its receiver would.

use serde_json::{Map, Value};

use super::JwtStep;
use super::claims::Facts;
use crate::auth::AuthError;
use crate::auth::jws::Token;
use crate::auth::key::VerifyingKey;
use crate::auth::verify::{Check, Code, Finding};
use crate::domain::request::OutboundRequest;

impl JwtStep {
    pub(super) fn findings(&self, check: &Check<'_>) -> Vec<Finding> {
        let claims = match self.authentic(check) {
            Ok(claims) => claims,
            Err(finding) => return vec![finding],
        };
        let mut findings = self.check_times(check, &claims);
        if self.settings.jti && !claims.get("jti").is_some_and(Value::is_string) {
            findings.push(Finding::new(Code::Malformed, "the token has no jti that is a text"));
        }
        findings.extend(self.check_body(check, &claims).err());
        findings.extend(self.check_claims(check, &claims));
        findings
    }

    /// The claims of the request's token, if the key signed them.
    fn authentic(&self, check: &Check<'_>) -> Result<Map<String, Value>, Finding> {
        let settings = &self.settings;
        let name = &settings.header;
        let malformed = |problem: &str| {
            Finding::new(Code::Malformed, format!("the token in the header {name}: {problem}"))
        };
        let value = check.captured.one(name)?;
        // A header is read without surrounding white space, a prefix may end with it.
        let text = value.strip_prefix(self.prefix.as_str()).ok_or_else(|| {
            malformed(&format!("it does not begin with the prefix {:?}", self.prefix))
        })?;
        let token = Token::parse(text).map_err(malformed)?;
        if token.header.alg != settings.algorithm.name() {
            // Shown without quoting it: it is any text.
            let problem = format!("its alg is another than {}", settings.algorithm);
            return Err(Finding::new(Code::Mismatch, problem));
        }
        self.check_signature(check, &token)?;
        if settings.kid.is_some() && token.header.kid != settings.kid {
            return Err(Finding::new(Code::Mismatch, "the token's kid is another than configured"));
        }
        token.claims().map_err(malformed)
    }

    fn check_signature(&self, check: &Check<'_>, token: &Token<'_>) -> Result<(), Finding> {
        let (algorithm, id) = (self.settings.algorithm, &self.settings.secret);
        let unusable = |e: AuthError| Finding::new(Code::Secret, e.to_string());
        check.call.secret(id).map_err(unusable)?;
        for value in check.call.all(id) {
            if token.is_signed_by(&VerifyingKey::parse(algorithm, id, value).map_err(unusable)?) {
                return Ok(());
            }
        }
        let mut others =
            check.call.all(id).iter().flat_map(|v| VerifyingKey::other_readings(algorithm, v));
        Err(match others.find(|(_, key)| token.is_signed_by(key)) {
            Some((reading, _)) => Finding::new(
                Code::KeyDecoding,
                format!("the token's signature fits if the secret is read as {reading}"),
            ),
            None => Finding::new(
                Code::Mismatch,
                "the token's signature is not one of this token under this secret",
            ),
        })
    }

    fn check_times(&self, check: &Check<'_>, claims: &Map<String, Value>) -> Vec<Finding> {
        // Seconds since the epoch are far below 2^53.
        #[allow(clippy::cast_precision_loss, reason = "exact until the year 285 million")]
        let now = check.call.now.as_secs() as f64;
        let tolerance = check.tolerance.as_secs_f64();
        let time = |name: &str, is_required: bool, is_off: &dyn Fn(f64) -> bool| {
            let (code, problem) = match claims.get(name).map(Value::as_f64) {
                Some(Some(time)) if is_off(time) => {
                    (Code::OutsideTolerance, "is too far from the time of arrival")
                }
                Some(None) => (Code::Malformed, "is not a number"),
                None if is_required => (Code::Malformed, "is missing"),
                Some(Some(_)) | None => return None,
            };
            Some(Finding::new(code, format!("the token's {name} {problem}")))
        };
        let is_over = |time| now > time + tolerance;
        let is_ahead = |time| time > now + tolerance;
        let times = [
            time("exp", true, &is_over),
            time("iat", true, &is_ahead),
            time("nbf", self.settings.nbf, &is_ahead),
        ];
        times.into_iter().flatten().collect()
    }

    fn check_body(&self, check: &Check<'_>, claims: &Map<String, Value>) -> Result<(), Finding> {
        let Some(hash) = &self.settings.body_hash else { return Ok(()) };
        if claims.get(&hash.claim).and_then(Value::as_str) == Some(&hash.of(&check.captured.body)) {
            return Ok(());
        }
        let problem = format!(
            "the claim {} is not the digest of the body: the body was changed after the token was \
             signed, or the digest is another",
            hash.claim
        );
        Err(Finding::new(Code::BodyChanged, problem))
    }

    fn check_claims(&self, check: &Check<'_>, claims: &Map<String, Value>) -> Vec<Finding> {
        let captured = check.captured;
        let request =
            OutboundRequest::new(captured.method, captured.url.clone(), captured.body.clone());
        let facts = Facts { request: &request, call: &check.call };
        let differs = |(name, claim): &&(String, super::claims::Claim)| {
            !claims.get(name).is_some_and(|value| claim.fits(value, &facts))
        };
        let finding = |(name, _): &(String, _)| {
            let problem = format!("the token's claim {name} is another than expected");
            Finding::new(Code::Mismatch, problem)
        };
        self.claims.iter().filter(differs).map(finding).collect()
    }
}
