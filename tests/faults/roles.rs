//! AWS roles that requests are signed as: only where the operator lists them, and who pays if there are
//! no credentials.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealpost::domain::aws_role::{AwsCredentials, AwsRole, RolePattern, RolePolicy, RoleRefused};
use sealpost::domain::ids::CustomerId;
use sealpost::domain::reason::Reason;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::{AwsRoles, Error};
use serde_json::json;

use crate::bench::{Bench, enqueue, loopback, put};
use crate::web::Web;

const ROLE: &str = "arn:aws:iam::123456789012:role/webhooks";

/// Gives what it is told to, and notes for whom.
struct Roles {
    answer: fn() -> sealpost::ports::Result<Result<AwsCredentials, RoleRefused>>,
    asked: Mutex<Vec<(AwsRole, String)>>,
}

#[async_trait]
impl AwsRoles for Roles {
    async fn credentials(
        &self,
        role: &AwsRole,
        external_id: &CustomerId,
    ) -> sealpost::ports::Result<Result<AwsCredentials, RoleRefused>> {
        self.asked.lock().unwrap().push((role.clone(), external_id.to_string()));
        (self.answer)()
    }
}

fn given() -> sealpost::ports::Result<Result<AwsCredentials, RoleRefused>> {
    Ok(Ok(AwsCredentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: SecretBytes::new(b"canary-secret-key".to_vec()),
        session_token: Some(SecretBytes::new(b"a-session-token".to_vec())),
        expires_at: None,
    }))
}

fn refused() -> sealpost::ports::Result<Result<AwsCredentials, RoleRefused>> {
    Ok(Err(RoleRefused("the role's trust policy does not name the worker".to_owned())))
}

fn failed() -> sealpost::ports::Result<Result<AwsCredentials, RoleRefused>> {
    Err(Error::new("sts.assume_role", "no answer in time"))
}

/// An endpoint that is signed for as `role`, and a delivery to it.
async fn deliver(
    role: &str,
    policy: RolePolicy,
    answer: fn() -> sealpost::ports::Result<Result<AwsCredentials, RoleRefused>>,
) -> (Bench, Web, Arc<Roles>) {
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let mut bench = Bench::open(loopback()).await;
    let roles = Arc::new(Roles { answer, asked: Mutex::default() });
    bench.pipeline.roles.policy = policy;
    bench.pipeline.roles.aws = Some(Arc::clone(&roles) as _);
    let auth =
        json!([{"scheme": "aws_sigv4", "region": "eu-west-1", "service": "lambda", "role": role}]);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin, "auth": auth}))
        .await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    (bench, web, roles)
}

fn listed() -> RolePolicy {
    let pattern = RolePattern::try_from("arn:aws:iam::123456789012:role/*".to_owned()).unwrap();
    RolePolicy { assumable: vec![pattern], ..RolePolicy::default() }
}

#[tokio::test]
async fn a_listed_role_signs_with_the_customer_as_external_id() {
    let (bench, web, roles) = deliver(ROLE, listed(), given).await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    let call = &web.all()[0];
    assert!(call.contains("authorization: AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/"), "{call}");
    assert!(call.contains("x-amz-security-token: a-session-token"), "{call}");
    assert!(!call.contains("canary-secret-key"));
    let asked = roles.asked.lock().unwrap();
    assert_eq!(asked[..], [(ROLE.parse().unwrap(), "c".to_owned())]);
}

#[tokio::test]
async fn a_role_that_is_not_listed_is_not_even_asked_for() {
    for role in ["worker", ROLE] {
        let (bench, web, roles) = deliver(role, RolePolicy::default(), given).await;
        let dead = bench.dead_letters().await;
        assert_eq!((dead[0].reason, web.count()), (Reason::AuthFailed, 0));
        assert!(dead[0].message.contains("auth.aws_"), "{}", dead[0].message);
        assert!(roles.asked.lock().unwrap().is_empty());
    }
    let (bench, web, _) = deliver("worker", listed(), given).await;
    assert_eq!((bench.dead_letters().await.len(), web.count()), (1, 0), "another role is listed");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_the_customer_s_doing_and_a_failing_sts_is_ours() {
    let (bench, web, _) = deliver(ROLE, listed(), refused).await;
    let dead = bench.dead_letters().await;
    assert_eq!((dead[0].reason, web.count()), (Reason::AuthFailed, 0));
    assert!(dead[0].message.contains("trust policy"), "{}", dead[0].message);
    let (bench, web, _) = deliver(ROLE, listed(), failed).await;
    let counts = bench.app.tally.counts();
    assert_eq!((counts.faults, counts.retried, counts.dead_lettered, web.count()), (1, 0, 0, 0));
}
