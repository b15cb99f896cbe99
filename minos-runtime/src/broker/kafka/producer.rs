//! The producer of librdkafka, and what becomes of what it was given.

use super::{
    fence::Fences,
    log::Lines,
    settings::Settings,
    topics::words,
    troubles::{self, Troubles},
};
use crate::{
    broker::{BrokerError, BrokerResult},
    message::Envelope,
};
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc, oneshot};

/// What becomes of a message.
pub(super) type Answer = oneshot::Sender<BrokerResult>;

/// What producers tell the task that feeds them.
#[derive(Clone)]
pub(super) struct Signals {
    pub(super) fences: Arc<Fences>,
    pub(super) troubles: Arc<Troubles>,
    /// There may be room in the queue again.
    pub(super) room: Arc<Notify>,
    /// A topic to which something could not be sent, and why; or none, if it was the producer as such.
    pub(super) failed: mpsc::UnboundedSender<(Option<String>, String)>,
}

/// Hears what becomes of the messages of one producer.
struct Reports {
    lines: Lines,
    signals: Signals,
    /// Something failed: this producer is not used any more.
    failed: Arc<AtomicBool>,
}

/// A producer, until it fails.
pub(super) struct Producer {
    inner: ThreadedProducer<Reports>,
    failed: Arc<AtomicBool>,
}

/// Why a message was not put into the queue.
pub(super) enum NotQueued {
    /// There is no room at the moment.
    Full(Answer),
    /// It is too large, whatever it was measured before.
    TooLarge(Answer),
    /// The producer is of no use any more.
    Failed(Answer, String),
}

impl Producer {
    pub(super) fn new(settings: &Settings, signals: Signals) -> Result<Self, KafkaError> {
        let failed = Arc::new(AtomicBool::new(false));
        let reports = Reports { lines: Lines::default(), signals, failed: failed.clone() };
        Ok(Producer { inner: ThreadedProducer::from_config_and_context(&settings.producer(), reports)?, failed })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Puts a message into the queue, from which it is sent in order.
    pub(super) fn queue(&self, message: &Envelope, answer: Answer) -> Result<(), NotQueued> {
        let fields = message.fields();
        let headers = OwnedHeaders::new_with_capacity(fields.len());
        let headers = fields.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_bytes()) }));
        // The record's time is that of sending: with that of the event, what was sent late would be over its retention at once.
        let mut record =
            BaseRecord::<str, [u8], _>::with_opaque_to(&message.topic, Box::new(answer)).payload(&message.content).headers(headers);
        record.key = message.key.as_deref();
        match self.inner.send(record) {
            Ok(()) => Ok(()),
            Err((error, BaseRecord { delivery_opaque: answer, .. })) => Err(match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => NotQueued::Full(*answer),
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => NotQueued::TooLarge(*answer),
                _ => NotQueued::Failed(*answer, error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| words(&code))),
            }),
        }
    }

    /// Waits until everything in the queue was answered for. Blocks.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        self.inner.flush(patience).is_ok()
    }

    /// Gives up what is still in the queue, without calling it a failure. Blocks.
    pub(super) fn end(self) {
        self.failed.store(true, Ordering::Release);
    }
}

impl Reports {
    /// From the first failure on, this producer is not used: whatever it still has must not overtake what failed.
    fn fail(&self, topic: Option<&str>, why: &str) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            self.signals.fences.break_all(&BrokerError::Unavailable(why.to_owned()));
            // Nobody is there to hear it when the service ends.
            let _ = self.signals.failed.send((topic.map(str::to_owned), why.to_owned()));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Answer>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Box<Answer>) {
        let told = match result {
            Ok(message) => {
                if self.signals.troubles.any() {
                    self.signals.troubles.clear(&troubles::sending(message.topic()));
                }
                Ok(())
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code();
                let why = code.map_or_else(|| error.to_string(), |code| words(&code));
                let why = format!("nothing can be sent to topic `{}`: {why}", message.topic());
                // What failed because the producer did says nothing of its topic.
                let of_topic =
                    !matches!(code, Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight));
                self.fail(of_topic.then(|| message.topic()), &why);
                Err(BrokerError::Unavailable(why))
            }
        };
        // Who published it may have gone.
        let _ = answer.send(told);
        self.signals.room.notify_one();
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
