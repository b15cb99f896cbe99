//! Questions and their answers: each by itself, in no order with anything, through a producer of their own. What becomes of one is told to who
//! sent it, and to nobody else.

use super::{
    log::Lines,
    producer::{self, NotQueued},
    settings::Settings,
    topics::{Topics, Unusable, told},
};
use crate::{
    broker::{BrokerError, BrokerResult},
    message::Envelope,
};
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
    message::{DeliveryResult, Message},
    producer::{Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How long a topic that cannot be used is not looked for again.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// How many topics are remembered.
const MANY: usize = 1024;
/// How long the end waits for the broker's answers.
const FLUSH: Duration = Duration::from_secs(2);

/// Sends questions and answers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Direct(Arc<State>);

/// What was found of topics, and when.
type Known = HashMap<String, (Instant, BrokerResult)>;

struct State {
    settings: Settings,
    topics: Topics,
    /// Made when it is first needed.
    producer: Mutex<Option<Arc<ThreadedProducer<Answers>>>>,
    /// What was found out about topics, and when.
    known: Mutex<Known>,
}

/// Tells who sent a message what became of it.
#[derive(Default)]
struct Answers(Lines);

impl Direct {
    pub(super) fn new(settings: Settings, topics: Topics) -> Self {
        Direct(Arc::new(State { settings, topics, producer: Mutex::default(), known: Mutex::default() }))
    }

    pub(super) async fn send(self, message: Envelope) -> BrokerResult {
        let (size, limit) = (message.size(), self.0.settings.max_message);
        let too_large = |topic: String| BrokerError::TooLarge { topic, size, limit };
        if size > limit {
            return Err(too_large(message.topic));
        }
        self.look_for(&message.topic).await?;
        let (answer, answered) = oneshot::channel();
        match producer::queue(&*self.producer()?, &message, Box::new(answer)) {
            Ok(()) => {}
            Err(NotQueued::TooLarge) => return Err(too_large(message.topic)),
            Err(NotQueued::Full) => return Err(unavailable("too much waits to be sent already")),
            Err(NotQueued::Failed) => return Err(unavailable("the producer has failed")),
            Err(NotQueued::Refused(why)) => return Err(BrokerError::Refused { topic: message.topic, why }),
        }
        let result = answered.await.unwrap_or_else(|_| Err(unavailable("it was closed")));
        if result.is_err() {
            // It may have been deleted.
            self.known().remove(&message.topic);
        }
        result
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Makes sure that the topic is there.
    async fn look_for(&self, topic: &str) -> BrokerResult {
        match self.known().get(topic) {
            Some((_, Ok(()))) => return Ok(()),
            Some((at, Err(error))) if at.elapsed() < COOL_DOWN => return Err(error.clone()),
            _ => {}
        }
        let (topics, name) = (self.0.topics.clone(), topic.to_owned());
        let found = tokio::task::spawn_blocking(move || topics.ensure(&name)).await;
        let result = match found.unwrap_or_else(|_| Err(Unusable::Unreachable("it was closed".to_owned()))) {
            Ok(_) => Ok(()),
            Err(Unusable::Unreachable(why)) => return Err(BrokerError::Unavailable(why)),
            Err(Unusable::Refused(why)) => Err(BrokerError::Refused { topic: topic.to_owned(), why }),
        };
        let mut known = self.known();
        if known.len() >= MANY {
            known.clear();
        }
        known.insert(topic.to_owned(), (Instant::now(), result.clone()));
        result
    }

    fn producer(&self) -> Result<Arc<ThreadedProducer<Answers>>, BrokerError> {
        let mut producer = self.0.producer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(producer) = &*producer {
            return Ok(producer.clone());
        }
        let made = ThreadedProducer::from_config_and_context(&self.0.settings.direct(), Answers::default());
        Ok(producer.insert(Arc::new(made.map_err(|error| unavailable(&error.to_string()))?)).clone())
    }

    /// Waits a moment for what is under way. Blocks.
    pub(super) fn close(&self) {
        let producer = self.0.producer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(producer) = producer
            && producer.flush(FLUSH).is_err()
        {
            tracing::debug!("not every question and answer could be sent before the end");
        }
    }
}

fn unavailable(why: &str) -> BrokerError {
    BrokerError::Unavailable(why.to_owned())
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<oneshot::Sender<BrokerResult>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) if error.rdkafka_error_code().is_some_and(producer::is_the_producers) => {
                Err(BrokerError::Unavailable(told(error)))
            }
            Err((error, message)) => Err(BrokerError::Refused { topic: message.topic().to_owned(), why: told(error) }),
        };
        // Who sent it may have gone.
        let _ = answer.send(result);
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, sort: &str, message: &str) {
        self.0.log(level, sort, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}
