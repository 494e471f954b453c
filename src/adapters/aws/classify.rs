//! What went wrong with a call to AWS, in kinds that mean the same for every service.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;

use crate::domain::delivery::truncate;
use crate::ports::{self, Alarm};

/// Longest piece of a service's message that is passed on, in bytes.
const MAX_MESSAGE: usize = 300;

/// What a failure means, whichever service it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too many calls: the service, the account or the table is over its limit.
    Throttled,
    /// The role or its policy does not allow the call.
    AccessDenied,
    /// No credentials, or expired or unknown ones.
    Credentials,
    /// No such table, queue or key.
    NotFound,
    /// The key is disabled, pending deletion or of the wrong kind.
    KeyUnusable,
    /// No connection, or no answer in time.
    Unreachable,
    /// The service says that it failed.
    ServiceFault,
    /// The service refuses the call as it was made.
    Refused,
}

impl Kind {
    /// The kind in words, for a log line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::AccessDenied => "access denied",
            Self::Credentials => "no valid credentials",
            Self::NotFound => "not found",
            Self::KeyUnusable => "the key cannot be used",
            Self::Unreachable => "unreachable",
            Self::ServiceFault => "the service failed",
            Self::Refused => "refused",
        }
    }
}

/// A failed call: its kind, and what the service said. Holds no secret, no credentials and no value
/// that was sent. It is the source of a [`ports::Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub kind: Kind,
    /// The service's error code, as in `ThrottlingException`.
    pub code: Option<String>,
    /// AWS's id of the call, which its support asks for.
    pub request_id: Option<String>,
    /// What the service or the SDK said, shortened.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl StdError for Failure {}

impl Failure {
    /// Tells what kind of failure `error` is.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let request_id = error.request_id().map(str::to_owned);
        let Some(service) = error.as_service_error() else {
            let kind = if names_credentials(error) { Kind::Credentials } else { Kind::Unreachable };
            return Self { kind, code: None, request_id, message: shortened(causes(error)) };
        };
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let code = service.code().map(str::to_owned);
        let kind = code.as_deref().map_or_else(|| by_status(status), |code| by_code(code, status));
        // A rejected signature is explained by quoting the signed headers, session token included.
        let message = match kind {
            Kind::Credentials => String::new(),
            Kind::Throttled
            | Kind::AccessDenied
            | Kind::NotFound
            | Kind::KeyUnusable
            | Kind::Unreachable
            | Kind::ServiceFault
            | Kind::Refused => shortened(service.message().unwrap_or_default().to_owned()),
        };
        Self { kind, code, request_id, message }
    }

    /// What somebody has to mend, if a call of KMS failed so.
    pub fn key_alarm(&self) -> Option<Alarm> {
        match (self.kind, self.code.as_deref()) {
            (Kind::AccessDenied, _) => Some(Alarm::KeyAccessDenied),
            (Kind::NotFound, _) => Some(Alarm::KeyNotFound),
            (Kind::KeyUnusable, Some("DisabledException")) => Some(Alarm::KeyDisabled),
            // KMS has one code for every state that forbids the use, and says in words which it is
            // ("Key states of AWS KMS keys").
            (Kind::KeyUnusable, Some("KMSInvalidStateException")) if self.says("deletion") => {
                Some(Alarm::KeyPendingDeletion)
            }
            (Kind::KeyUnusable, _) => Some(Alarm::KeyUnusable),
            (
                Kind::Throttled
                | Kind::Credentials
                | Kind::Unreachable
                | Kind::ServiceFault
                | Kind::Refused,
                _,
            ) => None,
        }
    }

    fn says(&self, word: &str) -> bool {
        self.message.to_ascii_lowercase().contains(word)
    }

    /// The worker's own credentials are not to be had.
    pub fn of_credentials(error: &CredentialsError) -> Self {
        let message = shortened(causes(error));
        Self { kind: Kind::Credentials, code: None, request_id: None, message }
    }
}

/// The failure of `operation` (as in `secrets.get`), ready to be returned by a port.
pub fn failed<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> ports::Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    ports::Error::new(operation, Failure::of(error))
}

/// The failure of a call of KMS, with what somebody has to mend.
pub fn key_failed<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> ports::Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let failure = Failure::of(error);
    let alarm = failure.key_alarm();
    ports::Error::new(operation, failure).with_alarm(alarm)
}

/// The kind of an error code. Codes are those of the services' "Common Errors" and "Errors" pages;
/// the JSON protocols put `AWS.SimpleQueueService.` and the like before some of them.
pub(super) fn by_code(code: &str, status: u16) -> Kind {
    match code.rsplit('.').next().unwrap_or(code) {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "OverLimit"
        | "KmsThrottled"
        | "SlowDown" => Kind::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "KmsAccessDenied"
        | "UnauthorizedOperation"
        | "OptInRequired" => Kind::AccessDenied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Kind::Credentials,
        "ResourceNotFoundException"
        | "NotFoundException"
        | "KmsNotFound"
        | "NonExistentQueue"
        | "QueueDoesNotExist" => Kind::NotFound,
        "DisabledException"
        | "KmsDisabled"
        | "KMSInvalidStateException"
        | "KmsInvalidState"
        | "KeyUnavailableException"
        | "InvalidKeyUsageException"
        | "KmsInvalidKeyUsage" => Kind::KeyUnusable,
        "DependencyTimeoutException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "KMSInternalException"
        | "RequestTimeout"
        | "ServiceUnavailable" => Kind::ServiceFault,
        _ => by_status(status),
    }
}

pub(super) fn by_status(status: u16) -> Kind {
    match status {
        429 => Kind::Throttled,
        500.. => Kind::ServiceFault,
        _ => Kind::Refused,
    }
}

fn names_credentials(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| cause.is::<CredentialsError>())
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// What the SDK says of a call that got no answer, from the outermost cause inwards.
fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = chain(error).map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

fn shortened(mut text: String) -> String {
    truncate(&mut text, MAX_MESSAGE);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kms::error::ErrorMetadata;
    use aws_sdk_kms::operation::decrypt::DecryptError;

    fn answered(status: u16, code: &str, message: &str) -> Failure {
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let mut response = HttpResponse::new(status.try_into().unwrap(), "".into());
        response.headers_mut().insert("x-amzn-requestid", "id-1");
        Failure::of(&SdkError::service_error(DecryptError::generic(metadata), response))
    }

    #[test]
    fn a_description_names_the_code_the_message_and_the_request() {
        let failure = answered(400, "ThrottlingException", "Rate exceeded");
        assert_eq!(failure.kind, Kind::Throttled);
        let error = ports::Error::new("keys.unwrap", failure);
        assert_eq!(
            error.to_string(),
            "keys.unwrap: throttled: ThrottlingException: Rate exceeded (request id-1)"
        );
    }

    #[test]
    fn codes_mean_the_same_whichever_service_says_them() {
        let kinds = [
            ("com.amazonaws.dynamodb.v20120810.ResourceNotFoundException", Kind::NotFound),
            ("AWS.SimpleQueueService.NonExistentQueue", Kind::NotFound),
            ("AccessDeniedException", Kind::AccessDenied),
            ("ExpiredTokenException", Kind::Credentials),
            ("KMSInvalidStateException", Kind::KeyUnusable),
            ("SomethingNew", Kind::Refused),
        ];
        for (code, kind) in kinds {
            assert_eq!(answered(400, code, "").kind, kind, "{code}");
        }
        assert_eq!(answered(503, "SomethingNew", "").kind, Kind::ServiceFault);
    }

    #[test]
    fn a_rejected_signature_does_not_quote_the_session_token() {
        let message = "The Canonical String should have been 'x-amz-security-token:SECRET'";
        let failure = answered(403, "SignatureDoesNotMatch", message);
        assert!(!failure.to_string().contains("SECRET"), "{failure}");
        assert!(!format!("{failure:?}").contains("SECRET"));
    }

    #[test]
    fn a_call_without_an_answer_is_unreachable_and_without_credentials_says_so() {
        let none = CredentialsError::not_loaded("no providers in chain");
        let error = SdkError::<DecryptError, _>::construction_failure(none);
        assert_eq!(Failure::of(&error).kind, Kind::Credentials);
        let late = SdkError::<DecryptError, _>::timeout_error("operation timed out");
        assert_eq!(Failure::of(&late).kind, Kind::Unreachable);
    }
}
