//! The producer of librdkafka, and what becomes of what it was given.

use super::{
    ledger::Ledger,
    log::Lines,
    settings::Settings,
    topics::told,
    troubles::{self, Troubles},
};
use crate::message::Envelope;
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// What producers tell the task that feeds them.
#[derive(Clone)]
pub(super) struct Signals {
    pub(super) ledger: Arc<Ledger>,
    pub(super) troubles: Arc<Troubles>,
    /// There may be room in the queue again.
    pub(super) room: Arc<Notify>,
    /// A producer has failed.
    pub(super) failed: Arc<Notify>,
}

/// Hears what becomes of the messages of one producer.
struct Reports {
    lines: Lines,
    signals: Signals,
    failure: Arc<Failure>,
}

/// That something failed: then the producer is not used any more, because what it still has must not overtake that.
#[derive(Default)]
struct Failure {
    has_failed: AtomicBool,
    /// The topics to which something could not be sent, and why. None if it was the producer as such.
    topics: Mutex<BTreeMap<String, String>>,
}

/// A producer, until it fails.
pub(super) struct Producer {
    inner: ThreadedProducer<Reports>,
    failure: Arc<Failure>,
}

/// Why a message was not put into the queue.
pub(super) enum NotQueued {
    /// There is no room at the moment.
    Full,
    /// It is too large, whatever it was measured before.
    TooLarge,
    /// Its topic does not take it.
    Refused(String),
    /// The producer is of no use any more.
    Failed,
}

impl Failure {
    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.topics.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Producer {
    pub(super) fn new(settings: &Settings, signals: Signals) -> Result<Self, KafkaError> {
        let failure = Arc::new(Failure::default());
        let reports = Reports { lines: Lines::default(), signals, failure: failure.clone() };
        Ok(Producer { inner: ThreadedProducer::from_config_and_context(&settings.producer(), reports)?, failure })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.has_failed.load(Ordering::Acquire)
    }

    /// Puts a message into the queue, from which it is sent in order.
    pub(super) fn queue(&self, message: &Envelope, number: usize) -> Result<(), NotQueued> {
        queue(&self.inner, message, number)
    }

    /// Why nothing goes any more, if it is the producer's own fault.
    pub(super) fn fatal(&self) -> Option<String> {
        self.inner.client().fatal_error().map(|(_, why)| why)
    }

    /// Waits until everything in the queue was answered for. Blocks.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        self.inner.flush(patience).is_ok()
    }

    /// Gives up what is still in the queue; after that, nothing of it is answered for any more. Returns the topics that have refused something.
    /// Blocks.
    pub(super) fn end(self) -> BTreeMap<String, String> {
        let Producer { inner, failure } = self;
        failure.has_failed.store(true, Ordering::Release);
        drop(inner);
        std::mem::take(&mut failure.topics())
    }
}

/// Puts a message into the queue of a producer.
pub(super) fn queue<C: ProducerContext>(
    producer: &ThreadedProducer<C>,
    message: &Envelope,
    opaque: C::DeliveryOpaque,
) -> Result<(), NotQueued> {
    let mut headers = Some(OwnedHeaders::new_with_capacity(Envelope::MAX_FIELDS));
    message.each_field(|key, value| {
        headers = headers.take().map(|headers| headers.insert(Header { key, value: Some(value.as_bytes()) }));
    });
    // The record's time is that of sending: with that of the event, what was sent late would be over its retention at once.
    let mut record = BaseRecord::<str, [u8], _>::with_opaque_to(&message.topic, opaque).payload(&message.content);
    record.headers = headers;
    record.key = message.key.as_deref();
    producer.send(record).map_err(|(error, _)| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => NotQueued::Full,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => NotQueued::TooLarge,
        Some(code) if is_the_producers(code) => NotQueued::Failed,
        _ => NotQueued::Refused(told(&error)),
    })
}

/// Whether an error says nothing of the topic of the message.
pub(super) fn is_the_producers(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerDestroy, BrokerTransportFailure, ClusterAuthorizationFailed, Fatal, GaplessGuarantee, InvalidProducerEpoch,
        InvalidProducerIdMapping, MessageTimedOut, OutOfOrderSequenceNumber, ProducerFenced, PurgeInflight, PurgeQueue, UnknownProducerId,
    };
    matches!(
        code,
        AllBrokersDown
            | BrokerTransportFailure
            | ClusterAuthorizationFailed
            | BrokerDestroy
            | Fatal
            | GaplessGuarantee
            | InvalidProducerEpoch
            | InvalidProducerIdMapping
            | MessageTimedOut
            | OutOfOrderSequenceNumber
            | ProducerFenced
            | PurgeInflight
            | PurgeQueue
            | UnknownProducerId
    )
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(message) => {
                if self.signals.troubles.any() {
                    self.signals.troubles.clear(&troubles::sending(message.topic()));
                }
                self.signals.ledger.acknowledged(number);
                self.signals.room.notify_one();
            }
            // It stays in the ledger: what becomes of it is seen when the producer has ended.
            Err((error, message)) => {
                if !error.rdkafka_error_code().is_some_and(is_the_producers) {
                    self.failure.topics().entry(message.topic().to_owned()).or_insert_with(|| told(error));
                }
                if !self.failure.has_failed.swap(true, Ordering::AcqRel) {
                    self.signals.failed.notify_one();
                }
            }
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, sort: &str, message: &str) {
        self.lines.log(level, sort, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Of a fatal one, the reports on the messages say more, and which topic it was.
        self.lines.error(error, reason);
    }
}
