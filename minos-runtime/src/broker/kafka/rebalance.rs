//! What becomes of partitions when members of the group come and go.

use super::{
    log::Lines,
    part::{Part, Parts},
    troubles::Troubles,
};
use crate::stop::Stop;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How long a partition that is revoked waits for what is being handled.
const REVOKE: Duration = Duration::from_secs(5);
/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// The subjects of trouble: the group as such, and what the service's user may not do.
pub(super) const GROUP: &str = "consumer group";
pub(super) const RIGHTS: &str = "rights of the consumer group";

/// What becomes of partitions when members come and go.
pub(super) struct Rebalances {
    pub(super) lines: Lines,
    pub(super) parts: Arc<Parts>,
    pub(super) troubles: Arc<Troubles>,
    pub(super) group: String,
    pub(super) stop: Stop,
}

/// Commits what was handled and is not committed.
pub(super) fn commit(kafka: &BaseConsumer<Rebalances>, parts: &[Arc<Part>], mode: CommitMode) {
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
            thread::sleep(AGAIN);
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
            self.troubles.clear(&part.subject());
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
