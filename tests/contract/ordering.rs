//! The contract of queues that keep order. The last test is a model of it, over everything that may
//! happen to messages.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use sealpost::domain::ordering::MessageGroup;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::queue::{NewMessage, Received, Redrive};

use crate::letter::letter;
use crate::queue::{SECOND, Subject, message, one, receive};

/// Runs each sentence over every queue that keeps order.
macro_rules! ordered {
    ($($sentence:ident,)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Subject::embedded().await).await;
            })*
        }
    };
}

ordered! {
    it_says_that_it_keeps_order,
    of_a_group_only_the_head_is_received_and_other_groups_go_on,
    a_head_that_is_put_back_holds_its_group_through_a_restart,
    a_head_that_was_given_up_lets_its_group_go_on,
    a_head_whose_worker_died_comes_back_before_those_behind_it,
    a_dead_letter_that_is_moved_back_is_the_last_of_its_group,
}

fn group(name: &str) -> MessageGroup {
    MessageGroup::named(name)
}

fn of(name: &str, body: &'static str) -> NewMessage {
    NewMessage { group: Some(group(name)), ..message(body) }
}

async fn send(subject: &Subject, messages: Vec<NewMessage>) {
    subject.queue().send(messages).await.unwrap();
}

fn bodies(received: &[Received]) -> Vec<&[u8]> {
    let mut bodies: Vec<&[u8]> = received.iter().map(|message| &message.body[..]).collect();
    bodies.sort_unstable();
    bodies
}

async fn it_says_that_it_keeps_order(subject: Subject) {
    assert!(subject.queue().keeps_order());
}

async fn of_a_group_only_the_head_is_received_and_other_groups_go_on(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2"), of("h", "3"), message("4")]).await;
    send(&subject, vec![of("g", "5"), message("6")]).await;
    let received = receive(&subject).await;
    assert_eq!(bodies(&received), [b"1", b"3", b"4", b"6"]);
    for message in &received {
        let expected = match &message.body[..] {
            b"1" => Some(group("g")),
            b"3" => Some(group("h")),
            _ => None,
        };
        assert_eq!(message.group, expected, "{message:?}");
    }
    let first = received.into_iter().find(|message| message.body == "1").unwrap();
    assert!(receive(&subject).await.is_empty());
    let mut head = first;
    for next in ["2", "5"] {
        subject.queue().acknowledge(&head.handle).await.unwrap();
        head = one(&subject).await;
        assert_eq!(head.body, next);
    }
}

async fn a_head_that_is_put_back_holds_its_group_through_a_restart(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2")]).await;
    let first = one(&subject).await;
    let at = subject.now().plus(50 * SECOND);
    let next = NewMessage {
        state: Some("{}".into()),
        not_before: Some(at),
        body: "1".into(),
        ..message("")
    };
    subject.queue().replace(&first.handle, next).await.unwrap();
    assert!(receive(&subject).await.is_empty());
    let subject = subject.restart().await;
    subject.advance(49 * SECOND);
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    let again = one(&subject).await;
    assert_eq!((&again.body[..], again.state.as_deref()), (&b"1"[..], Some(&b"{}"[..])));
    assert_eq!((again.group, again.sent_at), (Some(group("g")), first.sent_at));
    subject.queue().release(&again.handle, SECOND).await.unwrap();
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    let last = one(&subject).await;
    assert_eq!((&last.body[..], last.state.as_deref()), (&b"1"[..], Some(&b"{}"[..])));
    subject.queue().acknowledge(&last.handle).await.unwrap();
    assert_eq!(one(&subject).await.body, "2");
}

async fn a_head_that_was_given_up_lets_its_group_go_on(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2")]).await;
    let first = one(&subject).await;
    subject.queue().dead_letter(&first.handle, &letter("dl_1", &first), None).await.unwrap();
    assert_eq!(one(&subject).await.body, "2");
}

async fn a_head_whose_worker_died_comes_back_before_those_behind_it(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2"), of("g", "3")]).await;
    let first = one(&subject).await;
    subject.queue().acknowledge(&first.handle).await.unwrap();
    assert_eq!(one(&subject).await.body, "2");
    let subject = subject.restart().await;
    subject.advance(crate::backend::LEASE);
    let second = one(&subject).await;
    assert_eq!((&second.body[..], second.receive_count), (&b"2"[..], 2));
    subject.queue().acknowledge(&second.handle).await.unwrap();
    assert_eq!(one(&subject).await.body, "3");
}

async fn a_dead_letter_that_is_moved_back_is_the_last_of_its_group(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2"), of("g", "3"), of("g", "4")]).await;
    for id in ["dl_1", "dl_2"] {
        let head = one(&subject).await;
        subject.queue().dead_letter(&head.handle, &letter(id, &head), None).await.unwrap();
    }
    let third = one(&subject).await;
    let moved = ["dl_1", "dl_2"].map(|id| Redrive { dead_letter_id: id.into(), state: None });
    assert_eq!(subject.queue().redrive(moved.into()).await.unwrap().found.len(), 2);
    assert!(receive(&subject).await.is_empty());
    let mut head = third;
    for next in ["4", "1", "2"] {
        subject.queue().acknowledge(&head.handle).await.unwrap();
        head = one(&subject).await;
        assert_eq!(head.body, next);
    }
}

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
                subject.advance(crate::backend::LEASE);
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
