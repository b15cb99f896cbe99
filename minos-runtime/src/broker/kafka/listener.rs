//! Listens to what every process gets: from the moment on at which it begins, without a group.

use super::{
    log::Lines,
    record,
    settings::Settings,
    topics::{Topics, Unusable, misconfigured, words},
    troubles::Troubles,
};
use crate::{broker::Consumer, error::Result, message::MessageKind, stop::Stop};
use futures_util::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::Message,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::oneshot};

const POLL: Duration = Duration::from_millis(100);
/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether a topic has more partitions.
const LOOK: Duration = Duration::from_secs(30);
/// The subject of trouble.
const ANSWERS: &str = "answers";

impl ConsumerContext for Lines {}

/// What a listener needs.
pub(super) struct Listener {
    pub(super) settings: Settings,
    pub(super) topics: Topics,
    pub(super) troubles: Arc<Troubles>,
    pub(super) sources: BTreeMap<String, MessageKind>,
    pub(super) consumer: Arc<dyn Consumer>,
    pub(super) stop: Stop,
    /// Whether it hears everything that is sent from now on.
    pub(super) hears: Arc<AtomicBool>,
}

impl Listener {
    /// Listens in a thread of its own. The receiver hears when it hears everything, or when the first try has failed.
    pub(super) fn start(self) -> Result<(thread::JoinHandle<()>, oneshot::Receiver<()>)> {
        let kafka: BaseConsumer<Lines> =
            BaseConsumer::from_config_and_context(&self.settings.listener(), Lines::default()).map_err(misconfigured)?;
        let (tried, first) = oneshot::channel();
        let runtime = Handle::current();
        let thread = thread::Builder::new().name("kafka-listener".to_owned()).spawn(move || {
            let _runtime = runtime.enter();
            self.run(&kafka, tried);
        })?;
        Ok((thread, first))
    }

    fn run(self, kafka: &BaseConsumer<Lines>, tried: oneshot::Sender<()>) {
        let mut tried = Some(tried);
        while !self.stop.was_said() {
            let placed = self.place(kafka);
            self.hears.store(placed.is_ok(), Ordering::Release);
            if let Some(tried) = tried.take() {
                // Who wanted to know may have gone.
                let _ = tried.send(());
            }
            match placed {
                Ok(partitions) => self.listen(kafka, partitions),
                Err(why) => {
                    self.troubles.set(ANSWERS, why);
                    thread::sleep(AGAIN);
                }
            }
            self.hears.store(false, Ordering::Release);
        }
    }

    /// Begins at the end of each partition, as it is now.
    fn place(&self, kafka: &BaseConsumer<Lines>) -> std::result::Result<BTreeMap<String, i32>, String> {
        let mut places = TopicPartitionList::new();
        let mut partitions = BTreeMap::new();
        for topic in self.sources.keys() {
            let known = self.topics.ensure(topic).map_err(|unusable| match unusable {
                Unusable::Unreachable(why) | Unusable::Refused(why) => why,
            })?;
            for number in 0..known.partitions {
                let told = |error: KafkaError| error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| words(&code));
                let (_, end) = kafka.fetch_watermarks(topic, number, ANSWER).map_err(told)?;
                places.add_partition_offset(topic, number, Offset::Offset(end)).map_err(told)?;
            }
            partitions.insert(topic.clone(), known.partitions);
        }
        kafka.assign(&places).map_err(|error| error.to_string())?;
        self.troubles.clear(ANSWERS);
        Ok(partitions)
    }

    /// Listens until it is told to stop, or has to begin anew.
    fn listen(&self, kafka: &BaseConsumer<Lines>, mut partitions: BTreeMap<String, i32>) {
        let mut looked = Instant::now();
        while !self.stop.was_said() {
            match kafka.poll(POLL) {
                None => {}
                Some(Ok(record)) => {
                    let Some(kind) = self.sources.get(record.topic()) else { continue };
                    let mut taken = record::deliver(&record, *kind, &*self.consumer);
                    // Nobody waits for it: it is for who is here now, and is not delivered again.
                    if (&mut taken).now_or_never().is_none() {
                        tokio::spawn(taken);
                    }
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(
                        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition,
                    ) => {
                        return;
                    }
                    Some(code) => tracing::debug!(error = words(&code), "kafka"),
                    None => {}
                },
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                self.add_new(kafka, &mut partitions);
            }
        }
    }

    /// Adds partitions that a topic did not have before, from their beginning.
    fn add_new(&self, kafka: &BaseConsumer<Lines>, partitions: &mut BTreeMap<String, i32>) {
        for (topic, known) in partitions {
            let Ok(Some(now)) = self.topics.partitions(topic) else { continue };
            let mut new = TopicPartitionList::new();
            for number in *known..now {
                if let Err(error) = new.add_partition_offset(topic, number, Offset::Beginning) {
                    tracing::warn!(topic, number, %error, "a new partition cannot be listened to");
                }
            }
            if new.count() == 0 {
                continue;
            }
            match kafka.incremental_assign(&new) {
                Ok(()) => *known = now,
                Err(error) => tracing::warn!(topic, %error, "new partitions cannot be listened to"),
            }
        }
    }
}
