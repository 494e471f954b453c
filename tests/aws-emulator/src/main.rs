//! SQS, DynamoDB, KMS, Secrets Manager and SSM on a loopback address, in memory, for tests.
//!
//! `aws-emulator 127.0.0.1:0 [--stand-still-at MS] [--until-stdin-closes]` prints the address that
//! it listens on as its first line.

mod clock;
mod control;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Extension, Router};
use fakecloud_core::dispatch::{DispatchConfig, dispatch};
use fakecloud_core::multi_account::MultiAccountState;
use fakecloud_core::registry::ServiceRegistry;
use parking_lot::RwLock;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
const USAGE: &str =
    "usage: aws-emulator <loopback address:port> [--stand-still-at MS] [--until-stdin-closes]";

struct Options {
    address: SocketAddr,
    stand_still_at: Option<i64>,
    until_stdin_closes: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let address: SocketAddr = arguments.next().ok_or(USAGE)?.parse()?;
        if !address.ip().is_loopback() {
            return Err("the address must be a loopback address".into());
        }
        let mut options = Self { address, stand_still_at: None, until_stdin_closes: false };
        while let Some(option) = arguments.next() {
            match option.as_str() {
                "--stand-still-at" => {
                    options.stand_still_at = Some(arguments.next().ok_or(USAGE)?.parse()?);
                }
                "--until-stdin-closes" => options.until_stdin_closes = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

/// The services, with queue URLs under `endpoint`.
fn registry(endpoint: &str) -> ServiceRegistry {
    macro_rules! state {
        () => {
            Arc::new(RwLock::new(MultiAccountState::new(ACCOUNT, REGION, endpoint)))
        };
    }
    let mut registry = ServiceRegistry::new();
    registry.register(Arc::new(fakecloud_sqs::SqsService::new(state!())));
    registry.register(Arc::new(fakecloud_dynamodb::DynamoDbService::new(state!())));
    registry.register(Arc::new(fakecloud_kms::KmsService::new(state!())));
    registry.register(Arc::new(fakecloud_secretsmanager::SecretsManagerService::new(state!())));
    registry.register(Arc::new(fakecloud_ssm::SsmService::new(state!())));
    registry
}

async fn stdin_closed() {
    let mut nothing = [0; 64];
    while matches!(tokio::io::stdin().read(&mut nothing).await, Ok(1..)) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    if let Some(ms) = options.stand_still_at {
        clock::stand_still_at(ms);
    }
    let listener = TcpListener::bind(options.address).await?;
    let address = listener.local_addr()?;
    let services = Router::new()
        .fallback(dispatch)
        .layer(Extension(Arc::new(registry(&format!("http://{address}")))))
        .layer(Extension(Arc::new(DispatchConfig::new(REGION, ACCOUNT))));
    let service = control::around(services).into_make_service_with_connect_info::<SocketAddr>();
    println!("{address}");
    let server = axum::serve(listener, service);
    if options.until_stdin_closes {
        tokio::select! {
            served = server => served?,
            () = stdin_closed() => {}
        }
        // The thread that reads standard input is not waited for.
        std::process::exit(0);
    }
    server.await?;
    Ok(())
}
