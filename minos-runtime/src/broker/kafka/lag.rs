//! How far behind the service is: how many records of each partition are not handled.

use super::{part::Parts, topics::Topics};
use crate::{
    metrics::{Metrics, PartitionLabels},
    stop::Stop,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(5);
/// How often in a row nothing may come of a partition that has something, before it is assigned again: the client can stop to fetch one, behind a broker that
/// was away, and says nothing.
const SILENT: u32 = 3;

/// The partitions of which nothing comes though they have something, or nothing but marks of transactions.
#[derive(Default)]
struct Silence(HashMap<(String, i32), Silent>);

struct Silent {
    /// The record that does not come.
    expected: i64,
    /// How often it had not come.
    looks: u32,
    /// How often that is enough. It grows, since what is there may be nothing for anybody.
    enough: u32,
}

impl Silence {
    /// Nothing has come of it since the last look. Whether that was so often enough.
    fn lasts(&mut self, place: (String, i32), expected: i64) -> bool {
        let silent = self.0.entry(place).or_insert(Silent { expected, looks: 0, enough: SILENT });
        if silent.expected != expected {
            *silent = Silent { expected, looks: 0, enough: SILENT };
        }
        silent.looks += 1;
        if silent.looks <= silent.enough {
            return false;
        }
        (silent.looks, silent.enough) = (0, silent.enough.saturating_mul(2));
        true
    }

    /// Something comes of it, or there is nothing.
    fn ends(&mut self, place: &(String, i32)) {
        self.0.remove(place);
    }
}

/// Measures until the service stops. The broker is asked, so it is known of partitions too that are not read at the moment.
pub(super) async fn measure(topics: Topics, parts: Arc<Parts>, metrics: Metrics, stop: Stop) {
    let (mut told, mut silence) = (HashSet::new(), Silence::default());
    while !stop.was_said() {
        let (asked, has) = (topics.clone(), parts.clone());
        let lags = tokio::task::spawn_blocking(move || (lags(&asked, &has, &mut silence), silence));
        // An error says that the runtime ends.
        let Ok((lags, since)) = lags.await else { return };
        silence = since;
        let now: HashSet<_> = parts.all().iter().map(|part| labels(&part.topic, part.number)).collect();
        for gone in told.difference(&now) {
            metrics.consumer_lag.remove(gone);
        }
        for (labels, lag) in lags.into_iter().filter(|(labels, _)| now.contains(labels)) {
            metrics.consumer_lag.get_or_create(&labels).set(lag);
        }
        told = now;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.said() => {}
        }
    }
    for labels in &told {
        metrics.consumer_lag.remove(labels);
    }
}

fn labels(topic: &str, partition: i32) -> PartitionLabels {
    PartitionLabels { topic: topic.to_owned(), partition }
}

/// Blocks. What cannot be asked for keeps its last value: that the broker is away is told elsewhere.
fn lags(topics: &Topics, parts: &Parts, silence: &mut Silence) -> Vec<(PartitionLabels, i64)> {
    let mut lags = Vec::new();
    for part in parts.all() {
        let Ok((first, end)) = topics.ends(&part.topic, part.number) else { break };
        let next = part.progress().resume_at();
        lags.push((labels(&part.topic, part.number), (end - next.unwrap_or(first)).max(0)));
        let place = (part.topic.clone(), part.number);
        // Of one of which nothing has ever come, it is not known here where it begins.
        let Some(expected) = next else { continue };
        let waits = part.is_paused() || part.is_stopped() || !part.progress().is_idle();
        if waits || expected >= end {
            silence.ends(&place);
        } else if silence.lasts(place, expected) {
            tracing::warn!(partition = part.name(), from = expected, end, "nothing comes of it any more; it is assigned again");
            part.set_silent();
        }
    }
    lags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_lasts_when_nothing_comes_again_and_again_and_is_told_more_and_more_rarely() {
        let (mut silence, place) = (Silence::default(), || ("Foo".to_owned(), 3));
        let told = |silence: &mut Silence, looks: usize, expected| (1..=looks).filter(|_| silence.lasts(place(), expected)).count();
        assert_eq!(told(&mut silence, 3, 7), 0);
        assert!(silence.lasts(place(), 7));
        assert_eq!(told(&mut silence, 6, 7), 0, "then it is given twice as long");
        assert!(silence.lasts(place(), 7));
        assert_eq!(told(&mut silence, 3, 8), 0, "one record came");
        silence.ends(&place());
        assert_eq!(told(&mut silence, 3, 8), 0, "there was nothing for a while");
        assert!(!silence.lasts(("Foo".to_owned(), 4), 8) && silence.lasts(place(), 8), "each partition by itself");
    }
}
