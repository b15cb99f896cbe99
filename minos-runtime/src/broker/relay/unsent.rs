//! What is committed and not sent yet, for tests that wait until there is nothing.

use super::NAME;
use crate::{
    message::Envelope,
    store::{Store, StoreResult},
};

/// The first of what a store has that the broker has not answered for yet, in words. With the broker of one process, what it has answered for is handled.
pub(crate) async fn unsent(store: &dyn Store) -> StoreResult<Option<String>> {
    if let Some(row) = store.outbox(0, 1).await?.pop() {
        let topic = row.message.topic.clone();
        let what = Envelope::of_row(row).map_or_else(|_| format!("a message for `{topic}`"), |message| told(&message));
        return Ok(Some(format!("{what} is not handled yet")));
    }
    let reached = store.checkpoint(NAME).await?;
    if store.log(0, 1, Some(&[])).await?.read <= reached {
        return Ok(None);
    }
    let next = store.log(reached, 1, None).await?.events.pop();
    Ok(next.map(|event| format!("not all have handled the event `{}` of {}, version {}", event.name, event.stream, event.version)))
}

fn told(message: &Envelope) -> String {
    match &message.saga {
        Some(call) => format!("`{}`, a message of step `{}` of `{}`,", message.name, call.step, call.saga),
        None => format!("the message `{}`", message.name),
    }
}
