//! Why a signature does not fit: tries what usually goes wrong, one thing at a time.

use std::sync::Arc;

use url::Url;

use super::algorithm::Key;
use super::message::Message;
use super::signer::Signer;
use super::spelling;
use super::template::Variable;
use super::verify::{Told, is_authentic};
use crate::auth::verify::{Captured, Check, Code, Finding};

/// Longest header that may be an id or a timestamp, in bytes.
const LONGEST: usize = 256;

/// What a signature would fit that does not fit the message.
pub fn mismatch(
    told: &Told<'_>,
    signer: &Signer,
    check: &Check<'_>,
    message: &Message<'_>,
    keys: &[Arc<Key>],
) -> Finding {
    let format = &signer.format;
    let fits = |message: &Message<'_>| told.fits(format, message, keys).unwrap_or(false);
    if let Some(how) = other_key(told, signer, check, message) {
        let problem = format!(
            "the signature fits if the key is {how}; in this format: {}",
            format.key.wanted()
        );
        return Finding::new(Code::KeyDecoding, problem);
    }
    if told.signs(Variable::covers_body) {
        let changed = |body: &Vec<u8>| fits(&Message { body, ..*message });
        if let Some((how, _)) =
            spelling::others(message.body).iter().find(|(_, body)| changed(body))
        {
            let problem = format!(
                "the signature fits the same body {how}: it was changed after it was signed, verify \
                 its bytes before anything parses them"
            );
            return Finding::new(Code::BodyChanged, problem);
        }
    }
    let hint = other_ts(check.captured, message, &fits)
        .filter(|_| told.signs(|v| *v == Variable::Ts))
        .or_else(|| other_id(check.captured, message, &fits))
        .or_else(|| {
            told.signs(Variable::covers_query).then(|| other_url(message, &fits)).flatten()
        });
    let hint = hint.unwrap_or_else(|| {
        "the secret is another, or what is signed was changed on its way".to_owned()
    });
    Finding::new(Code::Mismatch, format!("the signature does not fit: {hint}"))
}

fn other_key(
    told: &Told<'_>,
    signer: &Signer,
    check: &Check<'_>,
    message: &Message<'_>,
) -> Option<String> {
    let format = &signer.format;
    let fits = |bytes: &[u8]| {
        let key = format.mac.key(bytes).map(Arc::new);
        key.is_ok_and(|key| told.fits(format, message, &[key]).unwrap_or(false))
    };
    for value in check.call.all(&signer.secret) {
        let value = value.expose();
        for (how, other) in format.key.others() {
            if other.decode(value).is_some_and(|key| fits(&key)) {
                return Some(how);
            }
        }
        if value.trim_ascii() != value && fits(value.trim_ascii()) {
            return Some("the secret's text without the white space around it".to_owned());
        }
        if fits(&[value, b"\n"].concat()) {
            return Some("the secret's text with a line break at its end".to_owned());
        }
    }
    None
}

fn short(captured: &Captured) -> impl Iterator<Item = (&str, &str)> {
    let all = captured.headers.iter().map(|(name, value)| (name.as_str(), value.trim()));
    all.filter(|(_, value)| !value.is_empty() && value.len() <= LONGEST)
}

fn other_ts(
    captured: &Captured,
    message: &Message<'_>,
    fits: &impl Fn(&Message<'_>) -> bool,
) -> Option<String> {
    let at = |ts: &str| fits(&Message { ts, ..*message });
    if let Ok(number) = message.ts.parse::<i64>() {
        let units =
            [(number / 1000, "whole seconds"), (number.saturating_mul(1000), "milliseconds")];
        if let Some((_, unit)) = units.iter().find(|(ts, _)| at(&ts.to_string())) {
            return Some(format!("it fits the timestamp in {unit}"));
        }
    }
    let mut headers = short(captured);
    let (name, _) = headers.find(|(_, value)| *value != message.ts && at(value))?;
    Some(format!("it fits the timestamp in the header {name}, not the one that the format names"))
}

fn other_id(
    captured: &Captured,
    message: &Message<'_>,
    fits: &impl Fn(&Message<'_>) -> bool,
) -> Option<String> {
    let at = |id: &str| fits(&Message { id, ..*message });
    let (name, _) = short(captured).find(|(_, value)| *value != message.id && at(value))?;
    Some(format!("it fits the id in the header {name}, not the one that the format names"))
}

fn other_url(message: &Message<'_>, fits: &impl Fn(&Message<'_>) -> bool) -> Option<String> {
    let url = message.url;
    let changed = |change: &dyn Fn(&mut Url)| {
        let mut url = url.clone();
        change(&mut url);
        url
    };
    // None of these changes can fail on a URL that was called; if one did, it would change nothing.
    let scheme = if url.scheme() == "https" { "http" } else { "https" };
    let path = match url.path().strip_suffix('/') {
        Some(bare) => bare.to_owned(),
        None => format!("{}/", url.path()),
    };
    let others = [
        ("the other of http and https", changed(&|url| url.set_scheme(scheme).unwrap_or_default())),
        ("a slash more or less at the path's end", changed(&|url| url.set_path(&path))),
        ("no query", changed(&|url| url.set_query(None))),
        ("no port", changed(&|url| url.set_port(None).unwrap_or_default())),
    ];
    let mut others = others.iter().filter(|(_, other)| other != url);
    let (name, _) = others.find(|(_, other)| fits(&Message { url: other, ..*message }))?;
    Some(format!(
        "it fits the URL with {name}: a proxy may have changed it, or it was registered so"
    ))
}

/// Whether the request is authentic if headers of other names are taken for those that are missing.
pub fn renamed(signer: &Signer, check: &Check<'_>) -> Option<String> {
    let mut captured = check.captured.clone();
    let mut taken = Vec::new();
    for header in &signer.format.sent().headers {
        if check.captured.all(&header.name).next().is_some() {
            continue;
        }
        let last = |name: &str| name.rsplit('-').next().unwrap_or(name).to_ascii_lowercase();
        let alike = captured.headers.iter().find(|(name, _)| last(name) == last(&header.name));
        let Some((name, value)) = alike.cloned() else { continue };
        taken.push(format!("{name} for {}", header.name));
        captured.headers.push((header.name.clone(), value));
    }
    if !taken.is_empty() && is_authentic(signer, &Check { captured: &captured, ..*check }) {
        return Some(format!("it is authentic with {}", taken.join(", ")));
    }
    let carrier = signer.format.sent().headers.iter().find(|h| h.template.has(&Variable::Sig))?;
    check.captured.headers.iter().find_map(|(name, value)| {
        let mut captured = check.captured.clone();
        captured.headers.push((carrier.name.clone(), value.clone()));
        let fits = is_authentic(signer, &Check { captured: &captured, ..*check });
        fits.then(|| format!("it is authentic with {name} for {}", carrier.name))
    })
}
