//! How far behind the service is: how many records of each partition are not handled.

use super::{part::Parts, topics::Topics};
use crate::{
    metrics::{Metrics, PartitionLabels},
    stop::Stop,
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(5);

/// Measures until the service stops. The broker is asked, so it is known of partitions too that are not read at the moment.
pub(super) async fn measure(topics: Topics, parts: Arc<Parts>, metrics: Metrics, stop: Stop) {
    let mut told = HashSet::new();
    while !stop.was_said() {
        let (asked, has) = (topics.clone(), parts.clone());
        let lags = tokio::task::spawn_blocking(move || lags(&asked, &has));
        // An error says that the runtime ends.
        let Ok(lags) = lags.await else { return };
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
fn lags(topics: &Topics, parts: &Parts) -> Vec<(PartitionLabels, i64)> {
    let mut lags = Vec::new();
    for part in parts.all() {
        let Ok((first, end)) = topics.ends(&part.topic, part.number) else { break };
        let next = part.progress().resume_at().unwrap_or(first);
        lags.push((labels(&part.topic, part.number), (end - next).max(0)));
    }
    lags
}
