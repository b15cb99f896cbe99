//! Who has failed lately is not asked for a while: longer each time, until it has answered.

use super::{Instance, InstanceName};
use crate::sync::lock;
use std::{collections::HashMap, sync::Mutex, time::Duration};
use tokio::time::Instant;

/// How long who has failed once is left alone: as long as a registry takes to find out, so that whoever died is asked once and no more.
const FIRST: Duration = Duration::from_secs(3);
/// The longest time.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Ejections(Mutex<HashMap<InstanceName, Ejected>>);

struct Ejected {
    until: Instant,
    times: u32,
}

impl Ejections {
    /// It has not answered.
    pub(super) fn failed(&self, name: InstanceName) {
        let now = Instant::now();
        let mut all = lock(&self.0);
        let ejected = all.entry(name).or_insert(Ejected { until: now, times: 0 });
        // What was asked at once fails at once: that is one failure.
        if ejected.times == 0 || ejected.until <= now {
            ejected.until = now + FIRST.saturating_mul(1 << ejected.times.min(10)).min(LONGEST);
            ejected.times += 1;
        }
    }

    /// It has answered.
    pub(super) fn worked(&self, name: &InstanceName) {
        lock(&self.0).remove(name);
    }

    /// Whoever is not there any more is forgotten.
    pub(super) fn keep(&self, instances: &[Instance]) {
        let mut all = lock(&self.0);
        if !all.is_empty() {
            all.retain(|name, _| instances.iter().any(|instance| instance.service == name.service && instance.id == name.id));
        }
    }

    /// One of these, in turn. If all have failed lately, the one that may be asked again first: there is nobody better.
    pub(super) fn choose<'i>(&self, instances: &[&'i Instance], turn: usize) -> Option<&'i Instance> {
        let (now, all) = (Instant::now(), lock(&self.0));
        let until = |instance: &Instance| if all.is_empty() { None } else { all.get(&instance.name()).map(|ejected| ejected.until) };
        let good: Vec<_> = instances.iter().filter(|instance| until(instance).is_none_or(|until| until <= now)).collect();
        match good.len() {
            0 => instances.iter().min_by_key(|instance| until(instance)).copied(),
            n => good.get(turn % n).map(|instance| **instance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str) -> Instance {
        Instance { service: "order".to_owned(), id: id.to_owned(), url: format!("http://{id}"), endpoints: Vec::new(), admin: None }
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_is_left_alone_longer_each_time() {
        let (ejections, one, two) = (Ejections::default(), instance("1"), instance("2"));
        let both = [&one, &two];
        let chosen =
            |ejections: &Ejections| (0..4).filter_map(|turn| ejections.choose(&both, turn)).map(|i| i.id.clone()).collect::<String>();
        assert_eq!(chosen(&ejections), "1212", "in turn");
        for _ in 0..3 {
            ejections.failed(one.name());
        }
        assert_eq!(chosen(&ejections), "2222");
        tokio::time::advance(FIRST).await;
        assert_eq!(chosen(&ejections), "1212", "three that failed at once were one failure");
        ejections.failed(one.name());
        tokio::time::advance(FIRST).await;
        assert_eq!(chosen(&ejections), "2222", "the second time takes longer");
        ejections.failed(two.name());
        assert_eq!(chosen(&ejections), "1111", "nobody is better: the one that may be asked first");
        ejections.worked(&one.name());
        ejections.failed(one.name());
        tokio::time::advance(FIRST).await;
        assert_eq!(chosen(&ejections), "1212", "who has answered begins anew");
        ejections.failed(one.name());
        ejections.keep(std::slice::from_ref(&two));
        assert_eq!(chosen(&ejections), "1212", "who was gone begins anew");
    }
}
