//! AWS identities that requests are signed with, and which of them may be used for what.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::origin::Origin;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;

/// Whose AWS credentials sign a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AwsRole {
    /// The worker's own.
    Worker,
    /// A role that the worker assumes; the customer's id is the external id.
    Assumed {
        /// The role's ARN.
        arn: String,
    },
}

impl fmt::Display for AwsRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Assumed { arn } => arn,
        })
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidRole(&'static str);

impl FromStr for AwsRole {
    type Err = InvalidRole;
    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        if text == "worker" {
            return Ok(Self::Worker);
        }
        if !is_arn(text, |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b)) {
            return Err(InvalidRole(
                "\"worker\", or a role's ARN as in arn:aws:iam::123456789012:role/webhooks",
            ));
        }
        Ok(Self::Assumed { arn: text.to_owned() })
    }
}

/// Whether this is a role's ARN with a name of such bytes ("IAM identifiers", AWS IAM User Guide).
fn is_arn(text: &str, is_of_name: impl Fn(u8) -> bool) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else { return false };
    let is_partition = |b: u8| b.is_ascii_lowercase() || b == b'-' || b == b'*';
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let name = resource.strip_prefix("role/").unwrap_or_default();
    text.len() <= 2048
        && partition.starts_with("aws")
        && partition.bytes().all(|b| is_partition(b) && (b != b'*' || is_of_name(b)))
        && (is_account || account == "*" && is_of_name(b'*'))
        && !name.is_empty()
        && name.bytes().all(is_of_name)
}

/// AWS credentials, as AWS Signature Version 4 uses them.
#[derive(Clone)]
pub struct AwsCredentials {
    /// The access key's id; no secret.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: SecretBytes,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretBytes>,
    /// When temporary credentials end.
    pub expires_at: Option<Timestamp>,
}

/// Why a role's credentials are not to be had: the endpoint's configuration, or the role's trust
/// policy, is wrong, and trying again will not help. Holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RoleRefused(pub String);

/// Which roles endpoints may be called with: a customer who registers an endpoint must not come by
/// rights that are the worker's. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolePolicy {
    /// Where the worker's own credentials may be used.
    pub worker_origins: BTreeSet<Origin>,
    /// The roles that may be assumed.
    pub assumable: Vec<RolePattern>,
}

impl RolePolicy {
    /// Whether requests to `origin` may be signed as `role`.
    ///
    /// # Errors
    /// If not; names the setting that would allow it.
    pub fn check(&self, role: &AwsRole, origin: &Origin) -> Result<(), RoleRefused> {
        let problem = match role {
            AwsRole::Worker if self.worker_origins.contains(origin) => return Ok(()),
            AwsRole::Assumed { arn } if self.assumable.iter().any(|p| p.matches(arn)) => {
                return Ok(());
            }
            AwsRole::Worker => format!(
                "{origin} may not be called with the worker's own AWS role: \
                 auth.aws_worker_role_origins does not list it"
            ),
            AwsRole::Assumed { arn } => format!(
                "the AWS role {arn} may not be assumed: \
                 auth.aws_assumable_roles does not list it"
            ),
        };
        Err(RoleRefused(problem))
    }
}

/// A role's ARN in which each `*` stands for any number of characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolePattern(String);

impl RolePattern {
    /// Whether it names the role of this ARN.
    pub fn matches(&self, arn: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = arn.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            // The earliest place leaves the most for those to come.
            let Some((_, after)) = rest.split_once(piece) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

impl TryFrom<String> for RolePattern {
    type Error = InvalidRole;
    fn try_from(text: String) -> Result<Self, InvalidRole> {
        if !is_arn(&text, |b| b.is_ascii_alphanumeric() || b"_+=,.@-/*".contains(&b)) {
            return Err(InvalidRole(
                "a role's ARN in which '*' may stand for any characters of the partition's or the \
                 role's name, or for the whole account, as in arn:aws:iam::*:role/webhooks-*",
            ));
        }
        Ok(Self(text))
    }
}

impl From<RolePattern> for String {
    fn from(pattern: RolePattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/hooks/acme-1";

    fn pattern(text: &str) -> RolePattern {
        RolePattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_role_is_the_worker_s_own_or_an_arn() {
        assert_eq!("worker".parse(), Ok(AwsRole::Worker));
        let assumed = AwsRole::Assumed { arn: ROLE.to_owned() };
        assert_eq!(ROLE.parse().as_ref(), Ok(&assumed));
        assert_eq!(assumed.to_string(), ROLE);
        for text in [
            "",
            "Worker",
            "arn:aws:iam::123456789012:user/a",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::12345678901:role/a",
            "arn:aws:iam::*:role/a",
            "arn:aw*:iam::123456789012:role/a",
            "arn:aws:iam::123456789012:role/a*",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role/a:role/b",
            "arn:aws:sts::123456789012:assumed-role/a/b",
        ] {
            assert!(text.parse::<AwsRole>().is_err(), "{text}");
        }
        assert!("arn:aws-us-gov:iam::123456789012:role/a".parse::<AwsRole>().is_ok());
    }

    #[test]
    fn by_default_no_role_may_be_used() {
        let origin = "https://a.example".parse().unwrap();
        let refused = RolePolicy::default().check(&AwsRole::Worker, &origin).unwrap_err();
        assert!(refused.to_string().contains("auth.aws_worker_role_origins"), "{refused}");
        let refused = RolePolicy::default().check(&ROLE.parse().unwrap(), &origin).unwrap_err();
        assert!(refused.to_string().contains("auth.aws_assumable_roles"), "{refused}");
    }

    #[test]
    fn the_worker_s_own_role_is_for_listed_origins_and_others_for_listed_names() {
        let (ours, theirs) = ("https://a.example".parse().unwrap(), "https://b.example");
        let policy = RolePolicy {
            worker_origins: BTreeSet::from(["https://A.example:443".parse().unwrap()]),
            assumable: vec![pattern("arn:aws:iam::123456789012:role/hooks/*")],
        };
        assert!(policy.check(&AwsRole::Worker, &ours).is_ok());
        assert!(policy.check(&AwsRole::Worker, &theirs.parse().unwrap()).is_err());
        assert!(policy.check(&ROLE.parse().unwrap(), &theirs.parse().unwrap()).is_ok());
        let other: AwsRole = "arn:aws:iam::123456789012:role/admin".parse().unwrap();
        assert!(policy.check(&other, &ours).is_err());
    }

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        let cases = [
            ("arn:aws:iam::123456789012:role/hooks/acme-1", true),
            ("arn:aws:iam::*:role/hooks/*", true),
            ("arn:aws*:iam::*:role/*acme*", true),
            ("arn:aws:iam::*:role/*k*s/*-1", true),
            ("arn:aws:iam::*:role/hooks/acme-1*", true),
            ("arn:aws:iam::*:role/hooks/acme", false),
            ("arn:aws:iam::*:role/acme-*", false),
            ("arn:aws:iam::*:role/hooks/*-2", false),
            ("arn:aws:iam::123456789013:role/*", false),
            ("arn:aws:iam::*:role/hooks/acme-1*1", false),
        ];
        for (text, expected) in cases {
            assert_eq!(pattern(text).matches(ROLE), expected, "{text}");
        }
        for text in ["*", "", "arn:*", "arn:aws:iam::12*:role/a", "arn:aws:iam::*:role/"] {
            assert!(RolePattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_made_of_a_name_by_starring_a_part_matches_it(
            start in "[a-z/]{0,5}", middle in "[a-z/]{0,5}", end in "[a-z/]{1,5}"
        ) {
            let arn = format!("arn:aws:iam::123456789012:role/{start}{middle}{end}");
            let starred = format!("arn:aws:iam::123456789012:role/{start}*{end}");
            prop_assert!(pattern(&starred).matches(&arn));
            prop_assert!(!pattern(&starred).matches(&(arn + "-")));
        }
    }
}
