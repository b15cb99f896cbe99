//! Messages between services: sent from the outbox, handled once through the inbox.
//!
//! The [`Relay`] hands what a service has committed to the [`Broker`]; the [`Dispatcher`] of each service takes what the broker delivers, and
//! runs its handlers. Neither knows which broker it is.

mod ask;
mod consume;
mod lanes;
mod local;
mod park;
mod relay;
mod topics;

pub use ask::Questions;
pub(crate) use consume::request;
pub use consume::{Dispatcher, RetryPolicy};
pub use local::LocalBroker;
pub use park::DeadLetters;
pub use relay::Relay;
pub use topics::{Subscription, Topics};

use crate::message::Envelope;
use futures_util::future::BoxFuture;
use std::sync::Arc;

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
}

/// Takes what a broker delivers.
pub trait Consumer: Send + Sync + 'static {
    /// Takes a message, in the order of the calls. The future ends when it was handled, or put aside for the operator: then the broker
    /// may forget it.
    ///
    /// # Errors
    /// If the service stops before: then the broker has to deliver it again.
    fn deliver(&self, message: Envelope) -> BoxFuture<'static, Result<(), BrokerError>>;
}

/// Carries messages between services.
pub trait Broker: Send + Sync + 'static {
    /// What this is and where, for the operator. Never holds a password.
    fn describe(&self) -> String;

    /// The topics of which anybody may ever get messages; `None` if that may be any. An event that nobody gets needs not be published.
    fn carried(&self) -> Option<Vec<String>>;

    /// Hands a message over, in the order of the calls, before the future is first polled. The future ends when the broker
    /// answers for the message, whatever crashes.
    fn publish(&self, message: Envelope) -> BoxFuture<'static, Result<(), BrokerError>>;

    /// Delivers the messages of these topics to a service.
    fn subscribe(&self, service: &str, topics: Vec<String>, consumer: Arc<dyn Consumer>) -> BoxFuture<'_, Result<(), BrokerError>>;
}
