//! AsyncAPI 3, for who sends the service messages, and who listens to its events.

use super::{collect::topic_of, model::Contract};
use serde_json::{Map, Value, json};

/// The document, as it grows.
struct Document {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

/// The document.
pub(super) fn document(contract: &Contract) -> Value {
    let mut document = Document { channels: Map::new(), operations: Map::new(), messages: Map::new() };
    for (name, aggregate) in &contract.aggregates {
        for (event, told) in &aggregate.events {
            document.message(name, event, &told.content, "event", true);
        }
        let messages: Vec<_> = aggregate.events.keys().map(|event| of_channel(name, event)).collect();
        document.operations.insert(
            format!("tell{name}"),
            json!({ "action": "send", "channel": channel(name), "messages": messages, "summary": format!("What happens to a {name}.") }),
        );
    }
    for (name, operation) in &contract.operations {
        for topic in &operation.topics {
            let content = operation.input.clone().unwrap_or_else(|| json!({}));
            let answer = operation.answer.content.clone().unwrap_or_else(|| json!({}));
            document.request(topic, &content, &answer, "receive", name, operation.doc);
        }
    }
    for (event, content) in &contract.consumes.events {
        let topic = topic_of(event);
        let message = match contract.aggregates.get(topic) {
            Some(own) if own.events.contains_key(event.rsplit('.').next().unwrap_or(event)) => event.rsplit('.').next().unwrap_or(event),
            _ => {
                document.message(topic, event, content, "event", true);
                event
            }
        };
        let operation = json!({ "action": "receive", "channel": channel(topic), "messages": [of_channel(topic, message)] });
        document.operations.insert(format!("hear{}", event.replace('.', "")), operation);
    }
    for (name, message) in &contract.consumes.messages {
        // To itself, as where services of one process are described together.
        if !document.channels.contains_key(*name) {
            document.request(name, &message.content, &message.reply, "send", &format!("send{name}"), "");
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": { "title": contract.service, "version": "1" },
        "defaultContentType": "application/json",
        "channels": document.channels,
        "operations": document.operations,
        "components": { "messages": document.messages, "schemas": contract.components.schemas },
    })
}

fn channel(name: &str) -> Value {
    json!({ "$ref": format!("#/channels/{name}") })
}

fn of_channel(channel: &str, message: &str) -> Value {
    json!({ "$ref": format!("#/channels/{channel}/messages/{message}") })
}

impl Document {
    /// Puts a message on a channel. Each channel is a topic of its own name.
    fn message(&mut self, channel: &str, name: &str, content: &Value, kind: &str, is_keyed: bool) {
        let id = format!("{channel}.{name}");
        let mut told = json!({
            "name": name,
            "contentType": "application/json",
            "headers": headers(kind),
            "payload": content,
            "correlationId": { "location": "$message.header#/correlation-id" },
        });
        if is_keyed {
            told["bindings"] = json!({ "kafka": { "key": { "type": "string", "format": "uuid" }, "bindingVersion": "0.5.0" } });
        }
        self.messages.insert(id.clone(), told);
        let entry = self.channels.entry(channel.to_owned()).or_insert_with(
            || json!({ "address": channel, "messages": {}, "bindings": { "kafka": { "topic": channel, "bindingVersion": "0.5.0" } } }),
        );
        entry["messages"][name] = json!({ "$ref": format!("#/components/messages/{id}") });
    }

    fn request(&mut self, topic: &str, content: &Value, answer: &Value, action: &str, name: &str, doc: &str) {
        self.message(topic, topic, content, "request", false);
        let replies = format!("{topic}.reply");
        self.message(&replies, "reply", answer, "reply", false);
        if let Some(channel) = self.channels.get_mut(&replies) {
            // Who asks says where.
            channel["address"] = Value::Null;
            if let Some(channel) = channel.as_object_mut() {
                channel.remove("bindings");
            }
        }
        let mut operation = json!({
            "action": action,
            "channel": channel(topic),
            "messages": [of_channel(topic, topic)],
            "reply": {
                "address": { "location": "$message.header#/reply-to" },
                "channel": channel(&replies),
                "messages": [of_channel(&replies, "reply")],
            },
        });
        if !doc.is_empty() {
            operation["summary"] = doc.split("\n\n").next().unwrap_or_default().into();
        }
        self.operations.insert(name.to_owned(), operation);
    }
}

/// The headers of the envelope.
fn headers(kind: &str) -> Value {
    let uuid = json!({ "type": "string", "format": "uuid" });
    let text = json!({ "type": "string" });
    let mut fields = json!({
        "id": uuid,
        "kind": { "type": "string", "enum": [kind] },
        "name": text,
        "occurred-at": { "type": "string", "format": "date-time" },
        "correlation-id": uuid,
        "causation-id": uuid,
        "user": text,
        "traceparent": text,
        "content-type": text,
    });
    let own: &[(&str, &Value)] = match kind {
        "event" => &[("aggregate", &text), ("uuid", &uuid), ("version", &text)],
        "request" => &[("reply-to", &text), ("saga", &text)],
        _ => &[("status", &text), ("saga", &text)],
    };
    for (name, schema) in own {
        fields[*name] = (*schema).clone();
    }
    json!({ "type": "object", "properties": fields })
}
