//! What a service uses of another one, as its contract says.

use super::{
    changes::{Change, Part},
    schema::resolved,
};
use serde_json::Value;

/// Whether this consumer has to do with a change. Who calls by HTTP is no service of Minos, so no contract says it.
pub(crate) fn uses(consumer: &Value, change: &Change) -> bool {
    match &change.part {
        Part::Route => false,
        Part::Topic(name) => message(consumer, name).is_some(),
        Part::Reply(name) => message(consumer, name).is_some_and(|message| reads(consumer, message.get("reply"), change)),
        Part::Event { aggregate, event } => {
            let events = consumer.pointer("/consumes/events").and_then(Value::as_object);
            events
                .into_iter()
                .flatten()
                .any(|(name, content)| is_it(name, aggregate, event, change) && reads(consumer, Some(content), change))
        }
    }
}

fn message<'v>(consumer: &'v Value, name: &str) -> Option<&'v Value> {
    consumer.pointer("/consumes/messages")?.get(name)
}

/// Whether a subscription is to this event: `FooCreated`, `FooUpdated.bar`, `Account.MoneyDeposited`.
fn is_it(name: &str, aggregate: &str, event: &str, change: &Change) -> bool {
    if name == format!("{aggregate}.{event}") || name == event {
        return true;
    }
    // One field of an update.
    let of_field = name.strip_prefix(event).and_then(|rest| rest.strip_prefix('.')).and_then(|rest| rest.split('.').next());
    of_field.is_some_and(|field| change.field.as_deref().is_none_or(|changed| changed == field))
}

/// Whether the field that has changed is one that is read. What is not described may be read as a whole.
fn reads(consumer: &Value, content: Option<&Value>, change: &Change) -> bool {
    let Some(field) = &change.field else { return true };
    let fields = content.map(|content| resolved(consumer, content)).and_then(|content| content.get("properties"));
    fields.is_none_or(|fields| fields.get(field).is_some())
}
