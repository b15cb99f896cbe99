//! The envelope as named texts: the headers of a message in a broker, readable by any of its clients.

use super::{Envelope, MessageKind, is_topic_name};
use crate::{auth::Identity, trace::Trace};
use bytes::Bytes;
use jiff::Timestamp;
use std::{
    fmt::{Display, Write},
    str::FromStr,
};
use uuid::Uuid;

const ID: &str = "id";
const KIND: &str = "kind";
const NAME: &str = "name";
const AGGREGATE: &str = "aggregate";
const UUID: &str = "uuid";
const VERSION: &str = "version";
const OCCURRED_AT: &str = "occurred-at";
const CORRELATION: &str = "correlation-id";
const CAUSATION: &str = "causation-id";
const USER: &str = "user";
const REPLY_TO: &str = "reply-to";
const STATUS: &str = "status";
/// One text for all of it: who answers from outside Minos only has to give it back.
const SAGA: &str = "saga";
const TRACEPARENT: &str = "traceparent";
const CONTENT_TYPE: &str = "content-type";
const JSON: &str = "application/json";

/// What a message is if it does not say so itself: a foreign sender knows our topics, and not our headers.
pub struct Unsaid<I> {
    /// Where it came from.
    pub topic: String,
    /// What messages of that topic are for.
    pub kind: MessageKind,
    /// Its key.
    pub key: Option<String>,
    /// An id that it has whenever it comes again; asked for only if it has none.
    pub id: I,
    /// When the broker got it.
    pub at: Timestamp,
}

impl MessageKind {
    /// Its name in the header `kind`.
    pub fn name(self) -> &'static str {
        match self {
            MessageKind::Event => "event",
            MessageKind::Request => "request",
            MessageKind::Reply => "reply",
        }
    }
}

impl Envelope {
    /// How many fields a message has at most.
    pub const MAX_FIELDS: usize = 15;

    /// What is known of the message, each with its name. Topic, key and content are not among it.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::with_capacity(Self::MAX_FIELDS);
        self.each_field(|name, value| fields.push((name, value.to_owned())));
        fields
    }

    /// The same one by one, without an allocation for each.
    pub fn each_field(&self, mut put: impl FnMut(&'static str, &str)) {
        let mut text = Text(String::with_capacity(36));
        put(ID, text.of(self.id));
        put(KIND, self.kind.name());
        put(NAME, &self.name);
        if let Some(aggregate) = &self.aggregate {
            put(AGGREGATE, aggregate);
        }
        if let Some(uuid) = self.uuid {
            put(UUID, text.of(uuid));
        }
        if let Some(version) = self.version {
            put(VERSION, text.of(version));
        }
        put(OCCURRED_AT, text.of(self.occurred_at));
        put(CORRELATION, text.of(self.correlation));
        put(CAUSATION, text.of(self.causation));
        if let Some(user) = &self.user {
            put(USER, user.text());
        }
        if let Some(topic) = &self.reply_to {
            put(REPLY_TO, topic);
        }
        if let Some(status) = self.status {
            put(STATUS, text.of(status));
        }
        // Only strings, numbers and ids: there is nothing in it that JSON cannot say.
        if let Some(call) = self.saga.as_ref().and_then(|call| serde_json::to_string(call).ok()) {
            put(SAGA, &call);
        }
        if let Some(trace) = self.traceparent {
            put(TRACEPARENT, text.of(trace));
        }
        put(CONTENT_TYPE, JSON);
    }

    /// Its size in a broker, without the broker's own framing: content, key, and fields with their names.
    pub fn size(&self) -> usize {
        let mut size = self.content.len() + self.key.as_ref().map_or(0, String::len);
        self.each_field(|name, value| size += name.len() + value.len());
        size
    }

    /// A message of these fields. Names that are not ours are the sender's own affair; of a name that comes twice, the last one counts.
    ///
    /// # Errors
    /// One sentence for the operator, if a field makes no sense, or the message does not say which event it is.
    pub fn of_fields<'f>(
        fields: impl Iterator<Item = (&'f str, Option<&'f [u8]>)>,
        unsaid: Unsaid<impl FnOnce() -> Uuid>,
        content: Bytes,
    ) -> Result<Self, String> {
        let Unsaid { topic, kind, key, id: id_of_place, at } = unsaid;
        // What follows from others is filled in when those are known.
        let (mut id, mut correlation, mut causation, mut name) = (None, None, None, None);
        let mut envelope = Envelope {
            id: Uuid::nil(),
            kind,
            topic,
            key,
            name: String::new(),
            aggregate: None,
            uuid: None,
            version: None,
            occurred_at: at,
            correlation: Uuid::nil(),
            causation: Uuid::nil(),
            user: None,
            reply_to: None,
            status: None,
            saga: None,
            traceparent: None,
            content,
        };
        for (field, value) in fields {
            let Some(value) = value else { continue };
            let read = || std::str::from_utf8(value).map_err(|_| format!("its header `{field}` is no text"));
            match field {
                ID => id = Some(id_of(&envelope.topic, read()?)),
                KIND => envelope.kind = kind_of(read()?)?,
                NAME => name = Some(read()?.to_owned()),
                AGGREGATE => envelope.aggregate = Some(read()?.to_owned()),
                UUID => envelope.uuid = Some(parse(field, read()?)?),
                VERSION => envelope.version = Some(version(read()?)?),
                OCCURRED_AT => envelope.occurred_at = parse(field, read()?)?,
                CORRELATION => correlation = Some(id_of("", read()?)),
                CAUSATION => causation = Some(id_of("", read()?)),
                USER => envelope.user = Some(Identity::of_text(at_most(Identity::LONGEST, field, read()?)?)),
                REPLY_TO => envelope.reply_to = Some(topic_of(read()?)?),
                STATUS => envelope.status = Some(parse(field, read()?)?),
                SAGA => {
                    let call =
                        serde_json::from_slice(value).map_err(|error| format!("its header `{field}` says no step of a saga: {error}"))?;
                    envelope.saga = Some(call);
                }
                // It says nothing about the message: what is malformed is left out.
                TRACEPARENT => envelope.traceparent = std::str::from_utf8(value).ok().and_then(Trace::parse),
                CONTENT_TYPE => is_json(read()?)?,
                _ => {}
            }
        }
        envelope.id = id.unwrap_or_else(id_of_place);
        envelope.correlation = correlation.unwrap_or(envelope.id);
        envelope.causation = causation.unwrap_or(envelope.id);
        envelope.name = match (name, envelope.kind) {
            (Some(name), _) => name,
            (None, MessageKind::Request | MessageKind::Reply) => envelope.topic.clone(),
            (None, MessageKind::Event) => return Err(format!("it has no header `{NAME}` that says which event it is")),
        };
        if envelope.kind == MessageKind::Event {
            envelope.aggregate.get_or_insert_with(|| envelope.topic.clone());
            envelope.uuid = envelope.uuid.or_else(|| envelope.key.as_deref().and_then(|key| key.parse().ok()));
        }
        Ok(envelope)
    }
}

/// The text of one value after the other.
struct Text(String);

impl Text {
    fn of(&mut self, value: impl Display) -> &str {
        self.0.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{value}");
        &self.0
    }
}

fn parse<T: FromStr<Err: Display>>(field: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("its header `{field}` is `{value}`: {error}"))
}

/// Versions are numbers that every store can keep.
fn version(text: &str) -> Result<u64, String> {
    let version = parse(VERSION, text)?;
    let fits = i64::try_from(version).is_ok();
    fits.then_some(version).ok_or_else(|| format!("its header `{VERSION}` is `{text}`, and at most {} makes sense", i64::MAX))
}

/// Where an answer goes has to be a topic: what cannot be sent would stand in the way of what can.
fn topic_of(text: &str) -> Result<String, String> {
    if is_topic_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!("its header `{REPLY_TO}` names no topic: 1 to 249 letters, digits, `.`, `_` and `-`"))
}

fn at_most(limit: usize, field: &str, text: &str) -> Result<String, String> {
    if text.len() <= limit {
        return Ok(text.to_owned());
    }
    Err(format!("its header `{field}` has {} bytes, and at most {limit} make sense", text.len()))
}

/// A foreign id may be any text: the same text is the same id.
fn id_of(scope: &str, text: &str) -> Uuid {
    text.parse().unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{scope}/{text}").as_bytes()))
}

fn kind_of(text: &str) -> Result<MessageKind, String> {
    let kinds = [MessageKind::Event, MessageKind::Request, MessageKind::Reply];
    let known = kinds.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| format!("its header `{KIND}` is `{text}`, not `event`, `request` or `reply`"))
}

fn is_json(content_type: &str) -> Result<(), String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(JSON) || essence.ends_with("+json") {
        return Ok(());
    }
    Err(format!("its header `{CONTENT_TYPE}` is `{content_type}`, not `{JSON}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::{Direction, StepCall},
        store::Cause,
    };

    fn unsaid(kind: MessageKind) -> Unsaid<fn() -> Uuid> {
        let id = || Uuid::from_u128(1);
        Unsaid { topic: "Foo".into(), kind, key: Some(Uuid::from_u128(7).to_string()), id, at: Timestamp::UNIX_EPOCH }
    }

    fn read(kind: MessageKind, fields: &[(&str, &[u8])]) -> Result<Envelope, String> {
        Envelope::of_fields(fields.iter().map(|(name, value)| (*name, Some(*value))), unsaid(kind), Bytes::from_static(b"{}"))
    }

    #[test]
    fn what_is_written_is_read() {
        let at = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        let cause = Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: Some("ü".into()), trace: None };
        let full = Envelope {
            kind: MessageKind::Event,
            aggregate: Some("Foo".into()),
            uuid: Some(Uuid::now_v7()),
            version: Some(i64::MAX as u64),
            reply_to: Some("x.replies".into()),
            status: Some(404),
            saga: Some(StepCall {
                not_done: true,
                holds: true,
                isolated: true,
                release: true,
                ..StepCall::new(Uuid::now_v7(), "Order", "pay", Direction::Cancel, 3)
            }),
            traceparent: Trace::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ..Envelope::request(Uuid::now_v7(), "Foo", Some("k".into()), "{}", at, cause)
        };
        assert_eq!(full.fields().len(), Envelope::MAX_FIELDS, "every field of the envelope");
        let bare = Envelope { user: None, ..full.reply(200, "{}", at).unwrap() };
        for message in [full, bare] {
            let fields = message.fields();
            let fields = fields.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
            let unsaid = Unsaid { topic: message.topic.clone(), key: message.key.clone(), ..unsaid(MessageKind::Request) };
            assert_eq!(Envelope::of_fields(fields, unsaid, message.content.clone()), Ok(message));
        }
    }

    #[test]
    fn a_foreign_sender_needs_to_say_little() {
        let request = read(MessageKind::Request, &[]).unwrap();
        assert_eq!((request.kind, request.name.as_str(), request.id), (MessageKind::Request, "Foo", Uuid::from_u128(1)));
        assert_eq!((request.correlation, request.causation), (request.id, request.id));
        let event = read(MessageKind::Event, &[("name", b"FooCreated"), ("id", b"order-17"), ("theirs", b"\xff")]).unwrap();
        assert_eq!((event.aggregate.as_deref(), event.uuid, event.version), (Some("Foo"), Some(Uuid::from_u128(7)), None));
        assert_eq!(event.id, read(MessageKind::Event, &[("name", b"FooCreated"), ("id", b"order-17")]).unwrap().id);
        assert_ne!(event.id, read(MessageKind::Event, &[("name", b"FooCreated"), ("id", b"order-18")]).unwrap().id);
        assert_eq!(read(MessageKind::Event, &[("name", b"A"), ("name", b"B")]).unwrap().name, "B");
        assert!(read(MessageKind::Request, &[("content-type", b"application/cloudevents+json; charset=utf-8")]).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let wrong = |fields: &[(&str, &[u8])]| read(MessageKind::Event, fields).unwrap_err();
        assert_eq!(wrong(&[]), "it has no header `name` that says which event it is");
        assert_eq!(wrong(&[("user", b"\xff")]), "its header `user` is no text");
        assert!(wrong(&[("version", b"-1")]).starts_with("its header `version` is `-1`: invalid digit"));
        assert!(wrong(&[("version", b"9223372036854775808")]).contains("at most 9223372036854775807"));
        for topic in ["", "..", "no topic at all!", "a/b", &"a".repeat(250)] {
            assert!(wrong(&[("reply-to", topic.as_bytes())]).starts_with("its header `reply-to` names no topic"), "{topic}");
        }
        assert_eq!(wrong(&[("user", "u".repeat(1025).as_bytes())]), "its header `user` has 1025 bytes, and at most 1024 make sense");
        assert_eq!(wrong(&[("kind", b"thing")]), "its header `kind` is `thing`, not `event`, `request` or `reply`");
        assert!(wrong(&[("occurred-at", b"today")]).starts_with("its header `occurred-at` is `today`: "));
        assert_eq!(wrong(&[("content-type", b"text/xml")]), "its header `content-type` is `text/xml`, not `application/json`");
    }
}
