//! Applies auth steps to a request as a case describes it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sealpost::auth::need::{Challenge, Grant, Need};
use sealpost::auth::oauth2_client_credentials::Token;
use sealpost::auth::verify::{Captured, Check, Finding};
use sealpost::auth::{Call, Chain};
use sealpost::domain::aws_role::AwsCredentials;
use sealpost::domain::endpoint::AuthStep;
use sealpost::domain::ids::SecretId;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use serde_json::Value;

/// A request before its auth steps, the steps and their secrets.
///
/// Keys, all but `settings` optional: `settings` (of one step, with its `scheme`, or a list of steps),
/// `secrets` (by name, each a text or a list, the current one first) or `secret` (of name `s`),
/// `id`, `type`, `seconds`, `nonce`, `method`, `url`, `headers` (a map), `body` or `bodyBase64`;
/// what the steps need, `token` (an access token), `awsCredentials` (a map) and `challenge` (a list of values of
/// `WWW-Authenticate`) with `count`.
pub struct Case<'c>(pub &'c Value);

impl Case<'_> {
    fn text<'v>(&'v self, key: &str, default: &'v str) -> &'v str {
        self.0[key].as_str().unwrap_or(default)
    }

    fn steps(&self) -> Vec<AuthStep> {
        let settings = self.0["settings"].clone();
        let list = if settings.is_array() { settings } else { Value::Array(vec![settings]) };
        serde_json::from_value(list).unwrap()
    }

    fn secrets(&self) -> BTreeMap<SecretId, Vec<SecretBytes>> {
        let value = |v: &Value| SecretBytes::new(v.as_str().unwrap().as_bytes().to_vec());
        let values = |v: &Value| match v.as_array() {
            Some(list) => list.iter().map(value).collect(),
            None => vec![value(v)],
        };
        let named = self.0["secrets"].as_object().into_iter().flatten();
        let mut secrets: BTreeMap<_, _> =
            named.map(|(name, v)| (name.parse().unwrap(), values(v))).collect();
        if !self.0["secret"].is_null() {
            secrets.insert("s".parse().unwrap(), values(&self.0["secret"]));
        }
        secrets
    }

    fn with_call<T>(&self, run: impl FnOnce(&Call<'_>) -> T) -> T {
        run(&Call {
            customer_id: &"c".parse().unwrap(),
            endpoint_id: &"e".parse().unwrap(),
            job_id: &self.text("id", "j").parse().unwrap(),
            job_type: self.0["type"].as_str(),
            now: Timestamp::from_millis(self.0["seconds"].as_i64().unwrap_or(0) * 1000),
            nonce: &|| self.text("nonce", "0123456789abcdef0123456789abcdef").to_owned(),
            secrets: &self.secrets(),
            grant: None,
        })
    }

    /// What a step's need gives, where the case has it.
    fn grant(&self, need: Option<Need<'_>>) -> Option<Grant> {
        match need? {
            Need::Token(_) => {
                let value = SecretBytes::new(self.0["token"].as_str()?.as_bytes().to_vec());
                let never = Timestamp::from_millis(i64::MAX);
                Some(Grant::Token(Token { value, refresh_at: never, use_until: never }))
            }
            Need::AwsCredentials(_) => {
                let text = |key: &str| self.0["awsCredentials"][key].as_str();
                let secret = |key| text(key).map(|v| SecretBytes::new(v.as_bytes().to_vec()));
                Some(Grant::AwsCredentials(AwsCredentials {
                    access_key_id: text("accessKeyId")?.to_owned(),
                    secret_access_key: secret("secretAccessKey")?,
                    session_token: secret("sessionToken"),
                    expires_at: None,
                }))
            }
            Need::Challenge => {
                let values = self.0["challenge"].as_array()?.iter();
                let headers = values.map(|v| v.as_str().unwrap().to_owned()).collect();
                let count = self.0["count"].as_u64().map_or(1, |n| u32::try_from(n).unwrap());
                Some(Grant::Challenge(Challenge { headers, count }))
            }
        }
    }

    fn grants(&self, chain: &Chain) -> Vec<Option<Grant>> {
        chain.needs().map(|need| self.grant(need)).collect()
    }

    /// The request with every step applied; an error where a setting or a secret is refused.
    pub fn apply(&self) -> Result<OutboundRequest, String> {
        let chain = Chain::compile(&self.steps(), std::iter::empty()).map_err(|e| e.to_string())?;
        let body = match self.0["bodyBase64"].as_str() {
            Some(encoded) => BASE64_STANDARD.decode(encoded).unwrap(),
            None => self.text("body", "").as_bytes().to_vec(),
        };
        let url = self.text("url", "https://a.example/").parse().unwrap();
        let method = self.text("method", "POST").parse().unwrap();
        let mut request = OutboundRequest::new(method, url, body.into());
        for (name, value) in self.0["headers"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap().to_owned();
            request.set_header(name, sealpost::domain::request::HeaderValue::Plain(value));
        }
        self.with_call(|call| chain.apply(&mut request, call, &self.grants(&chain)))
            .map_err(|e| e.to_string())
            .map(|()| request)
    }

    /// A header of the request with every step applied; `None` where it is refused.
    pub fn header(&self, name: &str) -> Option<String> {
        let request = self.apply().ok()?;
        let value = request.header(&name.to_ascii_lowercase())?;
        Some(String::from_utf8(value.expose().to_vec()).unwrap())
    }

    /// Checks every value of the secrets as it is checked when it is stored.
    pub fn check_secrets(&self) -> Result<(), String> {
        let chain = Chain::compile(&self.steps(), std::iter::empty()).map_err(|e| e.to_string())?;
        for (id, values) in self.secrets() {
            for value in &values {
                chain.check_secret(&id, value).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// What the first step asks a token server for; an error where a secret is refused.
    pub fn token_request(&self) -> Result<OutboundRequest, String> {
        let chain = Chain::compile(&self.steps(), std::iter::empty()).map_err(|e| e.to_string())?;
        let Some(Some(Need::Token(request))) = chain.needs().next() else {
            return Err("no token is needed".to_owned());
        };
        self.with_call(|call| request.build(call)).map_err(|e| e.to_string())
    }

    /// What every step finds in a request.
    pub fn verify(&self, captured: &Captured, tolerance: Duration) -> Vec<Finding> {
        let chain = Chain::compile(&self.steps(), std::iter::empty()).unwrap();
        let grants = self.grants(&chain);
        self.with_call(|call| {
            let mut found = Vec::new();
            for (step, grant) in chain.steps().iter().zip(&grants) {
                let call = Call { grant: grant.as_ref(), ..*call };
                found.extend(step.verify(&Check { captured, call, tolerance }));
            }
            found
        })
    }
}

/// The case as its receiver knows it: a minute later, and without the job's id.
pub fn received(case: &Value) -> Value {
    let mut received = case.clone();
    received["id"] = "unknown".into();
    received["seconds"] = (case["seconds"].as_i64().unwrap_or(0) + 60).into();
    received
}

/// A request as its receiver gets it.
pub fn captured(request: &OutboundRequest) -> Captured {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Captured {
        method: request.method,
        url: request.full_url().into_owned(),
        headers: request
            .headers
            .iter()
            .map(|h| (h.name.to_string(), text(h.value.expose())))
            .collect(),
        body: request.body.clone(),
    }
}

/// A key for tests of `fixtures/keys`.
pub fn key(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys").join(name);
    std::fs::read_to_string(path).unwrap()
}
