//! Checks a captured answer to a challenge as its server would.

use super::challenge::{Challenge, parse};
use super::response::{Algorithm, Hash, Qop, Response};
use super::{Settings, granted, uri};
use crate::auth::verify::{Check, Code, Finding, is_equal};

/// What is wrong with a request. Without a challenge in hand, the nonce is taken as it is given.
pub fn findings(settings: &Settings, check: &Check<'_>) -> Vec<Finding> {
    let authorization = match check.captured.one("authorization") {
        Ok(value) => value,
        Err(finding) => return vec![finding],
    };
    let malformed = |problem: String| vec![Finding::new(Code::Malformed, problem)];
    let credentials = match &parse(authorization)[..] {
        [one] if one.is("Digest") => one.clone(),
        [] | [_] | [_, _, ..] => {
            return malformed("the header authorization is not Digest <parameters>".to_owned());
        }
    };
    if credentials.repeats() {
        let problem = "a parameter is there twice in the header authorization";
        return malformed(problem.to_owned());
    }
    let answer = match Answer::read(&credentials) {
        Ok(answer) => answer,
        Err(problem) => return malformed(problem),
    };
    let mut findings = of_settings(settings, &answer);
    findings.extend(of_request(check, &answer));
    findings.extend(of_response(settings, check, &answer));
    findings
}

/// The parameters of the credentials.
struct Answer<'c> {
    all: &'c Challenge,
    algorithm: Algorithm,
    realm: &'c str,
    nonce: &'c str,
    nc: &'c str,
    cnonce: &'c str,
    uri: &'c str,
    qop: Qop,
    response: &'c str,
}

impl<'c> Answer<'c> {
    fn read(all: &'c Challenge) -> Result<Self, String> {
        let get = |name: &str| {
            all.get(name).ok_or_else(|| format!("the header authorization has no {name}"))
        };
        let algorithm = all.get("algorithm").unwrap_or("MD5");
        let nc = get("nc")?;
        if nc.len() != 8 || !nc.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("nc is not 8 hex digits".to_owned());
        }
        Ok(Self {
            all,
            algorithm: Algorithm::read(algorithm)
                .ok_or_else(|| format!("the algorithm {algorithm:?} is unknown"))?,
            realm: get("realm")?,
            nonce: get("nonce")?,
            nc,
            cnonce: get("cnonce")?,
            uri: get("uri")?,
            qop: Qop::read(get("qop")?).ok_or("qop is not auth or auth-int")?,
            response: get("response")?,
        })
    }
}

fn mismatch(is_wrong: bool, problem: String) -> Option<Finding> {
    is_wrong.then(|| Finding::new(Code::Mismatch, problem))
}

fn of_settings(settings: &Settings, answer: &Answer<'_>) -> Vec<Finding> {
    let get = |name: &str| answer.all.get(name);
    let is_user = if get("userhash").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        let hash = answer.algorithm.hash.of(&settings.user_in(answer.realm));
        get("username").is_some_and(|user| user.eq_ignore_ascii_case(&hash))
    } else {
        let extended = format!("UTF-8''{}", super::encoded(&settings.username));
        get("username") == Some(&settings.username)
            || get("username*").is_some_and(|user| user.eq_ignore_ascii_case(&extended))
    };
    let is_realm = settings.realm.as_deref().is_none_or(|realm| realm == answer.realm);
    let is_qop = settings.qop.is_none_or(|qop| qop == answer.qop);
    let is_md5 = answer.algorithm.hash == Hash::Md5;
    let found = [
        mismatch(!is_user, format!("the user is another than {:?}", settings.username)),
        mismatch(!is_realm, format!("the realm is {:?}, which is not configured", answer.realm)),
        mismatch(!is_qop, format!("qop is {}, which is not configured", answer.qop.as_str())),
        mismatch(is_md5 && !settings.allow_md5, "MD5 is used only with allow_md5".to_owned()),
    ];
    found.into_iter().flatten().collect()
}

fn of_request(check: &Check<'_>, answer: &Answer<'_>) -> Vec<Finding> {
    let wanted = uri(&check.captured.url);
    let mut found: Vec<Finding> = mismatch(
        answer.uri != wanted,
        format!("uri is {:?}, but the request is for {wanted:?}", answer.uri),
    )
    .into_iter()
    .collect();
    let Ok(challenge) = granted(&check.call) else { return found };
    let given = challenge.headers.iter().flat_map(|value| parse(value));
    let is_given = given.filter(|c| c.is("Digest")).any(|c| {
        let has = |name: &str, value| c.get(name) == value;
        has("nonce", Some(answer.nonce))
            && has("realm", Some(answer.realm))
            && has("opaque", answer.all.get("opaque"))
    });
    let problem = "nonce, realm and opaque are not those of the challenge".to_owned();
    found.extend(mismatch(!is_given, problem));
    found
}

fn of_response(settings: &Settings, check: &Check<'_>, answer: &Answer<'_>) -> Option<Finding> {
    let passwords = check.call.all(&settings.secret);
    if passwords.is_empty() {
        let problem = format!("secret {} has no value in use", settings.secret);
        return Some(Finding::new(Code::Secret, problem));
    }
    let fits = passwords.iter().any(|password| {
        let response = Response {
            algorithm: answer.algorithm,
            username: &settings.username,
            realm: answer.realm,
            password: password.expose(),
            method: check.captured.method.as_str(),
            uri: answer.uri,
            body: &check.captured.body,
            nonce: answer.nonce,
            nc: answer.nc,
            cnonce: answer.cnonce,
            qop: answer.qop,
        };
        let given = answer.response.to_ascii_lowercase();
        is_equal(response.compute().as_bytes(), given.as_bytes())
    });
    let problem = "the response is not one to this request under this password: another \
                   password, or the request was changed after it was answered";
    mismatch(!fits, problem.to_owned())
}
