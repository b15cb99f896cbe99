//! Names of topics and events, and what they say.

/// The longest name of a topic.
const MAX_TOPIC: usize = 249;

/// The topic on which a service receives the answers to its requests.
pub fn reply_topic(service: &str) -> String {
    format!("{service}.replies")
}

/// The topic on which a service receives the answers to the steps of its sagas.
pub fn saga_topic(service: &str) -> String {
    format!("{service}.sagas")
}

/// The service that has this topic for the answers to the steps of its sagas.
pub fn service_of(saga_topic: &str) -> &str {
    saga_topic.strip_suffix(".sagas").unwrap_or(saga_topic)
}

/// The topic on which a service tells what it could not handle.
pub fn dead_letter_topic(service: &str) -> String {
    format!("{service}.dead-letters")
}

/// Whether a broker takes this as the name of a topic: what Kafka takes, as the strictest of them.
pub fn is_topic_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_TOPIC).contains(&name.len()) && name.bytes().all(known) && name != "." && name != ".."
}

/// What an `#[event("…")]` handler listens to, read from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventName<'a> {
    /// Whose event it is, which is the topic: `Foo`.
    pub aggregate: &'a str,
    /// The event's name as stored: `FooUpdated`, `MoneyDeposited`.
    pub event: &'a str,
    /// One field of it: `FooUpdated.bar`.
    pub field: Option<&'a str>,
    /// One kind of change of the set that the field is: `FooUpdated.entries.create`.
    pub change: Option<SetChange>,
}

/// What can happen to a set within an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetChange {
    /// Something was put in.
    Create,
    /// An entity in it was changed.
    Update,
    /// Something was taken out.
    Delete,
}

impl SetChange {
    /// Its word in the names of events.
    pub fn word(self) -> &'static str {
        match self {
            SetChange::Create => "create",
            SetChange::Update => "update",
            SetChange::Delete => "delete",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [SetChange::Create, SetChange::Update, SetChange::Delete].into_iter().find(|change| change.word() == word)
    }
}

impl<'a> EventName<'a> {
    /// Reads `FooCreated`, `FooUpdated`, `FooUpdated.bar`, `FooUpdated.entries.create`, `FooDeleted` or `Account.MoneyDeposited`. None if the name does not say
    /// whose event it is.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (first, rest) = match name.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (name, None),
        };
        let named = |aggregate, event, field, change| Some(EventName { aggregate, event, field, change });
        match (own_event(first), rest) {
            (Some(aggregate), None) => named(aggregate, first, None, None),
            (Some(aggregate), Some(rest)) if first.ends_with("Updated") => match rest.split_once('.') {
                Some((field, word)) => named(aggregate, first, Some(field), Some(SetChange::of(word)?)),
                None => named(aggregate, first, Some(rest), None),
            },
            (_, Some(event)) if !event.is_empty() && !first.is_empty() => named(first, event, None, None),
            _ => None,
        }
    }
}

/// The aggregate of `FooCreated`, `FooUpdated` or `FooDeleted`, which every aggregate has.
fn own_event(name: &str) -> Option<&str> {
    ["Created", "Updated", "Deleted"].iter().find_map(|suffix| name.strip_suffix(suffix)).filter(|aggregate| !aggregate.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{EventName, SetChange, is_topic_name};

    #[test]
    fn names_of_topics() {
        let long = "a".repeat(249);
        for name in ["Foo", "foo.replies", "a_b-C.9", "...", &long] {
            assert!(is_topic_name(name), "{name}");
        }
        for name in ["", ".", "..", "no topic", "ü", "a/b", "a\0", &format!("{long}a")] {
            assert!(!is_topic_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_says_whose_event_it_is() {
        let read = |name| EventName::parse(name).map(|name| (name.aggregate, name.event, name.field));
        assert_eq!(read("FooCreated"), Some(("Foo", "FooCreated", None)));
        assert_eq!(read("FooUpdated.bar"), Some(("Foo", "FooUpdated", Some("bar"))));
        assert_eq!(read("Account.MoneyDeposited"), Some(("Account", "MoneyDeposited", None)));
        assert_eq!(read("Account.AccountDeleted"), Some(("Account", "AccountDeleted", None)));
        assert_eq!(read("MoneyDeposited"), None);
        assert_eq!(read("Created"), None);
        assert_eq!(read("Foo."), None);
        for change in [SetChange::Create, SetChange::Update, SetChange::Delete] {
            let name = format!("FooUpdated.entries.{}", change.word());
            let read = EventName { aggregate: "Foo", event: "FooUpdated", field: Some("entries"), change: Some(change) };
            assert_eq!(EventName::parse(&name), Some(read));
        }
        assert_eq!(read("FooUpdated.entries.created"), None);
    }
}
