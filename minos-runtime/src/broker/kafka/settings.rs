//! From the configuration to the settings of librdkafka.

use crate::{
    config::Config,
    error::{Error, Result},
};
use rdkafka::ClientConfig;
use std::collections::BTreeMap;

const SCHEME: &str = "kafka://";
/// What a record and its batch have around key, content and headers, generously.
const FRAMING: usize = 512;
/// The smallest limit of messages that librdkafka knows.
const SMALLEST: usize = 1000;

/// Settings that the service keeps to itself, each with the reason.
const KEPT: &[(&str, &str)] = &[
    ("bootstrap.servers", "`broker.url` says it"),
    ("metadata.broker.list", "`broker.url` says it"),
    ("message.max.bytes", "`broker.max_message` says it"),
    ("group.id", "the service's name is the group"),
    ("group.instance.id", "`service.instance` says it"),
    ("acks", "a message counts as sent when all replicas have it"),
    ("request.required.acks", "a message counts as sent when all replicas have it"),
    ("enable.idempotence", "without it, a retry could change the order"),
    ("enable.gapless.guarantee", "without it, a message could overtake one that failed"),
    ("message.timeout.ms", "a message that is given up could be overtaken by the next"),
    ("delivery.timeout.ms", "a message that is given up could be overtaken by the next"),
    ("retries", "a message that is given up could be overtaken by the next"),
    ("message.send.max.retries", "a message that is given up could be overtaken by the next"),
    ("transactional.id", "the inbox makes repetitions harmless, without transactions of the broker"),
    ("partitioner", "a key has to stay in its partition"),
    ("allow.auto.create.topics", "topics are created with `broker.partitions`"),
    ("enable.auto.commit", "an offset is committed when everything below it was handled"),
    ("auto.commit.enable", "an offset is committed when everything below it was handled"),
    ("enable.auto.offset.store", "an offset is committed when everything below it was handled"),
    ("auto.offset.reset", "a new service begins at the beginning, and one that missed messages stops and says so"),
    ("partition.assignment.strategy", "partitions move one by one, while the others are worked on"),
    ("group.protocol", "partitions move one by one, while the others are worked on"),
];

/// How this service uses Kafka.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    servers: String,
    pub(super) group: String,
    instance: String,
    pub(super) partitions: i32,
    /// -1: as the broker has it.
    pub(super) replication: i32,
    /// The largest batch.
    pub(super) max_batch: usize,
    /// The largest message without its framing.
    pub(super) max_message: usize,
    options: BTreeMap<String, String>,
}

impl Settings {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let broker = &config.broker;
        for (option, why) in KEPT {
            if broker.options.contains_key(*option) {
                return Err(Error::invalid(format!("`{option}` cannot be set in `broker.options`: {why}")));
            }
        }
        let fits = |what: &str, number: usize| {
            i32::try_from(number).map_err(|_| Error::invalid(format!("`broker.{what}` is {number}, which is more than Kafka knows")))
        };
        let replication = fits("replication", broker.replication)?;
        fits("max_message", broker.max_message)?;
        if broker.max_message < SMALLEST {
            return Err(Error::invalid(format!("`broker.max_message` is {}: it is at least {SMALLEST} bytes", broker.max_message)));
        }
        Ok(Settings {
            servers: servers(&broker.url)?,
            group: config.service.name.clone(),
            instance: config.service.instance.clone(),
            partitions: fits("partitions", broker.partitions)?,
            replication: if replication == 0 { -1 } else { replication },
            max_batch: broker.max_message,
            max_message: broker.max_message - FRAMING,
            options: broker.options.clone(),
        })
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("client.id", if self.instance.is_empty() { &self.group } else { &self.instance })
            // With the broker's own default, a topic would have whatever number of partitions it likes.
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("socket.keepalive.enable", "true")
            .set("log.connection.close", "false");
        config
    }

    fn with_options(&self, mut config: ClientConfig) -> ClientConfig {
        for (key, value) in &self.options {
            config.set(key, value);
        }
        config
    }

    /// For questions about topics, and to create them.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with_options(self.common())
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // For ever: what is given up could be overtaken.
            .set("message.timeout.ms", "0")
            // That of the Java clients.
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", self.max_batch.to_string())
            // One batch is refused as a whole; its own header comes on top.
            .set("batch.size", (self.max_batch - FRAMING).to_string())
            .set("queue.buffering.max.kbytes", "65536")
            // Several messages of one moment go together, and an idle service waits no longer than this.
            .set("linger.ms", "1");
        self.with_options(config)
    }

    /// For what is in no order, and of no use any more after a while.
    pub(super) fn direct(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("acks", "all")
            .set("message.timeout.ms", "10000")
            .set("message.max.bytes", self.max_batch.to_string())
            .set("batch.size", (self.max_batch - FRAMING).to_string())
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.kbytes", "65536")
            .set("linger.ms", "0");
        self.with_options(config)
    }

    fn consumer(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.message.max.bytes", self.max_batch.to_string())
            .set("queued.min.messages", "10000")
            // What was fetched is handled in much less than the second that would be waited by default.
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.max.messages.kbytes", "16384");
        config
    }

    /// For what the processes of a service share.
    pub(super) fn member(&self) -> ClientConfig {
        let mut config = self.consumer();
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            // Out of range is no reason to jump; where a new group begins is said when its partitions are assigned.
            .set("auto.offset.reset", "error")
            // As soon as Kafka's own defaults allow, so that others take over from a process that died.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "2000");
        if !self.instance.is_empty() {
            config.set("group.instance.id", &self.instance);
        }
        self.with_options(config)
    }

    /// For what every process gets.
    pub(super) fn listener(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.set("auto.offset.reset", "latest");
        self.with_options(config)
    }
}

/// `host:9092,host2:9092` from the URL.
fn servers(url: &str) -> Result<String> {
    let list = url.strip_prefix(SCHEME).unwrap_or_default().trim_end_matches('/');
    let wrong =
        |what: &str| Error::invalid(format!("`broker.url` {what}: write `kafka://host:9092`, or several as `kafka://a:9092,b:9092`"));
    if list.contains('@') {
        return Err(Error::invalid(
            "`broker.url` holds a user or a password, which Kafka takes elsewhere: set `\"sasl.username\"` and `\"sasl.password\"` in `[broker.options]`",
        ));
    }
    for server in list.split(',') {
        let (host, port) = server.rsplit_once(':').ok_or_else(|| wrong("names a server without its port"))?;
        if host.is_empty() || host.contains(['/', ' ']) || port.parse::<u16>().is_err() {
            return Err(wrong("names a server that is none"));
        }
    }
    Ok(list.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(broker: &str) -> Result<Settings> {
        Settings::read(&Config::parse(&format!("[service]\nname = \"foo\"\n[broker]\n{broker}")).unwrap())
    }

    #[test]
    fn urls() {
        let of = |url: &str| read(&format!("url = \"{url}\"")).map(|settings| settings.servers).map_err(|error| error.to_string());
        assert_eq!(of("kafka://a:9092").unwrap(), "a:9092");
        assert_eq!(of("kafka://a:9092,[::1]:9093/").unwrap(), "a:9092,[::1]:9093");
        for url in ["kafka://", "kafka://a", "kafka://a:x", "kafka://a:9092,", "kafka://:9092", "kafka://a:9092/topic"] {
            assert!(of(url).unwrap_err().contains("write `kafka://host:9092`"), "{url}");
        }
        assert!(of("kafka://me:secret@a:9092").unwrap_err().contains("sasl.username"));
        assert!(!of("kafka://me:secret@a:9092").unwrap_err().contains("secret"));
    }

    #[test]
    fn options_are_passed_on_unless_they_break_a_promise() {
        let settings = read("url = \"kafka://a:1\"\n[broker.options]\n\"linger.ms\" = 7\n\"session.timeout.ms\" = \"9000\"").unwrap();
        assert_eq!(settings.producer().get("linger.ms"), Some("7"));
        assert_eq!(settings.member().get("session.timeout.ms"), Some("9000"));
        for (option, _) in KEPT {
            let error = read(&format!("url = \"kafka://a:1\"\n[broker.options]\n\"{option}\" = \"x\"")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{option}` cannot be set in `broker.options`: ")), "{error}");
        }
    }
}
