use sealpost::adapters::aws::{Failure, Kind, KmsKeys};
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::keys::{MAX_WRAPPED, Unwrapped};
use sealpost::ports::{OpenKeys, Result, SealKeys};

use crate::aws::Aws;
use crate::emulator::Emulator;

const CONTEXT: &[(&str, &str)] = &[("customerId", "acme"), ("secretId", "signing")];

fn context(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn keys(aws: &Aws) -> KmsKeys {
    KmsKeys::new(&aws.clients.kms, aws.config.kms_key_id.as_str())
}

/// For what must never be done to somebody's key on real AWS.
async fn emulated() -> Option<Aws> {
    if crate::aws::is_real() {
        println!("changes keys, so it needs the emulator: skipped");
        return None;
    }
    Some(Aws::start().await)
}

fn refused(result: Result<Unwrapped>) -> bool {
    matches!(result.unwrap(), Unwrapped::Refused(_))
}

fn kind(result: Result<Unwrapped>) -> Kind {
    let Err(error) = result else { panic!("it was opened or refused for good") };
    let failure = error.source.downcast_ref::<Failure>().unwrap();
    println!("{error}");
    assert_eq!(error.alarm, failure.key_alarm());
    failure.kind
}

#[tokio::test]
async fn a_data_key_opens_under_its_context_and_no_other() {
    let aws = Aws::start().await;
    let keys = keys(&aws);
    let made = keys.generate(&context(CONTEXT)).await.unwrap();
    let Unwrapped::Opened(plain) = keys.unwrap(&made.wrapped, &context(CONTEXT)).await.unwrap()
    else {
        panic!("it does not open");
    };
    assert_eq!((plain.expose(), plain.expose().len()), (made.plain.expose(), 32));
    let other = context(&[("customerId", "evil"), ("secretId", "signing")]);
    assert!(refused(keys.unwrap(&made.wrapped, &other).await));
    assert!(refused(keys.unwrap(&made.wrapped, &[]).await));
    let mut altered = made.wrapped;
    *altered.last_mut().unwrap() ^= 1;
    assert!(refused(keys.unwrap(&altered, &context(CONTEXT)).await));
    assert!(refused(keys.unwrap(b"no ciphertext", &context(CONTEXT)).await));
}

#[tokio::test]
async fn what_another_key_of_the_account_wrapped_is_refused() {
    let Some(aws) = emulated().await else { return };
    let other = aws.clients.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    let foreign = KmsKeys::new(&aws.clients.kms, &other);
    let wrapped = foreign.generate(&context(CONTEXT)).await.unwrap().wrapped;
    assert!(refused(keys(&aws).unwrap(&wrapped, &context(CONTEXT)).await));
}

#[tokio::test]
async fn a_value_of_4096_bytes_is_wrapped_by_kms_itself() {
    let aws = Aws::start().await;
    let value = SecretBytes::new(vec![7; MAX_WRAPPED]);
    let wrapped = keys(&aws).wrap(&value, &context(CONTEXT)).await.unwrap();
    let opened = keys(&aws).unwrap(&wrapped, &context(CONTEXT)).await.unwrap();
    assert!(matches!(opened, Unwrapped::Opened(plain) if plain.expose() == value.expose()));
}

#[tokio::test]
async fn a_key_that_was_rotated_still_opens_what_it_wrapped_before() {
    let Some(aws) = emulated().await else { return };
    let made = keys(&aws).generate(&context(CONTEXT)).await.unwrap();
    let key = aws.config.kms_key_id.as_str();
    aws.clients.kms.rotate_key_on_demand().key_id(key).send().await.unwrap();
    let opened = keys(&aws).unwrap(&made.wrapped, &context(CONTEXT)).await.unwrap();
    assert!(matches!(opened, Unwrapped::Opened(plain) if plain.expose() == made.plain.expose()));
}

#[tokio::test]
async fn a_disabled_key_and_one_that_waits_for_its_deletion_are_our_failure() {
    let Some(aws) = emulated().await else { return };
    let keys = keys(&aws);
    let wrapped = keys.generate(&context(CONTEXT)).await.unwrap().wrapped;
    let key = aws.config.kms_key_id.as_str();
    aws.clients.kms.disable_key().key_id(key).send().await.unwrap();
    assert_eq!(kind(keys.unwrap(&wrapped, &context(CONTEXT)).await), Kind::KeyUnusable);
    aws.clients.kms.enable_key().key_id(key).send().await.unwrap();
    assert!(keys.unwrap(&wrapped, &context(CONTEXT)).await.is_ok());
    aws.clients.kms.schedule_key_deletion().key_id(key).send().await.unwrap();
    assert_eq!(kind(keys.unwrap(&wrapped, &context(CONTEXT)).await), Kind::KeyUnusable);
    assert!(keys.generate(&context(CONTEXT)).await.is_err());
}

#[tokio::test]
async fn throttling_denied_access_and_expired_credentials_are_our_failure() {
    let failures = [
        ("ThrottlingException", 400, Kind::Throttled),
        ("AccessDeniedException", 400, Kind::AccessDenied),
        ("ExpiredTokenException", 400, Kind::Credentials),
        ("NotFoundException", 400, Kind::NotFound),
        ("KMSInternalException", 500, Kind::ServiceFault),
    ];
    for (code, status, expected) in failures {
        let aws = Aws::start().await;
        let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
        let wrapped = keys(&aws).generate(&context(CONTEXT)).await.unwrap().wrapped;
        emulated.emulator.fail("Decrypt", status, code, 100);
        assert_eq!(kind(keys(&aws).unwrap(&wrapped, &context(CONTEXT)).await), expected, "{code}");
    }
}

#[tokio::test]
async fn a_passing_failure_of_kms_is_tried_again_at_once() {
    let aws = Aws::start().await;
    let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
    let wrapped = keys(&aws).generate(&context(CONTEXT)).await.unwrap().wrapped;
    emulated.emulator.fail("Decrypt", 400, "ThrottlingException", 2);
    let opened = keys(&aws).unwrap(&wrapped, &context(CONTEXT)).await.unwrap();
    assert!(matches!(opened, Unwrapped::Opened(_)));
}

#[tokio::test]
async fn a_key_service_that_cannot_be_reached_is_our_failure() {
    let aws = Aws::start().await;
    let wrapped = keys(&aws).generate(&context(CONTEXT)).await.unwrap().wrapped;
    let gone = {
        let emulator = Emulator::start();
        emulator.clients()
    };
    let unreachable = KmsKeys::new(&gone.kms, aws.config.kms_key_id.as_str());
    assert_eq!(kind(unreachable.unwrap(&wrapped, &context(CONTEXT)).await), Kind::Unreachable);
}
