//! Messages: what travels over the broker, and how it is described.

mod envelope;
mod fields;
mod topic;

pub use envelope::{Direction, Envelope, Failure, MessageKind, StepCall, is_error};
pub use fields::Unsaid;
pub use topic::{EventName, SetChange, dead_letter_topic, is_topic_name, reply_topic, saga_topic, service_of};

use crate::sample::{Look, Seen};
use serde::{Serialize, de::DeserializeOwned};

/// A message that one service sends to another: a command or a query by its name, and what it answers.
///
/// Written by `#[message("Name", reply = Type)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "put `#[message(\"Name\", reply = Type)]` on the definition of `{Self}`"
)]
pub trait Message: Serialize + Send + Sync {
    /// The name, which is the topic: the receiver's `#[command("Name")]` or `#[query("Name")]`.
    const NAME: &'static str;

    /// What the receiver answers.
    type Reply: DeserializeOwned + Send + 'static;

    /// Messages of one key are handled in the order in which they were sent. None by default: in any order.
    fn key(&self) -> Option<String> {
        None
    }
}

/// A message that this program sends; registered by `#[message]`.
#[doc(hidden)]
pub struct MessageDef {
    pub name: &'static str,
    /// What its content looks like.
    pub content: Look,
    /// What its answer looks like; nothing if that cannot be seen.
    pub reply: Option<fn() -> Seen>,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(MessageDef);

/// A field of a message: anything that serde can write and read again.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be sent in a message",
    label = "needs `Serialize + Deserialize + Send + Sync`",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`, or `#[serde(skip)]` to the field",
    note = "a type of another crate may have a `serde` feature to switch on"
)]
pub trait MessageField: Serialize + DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync> MessageField for T {}

/// Implemented by `#[message]` for the one type that the message answers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that answers `{R}`",
    label = "this step expects an answer of type `{R}`",
    note = "the type after `->` is the `reply` of the message: `#[message(\"Name\", reply = {R})]`"
)]
pub trait Replies<R>: Message {}
