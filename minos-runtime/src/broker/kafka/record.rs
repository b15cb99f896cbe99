//! A record of Kafka as a message.

use crate::{
    broker::{BrokerResult, Consumer, Undecodable},
    message::{Envelope, MessageKind, Unsaid},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
};
use uuid::Uuid;

const ODD_NAME: &str = "the name of one of its headers is no text";

/// Gives a record to who takes messages of a topic of this kind.
pub(super) fn deliver(record: &BorrowedMessage<'_>, kind: MessageKind, consumer: &dyn Consumer) -> BoxFuture<'static, BrokerResult> {
    let content = record.payload().map(Bytes::copy_from_slice).unwrap_or_default();
    match read(record, kind, content.clone()) {
        Ok(message) => consumer.deliver(message),
        Err(cause) => {
            let (id, place) = (id(record), place(record));
            consumer.undecodable(Undecodable { id, topic: record.topic().to_owned(), place, headers: headers(record), content, cause })
        }
    }
}

/// How many bytes a record takes.
pub(super) fn size(record: &BorrowedMessage<'_>) -> usize {
    record.payload_len() + record.key_len()
}

/// Where it is.
fn place(record: &BorrowedMessage<'_>) -> String {
    format!("{}/{}@{}", record.topic(), record.partition(), record.offset())
}

/// An id that follows from what it is: its place alone is another one's when the topic was made anew.
fn id(record: &BorrowedMessage<'_>) -> Uuid {
    let mut text = format!("{} {}\n", place(record), record.timestamp().to_millis().unwrap_or_default()).into_bytes();
    text.extend_from_slice(record.payload().unwrap_or_default());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &text)
}

fn read(record: &BorrowedMessage<'_>, kind: MessageKind, content: Bytes) -> Result<Envelope, String> {
    let key = record.key().map(|key| std::str::from_utf8(key).map_err(|_| "its key is no text".to_owned())).transpose()?;
    let at = record.timestamp().to_millis().and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or_default();
    let unsaid = Unsaid { topic: record.topic().to_owned(), kind, key: key.map(str::to_owned), id: || id(record), at };
    // The client library panics at the name of a header that is no text.
    let read = AssertUnwindSafe(|| {
        let fields = record.headers().into_iter().flat_map(BorrowedHeaders::iter).map(|header| (header.key, header.value));
        Envelope::of_fields(fields, unsaid, content)
    });
    panic::catch_unwind(read).unwrap_or_else(|_| Err(ODD_NAME.to_owned()))
}

/// The headers for the operator, as far as they are text.
fn headers(record: &BorrowedMessage<'_>) -> String {
    let mut texts = BTreeMap::new();
    let all = record.headers().map_or(0, BorrowedHeaders::count);
    for n in 0..all {
        let header = panic::catch_unwind(AssertUnwindSafe(|| record.headers().and_then(|headers| headers.try_get(n))));
        if let Ok(Some(header)) = header {
            texts.insert(header.key, header.value.map(String::from_utf8_lossy));
        }
    }
    if let Some(key) = record.key() {
        texts.entry("key").or_insert_with(|| Some(String::from_utf8_lossy(key)));
    }
    // Only texts: there is nothing in it that JSON cannot say.
    serde_json::to_string(&texts).unwrap_or_default()
}
