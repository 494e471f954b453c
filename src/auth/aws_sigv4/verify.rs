//! Checks a captured request as AWS would.

use super::canonical::{CanonicalRequest, PathRule, canonical_path, canonical_query, sorted};
use super::signature::{ALGORITHM, Scope, read_amz_date, signature, signing_key, string_to_sign};
use super::{Credentials, DATE, Keys, PAYLOAD, Signer, TOKEN, host, payload_hash};
use crate::auth::Call;
use crate::auth::verify::{Captured, Check, Code, Finding, is_equal};
use crate::domain::secret::SecretBytes;

/// What the `Authorization` header says.
struct Claim<'c> {
    access_key_id: &'c str,
    scope: Scope<'c>,
    signed_headers: Vec<&'c str>,
    signature: &'c str,
}

impl<'c> Claim<'c> {
    fn read(authorization: &'c str) -> Option<Self> {
        let rest = authorization.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let field = |name: &str| {
            let mut fields = rest.split(',').filter_map(|field| field.trim().split_once('='));
            fields.find(|(n, _)| *n == name).map(|(_, value)| value)
        };
        let credential: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = credential[..] else {
            return None;
        };
        Some(Self {
            access_key_id,
            scope: Scope { day, region, service },
            signed_headers: field("SignedHeaders")?.split(';').collect(),
            signature: field("Signature")?,
        })
    }
}

/// What is wrong with a request.
pub fn findings(signer: &Signer, check: &Check<'_>) -> Vec<Finding> {
    if let (Keys::Role(role), None) = (&signer.keys, check.call.grant) {
        let problem = format!("without the credentials of the AWS role {role} nothing can be seen");
        return vec![Finding::new(Code::NotVisible, problem)];
    }
    let credentials = match signer.credentials(&check.call) {
        Ok(credentials) => credentials,
        Err(error) => return vec![Finding::new(Code::Secret, error.to_string())],
    };
    let captured = check.captured;
    let (authorization, date) = match (captured.one("authorization"), captured.one(DATE)) {
        (Ok(authorization), Ok(date)) => (authorization, date),
        (authorization, date) => {
            return authorization.err().into_iter().chain(date.err()).collect();
        }
    };
    let Some(claim) = Claim::read(authorization) else {
        let problem = format!(
            "the header authorization is not {ALGORITHM} Credential=<key>/<day>/<region>/<service>\
             /aws4_request, SignedHeaders=<names>, Signature=<hex>"
        );
        return vec![Finding::new(Code::Malformed, problem)];
    };
    let mut findings = of_claim(signer, &credentials, &claim);
    findings.extend(of_date(check, date, &claim));
    findings.extend(of_payload(captured, &signer.service));
    findings.extend(of_token(captured, &credentials));
    findings.extend(of_signature(check, signer, date, &claim));
    findings
}

fn of_claim(signer: &Signer, expected: &Credentials<'_>, claim: &Claim<'_>) -> Vec<Finding> {
    let pairs = [
        ("access key id", claim.access_key_id, expected.access_key_id),
        ("region", claim.scope.region, signer.region.as_str()),
        ("service", claim.scope.service, signer.service.as_str()),
    ];
    let wrong = pairs.into_iter().filter(|(_, found, wanted)| found != wanted);
    wrong
        .map(|(what, found, wanted)| {
            let problem = format!("the {what} is {found:?}, expected {wanted:?}");
            Finding::new(Code::Mismatch, problem)
        })
        .collect()
}

fn of_date(check: &Check<'_>, date: &str, claim: &Claim<'_>) -> Option<Finding> {
    let Some(time) = read_amz_date(date) else {
        let problem = format!("the header {DATE} is no time as in 20150830T123600Z");
        return Some(Finding::new(Code::Malformed, problem));
    };
    if !date.starts_with(claim.scope.day) {
        let problem = format!("the credential is of {}, {DATE} of another day", claim.scope.day);
        return Some(Finding::new(Code::Mismatch, problem));
    }
    let now = check.call.now;
    let apart = now.since(time).max(time.since(now));
    (apart > check.tolerance).then(|| {
        let problem = format!("{DATE} is {} s from the time of arrival, {now}", apart.as_secs());
        Finding::new(Code::OutsideTolerance, problem)
    })
}

/// Services compute the hash themselves; only Amazon S3 asks for the header.
fn of_payload(captured: &Captured, service: &str) -> Option<Finding> {
    match captured.one(PAYLOAD) {
        Ok(claimed) if claimed == payload_hash(&captured.body) => None,
        Ok(_) => {
            let problem = format!("the header {PAYLOAD} is not the SHA-256 of the body in hex");
            Some(Finding::new(Code::Mismatch, problem))
        }
        Err(finding) if captured.all(PAYLOAD).next().is_some() => Some(finding),
        Err(missing) => (PathRule::of(service) == PathRule::Once).then_some(missing),
    }
}

fn of_token(captured: &Captured, credentials: &Credentials<'_>) -> Option<Finding> {
    let Some(wanted) = credentials.session_token else {
        let problem = format!("{TOKEN} is there, but these keys have no session token");
        let is_there = captured.all(TOKEN).next().is_some();
        return is_there.then(|| Finding::new(Code::Mismatch, problem));
    };
    match captured.one(TOKEN) {
        Ok(token) if is_equal(token.as_bytes(), wanted.expose()) => None,
        Ok(_) => Some(Finding::new(Code::Mismatch, format!("{TOKEN} is another than expected"))),
        Err(finding) => Some(finding),
    }
}

/// The signature is checked under the scope that it claims, so that a wrong region is not blamed on
/// the key.
fn of_signature(check: &Check<'_>, signer: &Signer, date: &str, claim: &Claim<'_>) -> Vec<Finding> {
    let captured = check.captured;
    let mut findings = unsigned(captured, claim);
    let (url, path_rule) = (&captured.url, PathRule::of(claim.scope.service));
    let host = host(url);
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    for name in &claim.signed_headers {
        let before = headers.len();
        headers.extend(captured.all(name).map(|value| (*name, value.as_bytes())));
        if headers.len() > before {
            continue;
        }
        if *name == "host" {
            headers.push((name, host.as_bytes()));
        } else {
            let problem = format!("the signed header {name} is not there");
            findings.push(Finding::new(Code::HeaderMissing, problem));
        }
    }
    let payload_hash = match captured.one(PAYLOAD) {
        Ok(claimed) => claimed.to_owned(),
        Err(_) => payload_hash(&captured.body),
    };
    let canonical = CanonicalRequest {
        method: captured.method.as_str(),
        path: canonical_path(url.path(), path_rule),
        query: canonical_query(url.query().unwrap_or_default()),
        headers: sorted(headers),
        payload_hash: &payload_hash,
    };
    let text = string_to_sign(date, &claim.scope, &canonical);
    let fits = |key: &SecretBytes| {
        let expected = signature(&signing_key(key, &claim.scope), &text);
        is_equal(expected.as_bytes(), claim.signature.as_bytes())
    };
    if !keys(signer, &check.call).into_iter().any(fits) {
        let problem = "the signature is not one of this request under this secret access key: \
                       another key, or the request was changed after it was signed";
        findings.push(Finding::new(Code::Mismatch, problem));
    }
    findings
}

/// What must be signed and is not: `host`, and every `x-amz-` header that is there.
fn unsigned(captured: &Captured, claim: &Claim<'_>) -> Vec<Finding> {
    let names = captured.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    let must = names.filter(|name| name.starts_with("x-amz-")).chain(["host".to_owned()]);
    let left_out = must.filter(|name| !claim.signed_headers.contains(&name.as_str()));
    left_out
        .map(|name| Finding::new(Code::Mismatch, format!("the header {name} is not signed")))
        .collect()
}

/// The secret access keys in use: of static ones, also that before a rotation.
fn keys<'c>(signer: &Signer, call: &Call<'c>) -> Vec<&'c SecretBytes> {
    match &signer.keys {
        Keys::Static { secret, .. } => call.all(secret).iter().collect(),
        Keys::Role(_) => match call.grant {
            Some(crate::auth::need::Grant::AwsCredentials(granted)) => {
                vec![&granted.secret_access_key]
            }
            Some(crate::auth::need::Grant::Challenge(_) | crate::auth::need::Grant::Token(_))
            | None => Vec::new(),
        },
    }
}
