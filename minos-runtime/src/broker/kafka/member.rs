//! A member of the service's consumer group: what the processes of a service share.
//!
//! One thread polls and never stops polling: how long handlers take says nothing of whether the process lives. What is handled is waited for
//! elsewhere ([`part`](super::part)).

use super::{
    lag,
    log::Lines,
    part::{Handling, Part, Parts, settle_all},
    rebalance::{GROUP, RIGHTS, Rebalances, commit},
    record,
    settings::Settings,
    topics::{Topics, misconfigured, told, words},
    troubles::Troubles,
};
use crate::{broker::Consumer, error::Result, message::MessageKind, metrics::Metrics, stop::Stop};
use futures_util::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{BorrowedMessage, Message},
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

/// How long one poll waits, if nothing is paused.
const POLL: Duration = Duration::from_millis(100);
/// The same, if something is.
const POLL_PAUSED: Duration = Duration::from_millis(5);
/// How long the handlers of a partition are waited for before it is paused.
const ROOM: Duration = Duration::from_millis(20);
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_millis(250);
/// How often topics are looked for that were not there.
const LOOK: Duration = Duration::from_secs(3);
/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long what was not handled rests before it is read again.
const REST: Duration = Duration::from_millis(200);

/// What a member needs.
pub(super) struct Member {
    pub(super) settings: Settings,
    pub(super) topics: Topics,
    pub(super) troubles: Arc<Troubles>,
    pub(super) metrics: Metrics,
    /// What it listens to, and what messages are there for.
    pub(super) sources: BTreeMap<String, MessageKind>,
    pub(super) consumer: Arc<dyn Consumer>,
    pub(super) stop: Stop,
}

/// A member that runs.
struct Running {
    member: Member,
    kafka: BaseConsumer<Rebalances>,
    parts: Arc<Parts>,
    handled: mpsc::UnboundedSender<Handling>,
    /// Topics that were found, and are subscribed to.
    found: BTreeMap<String, bool>,
    looked: Option<Instant>,
    committed: Instant,
    /// Some partition may have lost its place.
    lost_place: bool,
    /// The service's user may not read something, and when that was last asked.
    lacks_rights: bool,
    asked: Instant,
    /// Something may be paused.
    paused: Cell<bool>,
    /// It cannot go on in the group.
    ended: bool,
}

impl Member {
    /// Joins the group, in a thread of its own. The receiver hears when the topics were looked for the first time.
    pub(super) fn join(self) -> Result<(thread::JoinHandle<()>, oneshot::Receiver<()>)> {
        let parts = Arc::new(Parts::default());
        let rebalances = Rebalances {
            lines: Lines::default(),
            parts: parts.clone(),
            troubles: self.troubles.clone(),
            group: self.settings.group.clone(),
            stop: self.stop.clone(),
        };
        let kafka = BaseConsumer::from_config_and_context(&self.settings.member(), rebalances).map_err(misconfigured)?;
        let (handled, results) = mpsc::unbounded_channel();
        tokio::spawn(settle_all(results));
        tokio::spawn(lag::measure(self.topics.clone(), parts.clone(), self.metrics.clone(), self.stop.clone()));
        let (looked, first) = oneshot::channel();
        let found = self.sources.keys().map(|topic| (topic.clone(), false)).collect();
        let running = Running {
            member: self,
            kafka,
            parts,
            handled,
            found,
            looked: None,
            committed: Instant::now(),
            lost_place: false,
            lacks_rights: false,
            asked: Instant::now(),
            paused: Cell::new(false),
            ended: false,
        };
        let runtime = Handle::current();
        let thread = thread::Builder::new().name("kafka-member".to_owned()).spawn(move || {
            // Handlers are started from here.
            let _runtime = runtime.enter();
            running.run(looked);
        })?;
        Ok((thread, first))
    }
}

impl Running {
    fn run(mut self, looked: oneshot::Sender<()>) {
        let mut looked = Some(looked);
        while !self.member.stop.was_said() && !self.ended {
            self.look();
            if let Some(looked) = looked.take() {
                // Who wanted to know may have gone.
                let _ = looked.send(());
            }
            let timeout = self.resume();
            match self.kafka.poll(timeout) {
                None => {}
                Some(Ok(record)) => self.take(&record),
                Some(Err(error)) => self.failed(&error),
            }
            self.look_after();
        }
        // Leaves the group: its partitions are revoked, so what was handled is committed.
        drop(self.kafka);
    }

    /// Looks for topics that were not there, so that none that cannot be had keeps the others waiting.
    fn look(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) || self.found.values().all(|found| *found) {
            return;
        }
        self.looked = Some(Instant::now());
        let mut news = false;
        for (topic, found) in self.found.iter_mut().filter(|(_, found)| !**found) {
            match self.member.topics.ensure(topic) {
                Ok(_) => (*found, news) = (true, true),
                // The next one is no more there.
                Err(super::topics::Unusable::Unreachable(_)) => break,
                Err(super::topics::Unusable::Refused(_)) => {}
            }
        }
        if news {
            let topics: Vec<_> = self.found.iter().filter(|(_, found)| **found).map(|(topic, _)| topic.as_str()).collect();
            if let Err(error) = self.kafka.subscribe(&topics) {
                self.member.troubles.set(GROUP, error.to_string());
            }
        }
    }

    /// Hands a record over, and stops reading its partition when too much of it is being handled.
    fn take(&self, record: &BorrowedMessage<'_>) {
        let (topic, offset) = (record.topic(), record.offset());
        // It may have been revoked while the record was in the queue.
        let Some(part) = self.parts.get(topic, record.partition()) else { return };
        let Some(kind) = self.member.sources.get(topic) else { return };
        let Some(full) = part.take(offset, record::size(record)) else { return };
        let mut result = record::deliver(record, *kind, &*self.member.consumer);
        match (&mut result).now_or_never() {
            Some(result) => part.settle(offset, &result),
            None => {
                // The receiver lives as long as this.
                let _ = self.handled.send(Handling { part: part.clone(), offset, result });
            }
        }
        // For a moment, waiting is cheaper than pausing, which throws away what was fetched.
        if full && !part.wait(ROOM, |progress| !progress.is_full()) && !part.set_paused(true) {
            tracing::debug!(partition = part.name(), "paused: its handlers are slow");
            self.check(&part, self.kafka.pause(&part.list()));
            self.paused.set(true);
        }
    }

    /// Resumes what has room again. Returns how long to wait for the next record.
    fn resume(&self) -> Duration {
        if !self.paused.replace(false) {
            return POLL;
        }
        let mut timeout = POLL;
        for part in self.parts.all().into_iter().filter(|part| part.is_paused()) {
            if part.progress().has_room() {
                part.set_paused(false);
                self.check(&part, self.kafka.resume(&part.list()));
            } else {
                self.paused.set(true);
                timeout = POLL_PAUSED;
            }
        }
        timeout
    }

    fn check(&self, part: &Part, result: KafkaResult<()>) {
        if let Err(error) = result {
            tracing::warn!(partition = part.name(), %error, "a partition could not be paused or resumed");
        }
    }

    /// What is due now and then, between two records.
    fn look_after(&mut self) {
        if self.committed.elapsed() < COMMIT {
            return;
        }
        self.committed = Instant::now();
        commit(&self.kafka, &self.parts.all(), CommitMode::Async);
        for part in self.parts.all().iter().filter(|part| part.has_failed() || part.is_still_silent()) {
            self.read_again(part);
        }
        if std::mem::take(&mut self.lost_place) {
            self.find_lost();
        }
        self.ask_for_rights();
    }

    /// Reads a partition again from the first message on that was not handled.
    fn read_again(&self, part: &Part) {
        let Some(from) = part.progress().resume_at() else { return };
        thread::sleep(REST);
        let place = Offset::Offset(from);
        let result = if part.is_still_silent() { self.assign_again(part, place) } else { self.read_from(part, place) };
        match result {
            Ok(()) => self.parts.put(Part::new(&part.topic, part.number, Some(from))),
            Err(error) => tracing::warn!(partition = part.name(), from, %error, "could not be read again; will be tried again"),
        }
        if part.is_paused() {
            self.check(part, self.kafka.resume(&part.list()));
        }
    }

    /// Goes on with partitions that are not read any more because the next record was not there. Where it is missing indeed, the partition stops, and
    /// health says so: to jump over what is missing would be to lose it in silence.
    fn find_lost(&mut self) {
        for part in self.parts.all().into_iter().filter(|part| !part.is_stopped()) {
            let expected = part.progress().expected();
            let result = match self.member.topics.ends(&part.topic, part.number) {
                Ok((first, end)) if expected.is_some_and(|expected| expected < first || expected > end) => {
                    part.set_stopped();
                    Err(lost(&part, expected.unwrap_or_default(), first, end, &self.member.settings.group))
                }
                // Nothing is missing, or the group is new here. The client does not read on by itself.
                Ok(_) => self.read_from(&part, expected.map_or(Offset::Beginning, Offset::Offset)).map_err(|error| {
                    self.lost_place = true;
                    format!("it is not read: {}; will be tried again", told(&error))
                }),
                Err(why) => {
                    self.lost_place = true;
                    Err(format!("it is not read, and it is not known whether records are missing: {why}; will be asked again"))
                }
            };
            match result {
                Ok(()) => self.member.troubles.clear(&part.subject()),
                Err(why) => self.member.troubles.set(&part.subject(), why),
            }
        }
    }

    fn read_from(&self, part: &Part, place: Offset) -> KafkaResult<()> {
        match self.kafka.seek(&part.topic, part.number, place, ANSWER) {
            // The client has given it up: it has to be assigned again.
            Err(KafkaError::Seek(_)) => self.assign_again(part, place),
            result => result,
        }
    }

    fn assign_again(&self, part: &Part, place: Offset) -> KafkaResult<()> {
        let mut from = TopicPartitionList::with_capacity(1);
        from.add_partition_offset(&part.topic, part.number, place)?;
        // It may not be assigned any more, where the second half failed before.
        let _ = self.kafka.incremental_unassign(&part.list());
        self.kafka.incremental_assign(&from)?;
        part.set_paused(false);
        self.kafka.resume(&from)
    }

    /// Whether the service's user has the rights again that it lacked: those to commit are those to read. Kafka tells only once that they are missing.
    fn ask_for_rights(&mut self) {
        if !self.lacks_rights || self.asked.elapsed() < LOOK {
            return;
        }
        self.asked = Instant::now();
        let mut topics: BTreeMap<String, TopicPartitionList> = BTreeMap::new();
        for part in self.parts.all() {
            let known = part.progress().resume_at();
            // A group that is new here is at the beginning.
            let Some(place) = known.or_else(|| self.member.topics.ends(&part.topic, part.number).ok().map(|(first, _)| first)) else {
                return;
            };
            let list = topics.entry(part.topic.clone()).or_default();
            if list.add_partition_offset(&part.topic, part.number, Offset::Offset(place)).is_err() {
                return;
            }
        }
        let may = |list: &TopicPartitionList| self.kafka.commit(list, CommitMode::Sync).is_ok();
        if !topics.is_empty() && topics.values().all(may) {
            self.lacks_rights = false;
            self.member.troubles.clear(RIGHTS);
        }
    }

    fn failed(&mut self, error: &KafkaError) {
        let Some(code) = error.rdkafka_error_code() else { return };
        match (error, code) {
            (_, RDKafkaErrorCode::AutoOffsetReset) => self.lost_place = true,
            (KafkaError::MessageConsumptionFatal(_), RDKafkaErrorCode::FencedInstanceId) => {
                self.member
                    .troubles
                    .set(GROUP, "another process has the same `service.instance`, so this one gets nothing: give each its own");
                self.ended = true;
            }
            (KafkaError::MessageConsumptionFatal(_), code) => {
                self.member.troubles.set(GROUP, format!("{}; it goes on when the service is started again", words(&code)));
                self.ended = true;
            }
            (_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                // One was deleted.
                self.found.values_mut().for_each(|found| *found = false);
            }
            (_, code @ (RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed)) => {
                let group = &self.member.settings.group;
                // It is told for a while, and not asked for in the same moment.
                if !std::mem::replace(&mut self.lacks_rights, true) {
                    self.asked = Instant::now();
                }
                self.member
                    .troubles
                    .set(RIGHTS, format!("{}: the service's user needs `Read` on its topics and on the group `{group}`", words(&code)));
            }
            (_, code) => tracing::debug!(error = words(&code), "kafka"),
        }
    }
}

fn lost(part: &Part, expected: i64, first: i64, end: i64, group: &str) -> String {
    let Part { topic, number, .. } = part;
    let gone = if expected < first {
        format!("the records {expected} to {} were removed before this service handled them", first - 1)
    } else {
        format!("the record {expected} comes next, and there are none from {end} on: the topic was cut or made anew")
    };
    format!(
        "{gone}. It stopped there. Get the missing ones from the service that sent them, or decide to do without; then stop the service, move the group with \
         `kafka-consumer-groups.sh --group {group} --topic {topic}:{number} --reset-offsets --to-offset {first} --execute`, and start it again"
    )
}
