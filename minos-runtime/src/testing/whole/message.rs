//! Messages to and from the services.

use super::{TestRunning, nobody};
use crate::{
    broker::{Broker, BrokerError},
    error::{Error, ErrorKind, Result},
    message::{Envelope, EventName, Message},
    store::{Cause, StoredEvent, StreamId},
    testing::service::read,
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use uuid::Uuid;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

impl TestRunning {
    /// Sends a command or a query by the broker, and waits for its answer.
    ///
    /// # Errors
    /// What was answered, if it is an error; or that nobody handles it.
    pub async fn send<M: Message>(&self, message: M) -> Result<M::Reply> {
        let content = serde_json::to_vec(&message)?;
        read_answer(M::NAME, &self.ask(M::NAME, message.key(), content).await?)
    }

    /// The same by the name of its topic, for what is no [`Message`] here.
    ///
    /// # Errors
    /// As [`send`](TestRunning::send).
    pub async fn call<T: DeserializeOwned>(&self, topic: &str, input: impl Serialize) -> Result<T> {
        read_answer(topic, &self.ask(topic, None, serde_json::to_vec(&input)?).await?)
    }

    async fn ask(&self, topic: &str, key: Option<String>, content: Vec<u8>) -> Result<bytes::Bytes> {
        let broker = &self.world.ground.broker;
        if !broker.is_heard(topic) {
            return Err(nobody(topic));
        }
        let id = Uuid::now_v7();
        let cause = Cause { correlation: id, causation: id, user: self.user.identity().cloned(), trace: None };
        let (handed_over, answer) = broker.ask(Envelope::request(id, topic, key, content, self.now(), cause));
        let exchange = async {
            handed_over.await.map_err(|error| match error {
                BrokerError::NoHandler(_) => nobody(topic),
                error => Error::unavailable(error.to_string()),
            })?;
            answer.await.map_err(|_| Error::unavailable("the services of this test have stopped"))
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        let late = |_| Error::new(ErrorKind::Timeout, format!("`{topic}` was not answered within {} s", PATIENCE.as_secs()));
        answer.map_err(late)??.outcome()
    }

    /// Something has happened in a service that is not here: `happened("Account.MoneyDeposited", account, &json!({ "cents": 5 }))`. Returns when all have handled
    /// it.
    ///
    /// # Errors
    /// If the name does not say whose event it is, or nobody listens to that aggregate.
    pub async fn happened(&self, event: &str, uuid: Uuid, content: impl Serialize) -> Result<()> {
        let named = EventName::parse(event).filter(|name| name.field.is_none());
        let EventName { aggregate, event: name, .. } = named.ok_or_else(|| {
            Error::invalid(format!("`{event}` does not say whose event it is: write `\"Aggregate.{event}\"`, `\"FooCreated\"`, `\"FooUpdated\"` or `\"FooDeleted\"`"))
        })?;
        let broker = &self.world.ground.broker;
        if !broker.is_heard(aggregate) {
            return Err(Error::not_found(format!("no service of this test listens to events of `{aggregate}`")));
        }
        let id = Uuid::now_v7();
        let event = StoredEvent {
            position: 0,
            version: broker.next_version(aggregate, uuid),
            stream: StreamId::new(aggregate.to_owned(), uuid),
            name: name.to_owned(),
            data: serde_json::to_string(&content)?,
            at: self.now(),
            cause: Cause { correlation: id, causation: id, user: self.user.identity().cloned(), trace: None },
        };
        broker.publish(Envelope::of_event(event)).await.map_err(|error| Error::unavailable(error.to_string()))
    }

    /// The messages of this type that services have sent, in the order in which they did, whoever handles them. An attempt at a step of a saga is a message; what
    /// the test itself [sends](TestRunning::send) is none of theirs.
    ///
    /// # Panics
    /// If one cannot be read.
    #[track_caller]
    pub fn sent<M: Message + DeserializeOwned>(&self) -> Vec<M> {
        self.world.ground.broker.sent(M::NAME).iter().map(|message| read(M::NAME, &message.content)).collect()
    }
}

fn read_answer<T: DeserializeOwned>(name: &str, answer: &[u8]) -> Result<T> {
    serde_json::from_slice(answer)
        .map_err(|error| Error::from(error).context(format!("the answer to `{name}` is no `{}`", std::any::type_name::<T>())))
}
