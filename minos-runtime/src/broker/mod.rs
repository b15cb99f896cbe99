//! Messages between services: sent from the outbox, handled once through the inbox.
//!
//! The [`Relay`] hands what a service has committed to the [`Broker`]; the [`Dispatcher`] of each service takes what the broker delivers, and
//! runs its handlers. Neither knows which broker it is.

mod ask;
mod consume;
#[cfg(feature = "kafka")]
mod kafka;
mod lanes;
mod local;
mod outcomes;
mod park;
mod participant;
mod relay;
#[cfg(any(test, feature = "testing"))]
pub mod suite;
mod topics;
mod traced;

pub use crate::config::RetryPolicy;
pub use ask::Questions;
pub use consume::Dispatcher;
pub(crate) use consume::request;
#[cfg(feature = "kafka")]
pub use kafka::KafkaBroker;
pub use local::LocalBroker;
pub use outcomes::{KeptStep, Outcomes};
pub use park::DeadLetters;
pub use relay::Relay;
#[cfg(any(test, feature = "testing"))]
pub(crate) use relay::unsent;
pub use topics::{Subscription, Topics};

use crate::{
    config::Config,
    error::{Error, Result},
    health::Health,
    message::{Envelope, MessageKind},
    metrics::Metrics,
    saga::Manager,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use uuid::Uuid;

/// Why a broker did not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// Nobody can handle it, now or later.
    #[error("no service of this process handles `{0}`")]
    NoHandler(String),
    /// The broker or the receiver is not there at the moment.
    #[error("the broker does not take messages: {0}")]
    Unavailable(String),
    /// The broker does not take messages of this topic at the moment: it may not be written, or cannot be created. Other topics are not concerned.
    #[error("`{topic}` does not take messages: {why}")]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        why: String,
    },
    /// The broker will never take a message of this size.
    #[error("a message of {size} bytes for `{topic}` is too large: the broker takes {limit}")]
    TooLarge {
        /// Where it was to go.
        topic: String,
        /// Its size, with its headers, in bytes.
        size: usize,
        /// The largest size that the broker takes.
        limit: usize,
    },
}

/// What a broker says of a message: that it is in good hands, or why not.
pub type BrokerResult = std::result::Result<(), BrokerError>;

/// A topic that a service listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub topic: String,
    /// What its messages are for, unless they say otherwise themselves.
    pub kind: MessageKind,
    /// Who gets them.
    pub audience: Audience,
}

/// Where a service listens for the answers to the steps of its sagas, if it has any. The processes share them: whichever gets one goes on.
pub fn answers(sagas: &Manager) -> Option<Source> {
    (!sagas.is_empty()).then(|| Source { topic: sagas.topic().to_owned(), kind: MessageKind::Reply, audience: Audience::OneProcess })
}

/// Which processes of a service get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// One of the service's processes, whichever is free: the processes share the messages. It is delivered again until it was handled.
    OneProcess,
    /// Every process that runs when it is sent, and is then forgotten.
    EveryProcess,
}

/// A message as it came that cannot be read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The same whenever it is delivered again.
    pub id: Uuid,
    /// Where it came from.
    pub topic: String,
    /// Its place there, for the operator: `Foo/3@42`.
    pub place: String,
    /// Its headers as one JSON object, as far as they are text.
    pub headers: String,
    /// Its content.
    pub content: Bytes,
    /// Why it cannot be read.
    pub cause: String,
}

/// Takes what a broker delivers.
pub trait Consumer: Send + Sync + 'static {
    /// Takes a message, in the order of the calls. The future ends when it was handled, or put aside for the operator: then the broker
    /// may forget it.
    ///
    /// # Errors
    /// If the service stops before: then the broker has to deliver it again.
    fn deliver(&self, message: Envelope) -> BoxFuture<'static, BrokerResult>;

    /// Puts a message that cannot be read aside for the operator, once however often it comes.
    ///
    /// # Errors
    /// If the service stops before.
    fn undecodable(&self, message: Undecodable) -> BoxFuture<'static, BrokerResult>;
}

/// Carries messages between services.
pub trait Broker: Send + Sync + 'static {
    /// What this is and where, for the operator. Never holds a password.
    fn describe(&self) -> String;

    /// The topics of which anybody may ever get messages; `None` if that may be any. An event that nobody gets needs not be published.
    fn carried(&self) -> Option<Vec<String>>;

    /// The largest message that it takes, with its headers, in bytes. None if there is no limit.
    fn max_message(&self) -> Option<usize> {
        None
    }

    /// Hands a message over, in the order of the calls, before the future is first polled. The future ends when the broker
    /// answers for the message, whatever crashes.
    ///
    /// A message never overtakes an earlier one of its topic that has to be sent again. After [`Refused`](BrokerError::Refused), everything for
    /// that topic is refused until the caller has dropped all futures of that topic; then it hands over again, in order, from the first on that
    /// was not answered for with `Ok`. Other topics go on. After [`Unavailable`](BrokerError::Unavailable), the same holds for every topic. No future
    /// waits for ever for a broker that is silent: after some seconds it ends with one of these.
    fn publish(&self, message: Envelope) -> BoxFuture<'static, BrokerResult>;

    /// Hands over a message that is in no order with others and is not handed over again: a question, or the answer to one. That it is refused
    /// concerns nothing else.
    fn tell(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        self.publish(message)
    }

    /// Delivers the messages of these topics to a service. Ends when nothing can be missed any more that is sent from then on, or when
    /// the broker is not there at the moment: then it goes on trying.
    fn subscribe(&self, service: &str, sources: Vec<Source>, consumer: Arc<dyn Consumer>) -> BoxFuture<'_, BrokerResult>;

    /// Ends it well: nothing new is delivered, and what was handled and handed over is told to the others. What is not done within a
    /// reasonable time is delivered again, or was not published.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Opens the broker of this configuration. Services of one process share `local`.
///
/// # Errors
/// If this build has no such broker, or the configuration makes no sense to it. That it cannot be reached is no error: it may come.
pub fn open(config: &Config, local: &LocalBroker, health: &Health, metrics: &Metrics) -> Result<Arc<dyn Broker>> {
    let url = &config.broker.url;
    if url == "local:" {
        return Ok(Arc::new(local.clone()));
    }
    if url.starts_with("kafka://") {
        return open_kafka(config, health, metrics);
    }
    let scheme = url.split(':').next().unwrap_or_default();
    // The URL itself is not told: it may hold a password.
    Err(Error::invalid(format!("there is no broker for `{scheme}:` URLs in `broker.url`: write `local:` or `kafka://host:9092`")))
}

#[cfg(feature = "kafka")]
fn open_kafka(config: &Config, health: &Health, metrics: &Metrics) -> Result<Arc<dyn Broker>> {
    Ok(Arc::new(KafkaBroker::new(config, health, metrics)?))
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(_: &Config, _: &Health, _: &Metrics) -> Result<Arc<dyn Broker>> {
    Err(Error::invalid("this build has no broker for `kafka:` URLs: switch on the feature `kafka` of `minos`"))
}
