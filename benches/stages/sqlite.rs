//! The embedded queue on the disk: 500 jobs are enqueued in one commit, claimed at once, and deleted in as
//! few commits as the writer makes of deletions that come together.

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::future::join_all;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::ports::Queue;
use sealpost::ports::queue::{NewMessage, Received};
use tokio::runtime::Runtime;

const BATCH: usize = 500;
const SAMPLES: u32 = 30;

/// A queue in a data directory of its own.
struct Bench {
    _folder: tempfile::TempDir,
    runtime: Runtime,
    queue: Arc<dyn Queue>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let app = App::embedded(folder.path(), Config::default(), Role::Worker);
        let queue = runtime.block_on(app).expect("a queue").queue;
        Self { _folder: folder, runtime, queue }
    }

    fn messages() -> Vec<NewMessage> {
        let body = crate::pure::jobs::job();
        let message = || NewMessage { body: body.clone().into(), ..NewMessage::default() };
        (0..BATCH).map(|_| message()).collect()
    }

    fn enqueue(&self, messages: Vec<NewMessage>) {
        self.runtime.block_on(self.queue.send(messages)).expect("a commit");
    }

    fn claim(&self) -> Vec<Received> {
        let mut claimed = Vec::with_capacity(BATCH);
        while claimed.len() < BATCH {
            let more = self.queue.receive(BATCH - claimed.len(), Duration::ZERO);
            claimed.extend(self.runtime.block_on(more).expect("messages"));
        }
        claimed
    }

    fn delete(&self, claimed: &[Received]) {
        let deletions = claimed.iter().map(|message| self.queue.acknowledge(&message.handle));
        for deleted in self.runtime.block_on(join_all(deletions)) {
            deleted.expect("a commit");
        }
        self.runtime.block_on(self.queue.flush()).expect("a commit");
    }
}

#[divan::bench(sample_count = SAMPLES, sample_size = 1)]
fn enqueue_500(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let bencher = bencher.counter(ItemsCount::new(BATCH)).with_inputs(Bench::messages);
    bencher.bench_local_values(|messages| bench.enqueue(messages));
}

#[divan::bench(sample_count = SAMPLES, sample_size = 1)]
fn claim_500(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let bencher = bencher.counter(ItemsCount::new(BATCH));
    bencher.with_inputs(|| bench.enqueue(Bench::messages())).bench_local_values(|()| bench.claim());
}

#[divan::bench(sample_count = SAMPLES, sample_size = 1)]
fn delete_500(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let claimed = || {
        bench.enqueue(Bench::messages());
        bench.claim()
    };
    let bencher = bencher.counter(ItemsCount::new(BATCH)).with_inputs(claimed);
    bencher.bench_local_refs(|claimed| bench.delete(claimed));
}
