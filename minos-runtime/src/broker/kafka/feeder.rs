//! Hands messages to the producer in order, and makes the producer anew when it failed.
//!
//! One producer sends to all topics, and ends with the first message that is refused, so that nothing overtakes that. Then its topic refuses all
//! that was handed over for it, and what was under way to the others goes to the next producer, in the same order.

use super::{
    fence::Fences,
    ledger::{Ledger, Outgoing},
    producer::{NotQueued, Producer, Signals},
    settings::Settings,
    topics::{Known, Topics, Unusable},
    troubles::{self, Troubles},
};
use crate::broker::BrokerError;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::MissedTickBehavior,
};

/// How long a topic that refused messages is not tried again.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// When a topic is forgotten that refused messages and was not tried again.
const FORGET: Duration = Duration::from_secs(300);
/// How long the broker is waited for before a topic is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long a producer that failed by itself rests before the next one.
const REST: Duration = Duration::from_millis(200);
/// How often it is looked whether the broker answers.
const WATCH: Duration = Duration::from_millis(500);
/// How long a topic is silent before that is told.
const TELL: Duration = Duration::from_secs(3);
/// How long it is silent before what was handed over for it is refused.
const NO_ANSWER: Duration = Duration::from_secs(10);
/// How many topics are remembered before those are forgotten that can be looked for again.
const MANY: usize = 1024;
/// How many messages are taken at once.
const BATCH: usize = 256;
/// How long the end waits for the broker's answers.
const FLUSH: Duration = Duration::from_secs(5);
pub(super) const CLOSED: &str = "it was closed";

/// What the task gets.
#[expect(clippy::large_enum_variant, reason = "nearly all are messages")]
pub(super) enum Input {
    Message(Outgoing),
    /// Send what there is, and end.
    Close(oneshot::Sender<()>),
}

/// What was found out about a topic.
enum Found {
    Looked(Result<Known, Unusable>),
    /// Why it may be silent.
    Silent(String),
}

/// What is known of a topic to which something is sent.
enum State {
    Usable,
    /// It is being looked for; these wait, the first one since then.
    Looking {
        waiting: Vec<Outgoing>,
        since: Instant,
        /// Why the broker could not be asked.
        unreachable: Option<String>,
    },
    Refused {
        why: String,
        since: Instant,
    },
}

/// Feeds the producer.
pub(super) struct Feeder {
    settings: Settings,
    topics: Topics,
    fences: Arc<Fences>,
    signals: Signals,
    states: HashMap<String, State>,
    found: mpsc::UnboundedSender<(String, Found)>,
    finds: Option<mpsc::UnboundedReceiver<(String, Found)>>,
    producer: Option<Producer>,
    /// What may be sent, in order.
    backlog: VecDeque<Outgoing>,
    /// The producer has no room at the moment.
    is_full: bool,
    /// Topics that are silent, and why, as far as that is known by now.
    silent: HashMap<String, Option<String>>,
}

impl Feeder {
    pub(super) fn new(settings: Settings, topics: Topics, troubles: Arc<Troubles>, fences: Arc<Fences>) -> Self {
        let (found, finds) = mpsc::unbounded_channel();
        let signals = Signals { ledger: Arc::new(Ledger::new()), troubles, room: Arc::default(), failed: Arc::default() };
        Feeder {
            settings,
            topics,
            fences,
            signals,
            states: HashMap::new(),
            found,
            finds: Some(finds),
            producer: None,
            backlog: VecDeque::new(),
            is_full: false,
            silent: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        let (room, failed): (Arc<Notify>, Arc<Notify>) = (self.signals.room.clone(), self.signals.failed.clone());
        let Some(mut finds) = self.finds.take() else { return };
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = failed.notified() => {
                    // It may have been seen to already.
                    if self.producer.as_ref().is_some_and(Producer::has_failed) {
                        self.recover(Vec::new()).await;
                    }
                }
                _ = watch.tick() => self.watch().await,
                Some((topic, found)) = finds.recv() => self.found(topic, found),
                () = room.notified(), if self.is_full => self.is_full = false,
                count = inputs.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return self.end(Duration::ZERO).await;
                    }
                    for input in batch.drain(..) {
                        match input {
                            Input::Message(out) => self.take(out),
                            Input::Close(done) => {
                                self.push().await;
                                self.end(FLUSH).await;
                                // Who closed it may have gone.
                                let _ = done.send(());
                                return;
                            }
                        }
                    }
                }
            }
            self.push().await;
        }
    }

    fn take(&mut self, out: Outgoing) {
        if out.broken.why().is_some() {
            return out.refuse(None);
        }
        match self.states.get_mut(&out.message.topic) {
            Some(State::Usable) => self.backlog.push_back(out),
            Some(State::Looking { waiting, since, .. }) => {
                if waiting.is_empty() {
                    *since = Instant::now();
                }
                waiting.push(out);
            }
            Some(State::Refused { why, since }) if since.elapsed() < COOL_DOWN => {
                let why = refusal(&out.message.topic, why);
                out.refuse(Some(why));
            }
            Some(State::Refused { .. }) | None => {
                let topic = out.message.topic.clone();
                if self.states.len() >= MANY {
                    self.forget(COOL_DOWN);
                    self.states.retain(|_, state| !matches!(state, State::Usable));
                }
                self.states.insert(topic.clone(), State::Looking { waiting: vec![out], since: Instant::now(), unreachable: None });
                self.look(topic, Duration::ZERO);
            }
        }
    }

    fn look(&self, topic: String, pause: Duration) {
        self.ask(topic, pause, |topics, topic| Found::Looked(topics.ensure(topic)));
    }

    fn ask(&self, topic: String, pause: Duration, question: impl FnOnce(&Topics, &str) -> Found + Send + 'static) {
        let (topics, found) = (self.topics.clone(), self.found.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let name = topic.clone();
            if let Ok(result) = tokio::task::spawn_blocking(move || question(&topics, &name)).await {
                // Nobody is there to hear it when the service ends.
                let _ = found.send((topic, result));
            }
        });
    }

    fn found(&mut self, topic: String, found: Found) {
        match found {
            Found::Looked(result) => self.looked(topic, result),
            Found::Silent(why) => {
                if let Some(known) = self.silent.get_mut(&topic) {
                    self.signals.troubles.set(&troubles::sending(&topic), silence(TELL, &why));
                    *known = Some(why);
                }
            }
        }
    }

    fn looked(&mut self, topic: String, result: Result<Known, Unusable>) {
        let refused = match result {
            Err(Unusable::Unreachable(why)) => return self.unreachable(topic, why),
            Err(Unusable::Refused(why)) => Some(why),
            Ok(Known { limit: Some(limit), .. }) if limit < self.settings.max_batch => {
                let wanted = self.settings.max_batch;
                let why = format!(
                    "it takes at most {limit} bytes, and `broker.max_message` is {wanted}: set that to {limit}, or raise the topic's `max.message.bytes`"
                );
                self.signals.troubles.set(&troubles::sending(&topic), &why);
                Some(why)
            }
            Ok(_) => None,
        };
        let state = match &refused {
            Some(why) => State::Refused { why: why.clone(), since: Instant::now() },
            None => State::Usable,
        };
        let Some(State::Looking { waiting, .. }) = self.states.insert(topic.clone(), state) else { return };
        match refused {
            Some(why) => waiting.into_iter().for_each(|out| out.refuse(Some(refusal(&topic, &why)))),
            None => self.backlog.extend(waiting),
        }
    }

    /// Until the broker is there again, messages wait: the order is kept. That they do not wait for ever is seen to in [`watch`](Feeder::watch).
    fn unreachable(&mut self, topic: String, why: String) {
        match self.states.get_mut(&topic) {
            Some(State::Looking { waiting, .. }) if waiting.is_empty() => _ = self.states.remove(&topic),
            Some(State::Looking { unreachable, .. }) => {
                *unreachable = Some(why);
                self.look(topic, LOOK_AGAIN);
            }
            _ => {}
        }
    }

    /// Gives the producer what it takes.
    async fn push(&mut self) {
        while !self.is_full
            && let Some(out) = self.backlog.pop_front()
        {
            if out.answer.is_closed() {
                continue; // Nobody waits for it any more: it is handed over again, or was given up.
            }
            // It may have been handed over before the failure that ended the last producer.
            if out.broken.why().is_some() {
                out.refuse(None);
                continue;
            }
            let producer = match &self.producer {
                Some(producer) => producer,
                None => match Producer::new(&self.settings, self.signals.clone()) {
                    Ok(producer) => self.producer.insert(producer),
                    Err(error) => {
                        self.backlog.push_front(out);
                        return self.give_up(BrokerError::Unavailable(error.to_string())).await;
                    }
                },
            };
            if producer.has_failed() {
                self.backlog.push_front(out);
                return; // It was told, and is seen to next.
            }
            let Err((out, error)) = self.signals.ledger.give(out, |number, message| producer.queue(message, number)) else { continue };
            match error {
                NotQueued::Full => {
                    self.backlog.push_front(*out);
                    self.is_full = true;
                }
                NotQueued::TooLarge => out.too_large(self.settings.max_message),
                NotQueued::Refused(why) => {
                    let topic = out.message.topic.clone();
                    self.backlog.push_front(*out);
                    self.recover(vec![(topic, why)]).await;
                }
                NotQueued::Failed => {
                    self.backlog.push_front(*out);
                    self.recover(Vec::new()).await;
                }
            }
        }
    }

    /// A topic refuses: nothing that was handed over for it is sent.
    fn refuse(&mut self, topic: String, why: String) {
        tracing::warn!(topic, error = why, "messages of this topic are refused");
        self.signals.troubles.set(&troubles::sending(&topic), &why);
        self.fences.break_one(&topic, &refusal(&topic, &why));
        self.states.insert(topic, State::Refused { why, since: Instant::now() });
    }

    /// Ends the producer. What it still has goes to the next one, but for what belongs to these topics, and to others that have refused something.
    async fn recover(&mut self, mut refused: Vec<(String, String)>) {
        refused.extend(self.discard(Duration::ZERO).await);
        if refused.is_empty() {
            tracing::warn!("the producer has failed, and is made anew");
            tokio::time::sleep(REST).await;
        }
        for (topic, why) in refused {
            self.refuse(topic, why);
        }
        let mut all: VecDeque<_> = self.signals.ledger.take().into();
        all.append(&mut self.backlog);
        for out in all {
            match out.broken.why() {
                Some(_) => out.refuse(None),
                None => self.backlog.push_back(out),
            }
        }
    }

    /// Drops the producer, after it had some time to send what it has. Returns which topics have refused something.
    async fn discard(&mut self, patience: Duration) -> Vec<(String, String)> {
        let Some(producer) = self.producer.take() else { return Vec::new() };
        self.is_full = false;
        // It waits for its threads.
        let ended = tokio::task::spawn_blocking(move || {
            if !patience.is_zero() && !producer.flush(patience) {
                tracing::warn!("not everything could be sent before the end: it is sent at the next start");
            }
            producer.end()
        });
        ended.await.map(|refused| refused.into_iter().collect()).unwrap_or_default()
    }

    /// Sees to it that nothing waits for a broker that is silent for longer than it should.
    async fn watch(&mut self) {
        self.is_full = false;
        self.forget(FORGET);
        let silent = self.signals.ledger.silent(TELL);
        self.silent.retain(|topic, _| silent.contains(topic));
        for topic in silent {
            if !self.silent.contains_key(&topic) {
                self.silent.insert(topic.clone(), None);
                let fatal = self.producer.as_ref().and_then(Producer::fatal);
                self.ask(topic, Duration::ZERO, move |topics, topic| Found::Silent(fatal.unwrap_or_else(|| topics.diagnose(topic))));
            }
        }
        let unreachable = self.states.values().find_map(|state| match state {
            State::Looking { waiting, since, unreachable } if !waiting.is_empty() && since.elapsed() >= NO_ANSWER => unreachable.clone(),
            _ => None,
        });
        if let Some(why) = unreachable {
            return self.give_up(BrokerError::Unavailable(why)).await;
        }
        let silent = self.signals.ledger.silent(NO_ANSWER);
        if silent.is_empty() {
            return;
        }
        let heard = self.signals.ledger.heard_within(NO_ANSWER);
        let mut refused = Vec::new();
        for topic in silent {
            let why = self.silent.get(&topic).cloned().flatten().unwrap_or_else(|| "the broker does not answer".to_owned());
            let why = silence(NO_ANSWER, &why);
            if !heard {
                return self.give_up(BrokerError::Unavailable(format!("topic `{topic}`: {why}"))).await;
            }
            refused.push((topic, why));
        }
        self.recover(refused).await;
    }

    /// Topics that refused messages, and that nobody sends to any more, are no trouble.
    fn forget(&mut self, after: Duration) {
        let troubles = &self.signals.troubles;
        self.states.retain(|topic, state| match state {
            State::Refused { since, .. } if since.elapsed() >= after => {
                troubles.clear(&troubles::sending(topic));
                troubles.clear(&troubles::topic(topic));
                false
            }
            _ => true,
        });
    }

    /// The broker as a whole takes nothing: all that was handed over is refused.
    async fn give_up(&mut self, why: BrokerError) {
        tracing::warn!(error = %why, "all that waits to be sent is refused");
        self.fences.break_all(&why);
        self.discard(Duration::ZERO).await;
        self.silent.clear();
        self.refuse_all(&why);
    }

    fn refuse_all(&mut self, why: &BrokerError) {
        let waiting = self.states.values_mut().flat_map(|state| match state {
            State::Looking { waiting, .. } => std::mem::take(waiting),
            _ => Vec::new(),
        });
        let all: Vec<_> = self.signals.ledger.take().into_iter().chain(self.backlog.drain(..)).chain(waiting).collect();
        all.into_iter().for_each(|out| out.refuse(Some(why.clone())));
    }

    async fn end(&mut self, patience: Duration) {
        self.discard(patience).await;
        self.refuse_all(&BrokerError::Unavailable(CLOSED.to_owned()));
    }
}

fn refusal(topic: &str, why: &str) -> BrokerError {
    BrokerError::Refused { topic: topic.to_owned(), why: why.to_owned() }
}

fn silence(time: Duration, why: &str) -> String {
    format!("nothing was acknowledged for {} s: {why}", time.as_secs())
}
