//! Kafka: messages between services in many processes.
//!
//! What is published goes through [`publish`] and [`feeder`] to a producer, questions and their answers through one of their own ([`direct`]); what the processes of a service share comes through [`member`], what each of them gets
//! through [`listener`]. Each is told of in the service's health by [`troubles`].

mod direct;
mod feeder;
mod fence;
mod lag;
mod ledger;
mod listener;
mod log;
mod member;
mod part;
mod producer;
mod progress;
mod publish;
mod rebalance;
mod record;
mod settings;
#[cfg(test)]
mod tests;
mod topics;
mod troubles;

use super::{Audience, Broker, BrokerError, BrokerResult, Consumer, Source};
use crate::{
    config::Config,
    error::Result,
    health::Health,
    message::{Envelope, MessageKind, reply_topic},
    metrics::Metrics,
    stop::{Stop, Stopper},
    sync::lock,
};
use direct::Direct;
use futures_util::future::{self, BoxFuture, FutureExt};
use listener::Listener;
use member::Member;
use publish::Publisher;
use settings::Settings;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::oneshot};
use topics::Topics;
use troubles::Troubles;

/// How often Kafka is asked whether it is there.
const PING: Duration = Duration::from_secs(3);
/// How often it is looked whether topics have another number of partitions.
const LOOK: Duration = Duration::from_secs(15);
/// How long a subscription waits for Kafka.
const SUBSCRIBE: Duration = Duration::from_secs(15);

/// Kafka, for one process of one service.
pub struct KafkaBroker {
    settings: Settings,
    topics: Topics,
    troubles: Arc<Troubles>,
    metrics: Metrics,
    publisher: Publisher,
    direct: Direct,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    listening: Mutex<Vec<Listening>>,
    stopper: Stopper,
}

/// Topics of which this process gets everything, and whether it does by now.
struct Listening {
    topics: Vec<String>,
    hears: Arc<AtomicBool>,
}

impl KafkaBroker {
    /// The Kafka of this configuration. Whether it is there shows later, in the service's health. Runs in the current runtime.
    ///
    /// # Errors
    /// If the configuration makes no sense.
    pub fn new(config: &Config, health: &Health, metrics: &Metrics) -> Result<Self> {
        let settings = Settings::read(config)?;
        let troubles = Arc::new(Troubles::new(health.clone()));
        let topics = Topics::new(settings.clone(), troubles.clone(), Handle::current())?;
        let stopper = Stopper::new();
        tokio::spawn(ping(topics.clone(), reply_topic(&settings.group), stopper.hear()));
        let direct = Direct::new(settings.clone(), topics.clone());
        let publisher = Publisher::start(settings.clone(), topics.clone(), troubles.clone());
        let metrics = metrics.clone();
        Ok(KafkaBroker {
            settings,
            topics,
            troubles,
            metrics,
            publisher,
            direct,
            threads: Mutex::default(),
            listening: Mutex::default(),
            stopper,
        })
    }

    fn threads(&self) -> MutexGuard<'_, Vec<thread::JoinHandle<()>>> {
        lock(&self.threads)
    }

    fn listening(&self) -> MutexGuard<'_, Vec<Listening>> {
        lock(&self.listening)
    }

    /// Why a message must not be sent now: its answer could come before anybody hears it.
    fn unheard(&self, message: &Envelope) -> Option<&'static str> {
        let answers = message.reply_to.as_ref()?;
        let of_ours = |listening: &Listening| listening.topics.contains(answers) && !listening.hears.load(Ordering::Acquire);
        self.listening().iter().any(of_ours).then_some("its answer could not be heard yet")
    }

    /// Starts what is needed for these sources; each of the receivers hears when it has begun.
    fn start(&self, sources: Vec<Source>, consumer: &Arc<dyn Consumer>) -> Result<Vec<oneshot::Receiver<()>>> {
        let (mut shared, mut own) = (BTreeMap::new(), BTreeMap::new());
        for Source { topic, kind, audience } in sources {
            match audience {
                Audience::OneProcess => shared.insert(topic, kind),
                Audience::EveryProcess => own.insert(topic, kind),
            };
        }
        let mut begun = Vec::new();
        if !shared.is_empty() {
            let (thread, first) = self.member(shared, consumer.clone()).join()?;
            self.threads().push(thread);
            begun.push(first);
        }
        if !own.is_empty() {
            let hears = Arc::new(AtomicBool::new(false));
            self.listening().push(Listening { topics: own.keys().cloned().collect(), hears: hears.clone() });
            let (thread, first) = self.listener(own, consumer.clone(), hears).start()?;
            self.threads().push(thread);
            begun.push(first);
        }
        Ok(begun)
    }

    fn member(&self, sources: BTreeMap<String, MessageKind>, consumer: Arc<dyn Consumer>) -> Member {
        let (settings, topics, troubles) = (self.settings.clone(), self.topics.clone(), self.troubles.clone());
        let metrics = self.metrics.clone();
        Member { settings, topics, troubles, metrics, sources, consumer, stop: self.stopper.hear() }
    }

    fn listener(&self, sources: BTreeMap<String, MessageKind>, consumer: Arc<dyn Consumer>, hears: Arc<AtomicBool>) -> Listener {
        let (settings, topics, troubles) = (self.settings.clone(), self.topics.clone(), self.troubles.clone());
        Listener { settings, topics, troubles, sources, consumer, stop: self.stopper.hear(), hears }
    }
}

impl Broker for KafkaBroker {
    fn describe(&self) -> String {
        format!("kafka {}", self.settings.servers())
    }

    fn carried(&self) -> Option<Vec<String>> {
        // Who listens may come later, and gets what was sent before.
        None
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.settings.max_message)
    }

    fn publish(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        self.publisher.publish(message)
    }

    fn tell(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        if let Some(why) = self.unheard(&message) {
            return future::ready(Err(BrokerError::Unavailable(why.to_owned()))).boxed();
        }
        self.direct.clone().send(message).boxed()
    }

    fn subscribe(&self, _service: &str, sources: Vec<Source>, consumer: Arc<dyn Consumer>) -> BoxFuture<'_, BrokerResult> {
        async move {
            let begun = self.start(sources, &consumer).map_err(|error| BrokerError::Unavailable(error.chain()))?;
            // Kafka may be away, and come later.
            let _ = tokio::time::timeout(SUBSCRIBE, future::join_all(begun)).await;
            Ok(())
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.stopper.say();
            let (threads, direct) = (std::mem::take(&mut *self.threads()), self.direct.clone());
            let joined = tokio::task::spawn_blocking(move || {
                for thread in threads {
                    if thread.join().is_err() {
                        tracing::error!("a part of the broker did not end well");
                    }
                }
                direct.close();
            });
            // An error says that the runtime ends; then there is nothing to wait for.
            let _ = joined.await;
            self.publisher.close().await;
        }
        .boxed()
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        // The threads end by themselves.
        self.stopper.say();
    }
}

/// Asks Kafka again and again whether it is there, for the service's health.
async fn ping(topics: Topics, topic: String, stop: Stop) {
    let mut looked = Instant::now();
    while !stop.was_said() {
        let (topics, topic, look) = (topics.clone(), topic.clone(), looked.elapsed() >= LOOK);
        if look {
            looked = Instant::now();
        }
        let ask = move || {
            topics.ping(&topic);
            if look {
                topics.look_at_partitions();
            }
        };
        if tokio::task::spawn_blocking(ask).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PING) => {}
            () = stop.said() => return,
        }
    }
}
