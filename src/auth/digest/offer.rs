//! Which of a server's challenges is answered.

use super::Settings;
use super::challenge::{Challenge, parse};
use super::response::{Algorithm, Hash, Qop};
use crate::auth::AuthError;
use crate::domain::delivery::truncate;

/// Longest piece of a server's challenges in an error, in bytes.
const MAX_SHOWN: usize = 500;

/// A challenge that can be answered, and how.
pub struct Offer {
    pub realm: String,
    pub nonce: String,
    pub opaque: Option<String>,
    pub algorithm: Algorithm,
    /// The algorithm as the server spells it.
    pub algorithm_name: String,
    pub qop: Qop,
    pub userhash: bool,
}

/// Whether a server asks for Digest in these values of `WWW-Authenticate`.
pub fn has_challenge(headers: &[String]) -> bool {
    digests(headers).next().is_some()
}

/// Whether a server says that only the nonce was too old: the same password, with the new nonce,
/// will do.
pub fn is_stale(headers: &[String]) -> bool {
    digests(headers).any(|c| c.get("stale").is_some_and(|v| v.eq_ignore_ascii_case("true")))
}

fn digests(headers: &[String]) -> impl Iterator<Item = Challenge> {
    headers.iter().flat_map(|value| parse(value)).filter(|challenge| challenge.is("Digest"))
}

/// The best challenge: SHA-256 before SHA-512-256 before MD5, one for each call before one for a
/// session, and otherwise the first.
///
/// # Errors
/// If none can be answered; says what the server offers and what keeps it from being answered.
pub fn best(headers: &[String], settings: &Settings) -> Result<Offer, AuthError> {
    let (mut offers, mut refused) = (Vec::new(), Vec::new());
    for challenge in headers.iter().flat_map(|value| parse(value)) {
        match read(&challenge, settings) {
            Ok(offer) => offers.push(offer),
            Err(problem) => refused.push(format!("{challenge} ({problem})")),
        }
    }
    offers.into_iter().min_by_key(|offer| offer.algorithm).ok_or_else(|| {
        let mut offered = refused.join("; ");
        truncate(&mut offered, MAX_SHOWN);
        let offered = if offered.is_empty() { "nothing that can be read" } else { &offered };
        let problem = "there is no challenge that can be answered";
        AuthError::new(format!("{problem}: the server offers {offered}"))
    })
}

fn read(challenge: &Challenge, settings: &Settings) -> Result<Offer, String> {
    if !challenge.is("Digest") {
        return Err("not Digest".to_owned());
    }
    if challenge.repeats() {
        return Err("a parameter is there twice".to_owned());
    }
    let required = |name: &str| challenge.get(name).ok_or_else(|| format!("it has no {name}"));
    let (realm, nonce) = (required("realm")?, required("nonce")?);
    if let Some(wanted) = settings.realm.as_deref().filter(|wanted| *wanted != realm) {
        return Err(format!("the realm is not {wanted:?}"));
    }
    let algorithm_name = challenge.get("algorithm").unwrap_or("MD5");
    let algorithm =
        Algorithm::read(algorithm_name).ok_or("SHA-256, SHA-512-256 and MD5 are supported")?;
    if algorithm.hash == Hash::Md5 && !settings.allow_md5 {
        return Err("MD5 is used only with allow_md5".to_owned());
    }
    let offered: Vec<Qop> =
        required("qop")?.split(',').filter_map(|q| Qop::read(q.trim())).collect();
    let wanted = settings.qop.map_or_else(|| vec![Qop::Auth, Qop::AuthInt], |qop| vec![qop]);
    let qop = wanted.iter().find(|qop| offered.contains(qop));
    let qop = *qop.ok_or_else(|| {
        let wanted: Vec<&str> = wanted.iter().map(|qop| qop.as_str()).collect();
        format!("qop is not {}", wanted.join(" or "))
    })?;
    Ok(Offer {
        realm: realm.to_owned(),
        nonce: nonce.to_owned(),
        opaque: challenge.get("opaque").map(str::to_owned),
        algorithm,
        algorithm_name: algorithm_name.to_owned(),
        qop,
        userhash: challenge.get("userhash").is_some_and(|v| v.eq_ignore_ascii_case("true")),
    })
}
