//! What is known of a user, as it goes with messages and is stored with events.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

/// Who asked, as it goes with everything that follows from the request: with messages, events and sagas, also days later.
///
/// It is one text. If no more is known than an id, it is the id; otherwise an object in JSON: `{"id":"ada","roles":["clerk"]}`, or `{"service":"order"}` for a service
/// that acts by itself. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Known>);

struct Known {
    text: Box<str>,
    /// What the text says, read when it is asked for: most events are read for another reason.
    parts: OnceLock<Parts>,
}

/// What is known of a user or a service.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    pub(super) id: String,
    /// Whether it is the name of a service, which acts by itself.
    pub(super) is_service: bool,
    pub(super) roles: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) claims: Map<String, Value>,
}

/// The text, where it is more than an id.
#[derive(Serialize, Deserialize)]
struct Written<'w> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'w, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    service: Option<Cow<'w, str>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    roles: Cow<'w, [String]>,
    #[serde(default, skip_serializing_if = "is_empty")]
    scopes: Cow<'w, [String]>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    claims: Map<String, Value>,
}

fn is_empty(list: &[String]) -> bool {
    list.is_empty()
}

impl Identity {
    /// How long the text of a user is at most that is let in, in bytes.
    pub const LONGEST: usize = 1024;

    /// What a text says that was stored, or has come with a message. Every text says something: what is no object of ours is an id.
    pub fn of_text(text: impl Into<Box<str>>) -> Self {
        Identity(Arc::new(Known { text: text.into(), parts: OnceLock::new() }))
    }

    /// What is known, of which these claims go with what follows.
    pub(super) fn new(parts: Parts, carried: impl Fn(&str) -> bool) -> Self {
        let claims: Map<String, Value> =
            parts.claims.iter().filter(|(name, _)| carried(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        let is_plain = !parts.is_service && parts.roles.is_empty() && parts.scopes.is_empty() && claims.is_empty();
        let text = if is_plain && !parts.id.starts_with('{') {
            parts.id.clone()
        } else {
            let name = Some(Cow::Borrowed(parts.id.as_str()));
            let (id, service) = if parts.is_service { (None, name) } else { (name, None) };
            let written = Written { id, service, roles: (&parts.roles).into(), scopes: (&parts.scopes).into(), claims };
            // Only strings and what was JSON before: there is nothing in it that JSON cannot say.
            serde_json::to_string(&written).unwrap_or_default()
        };
        Identity(Arc::new(Known { text: text.into(), parts: parts.into() }))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The id of the user, or the name of the service.
    pub fn id(&self) -> &str {
        &self.parts().id
    }

    pub(super) fn parts(&self) -> &Parts {
        self.0.parts.get_or_init(|| read(&self.0.text))
    }
}

fn read(text: &str) -> Parts {
    let plain = || Parts { id: text.to_owned(), ..Parts::default() };
    if !text.starts_with('{') {
        return plain();
    }
    let Ok(Written { id, service, roles, scopes, claims }) = serde_json::from_str(text) else { return plain() };
    let (name, is_service) = match (id, service) {
        (Some(id), None) => (id, false),
        (None, Some(service)) => (service, true),
        _ => return plain(),
    };
    Parts { id: name.into_owned(), is_service, roles: roles.into_owned(), scopes: scopes.into_owned(), claims }
}

/// An id of which no more is known.
impl From<String> for Identity {
    fn from(id: String) -> Self {
        Identity::new(Parts { id, ..Parts::default() }, |_| false)
    }
}

impl From<&str> for Identity {
    fn from(id: &str) -> Self {
        id.to_owned().into()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Identity::of_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(parts: Parts) -> Identity {
        Identity::new(parts, |claim| claim == "tenant")
    }

    #[test]
    fn a_text_of_only_an_id_is_the_id() {
        for id in
            ["ada", "", "auth0|5f7c", "jemand mit ü", "someone \"else\"", "{", "{\"id\":1}", "{\"id\":\"a\",\"service\":\"b\"}", "[\"a\"]"]
        {
            let old = Identity::of_text(id);
            assert_eq!((old.id(), old.parts().is_service, old.parts().roles.len()), (id, false, 0), "what is stored already");
        }
        assert_eq!(Identity::from("ada").text(), "ada");
    }

    #[test]
    fn an_id_cannot_say_more_than_an_id() {
        for id in [r#"{"id":"ada","roles":["admin"]}"#, r#"{"service":"order"}"#, "{x"] {
            let new = Identity::from(id);
            assert_ne!(new.text(), id);
            let read = Identity::of_text(new.text());
            assert_eq!((read.id(), read.parts().is_service, read.parts().roles.len()), (id, false, 0), "{}", new.text());
        }
    }

    #[test]
    fn what_is_carried_is_read_again() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let claims = Map::from_iter([("tenant".to_owned(), 7.into()), ("email".to_owned(), "ada@example.org".into())]);
        let parts = Parts { id: "ada".into(), is_service: false, roles: words(&["a \"b\""]), scopes: words(&["x:read"]), claims };
        let full = known(parts);
        assert_eq!(full.text(), r#"{"id":"ada","roles":["a \"b\""],"scopes":["x:read"],"claims":{"tenant":7}}"#);
        assert_eq!(full.parts().claims.len(), 2, "the request knows all of them");
        let read = Identity::of_text(full.text());
        assert_eq!(read, full);
        let Parts { id, roles, scopes, claims, .. } = read.parts();
        assert_eq!((id.as_str(), &roles[..], &scopes[..], claims.len()), ("ada", &words(&["a \"b\""])[..], &words(&["x:read"])[..], 1));
        let service = known(Parts { id: "order".into(), is_service: true, ..Parts::default() });
        assert_eq!(service.text(), r#"{"service":"order"}"#);
        assert!(Identity::of_text(service.text()).parts().is_service);
    }
}
