//! A model of queues that keep order, over everything that may happen to messages.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::queue::{NewMessage, Received, Redrive};

use crate::backend::LEASE;
use crate::letter::letter;
use crate::ordering::group;
use crate::queue::{SECOND, Subject};

/// What may happen. Places are reduced to what is there.
#[derive(Debug, Clone)]
enum Step {
    Send { groups: Vec<u8> },
    Acknowledge(usize),
    Replace(usize, u32),
    Release(usize, u32),
    GiveUp(usize),
    MoveBack(usize),
    Wait(u32),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => proptest::collection::vec(0..4u8, 1..6).prop_map(|groups| Step::Send { groups }),
        6 => any::<usize>().prop_map(Step::Acknowledge),
        3 => (any::<usize>(), 0..60u32).prop_map(|(which, delay)| Step::Replace(which, delay)),
        2 => (any::<usize>(), 0..30u32).prop_map(|(which, delay)| Step::Release(which, delay)),
        2 => any::<usize>().prop_map(Step::GiveUp),
        1 => any::<usize>().prop_map(Step::MoveBack),
        3 => (0..25u32).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

/// A message as the model has it.
#[derive(Debug, Clone)]
struct Known {
    body: String,
    group: Option<u8>,
    state: Option<String>,
    due: Timestamp,
    /// Lost with its worker since it was last put back.
    lost: bool,
    held: Option<Received>,
}

/// The queue as it should be: messages in the order of their groups.
#[derive(Default)]
struct Model {
    messages: Vec<Known>,
    dead: Vec<Known>,
    sent: usize,
    states: usize,
}

impl Model {
    fn is_head(&self, place: usize) -> bool {
        let message = &self.messages[place];
        let before = &self.messages[..place];
        message.group.is_none() || before.iter().all(|other| other.group != message.group)
    }

    fn held(&self, which: usize) -> Option<usize> {
        let held: Vec<usize> =
            (0..self.messages.len()).filter(|place| self.messages[*place].held.is_some()).collect();
        (!held.is_empty()).then(|| held[which % held.len()])
    }

    fn new_state(&mut self) -> String {
        self.states += 1;
        format!("{{\"state\":{}}}", self.states)
    }

    /// Everything that can be received is, and nothing else.
    async fn receive(&mut self, subject: &Subject) {
        let now = subject.now();
        let is_wanted = |model: &Self, place: usize| {
            let message = &model.messages[place];
            message.held.is_none() && message.due <= now && model.is_head(place)
        };
        let mut wanted: Vec<usize> =
            (0..self.messages.len()).filter(|place| is_wanted(self, *place)).collect();
        for received in subject.receive_everywhere().await {
            let is_it = |place: &usize| self.messages[*place].body.as_bytes() == received.body;
            let Some(at) = wanted.iter().position(is_it) else {
                panic!("out of its turn: {received:?} of {:#?}", self.messages);
            };
            let known = &mut self.messages[wanted.swap_remove(at)];
            assert_eq!(received.state.as_deref(), known.state.as_deref().map(str::as_bytes));
            assert_eq!(received.group, known.group.map(|n| group(&n.to_string())));
            assert!(!known.lost || received.receive_count > 1, "{received:?}");
            known.held = Some(received);
        }
        let missing: Vec<_> = wanted.iter().map(|place| &self.messages[*place]).collect();
        assert!(missing.is_empty(), "kept waiting: {missing:#?} of {:#?}", self.messages);
    }

    async fn take(&mut self, step: Step, subject: Subject) -> Subject {
        match step {
            Step::Send { groups } => self.send(groups, &subject).await,
            Step::Acknowledge(which) => {
                let Some(place) = self.held(which) else { return subject };
                let held = self.messages.remove(place).held.unwrap();
                subject.queue_of(&held.handle).acknowledge(&held.handle).await.unwrap();
            }
            Step::Replace(which, delay) => {
                let Some(place) = self.held(which) else { return subject };
                let (state, due) = (self.new_state(), subject.now().plus(delay * SECOND));
                let held = self.put_back(place, due);
                self.messages[place].state = Some(state.clone());
                let next = NewMessage {
                    body: held.body.clone(),
                    state: Some(state.into()),
                    not_before: Some(due),
                    ..NewMessage::default()
                };
                subject.queue_of(&held.handle).replace(&held.handle, next).await.unwrap();
            }
            Step::Release(which, delay) => {
                let Some(place) = self.held(which) else { return subject };
                let held = self.put_back(place, subject.now().plus(delay * SECOND));
                let queue = subject.queue_of(&held.handle);
                queue.release(&held.handle, delay * SECOND).await.unwrap();
            }
            Step::GiveUp(which) => {
                let Some(place) = self.held(which) else { return subject };
                let mut known = self.messages.remove(place);
                let held = known.held.take().unwrap();
                let (letter, queue) = (letter(&known.body, &held), subject.queue_of(&held.handle));
                queue.dead_letter(&held.handle, &letter, None).await.unwrap();
                self.dead.push(known);
            }
            Step::MoveBack(which) => self.move_back(which, &subject).await,
            Step::Wait(seconds) => {
                let held = self.messages.iter().filter_map(|known| known.held.as_ref());
                for held in held {
                    let handle = std::slice::from_ref(&held.handle);
                    subject.queue_of(&held.handle).extend(handle).await.unwrap();
                }
                subject.advance(seconds * SECOND);
            }
            Step::Crash => {
                for known in &mut self.messages {
                    known.lost |= known.held.take().is_some();
                }
                let subject = subject.restart().await;
                subject.advance(LEASE);
                return subject;
            }
        }
        subject
    }

    async fn send(&mut self, groups: Vec<u8>, subject: &Subject) {
        let mut messages = Vec::new();
        for number in groups {
            // The last number stands for no group.
            let of_group = (number < 3).then_some(number);
            self.sent += 1;
            let body = format!("body-{}", self.sent);
            messages.push(NewMessage {
                body: body.clone().into(),
                group: of_group.map(|number| group(&number.to_string())),
                ..NewMessage::default()
            });
            let (state, due, lost, held) = (None, subject.now(), false, None);
            self.messages.push(Known { body, group: of_group, state, due, lost, held });
        }
        subject.queue().send(messages).await.unwrap();
    }

    fn put_back(&mut self, place: usize, due: Timestamp) -> Received {
        let known = &mut self.messages[place];
        (known.due, known.lost) = (due, false);
        known.held.take().unwrap()
    }

    async fn move_back(&mut self, which: usize, subject: &Subject) {
        if self.dead.is_empty() {
            return;
        }
        let at = which % self.dead.len();
        let mut known = self.dead.remove(at);
        let state = self.new_state();
        let letter =
            Redrive { dead_letter_id: known.body.clone(), state: Some(state.clone().into()) };
        let sought = subject.queue().redrive(vec![letter]).await.unwrap();
        assert_eq!(sought.found.len(), 1, "{known:?}");
        known = Known { state: Some(state), due: subject.now(), lost: false, ..known };
        self.messages.push(known);
    }
}

async fn follow(steps: Vec<Step>, mut subject: Subject) {
    let mut model = Model::default();
    for step in steps {
        subject = model.take(step, subject).await;
        model.receive(&subject).await;
    }
}

fn run(steps: Vec<Step>, subject: impl Future<Output = Subject>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(async { follow(steps, subject.await).await });
}

proptest! {
    #![proptest_config(Config::with_cases(48))]
    #[test]
    fn embedded_whatever_happens_each_group_keeps_its_order_and_waits_for_no_other(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        run(steps, Subject::embedded());
    }
}

/// With two workers. The emulator is slower than a file, so there are fewer cases.
#[cfg(feature = "aws")]
mod fifo_model {
    use super::*;

    proptest! {
        #![proptest_config(Config::with_cases(6))]
        #[test]
        fn whatever_happens_each_group_keeps_its_order_and_waits_for_no_other(
            steps in proptest::collection::vec(step(), 1..50),
        ) {
            run(steps, Subject::fifo());
        }
    }
}
