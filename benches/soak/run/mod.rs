//! One soak: a [`form`] of sealpost with its workers, [`traffic`] to good and bad endpoints, a
//! [`receiver`] that plays them, [`faults`] meanwhile, and a [`report`] of the [`ledger`].

mod dice;
mod faults;
mod form;
mod ledger;
mod receiver;
mod report;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use dice::Dice;
use faults::Faults;
use form::Form;
use ledger::Ledger;
use receiver::Receiver;
pub use report::Report;
use report::{Memory, most_in_ten_seconds};
use traffic::Traffic;

/// How long whatever is left in the end may take. The endpoints that never answer give their jobs up
/// after a third of it.
const DRAIN: Duration = Duration::from_secs(90);

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How long there is load.
    pub span: Duration,
    /// Of all that is random.
    pub seed: u64,
}

/// Runs all forms beside each other.
pub async fn all(plan: Plan) -> Vec<Report> {
    let embedded = tokio::spawn(async move { one(Form::embedded, plan).await });
    #[cfg(feature = "aws")]
    let aws = tokio::spawn(async move { one(Form::aws, plan).await });
    #[cfg(feature = "aws")]
    return vec![embedded.await.unwrap(), aws.await.unwrap()];
    #[cfg(not(feature = "aws"))]
    vec![embedded.await.unwrap()]
}

/// Runs one form.
async fn one(open: impl AsyncFnOnce() -> Form, plan: Plan) -> Report {
    let mut dice = Dice::new(plan.seed);
    let ledger = Arc::<Ledger>::default();
    let receiver = Receiver::start(Arc::clone(&ledger), dice.split()).await;
    let mut form = open().await;
    traffic::register(&form.app, &receiver).await;
    let mut traffic = Traffic::new(dice.split(), form.per_second);
    let mut faults = Faults::new(dice, plan.span);
    form.start_workers();
    let (begun, mut memory) = (Instant::now(), Memory::default());
    while begun.elapsed() < plan.span {
        let gone = begun.elapsed();
        traffic.send_due(&form.app, &ledger, gone).await;
        faults.strike(&mut form, gone).await;
        memory.read(&form, gone.as_secs_f64() / plan.span.as_secs_f64());
        sleep(Duration::from_millis(50)).await;
    }
    faults.end(&mut form);
    let pending = drain(&form).await;
    let dead = form.dead_letters().await;
    form.stop().await;
    Report {
        form: form.name,
        balance: ledger.balance(&dead, pending),
        refusals: ledger.refusals(),
        latencies: ledger.healthy_latencies(),
        in_ten_seconds: most_in_ten_seconds(&ledger.limited_calls()),
        kills: faults.kills,
        other_faults: faults.others,
        concurrency: form::CONCURRENCY,
        memory: memory.of(plan.span),
    }
}

/// Waits until nothing is pending; what is then, or after too long a time.
async fn drain(form: &Form) -> u64 {
    let empty = async {
        while form.pending().await > 0 {
            sleep(Duration::from_millis(200)).await;
        }
    };
    match timeout(DRAIN, empty).await {
        Ok(()) => 0,
        Err(_) => form.pending().await,
    }
}
