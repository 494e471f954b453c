//! API keys, customers' tokens and sessions of the console: made once, shown once, kept as a hash.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

use crate::app::App;
pub use crate::domain::access::LONGEST_TOKEN;
use crate::domain::access::{ApiKey, Grant};
use crate::domain::dead_letter::job_sha256;
use crate::domain::field::FieldError;
use crate::domain::ids::CustomerId;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::ports::Result;

/// How long a customer's token is good where nobody says.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// Longest name of a key, in bytes.
pub const MAX_NAME: usize = 200;

/// What a key of the operator begins with.
const KEY: &str = "sp_";
/// What a customer's token begins with.
const TOKEN: &str = "spt_";
/// What a session of the console begins with.
const SESSION: &str = "sps_";
/// What the ids of sessions begin with.
pub const SESSION_ID: &str = "ses_";
/// Digits of an id after its prefix.
const ID_DIGITS: usize = 20;
/// 32 bytes in base64.
const SECRET_LENGTH: usize = 43;

/// A new key or token, with the text that is shown once.
pub struct Issued {
    /// What is kept.
    pub key: ApiKey,
    /// What its holder keeps.
    pub text: SecretBytes,
}

/// Makes a key of the operator.
///
/// # Errors
/// If the store fails.
pub async fn issue_key(
    app: &App,
    name: String,
    grant: Grant,
    expires_at: Option<Timestamp>,
) -> Result<Issued> {
    issue(app, Kind::Key, name, grant, expires_at).await
}

/// Makes a token for a customer, which ends with the key that it is made with.
///
/// # Errors
/// If the store fails.
pub async fn issue_token(
    app: &App,
    customer_id: CustomerId,
    lifetime: Duration,
    minted_by: &ApiKey,
) -> Result<Issued> {
    let end = app.clock.now().plus(lifetime);
    let end = minted_by.expires_at.map_or(end, |key_ends| key_ends.min(end));
    let name = format!("{customer_id} by {}", minted_by.id);
    let kind = Kind::Token { minted_by: &minted_by.id };
    issue(app, kind, name, Grant::Customer { customer_id }, Some(end)).await
}

/// Begins a session of the console with a key or a token, with which it ends. It is good for the
/// console alone: the API takes no session.
///
/// # Errors
/// If the store fails.
pub async fn issue_session(app: &App, holder: &ApiKey, lifetime: Duration) -> Result<Issued> {
    let end = app.clock.now().plus(lifetime);
    let end = holder.expires_at.map_or(end, |holder_ends| holder_ends.min(end));
    let kind = Kind::Session { holder: &holder.id };
    issue(app, kind, holder.name.clone(), holder.grant.clone(), Some(end)).await
}

/// What is made.
enum Kind<'a> {
    Key,
    Token { minted_by: &'a str },
    Session { holder: &'a str },
}

impl Kind<'_> {
    /// What its text begins with, what its id begins with, and what it ends with.
    fn parts(&self) -> (&'static str, &'static str, Option<String>) {
        match self {
            Self::Key => (KEY, "key_", None),
            Self::Token { minted_by } => (TOKEN, "tok_", Some((*minted_by).to_owned())),
            Self::Session { holder } => (SESSION, SESSION_ID, Some((*holder).to_owned())),
        }
    }
}

async fn issue(
    app: &App,
    kind: Kind<'_>,
    name: String,
    grant: Grant,
    expires_at: Option<Timestamp>,
) -> Result<Issued> {
    let created_at = app.clock.now();
    let mut random = [0; 36];
    app.chance.fill(&mut random);
    // The time comes first, so that a list by id is one by age.
    let mut digits = format!("{:012x}", created_at.as_millis());
    for byte in &random[32..] {
        digits += &format!("{byte:02x}");
    }
    let (prefix, kind, minted_by) = kind.parts();
    let text = format!("{prefix}{digits}_{}", BASE64_URL_SAFE_NO_PAD.encode(&random[..32]));
    let text = SecretBytes::new(text.into_bytes());
    let key = ApiKey {
        id: format!("{kind}{digits}"),
        name,
        grant,
        created_at,
        expires_at,
        revoked_at: None,
        minted_by,
        hash: job_sha256(text.expose()),
    };
    app.control.put_key(&key).await?;
    Ok(Issued { key, text })
}

/// Checks the name of a key.
///
/// # Errors
/// If it is empty, too long, or holds control characters.
pub fn check_name(name: &str) -> std::result::Result<(), FieldError> {
    let is_good =
        !name.trim().is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    if is_good {
        return Ok(());
    }
    Err(FieldError::new("name", "expected 1 to 200 bytes without control characters"))
}

/// The id of the key, token or session that a text claims to be; `None` if it is none by its form.
pub fn id_of(text: &str) -> Option<String> {
    let kinds = [(TOKEN, "tok_"), (SESSION, SESSION_ID), (KEY, "key_")];
    let (kind, rest) =
        kinds.iter().find_map(|(prefix, kind)| Some((*kind, text.strip_prefix(prefix)?)))?;
    let (digits, secret) = rest.split_once('_')?;
    let well_formed = digits.len() == ID_DIGITS
        && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && secret.len() == SECRET_LENGTH
        && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    well_formed.then(|| format!("{kind}{digits}"))
}

/// Whether `text` is what the holder of `key` has. Takes the same time wherever they differ.
pub fn is_text_of(key: &ApiKey, text: &str) -> bool {
    let hash = job_sha256(text.as_bytes());
    verify_slices_are_equal(hash.as_bytes(), key.hash.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Role;
    use crate::config::Config;
    use crate::domain::access::Scope;

    async fn app() -> (tempfile::TempDir, App) {
        let dir = tempfile::tempdir().unwrap();
        let app = App::embedded(dir.path(), Config::default(), Role::Command).await.unwrap();
        (dir, app)
    }

    fn all() -> Grant {
        Grant::Operator { scope: Scope::Operator, customers: None, endpoints: None }
    }

    #[tokio::test]
    async fn a_key_is_recognised_by_its_text_and_by_no_other() {
        let (_dir, app) = app().await;
        let one = issue_key(&app, "one".to_owned(), all(), None).await.unwrap();
        let two = issue_key(&app, "two".to_owned(), all(), None).await.unwrap();
        let text = |issued: &Issued| issued.text.expose_str().unwrap().to_owned();
        assert!(text(&one).starts_with("sp_"));
        assert_eq!(id_of(&text(&one)), Some(one.key.id.clone()));
        assert!(is_text_of(&one.key, &text(&one)) && !is_text_of(&one.key, &text(&two)));
        // The id of one with the secret of the other.
        let mixed = format!("{}{}", &text(&one)[..24], &text(&two)[24..]);
        assert_eq!(id_of(&mixed), Some(one.key.id.clone()));
        assert!(!is_text_of(&one.key, &mixed));
    }

    #[tokio::test]
    async fn what_is_kept_does_not_hold_the_text() {
        let (_dir, app) = app().await;
        let one = issue_key(&app, "one".to_owned(), all(), None).await.unwrap();
        let kept = app.control.get_key(&one.key.id).await.unwrap().unwrap();
        let kept = serde_json::to_string(&kept).unwrap();
        assert!(!kept.contains(&one.text.expose_str().unwrap()[24..]), "{kept}");
    }

    #[tokio::test]
    async fn a_token_is_good_no_longer_than_the_key_that_it_is_made_with() {
        let (_dir, app) = app().await;
        let end = app.clock.now().plus(Duration::from_secs(60));
        let key = issue_key(&app, "short".to_owned(), all(), Some(end)).await.unwrap().key;
        let customer: CustomerId = "acme".parse().unwrap();
        let long = issue_token(&app, customer.clone(), TOKEN_LIFETIME, &key).await.unwrap();
        assert_eq!(long.key.expires_at, Some(end));
        let short = issue_token(&app, customer, Duration::from_secs(1), &key).await.unwrap();
        assert!(short.key.expires_at < Some(end));
        assert!(short.text.expose_str().unwrap().starts_with("spt_"));
    }

    #[test]
    fn a_text_of_another_form_is_no_key() {
        let good = format!("sp_{}_{}", "0".repeat(20), "A".repeat(43));
        assert!(id_of(&good).is_some());
        let bad = [
            String::new(),
            "sp_".to_owned(),
            good[1..].to_owned(),
            format!("{good}A"),
            good.replace('A', "+"),
            good.replacen('0', "G", 1),
            good.replacen('0', "é", 1),
        ];
        for text in bad {
            assert_eq!(id_of(&text), None, "{text}");
        }
    }
}
