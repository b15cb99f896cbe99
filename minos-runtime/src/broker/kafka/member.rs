//! A member of the service's consumer group: what the processes of a service share.
//!
//! One thread polls and never stops polling: how long handlers take says nothing of whether the process lives. What is handled is waited for
//! elsewhere ([`part`](super::part)).

use super::{
    log::Lines,
    part::{Handling, Part, Parts, settle_all},
    record,
    settings::Settings,
    topics::{Topics, misconfigured, words},
    troubles::Troubles,
};
use crate::{broker::Consumer, error::Result, message::MessageKind, stop::Stop};
use futures_util::FutureExt;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{BorrowedMessage, Message},
    types::RDKafkaRespErr,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
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
/// How long a partition that is revoked waits for what is being handled.
const REVOKE: Duration = Duration::from_secs(5);
/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long what was not handled rests before it is read again.
const REST: Duration = Duration::from_millis(200);

/// The subject of trouble.
const GROUP: &str = "consumer group";

/// What a member needs.
pub(super) struct Member {
    pub(super) settings: Settings,
    pub(super) topics: Topics,
    pub(super) troubles: Arc<Troubles>,
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
    /// Something may be paused.
    paused: Cell<bool>,
    /// It cannot go on in the group.
    ended: bool,
}

/// What becomes of partitions when members come and go.
struct Rebalances {
    lines: Lines,
    parts: Arc<Parts>,
    troubles: Arc<Troubles>,
    group: String,
    stop: Stop,
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
        for part in self.parts.all().iter().filter(|part| part.has_failed()) {
            self.read_again(part);
        }
        if std::mem::take(&mut self.lost_place) {
            self.find_lost();
        }
    }

    /// Reads a partition again from the first message on that was not handled.
    fn read_again(&self, part: &Part) {
        let Some(from) = part.progress().resume_at() else { return };
        thread::sleep(REST);
        match self.kafka.seek(&part.topic, part.number, Offset::Offset(from), ANSWER) {
            Ok(()) => self.parts.put(Part::new(&part.topic, part.number, Some(from))),
            Err(error) => tracing::warn!(partition = part.name(), from, %error, "could not be read again; will be tried again"),
        }
        if part.is_paused() {
            self.check(part, self.kafka.resume(&part.list()));
        }
    }

    /// Finds the partitions whose next record is not there any more, and says so: to jump over what is missing would be to lose it in silence.
    fn find_lost(&mut self) {
        for part in self.parts.all() {
            let Some(expected) = part.progress().expected() else { continue };
            match self.kafka.fetch_watermarks(&part.topic, part.number, ANSWER) {
                Ok((first, end)) if expected < first || expected > end => {
                    if !part.set_stopped() {
                        self.member.troubles.set(&stopped(&part), lost(&part, expected, first, end, &self.member.settings.group));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(partition = part.name(), %error, "it is not known whether records are missing; will be asked again");
                    self.lost_place = true;
                }
            }
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
                self.member
                    .troubles
                    .set(GROUP, format!("{}: the service's user needs `Read` on its topics and on the group `{group}`", words(&code)));
            }
            (_, code) => tracing::debug!(error = words(&code), "kafka"),
        }
    }
}

/// Commits what was handled and is not committed.
fn commit(kafka: &BaseConsumer<Rebalances>, parts: &[Arc<Part>], mode: CommitMode) {
    let mut offsets = TopicPartitionList::new();
    for part in parts {
        if let Some(offset) = part.progress().commit()
            && let Err(error) = offsets.add_partition_offset(&part.topic, part.number, Offset::Offset(offset))
        {
            tracing::error!(partition = part.name(), offset, %error, "an offset cannot be committed");
        }
    }
    if offsets.count() == 0 {
        return;
    }
    if let Err(error) = kafka.commit(&offsets, mode) {
        uncommitted(&error, parts);
    }
}

fn uncommitted(error: &KafkaError, parts: &[Arc<Part>]) {
    // Somebody else may have the partition by now: then what was handled here is delivered there again, and the inbox knows it.
    tracing::warn!(%error, "offsets were not committed; will be tried again if the partitions are still here");
    parts.iter().for_each(|part| part.progress().uncommitted());
}

fn stopped(part: &Part) -> String {
    format!("partition `{}`", part.name())
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

impl Rebalances {
    /// Where to begin with what was assigned: where the group was, or at the beginning if it is new here. What the broker does by itself when it
    /// knows no place would be the same for a new group and for one whose place was removed.
    fn places(&self, kafka: &BaseConsumer<Self>, assigned: &TopicPartitionList) -> TopicPartitionList {
        loop {
            match kafka.committed_offsets(assigned.clone(), ANSWER) {
                Ok(places) if places.elements().iter().all(|place| place.error().is_ok()) => return places,
                Ok(_) => tracing::warn!("the group's offsets cannot be read; will be tried again"),
                Err(error) => tracing::warn!(%error, "the group's offsets cannot be read; will be tried again"),
            }
            if self.stop.was_said() || kafka.assignment_lost() {
                return assigned.clone();
            }
            thread::sleep(REST);
        }
    }

    fn assigned(&self, kafka: &BaseConsumer<Self>, assigned: &TopicPartitionList) {
        let mut places = self.places(kafka, assigned);
        let elements: Vec<_> =
            places.elements().iter().map(|place| (place.topic().to_owned(), place.partition(), place.offset())).collect();
        for (topic, number, place) in elements {
            let start = match place {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let from = start.map_or(Offset::Beginning, Offset::Offset);
            if let Err(error) = places.set_partition_offset(&topic, number, from) {
                tracing::error!(topic, number, %error, "a partition cannot be placed");
            }
            self.parts.put(Part::new(&topic, number, start));
        }
        match kafka.incremental_assign(&places) {
            Ok(()) => self.troubles.clear(GROUP),
            Err(error) => self.troubles.set(GROUP, error.to_string()),
        }
        tracing::info!(group = self.group, partitions = %names(assigned), "gets partitions");
    }

    fn revoked(&self, kafka: &BaseConsumer<Self>, revoked: &TopicPartitionList) {
        let parts: Vec<_> = revoked.elements().iter().filter_map(|gone| self.parts.remove(gone.topic(), gone.partition())).collect();
        let lost = kafka.assignment_lost();
        if !lost {
            let started = Instant::now();
            for part in &parts {
                part.wait(REVOKE.saturating_sub(started.elapsed()), |progress| progress.is_idle());
            }
            commit(kafka, &parts, CommitMode::Sync);
        }
        for part in &parts {
            self.troubles.clear(&stopped(part));
            if part.set_paused(false)
                && let Err(error) = kafka.resume(&part.list())
            {
                tracing::debug!(%error, "a partition that goes was not resumed");
            }
        }
        let result = match kafka.rebalance_protocol() {
            RebalanceProtocol::Cooperative => kafka.incremental_unassign(revoked),
            RebalanceProtocol::Eager | RebalanceProtocol::None => kafka.unassign(),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "partitions could not be given back");
        }
        tracing::info!(group = self.group, partitions = %names(revoked), lost, "gives partitions back");
    }
}

fn names(list: &TopicPartitionList) -> String {
    let mut names: Vec<_> = list.elements().iter().map(|element| format!("{}/{}", element.topic(), element.partition())).collect();
    names.sort();
    names.join(" ")
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, kafka: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(kafka, partitions),
            _ => self.revoked(kafka, partitions),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let parts: HashMap<_, _> = offsets.elements().iter().map(|of| ((of.topic().to_owned(), of.partition()), of.error())).collect();
        for ((topic, number), error) in parts {
            if let Err(error) = result.clone().and(error)
                && let Some(part) = self.parts.get(&topic, number)
            {
                uncommitted(&error, &[part]);
            }
        }
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, sort: &str, message: &str) {
        self.lines.log(level, sort, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lines.error(error, reason);
    }
}
