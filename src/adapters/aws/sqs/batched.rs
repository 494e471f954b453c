//! One SQS queue: what it says of itself, and its calls in batches.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName as System, QueueAttributeName as Name,
};
use tracing::warn;

use super::batch::Batcher;
use super::calls::{Deletes, Sends, Visibility};
use super::checksum;
use super::facts::QueueFacts;
use super::in_flight::InFlight;
use crate::adapters::aws::{Failure, Kind};
use crate::ports::Chance;

/// What comes together goes out together.
const SHORTEST_LINGER: Duration = Duration::from_millis(2);
/// What each message in hand adds: the more there are, the more will be settled in a moment. It
/// keeps a permit for a small part of the time of the calls that fill the worker.
const LINGER_EACH: Duration = Duration::from_millis(5);
const LONGEST_LINGER: Duration = Duration::from_millis(200);
/// The same of a FIFO queue: all of a group wait for each settling.
const LONGEST_LINGER_IN_ORDER: Duration = Duration::from_millis(20);

/// A queue and the calls to it.
pub struct BatchedQueue {
    /// The client.
    pub client: Client,
    /// The queue's URL.
    pub url: String,
    /// What a receipt is leased for.
    pub lease: Duration,
    /// Most bytes of a message, body and attributes together.
    pub limit: usize,
    /// Whether it is a FIFO queue.
    pub keeps_order: bool,
    /// What it says of itself.
    pub facts: QueueFacts,
    /// SendMessageBatch.
    pub sends: Batcher<Sends>,
    /// DeleteMessageBatch.
    pub deletes: Batcher<Deletes>,
    /// ChangeMessageVisibilityBatch.
    pub visibility: Batcher<Visibility>,
}

impl BatchedQueue {
    /// Asks the queue what it is, and begins.
    pub async fn open(
        client: &Client,
        url: &str,
        in_flight: &Arc<InFlight>,
        chance: &Arc<dyn Chance>,
    ) -> Result<Self, Failure> {
        // Boxed: every command opens the queue, and is deep enough for the compiler without it.
        let facts = Box::pin(QueueFacts::ask(client, url)).await?;
        let (keeps_order, limit, lease) = (facts.keeps_order, facts.limit(), facts.lease());
        if lease.is_zero() {
            let problem = "the queue's VisibilityTimeout is 0: expected at least some seconds";
            return Err(naming(url, refused(problem.to_owned())));
        }
        let linger = || {
            let in_flight = Arc::clone(in_flight);
            let longest = if keeps_order { LONGEST_LINGER_IN_ORDER } else { LONGEST_LINGER };
            Box::new(move |waiting| linger(in_flight.count(), waiting).min(longest))
        };
        let (client, queue_url) = (client.clone(), url.to_owned());
        let sends = Sends { client: client.clone(), queue_url: queue_url.clone() };
        let deletes = Deletes { client: client.clone(), queue_url: queue_url.clone() };
        let visibility = Visibility { client: client.clone(), queue_url: queue_url.clone() };
        Ok(Self {
            // A batch has the limit of one message ("SendMessageBatch").
            sends: Batcher::start(sends, limit, linger(), Arc::clone(chance)),
            deletes: Batcher::start(deletes, limit, linger(), Arc::clone(chance)),
            visibility: Batcher::start(visibility, limit, linger(), Arc::clone(chance)),
            client,
            url: queue_url,
            lease,
            limit,
            keeps_order,
            facts,
        })
    }

    /// One ReceiveMessage call, with everything that a message carries.
    pub async fn receive(
        &self,
        client: &Client,
        most: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Message>, Failure> {
        let seconds = |duration: Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
        let output = client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(lease))
            .message_attribute_names("All")
            .message_system_attribute_names(System::ApproximateReceiveCount)
            .message_system_attribute_names(System::SentTimestamp)
            .message_system_attribute_names(System::MessageGroupId)
            .message_system_attribute_names(System::AwsTraceHeader)
            .message_system_attribute_names(System::SenderId)
            .send()
            .await;
        let output = output.map_err(|error| naming(&self.url, Failure::of(&error)))?;
        let messages = output.messages.unwrap_or_default().into_iter();
        Ok(messages.filter(|message| self.is_intact(message)).collect())
    }

    /// Whether the body came as SQS has it. One that did not is left alone: it comes again when its
    /// lease has run out, and goes to the dead letters if it never comes whole.
    fn is_intact(&self, message: &Message) -> bool {
        let body = message.body.as_deref().unwrap_or_default();
        let checked = checksum::check(body, message.md5_of_body.as_deref());
        if let Err(failure) = &checked {
            let (queue, message_id) = (&self.url, message.message_id.as_deref());
            warn!(event = "altered_message", queue, message_id, "{failure}");
        }
        checked.is_ok()
    }

    /// About how many messages the queue holds: visible, delayed and in flight.
    pub async fn depth(&self) -> Result<u64, Failure> {
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesDelayed,
            Name::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let output = request.set_attribute_names(Some(names.clone().into())).send().await;
        let output = output.map_err(|error| naming(&self.url, Failure::of(&error)))?;
        let number = |name| output.attributes().and_then(|a| a.get(name)?.parse::<u64>().ok());
        Ok(names.iter().filter_map(number).sum())
    }
}

/// Whether a queue is a FIFO queue: all of their names end so, and no other's.
pub fn is_fifo(url: &str) -> bool {
    url.ends_with(".fifo")
}

/// How long a batch of `waiting` entries waits for more while so many messages are in hand. When
/// all of them wait in it, nothing more can come.
fn linger(in_hand: usize, waiting: usize) -> Duration {
    if waiting >= in_hand {
        return SHORTEST_LINGER;
    }
    let each = LINGER_EACH.saturating_mul(u32::try_from(in_hand).unwrap_or(u32::MAX));
    SHORTEST_LINGER.saturating_add(each).min(LONGEST_LINGER)
}

/// The failure with the queue's URL, where that is what is wrong.
pub fn naming(url: &str, failure: Failure) -> Failure {
    let message = match failure.kind {
        Kind::NotFound | Kind::AccessDenied | Kind::Refused => {
            format!("queue {url}: {}", failure.message)
        }
        Kind::Throttled
        | Kind::Credentials
        | Kind::KeyUnusable
        | Kind::Unreachable
        | Kind::ServiceFault => failure.message.clone(),
    };
    Failure { message, ..failure }
}

/// A call that would be refused.
pub fn refused(message: String) -> Failure {
    Failure { kind: Kind::Refused, code: None, request_id: None, message }
}
