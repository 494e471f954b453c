//! Days of retries in milliseconds: jobs, endpoints that answer by a script, ports that fail by a script,
//! workers that die at any moment, messages that come twice and a clock that leaps. Whatever comes, each
//! job has one end.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sealpost::app::{App, Role};
use sealpost::cache::Lifetimes;
use sealpost::config::Config;
use sealpost::delivery::{EndpointBook, Fencing, Limiters, Pipeline};
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::reason::Reason;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::queue::{NewMessage, Received};
use sealpost::ports::{Clock, OpenKeys, ReadEndpoints, ReadSecrets};
use sealpost::vault::{NewSecret, Opener};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::{TestClock, loopback, put};
use crate::faulty::{Faults, Faulty};
use crate::web::Web;

const MINUTE: Duration = Duration::from_secs(60);
const MOST_ATTEMPTS: usize = 5;
/// Most messages in one step.
const BATCH: usize = 3;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A job is enqueued: for one endpoint of a customer, or for both.
    Enqueue { customer: bool, fans_out: bool },
    /// What is due is delivered.
    Deliver,
    /// The same, and the worker dies when each delivery has come so far.
    Die { after: u32 },
    /// What is due is delivered, and comes again although it was settled.
    Again,
    /// Time goes on, by minutes.
    Wait(u16),
    /// The clock is set back, by minutes.
    Back(u8),
    /// Another worker goes on.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<(bool, bool)>().prop_map(|(customer, fans_out)| Step::Enqueue { customer, fans_out }),
        5 => Just(Step::Deliver),
        2 => (0..40u32).prop_map(|after| Step::Die { after }),
        1 => Just(Step::Again),
        5 => (1..900u16).prop_map(Step::Wait),
        1 => (1..60u8).prop_map(Step::Back),
        1 => Just(Step::Restart),
    ]
}

/// What an endpoint answers, by a byte of its script.
fn answer(byte: u8) -> &'static str {
    match byte % 8 {
        0..=2 => "204 No Content",
        3 => "503 Service Unavailable",
        4 => "500 Internal Server Error",
        5 => "429 Too Many Requests\r\nretry-after: 3600",
        // A mess instead of a status: nobody knows what became of the request.
        6 => "mess",
        _ => "400 Bad Request",
    }
}

/// What the endpoints have seen, by the ids of jobs.
#[derive(Default)]
struct Seen {
    /// The answers that were given, in order.
    answers: HashMap<String, Vec<&'static str>>,
    wrong: Vec<String>,
    script: Vec<u8>,
    next: usize,
}

impl Seen {
    fn call(&mut self, request: &str) -> (String, String) {
        let header = |name: &str| {
            let line = request.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().to_owned()
        };
        let (id, shown) = (header("webhook-id: "), header("authorization: "));
        let customer = if request.starts_with("POST /c") { "c" } else { "d" };
        // The right customer's secret, and never none.
        if shown != format!("Bearer secret-of-{customer}") || id.is_empty() {
            self.wrong.push(request.to_owned());
        }
        let byte = self.script[self.next % self.script.len()];
        self.next += 1;
        let answer = answer(byte);
        self.answers.entry(id).or_default().push(answer);
        (answer.to_owned(), String::new())
    }
}

/// A worker on its data directory, with endpoints `e` and `f` of the customers `c` and `d`.
struct World {
    app: Option<App>,
    pipeline: Option<Pipeline>,
    directory: tempfile::TempDir,
    clock: Arc<TestClock>,
    config: Config,
    faults: Arc<Faults>,
    seen: Arc<Mutex<Seen>>,
    /// What was enqueued: the ids of its deliveries, by its own.
    accepted: HashMap<String, Vec<String>>,
    /// How often a worker died with a job in hand.
    deaths: HashMap<String, usize>,
}

impl World {
    async fn new(answers: Vec<u8>, faults: Arc<Faults>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { script: answers, ..Seen::default() }));
        let server = Arc::clone(&seen);
        let web = Web::start(move |request| server.lock().unwrap().call(request)).await;
        let mut config = loopback();
        config.worker.fence = Fencing::All;
        // Nobody crashes so often that a job is given up for it.
        config.worker.max_receives = 1000;
        let directory = tempfile::tempdir().unwrap();
        let mut world = Self {
            app: None,
            pipeline: None,
            directory,
            clock: TestClock::start(),
            config,
            faults,
            seen,
            accepted: HashMap::new(),
            deaths: HashMap::new(),
        };
        world.restart().await;
        for customer in ["c", "d"] {
            let value = SecretBytes::new(format!("secret-of-{customer}").into_bytes());
            let new = NewSecret {
                customer: customer.parse().unwrap(),
                secret: "s".parse().unwrap(),
                value,
                origins: [web.origin.parse().unwrap()].into(),
                overlap: None,
            };
            world.app().vault.put(new).await.unwrap();
            for endpoint in ["e", "f"] {
                let url = format!("{}/{customer}", web.origin);
                let auth = json!([{"scheme": "bearer", "secret": "s"}]);
                let retry = json!({"maxAttempts": MOST_ATTEMPTS, "baseDelay": "1h", "maxDelay": "10h",
                                   "maxAge": "14days"});
                // An endpoint that fails for days is disabled, and then left out of what fans out: that is
                // no end of a job, and has tests of its own.
                let endpoint = json!({"customerId": customer, "endpointId": endpoint, "url": url,
                                      "auth": auth, "retry": retry,
                                      "healthPolicy": {"disableAfter": false}});
                put(world.app(), endpoint).await;
            }
        }
        world
    }

    fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Another process takes over, over ports that fail.
    async fn restart(&mut self) {
        self.pipeline = None;
        self.app = None;
        let opened = loop {
            let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
            let (root, config) = (self.directory.path(), self.config.clone());
            match App::embedded_with_clock(root, config, Role::Worker, clock).await {
                Ok(app) => break app,
                // The tasks of the one before are ending.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.pipeline = Some(self.pipeline_over(&opened));
        self.app = Some(opened);
    }

    fn pipeline_over(&self, app: &App) -> Pipeline {
        let faults = &self.faults;
        let mut pipeline = app.pipeline().unwrap();
        pipeline.queue = Faulty::new(Arc::clone(&app.queue), faults);
        pipeline.deliveries = Faulty::new(Arc::clone(&app.deliveries), faults);
        pipeline.health = Faulty::new(Arc::clone(&app.health), faults);
        // Everything is read anew, so that every reading can fail.
        let none = Lifetimes { soft: Duration::ZERO, hard: Duration::ZERO, capacity: 10 };
        let endpoints: Arc<dyn ReadEndpoints> = app.endpoints.clone();
        pipeline.endpoints = EndpointBook::new(
            Faulty::new(endpoints, faults),
            Arc::clone(&pipeline.health),
            Arc::clone(&app.guard),
            Limiters::new(16),
            none,
        );
        let secrets: Arc<dyn ReadSecrets> = app.secrets.clone();
        let keys: Arc<dyn OpenKeys> = app.keys.clone();
        pipeline.vault = Opener::new(
            Faulty::new(secrets, faults),
            Faulty::new(keys, faults),
            Arc::clone(&app.clock),
            self.config.secrets.policy(),
            none,
        );
        pipeline
    }

    async fn enqueue(&mut self, customer: &str, fans_out: bool) {
        let id = format!("job-{}", self.accepted.len());
        let mut job = json!({"id": id, "customerId": customer, "data": 1});
        let deliveries = if fans_out {
            ["e", "f"].iter().map(|endpoint| format!("{id}/{endpoint}")).collect()
        } else {
            job["endpointId"] = "e".into();
            vec![id.clone()]
        };
        let message = NewMessage { body: job.to_string().into(), ..NewMessage::default() };
        self.app().queue.send(vec![message]).await.unwrap();
        self.accepted.insert(id, deliveries);
    }

    async fn due(&self) -> Vec<Received> {
        let pipeline = self.pipeline.as_ref().unwrap();
        pipeline.queue.receive(BATCH, Duration::ZERO).await.unwrap_or_default()
    }

    async fn deliver(&self, message: &Received) {
        self.pipeline.as_ref().unwrap().deliver(message, &CancellationToken::new()).await;
    }

    /// The delivery of a message ends when it was polled so often, as by a crash.
    async fn die(&mut self, message: &Received, polls: u32) {
        let job: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let id = job["id"].as_str().unwrap().to_owned();
        let mut left = polls;
        let has_ended = {
            let mut delivery = pin!(self.deliver(message));
            std::future::poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(false);
                }
                left -= 1;
                delivery.as_mut().poll(cx).map(|()| true)
            })
            .await
        };
        if !has_ended {
            *self.deaths.entry(id).or_default() += 1;
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Enqueue { customer, fans_out } => {
                self.enqueue(if customer { "c" } else { "d" }, fans_out).await;
            }
            Step::Deliver => {
                for message in self.due().await {
                    self.deliver(&message).await;
                }
            }
            Step::Die { after } => {
                for message in self.due().await {
                    self.die(&message, after).await;
                }
            }
            Step::Again => {
                for message in self.due().await {
                    self.deliver(&message).await;
                    self.deliver(&message).await;
                }
            }
            Step::Wait(minutes) => self.clock.advance(u32::from(minutes) * MINUTE),
            Step::Back(minutes) => self.clock.set_back(u32::from(minutes) * MINUTE),
            Step::Restart => self.restart().await,
        }
    }

    /// Nothing fails any more, and time goes on until nothing is left.
    async fn run_out(&mut self) {
        self.faults.heal();
        self.seen.lock().unwrap().script = vec![0];
        for _ in 0..500 {
            if self.app().queue.depth().await.unwrap().pending == 0 {
                return;
            }
            let due = self.due().await;
            for message in &due {
                self.deliver(message).await;
            }
            if due.is_empty() {
                self.clock.advance(30 * MINUTE);
            }
        }
        panic!("there are jobs left that nobody ends");
    }

    async fn check(&self) {
        let app = self.app();
        let all = DeadLetterFilter::default();
        let letters = app.deliveries.list_dead_letters(&all, None, 1000).await.unwrap();
        let mut dead: HashMap<String, Reason> = HashMap::new();
        for letter in &letters {
            assert!(app.queue.peek_dead(&letter.id).await.unwrap().is_some(), "{letter:?}");
            let id = letter.job_id.as_ref().unwrap().to_string();
            assert!(dead.insert(id, letter.reason).is_none(), "two letters of {letter:?}");
        }
        let seen = self.seen.lock().unwrap();
        assert!(seen.wrong.is_empty(), "sent to the wrong one, or unsigned: {:?}", seen.wrong);
        let mut expected = HashSet::new();
        for (job, deliveries) in &self.accepted {
            let deaths = self.deaths.get(job).copied().unwrap_or(0);
            for id in deliveries {
                expected.insert(id.clone());
                let answers = seen.answers.get(id).map_or(&[][..], Vec::as_slice);
                let done = answers.iter().filter(|answer| answer.starts_with("204")).count();
                let reason = dead.get(id);
                assert!(done > 0 || reason.is_some(), "{id} is lost: {answers:?}");
                // A worker that dies after its call leaves no outcome: the call is made again.
                assert!(answers.len() <= MOST_ATTEMPTS + deaths, "{id}: {answers:?}");
                if deaths == 0 {
                    assert!(
                        done <= 1 && (done == 1) == reason.is_none(),
                        "{id}: {answers:?}, {reason:?}"
                    );
                    let last = done == 0 || answers.last().unwrap().starts_with("204");
                    assert!(last, "{id} was called after it was delivered: {answers:?}");
                }
                match reason {
                    Some(Reason::AttemptsExhausted) if deaths == 0 => {
                        assert_eq!(answers.len(), MOST_ATTEMPTS, "{id}");
                    }
                    Some(Reason::AttemptsExhausted | Reason::Rejected | Reason::TooOld) | None => {}
                    Some(other) => panic!("{id}: {other} is no fault of the endpoint's"),
                }
            }
        }
        let unknown = seen.answers.keys().chain(dead.keys()).find(|id| !expected.contains(*id));
        assert_eq!(unknown, None, "nobody enqueued it");
    }
}

fn run(steps: Vec<Step>, answers: Vec<u8>, faults: Arc<Faults>) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(answers, faults).await;
        for step in steps {
            world.take(step).await;
        }
        world.run_out().await;
        world.check().await;
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn whatever_fails_every_job_has_one_end(
        steps in vec(step(), 1..60),
        answers in vec(any::<u8>(), 1..40),
        faults in vec(any::<u8>(), 64..256),
        rate in 0..60u8,
    ) {
        run(steps, answers, Faults::new(faults, rate));
    }

    #[test]
    fn faults_of_ours_spend_no_attempt_of_an_endpoint_that_works(
        steps in vec(step(), 1..40),
        faults in vec(any::<u8>(), 64..256),
        rate in 20..100u8,
    ) {
        let faults = Faults::new(faults, rate);
        let world = run(steps, vec![0], Arc::clone(&faults));
        let seen = world.seen.lock().unwrap();
        for (job, deliveries) in &world.accepted {
            let deaths = world.deaths.get(job).copied().unwrap_or(0);
            for id in deliveries {
                let calls = seen.answers[id].len();
                prop_assert!((1..=1 + deaths).contains(&calls), "{id}: {calls} calls, {deaths} deaths");
            }
        }
    }
}
