//! What a service listens to.

use super::{Audience, Source};
use crate::{
    aggregate::touches,
    handler::{HandlerDef, Kind},
    message::{Envelope, EventName, MessageKind},
};
use std::collections::BTreeMap;

/// The handlers of a service by what the broker delivers.
#[derive(Debug, Default)]
pub struct Topics {
    requests: BTreeMap<&'static str, &'static HandlerDef>,
    events: BTreeMap<&'static str, Vec<Subscription>>,
}

/// A handler and the event that it listens to.
#[derive(Debug)]
pub struct Subscription {
    /// The event.
    pub event: EventName<'static>,
    /// The handler.
    pub def: &'static HandlerDef,
}

impl Topics {
    /// The topics of these handlers. Topics that two handlers claim, and names of events that say nothing, are added to `wrong`, each as a
    /// sentence for the operator.
    pub fn of(defs: &[&'static HandlerDef], wrong: &mut Vec<String>) -> Self {
        let mut topics = Topics::default();
        for def in defs {
            for name in def.names {
                match def.kind {
                    Kind::Command | Kind::Query => {
                        if let Some(other) = topics.requests.insert(name, def) {
                            wrong.push(format!(
                                "two handlers for the topic `{name}`: `{}` at {} and `{}` at {}",
                                other.function,
                                other.place(),
                                def.function,
                                def.place()
                            ));
                        }
                    }
                    Kind::Event => match EventName::parse(name) {
                        Some(event) => topics.events.entry(event.aggregate).or_default().push(Subscription { event, def }),
                        None => wrong.push(format!("`{name}` does not say whose event it is: `{}` at {}", def.function, def.place())),
                    },
                    Kind::Periodic => {}
                }
            }
        }
        topics
    }

    /// The names of the topics.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.requests.keys().chain(self.events.keys()).copied()
    }

    /// The same for the broker: the processes of a service share them.
    pub fn sources(&self) -> Vec<Source> {
        let source = |topic: &&str, kind| Source { topic: (*topic).to_owned(), kind, audience: Audience::OneProcess };
        let requests = self.requests.keys().map(|topic| source(topic, MessageKind::Request));
        requests.chain(self.events.keys().map(|topic| source(topic, MessageKind::Event))).collect()
    }

    /// All subscriptions to events.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.events.values().flatten()
    }

    /// All handlers of requests by broker, by topic.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &'static HandlerDef)> {
        self.requests.iter().map(|(topic, def)| (*topic, *def))
    }

    /// The handlers that this message is for, each once.
    pub(super) fn handlers(&self, message: &Envelope) -> Vec<&'static HandlerDef> {
        match message.kind {
            MessageKind::Request => self.requests.get(message.topic.as_str()).copied().into_iter().collect(),
            MessageKind::Reply => Vec::new(),
            MessageKind::Event => {
                let mut handlers: Vec<&'static HandlerDef> = Vec::new();
                for Subscription { event, def } in self.events.get(message.topic.as_str()).into_iter().flatten() {
                    let is_it = event.event == message.name
                        && event.field.is_none_or(|field| touches(event.aggregate, &message.content, field, event.change));
                    if is_it && !handlers.iter().any(|known| std::ptr::eq(*known, *def)) {
                        handlers.push(def);
                    }
                }
                handlers
            }
        }
    }
}
