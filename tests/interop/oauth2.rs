//! `oauth2_client_credentials`, against an authorization server that nobody here wrote.

use sealpost::domain::reason::Reason;
use serde_json::{Value, json};

use crate::key_pairs::two_keys;
use crate::oauth_server::OAuthServer;
use crate::sender::{Outcome, Sender, Target};

const SECRET: &str = "s/e c:r%e+t";
const AUDIENCE: &str = "https://api.acme.example/";

fn server(client: Value) -> OAuthServer {
    let scopes = ["orders.read", "orders.write"];
    OAuthServer::start(&json!({"clients": [client], "scopes": scopes, "resource": AUDIENCE}))
}

async fn sender(server: &OAuthServer, authentication: &str, extra: Value, secret: &str) -> Sender {
    let mut auth = json!({
        "scheme": "oauth2_client_credentials", "token_url": server.token_url(), "client_id": "acme:1",
        "secret": "s", "client_authentication": authentication, "scope": "orders.write",
        "resource": AUDIENCE,
    });
    auth.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Sender::open(Target::new(&server.resource(), auth, secret)).await
}

/// A token is given, its resource takes it, and no second one is asked for.
async fn agrees(server: &mut OAuthServer, sender: &Sender) {
    for _ in 0..2 {
        assert!(matches!(sender.deliver().await, Outcome::Delivered));
    }
    let given = json!({"path": "/token", "status": 200, "client": "acme:1", "error": null});
    assert_eq!(server.next(), given);
    let taken = json!({"path": "/resource", "status": 204, "client": "acme:1",
                       "scope": "orders.write", "aud": AUDIENCE});
    assert_eq!((server.next(), server.next()), (taken.clone(), taken));
}

#[tokio::test]
async fn oidc_provider_gives_a_token_for_a_secret_and_its_resource_takes_it() {
    for method in ["client_secret_basic", "client_secret_post"] {
        let client = json!({"client_id": "acme:1", "client_secret": SECRET,
                            "token_endpoint_auth_method": method});
        let mut server = server(client);
        let right = sender(&server, method, json!({}), SECRET).await;
        agrees(&mut server, &right).await;
        let wrong = sender(&server, method, json!({}), "another").await;
        assert!(matches!(wrong.deliver().await, Outcome::Waits));
        assert_eq!(server.next()["error"], "invalid_client");
    }
}

#[tokio::test]
async fn oidc_provider_gives_a_token_for_a_signed_assertion() {
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let keys = two_keys(algorithm);
        let client = json!({"client_id": "acme:1", "public_key": keys.public,
                            "token_endpoint_auth_method": "private_key_jwt"});
        let mut server = server(client);
        let extra = json!({"algorithm": algorithm});
        let right = sender(&server, "private_key_jwt", extra.clone(), &keys.private).await;
        agrees(&mut server, &right).await;
        let wrong = sender(&server, "private_key_jwt", extra, &keys.other).await;
        assert!(matches!(wrong.deliver().await, Outcome::Waits));
        assert_eq!(server.next()["error"], "invalid_client");
    }
}

#[tokio::test]
async fn the_resource_refuses_what_the_server_never_gave_or_has_revoked() {
    let mut server = server(json!({"client_id": "acme:1", "client_secret": SECRET}));
    let bearer = json!({"scheme": "bearer", "secret": "s"});
    let forged = Sender::open(Target::new(&server.resource(), bearer, "no token")).await;
    let Outcome::GivenUp(letter) = forged.deliver().await else { panic!("a forged token") };
    assert_eq!((letter.reason, server.next()["status"].as_u64()), (Reason::Rejected, Some(401)));
    let sender = sender(&server, "client_secret_basic", json!({}), SECRET).await;
    agrees(&mut server, &sender).await;
    server.revoke_all();
    let _ = sender.deliver().await;
    assert_eq!(server.next()["status"], 401, "a token that was revoked");
}
