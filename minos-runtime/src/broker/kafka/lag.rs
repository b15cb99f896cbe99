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
/// How often in a row nothing may come of a partition that has something, before it is read again: the client can stop to fetch one, behind a broker that
/// was away, and says nothing.
const SILENT: u32 = 3;

/// How far a partition was read when it was looked at last, and how often nothing had come by then.
type Silence = HashMap<(String, i32), (i64, u32)>;

/// Measures until the service stops. The broker is asked, so it is known of partitions too that are not read at the moment.
pub(super) async fn measure(topics: Topics, parts: Arc<Parts>, metrics: Metrics, stop: Stop) {
    let (mut told, mut silence) = (HashSet::new(), Silence::new());
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
    let (mut lags, mut before) = (Vec::new(), std::mem::take(silence));
    for part in parts.all() {
        let Ok((first, end)) = topics.ends(&part.topic, part.number) else { break };
        let next = part.progress().resume_at();
        lags.push((labels(&part.topic, part.number), (end - next.unwrap_or(first)).max(0)));
        let place = (part.topic.clone(), part.number);
        // Of one of which nothing has ever come, it is not known here where it begins.
        let Some(expected) = next else { continue };
        let waits = part.is_paused() || part.is_stopped() || !part.progress().is_idle();
        if expected < end && !waits {
            let times = before.remove(&place).filter(|(at, _)| *at == expected).map_or(0, |(_, times)| times + 1);
            if times >= SILENT {
                tracing::warn!(partition = part.name(), from = expected, end, "nothing comes of it any more; it is read again");
                part.read_again();
            } else {
                silence.insert(place, (expected, times));
            }
        }
    }
    lags
}
