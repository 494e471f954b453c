//! References: secrets that are kept elsewhere, and named here.
//!
//! `secretsmanager:NAME?stage=AWSCURRENT&previous#/json/pointer` and `ssm:NAME?version=3#/json/pointer`;
//! what follows the name may be left out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::CustomerId;

/// Longest name or ARN, in characters ("GetSecretValue", AWS Secrets Manager API Reference; those of
/// parameters are shorter).
const MAX_NAME: usize = 2048;
/// What stands for the customer's id in a rule.
const CUSTOMER: &str = "{customerId}";

/// Where a referenced secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// AWS Secrets Manager.
    SecretsManager,
    /// AWS Systems Manager's parameter store.
    Ssm,
}

impl Keeper {
    const ALL: [Self; 2] = [Self::SecretsManager, Self::Ssm];

    /// Its word, before the first `:` of a reference.
    pub fn word(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
        }
    }

    fn split(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(':')?;
        Self::ALL.into_iter().find(|keeper| keeper.word() == word).map(|keeper| (keeper, rest))
    }

    /// Whether a name could be one of its names, or an ARN of one. A `:` in a plain name would begin a
    /// version, and let a name end where the rules do not see it.
    fn takes(self, name: &str) -> bool {
        let plain = match name.strip_prefix("arn:") {
            Some(rest) => {
                let parts: Vec<&str> = rest.splitn(6, ':').collect();
                let kind = match self {
                    Self::SecretsManager => "secret",
                    Self::Ssm => "parameter",
                };
                match (self, parts.as_slice()) {
                    (Self::SecretsManager, [_, service, _, _, what, plain]) => {
                        (*service == self.word() && *what == kind).then_some(*plain)
                    }
                    (Self::Ssm, [_, service, _, _, plain]) => (*service == self.word())
                        .then(|| plain.strip_prefix(kind))
                        .flatten()
                        .filter(|plain| plain.starts_with('/')),
                    (Self::SecretsManager | Self::Ssm, _) => None,
                }
            }
            None => Some(name),
        };
        let marks: &[u8] = match self {
            // Secrets that other services manage have a `!`, as in `events!connection/…`.
            Self::SecretsManager => b"/_+=.@-!",
            Self::Ssm => b"/_.-",
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || marks.contains(&byte);
        name.len() <= MAX_NAME
            && plain.is_some_and(|plain| !plain.is_empty() && plain.bytes().all(allowed))
    }
}

/// Which state of the kept secret is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// The current one.
    Current,
    /// The version of this id or number.
    Version(String),
    /// The one that bears this staging label (Secrets Manager) or label (SSM) now.
    Label(String),
}

/// A secret that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where.
    pub keeper: Keeper,
    /// Its name or ARN there.
    pub name: String,
    /// Which state of it.
    pub select: Select,
    /// Whether the version that bears `AWSPREVIOUS` serves beside it as the previous one.
    pub previous: bool,
    /// The JSON pointer (RFC 6901) of the piece of it that is the secret; all of it otherwise.
    pub pointer: Option<String>,
}

/// Why a text is no reference, or a rule no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}")]
pub struct ReferenceError {
    text: String,
    problem: &'static str,
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |problem| ReferenceError { text: text.to_owned(), problem };
        let form = "expected secretsmanager:NAME or ssm:NAME, by name or ARN";
        let (keeper, rest) = Keeper::split(text).ok_or_else(|| refuse(form))?;
        let (rest, pointer) = match rest.split_once('#') {
            Some((rest, pointer)) => (rest, Some(pointer.to_owned())),
            None => (rest, None),
        };
        let is_pointer = |pointer: &String| {
            pointer.starts_with('/')
                && pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
        };
        if pointer.as_ref().is_some_and(|pointer| !is_pointer(pointer)) {
            return Err(refuse("after # a JSON pointer (RFC 6901) is expected, as #/password"));
        }
        let (name, options) = rest.split_once('?').unwrap_or((rest, ""));
        if !keeper.takes(name) {
            return Err(refuse(form));
        }
        let (mut select, mut previous) = (Select::Current, false);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let is_first = select == Select::Current;
            match (keeper, key) {
                (Keeper::SecretsManager, "previous") if value.is_empty() => previous = true,
                (_, "version") if is_first && is_word(value) => {
                    select = Select::Version(value.to_owned());
                }
                (Keeper::SecretsManager, "stage") | (Keeper::Ssm, "label")
                    if is_first && is_word(value) =>
                {
                    select = Select::Label(value.to_owned());
                }
                (Keeper::SecretsManager | Keeper::Ssm, _) => {
                    return Err(refuse(
                        "after ? one of version=... and stage=... (secretsmanager) or label=... \
                         (ssm) is expected, and for secretsmanager &previous",
                    ));
                }
            }
        }
        if previous && select != Select::Current {
            return Err(refuse("`previous` goes with the current version alone"));
        }
        Ok(Self { keeper, name: name.to_owned(), select, previous, pointer })
    }
}

/// Whether a version or a label can be passed on as it is.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
    (1..=256).contains(&text.len()) && text.bytes().all(allowed)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.keeper.word(), self.name)?;
        match (&self.select, self.keeper) {
            (Select::Current, _) if self.previous => f.write_str("?previous")?,
            (Select::Current, _) => {}
            (Select::Version(version), _) => write!(f, "?version={version}")?,
            (Select::Label(label), Keeper::SecretsManager) => write!(f, "?stage={label}")?,
            (Select::Label(label), Keeper::Ssm) => write!(f, "?label={label}")?,
        }
        self.pointer.as_ref().map_or(Ok(()), |pointer| write!(f, "#{pointer}"))
    }
}

/// A rule: references of this keeper whose names begin with these whole path segments may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ReferenceRule {
    keeper: Keeper,
    segments: Vec<String>,
}

impl ReferenceRule {
    /// Whether the rule lets the customer name `reference`.
    pub fn allows(&self, customer: &CustomerId, reference: &Reference) -> bool {
        let segment = |rule: &String, name: &str| match rule.as_str() {
            CUSTOMER => name == customer.as_str(),
            rule => name == rule,
        };
        let mut names = reference.name.split('/');
        self.keeper == reference.keeper
            && self.segments.iter().all(|rule| names.next().is_some_and(|name| segment(rule, name)))
    }
}

impl FromStr for ReferenceRule {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |problem| ReferenceError { text: text.to_owned(), problem };
        let form = "expected the beginning of names in whole segments, as \
                    secretsmanager:webhooks/{customerId}/ or ssm:/webhooks/{customerId}/";
        let (keeper, name) = Keeper::split(text).ok_or_else(|| refuse(form))?;
        let name = name.strip_suffix('/').unwrap_or(name);
        let segments: Vec<String> = name.split('/').map(str::to_owned).collect();
        let is_whole = |segment: &String| segment == CUSTOMER || !segment.contains(['{', '}']);
        if segments.iter().all(String::is_empty) || !segments.iter().all(is_whole) {
            return Err(refuse(form));
        }
        Ok(Self { keeper, segments })
    }
}

impl fmt::Display for ReferenceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/", self.keeper.word(), self.segments.join("/"))
    }
}

impl TryFrom<String> for ReferenceRule {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<ReferenceRule> for String {
    fn from(rule: ReferenceRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(rule: &str, customer: &str, reference: &str) -> bool {
        let rule: ReferenceRule = rule.parse().unwrap();
        rule.allows(&customer.parse().unwrap(), &reference.parse().unwrap())
    }

    #[test]
    fn a_reference_is_written_as_it_was_read() {
        for text in [
            "secretsmanager:webhooks/acme/signing",
            "secretsmanager:webhooks/acme/signing?previous#/key",
            "secretsmanager:a?version=EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE",
            "secretsmanager:a?stage=AWSPENDING#/a~1b",
            "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/b-AbCdEf",
            "ssm:/webhooks/acme/signing?version=3",
            "ssm:signing?label=live#/0",
            "ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/webhooks/acme",
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_a_keeper_would_read_in_another_way_than_the_rules_do_is_no_reference() {
        for text in [
            "signing",
            "vault:signing",
            "ssm:",
            "ssm:/a:3",
            "ssm:/a/ b",
            "ssm:/a?previous",
            "ssm:/a?stage=x",
            "ssm:/a?version=1&label=x",
            "secretsmanager:a?stage=AWSPENDING&previous",
            "secretsmanager:a:b",
            "secretsmanager:a#key",
            "secretsmanager:a#/~2",
            "secretsmanager:arn:aws:ssm:eu-west-1:1:parameter/a",
            "ssm:arn:aws:ssm:eu-west-1:1:parameter/a:3",
            "ssm:arn:aws:ssm:eu-west-1:1:document/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_allows_whole_segments_of_the_customer_s_own_alone() {
        let rule = "secretsmanager:webhooks/{customerId}/";
        assert!(allows(rule, "acme", "secretsmanager:webhooks/acme/signing"));
        assert!(allows(rule, "acme", "secretsmanager:webhooks/acme"));
        for other in ["webhooks/acme-2/x", "webhooks/acm/x", "webhooks/", "other/acme/x", "acme"] {
            assert!(!allows(rule, "acme", &format!("secretsmanager:{other}")), "{other}");
        }
        assert!(!allows(rule, "acme", "ssm:webhooks/acme/x"));
        assert!(allows("ssm:/a/{customerId}", "acme", "ssm:/a/acme/x"));
        assert!(!allows("ssm:/a/{customerId}", "acme", "ssm:a/acme/x"));
        for wrong in ["ssm:", "ssm:/", "webhooks/", "ssm:/a-{customerId}/", "ssm:/{customer}/"] {
            assert!(wrong.parse::<ReferenceRule>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_customer_comes_by_the_reference_of_another(
            one in "[A-Za-z0-9._:@-]{1,12}",
            other in "[A-Za-z0-9._:@-]{1,12}",
            rest in "(/[A-Za-z0-9/._@-]{0,12})?",
            rule in prop::sample::select(vec![
                "ssm:/w/{customerId}/",
                "secretsmanager:{customerId}",
                "secretsmanager:w/{customerId}",
            ]),
        ) {
            prop_assume!(one != other);
            let begin = rule.replace("{customerId}", &other);
            if let Ok(theirs) = format!("{}{rest}", begin.trim_end_matches('/')).parse::<Reference>() {
                let rule: ReferenceRule = rule.parse().unwrap();
                prop_assert!(rule.allows(&other.parse().unwrap(), &theirs));
                prop_assert!(!rule.allows(&one.parse().unwrap(), &theirs));
            }
        }
    }
}
