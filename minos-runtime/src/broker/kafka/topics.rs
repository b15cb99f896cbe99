//! The topics of the broker: that they are there, and as they should be.

use super::{
    log::Lines,
    settings::Settings,
    troubles::{self, Troubles},
};
use crate::{
    error::{Error, Result},
    message::is_topic_name,
};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it may take to tell the limits of a topic, which are good to know and no more.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a topic may take to be known after it was created.
const APPEARS: Duration = Duration::from_secs(20);
/// How many topics are remembered.
const MANY: usize = 1024;
/// The subject of trouble when nothing goes at all.
const CONNECTION: &str = "connection";

/// Why a topic cannot be used.
#[derive(Debug, Clone)]
pub(super) enum Unusable {
    /// The broker is not there at the moment.
    Unreachable(String),
    /// The broker does not want it.
    Refused(String),
}

/// Looks after topics. Its methods block.
#[derive(Clone)]
pub(super) struct Topics(Arc<State>);

struct State {
    admin: AdminClient<Lines>,
    settings: Settings,
    troubles: Arc<Troubles>,
    /// How many partitions each has.
    partitions: Mutex<HashMap<String, i32>>,
    runtime: Handle,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) partitions: i32,
    /// The largest batch that it takes, if the broker tells.
    pub(super) limit: Option<usize>,
}

impl Topics {
    pub(super) fn new(settings: Settings, troubles: Arc<Troubles>, runtime: Handle) -> Result<Self> {
        let admin = AdminClient::from_config_and_context(&settings.admin(), Lines::default()).map_err(misconfigured)?;
        Ok(Topics(Arc::new(State { admin, settings, troubles, partitions: Mutex::default(), runtime })))
    }

    /// Makes sure that a topic is there. Health knows what came of it.
    pub(super) fn ensure(&self, topic: &str) -> std::result::Result<Known, Unusable> {
        let result = self.find_or_create(topic);
        let about = troubles::topic(topic);
        match &result {
            Ok(_) => {
                self.0.troubles.clear(CONNECTION);
                self.0.troubles.clear(&about);
            }
            Err(Unusable::Unreachable(why)) => self.0.troubles.set(CONNECTION, why),
            Err(Unusable::Refused(why)) => {
                self.0.troubles.clear(CONNECTION);
                self.0.troubles.set(&about, why);
            }
        }
        result
    }

    /// Asks the broker whether it is there; health knows what came of it.
    pub(super) fn ping(&self, topic: &str) {
        match self.0.admin.inner().fetch_metadata(Some(topic), ANSWER) {
            Ok(_) => self.0.troubles.clear(CONNECTION),
            Err(error) => self.0.troubles.set(CONNECTION, self.unreachable(&error)),
        }
    }

    fn find_or_create(&self, topic: &str) -> std::result::Result<Known, Unusable> {
        if !is_topic_name(topic) {
            return Err(Unusable::Refused("that is no name of a topic: 1 to 249 letters, digits, `.`, `_` and `-`".to_owned()));
        }
        let started = Instant::now();
        let mut created = false;
        loop {
            match self.partitions(topic)? {
                Some(partitions) if partitions > 0 => {
                    self.tell_partitions(topic, partitions);
                    return Ok(Known { partitions, limit: self.limit(topic) });
                }
                Some(_) => {}
                None if created => {}
                None => {
                    self.create(topic)?;
                    created = true;
                }
            }
            if started.elapsed() > APPEARS {
                return Err(Unusable::Refused(format!("it was created, and is not there after {} s", APPEARS.as_secs())));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The first record of a partition, and where the next one will be.
    pub(super) fn ends(&self, topic: &str, partition: i32) -> std::result::Result<(i64, i64), String> {
        self.0.admin.inner().fetch_watermarks(topic, partition, ANSWER).map_err(|error| told(&error))
    }

    /// Looks whether topics have another number of partitions than they had.
    pub(super) fn look_at_partitions(&self) {
        let known: Vec<_> = self.known().keys().cloned().collect();
        for topic in known {
            match self.partitions(&topic) {
                Ok(Some(partitions)) if partitions > 0 => self.tell_partitions(&topic, partitions),
                Ok(_) | Err(Unusable::Refused(_)) => {}
                // The next one is no more there.
                Err(Unusable::Unreachable(_)) => return,
            }
        }
    }

    /// The number of partitions; none if there is no such topic, 0 if it is not ready yet.
    pub(super) fn partitions(&self, topic: &str) -> std::result::Result<Option<i32>, Unusable> {
        let metadata = self.0.admin.inner().fetch_metadata(Some(topic), ANSWER);
        let metadata = metadata.map_err(|error| Unusable::Unreachable(self.unreachable(&error)))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(Some(0)),
            Some(code) => Err(Unusable::Refused(refusal(code, "Describe"))),
        }
    }

    fn create(&self, topic: &str) -> std::result::Result<(), Unusable> {
        let Settings { partitions, replication, .. } = self.0.settings;
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
        let options = AdminOptions::new().request_timeout(Some(ANSWER * 2)).operation_timeout(Some(ANSWER));
        let result = self.0.runtime.block_on(self.0.admin.create_topics([&new], &options));
        match result.map(|mut topics| topics.pop()) {
            Ok(Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists)))) => Ok(()),
            Ok(Some(Err((_, code)))) => {
                Err(Unusable::Refused(format!("it is not there, and cannot be created: {}", refusal(code, "Create"))))
            }
            Ok(_) => {
                tracing::info!(topic, partitions, "created a topic");
                Ok(())
            }
            Err(error) => Err(Unusable::Unreachable(self.unreachable(&error))),
        }
    }

    /// Why a topic takes nothing, as far as the broker tells.
    pub(super) fn diagnose(&self, topic: &str) -> String {
        let metadata = match self.0.admin.inner().fetch_metadata(Some(topic), ANSWER) {
            Ok(metadata) => metadata,
            Err(error) => return self.unreachable(&error),
        };
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return "it is not there".to_owned() };
        if let Some(code) = found.error() {
            return refusal(RDKafkaErrorCode::from(code), "Write");
        }
        if let Some(partition) = found.partitions().iter().find(|partition| partition.leader() < 0) {
            return format!("its partition {} has no leader: start the brokers that are away", partition.id());
        }
        let needed: usize = self.setting(topic, "min.insync.replicas").unwrap_or(1);
        match found.partitions().iter().find(|partition| partition.isr().len() < needed) {
            Some(partition) => format!(
                "of its partition {}, {} replicas are in sync, and `min.insync.replicas` is {needed}: start the brokers that are away",
                partition.id(),
                partition.isr().len()
            ),
            None => "the broker does not say why".to_owned(),
        }
    }

    /// The largest batch of the topic.
    fn limit(&self, topic: &str) -> Option<usize> {
        self.setting(topic, "max.message.bytes")
    }

    /// A setting of the topic that is a number. Who may not ask does not know.
    fn setting(&self, topic: &str, name: &str) -> Option<usize> {
        let options = AdminOptions::new().request_timeout(Some(LIMIT));
        let resource = ResourceSpecifier::Topic(topic);
        let asked = self.0.admin.describe_configs([&resource], &options);
        match self.0.runtime.block_on(asked).map(|mut found| found.pop()) {
            Ok(Some(Ok(found))) => found.get(name).and_then(|entry| entry.value.as_ref()?.parse().ok()),
            Ok(other) => {
                tracing::debug!(topic, ?other, "the settings of a topic cannot be read");
                None
            }
            Err(error) => {
                tracing::debug!(topic, %error, "the settings of a topic cannot be read");
                None
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, i32>> {
        self.0.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a number of partitions that is not as it should be: another than configured, or, which is worse, another than before.
    fn tell_partitions(&self, topic: &str, partitions: i32) {
        let mut known = self.known();
        if known.len() >= MANY && !known.contains_key(topic) {
            known.clear();
        }
        let (before, wanted) = (known.insert(topic.to_owned(), partitions), self.0.settings.partitions);
        drop(known);
        match before {
            None if partitions != wanted => tracing::warn!(
                topic,
                partitions,
                wanted,
                "the topic was there already, with another number of partitions than `broker.partitions`: it is used as it is"
            ),
            Some(before) if before != partitions => self.0.troubles.set(
                &format!("partitions of `{topic}`"),
                format!(
                    "it had {before}, and has {partitions}: keys are in other partitions now, so messages from before may be handled after later ones of \
                     their key, and then pass for repetitions. Look for what is missing, and start the service again when it is well"
                ),
            ),
            _ => {}
        }
    }

    fn unreachable(&self, error: &KafkaError) -> String {
        format!("{} cannot be reached: {}", self.0.settings.servers(), told(error))
    }
}

/// What librdkafka says of the configuration.
pub(super) fn misconfigured(error: KafkaError) -> Error {
    match error {
        // The value is not told: it may be a password.
        KafkaError::ClientConfig(_, what, option, _) => Error::invalid(format!("`{option}` in `broker.options`: {what}")),
        error => Error::invalid(format!("Kafka cannot be used with this configuration: {error}")),
    }
}

fn refusal(code: RDKafkaErrorCode, right: &str) -> String {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            format!("the service's user lacks the right: give it `{right}` on the topic")
        }
        code => words(&code),
    }
}

/// An error of the client library in words.
pub(super) fn told(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| words(&code))
}

/// An error code in words, without the names of enums, and without who says it.
pub(super) fn words(code: &RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let words = text.split_once('(').map_or(text.as_str(), |(_, words)| words.trim_end_matches(')'));
    words.trim_start_matches("Local: ").trim_start_matches("Broker: ").to_owned()
}
