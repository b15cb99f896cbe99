//! What a registry says is believed but for two things: that one which has only just begun knows all, and that a whole service has vanished.
//!
//! The second one is looked at: whoever was there last is asked. If they say that they are ready they stay, for some time, against the registry's word. So neither
//! one that has lost its data, nor one that another took the place of, can stop what runs.

use super::{Directory, Instance, InstanceName, Listing, Readiness, readiness};
use futures_util::{StreamExt, stream};
use reqwest::Client;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long who answers is kept against the registry's word: some times as long as it takes until all have told it again that they are there.
const LONGEST: Duration = Duration::from_secs(60);
/// How often they are asked meanwhile.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long they may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many are asked at once: the addresses are those that a registry has named, and each takes a socket.
const AT_ONCE: usize = 256;
/// How long asking all of them may take: nothing else that the registry says is heard meanwhile.
const IN_ALL: Duration = Duration::from_secs(5);
/// With how many instances the past is added to what is said: as many as a registry has at most, unless it is told otherwise.
const MOST: usize = 10_000;

/// Since when which services are kept against the registry's word.
pub(super) struct Doubts {
    client: Client,
    since: HashMap<String, Instant>,
    at_once: usize,
    in_all: Duration,
}

impl Doubts {
    pub(super) fn new(client: Client) -> Self {
        Doubts { client, since: HashMap::new(), at_once: AT_ONCE, in_all: IN_ALL }
    }

    /// Whether anything is kept against the registry's word.
    pub(super) fn any(&self) -> bool {
        !self.since.is_empty()
    }

    /// What is believed now, if this was before.
    pub(super) async fn believe(&mut self, before: &Directory, said: &Listing) -> Directory {
        let mut instances = said.directory.instances.clone();
        if said.warming {
            let room = MOST.saturating_sub(instances.len());
            instances.extend(still_there(before, said).into_iter().take(room));
        }
        instances.extend(self.vanished(before, &instances, said).await);
        Directory::of(instances)
    }

    /// Those of services of which nobody is left, and who say that they are ready.
    async fn vanished(&mut self, before: &Directory, now: &[Instance], said: &Listing) -> Vec<Instance> {
        let there: HashSet<&str> = now.iter().map(|instance| instance.service.as_str()).collect();
        let gone: HashSet<&InstanceName> = said.gone.iter().collect();
        let missing =
            before.instances.iter().filter(|one| !there.contains(one.service.as_str()) && !gone.contains(&one.name())).cloned().collect();
        let begun = Instant::now();
        let mut kept = self.ready(missing).await;
        kept.retain(|instance| begun.duration_since(*self.since.get(&instance.service).unwrap_or(&begun)) < LONGEST);
        let kept_services: HashSet<&str> = kept.iter().map(|instance| instance.service.as_str()).collect();
        for service in &kept_services {
            if !self.since.contains_key(*service) {
                tracing::warn!(service, "nobody is said to run it any more, but its instances answer: they are kept for now");
                self.since.insert((*service).to_owned(), begun);
            }
        }
        self.since.retain(|service, _| kept_services.contains(service.as_str()));
        kept
    }

    /// Those of them who say that they are ready. Who has not answered in time has not said so.
    async fn ready(&self, mut instances: Vec<Instance>) -> Vec<Instance> {
        // One of each service before the second of any: as long as one is left, the service is.
        let mut turns = HashMap::<String, usize>::new();
        instances.sort_by_cached_key(|instance| {
            let turn = turns.entry(instance.service.clone()).or_default();
            *turn += 1;
            *turn
        });
        let (mut unheard, mut ready) = (instances.len(), Vec::new());
        let asking =
            stream::iter(instances.into_iter().map(|instance| asked(self.client.clone(), instance))).buffer_unordered(self.at_once);
        let mut answers = std::pin::pin!(asking.take_until(sleep(self.in_all)));
        while let Some((instance, answer)) = answers.next().await {
            unheard -= 1;
            if answer == Readiness::Ready {
                ready.push(instance);
            }
        }
        if unheard > 0 {
            tracing::warn!(
                "{unheard} instances of services that nobody is said to run any more have not answered within {:?}: they count as gone",
                self.in_all
            );
        }
        ready
    }
}

async fn asked(client: Client, instance: Instance) -> (Instance, Readiness) {
    let answer = readiness(&client, &instance.url, PATIENCE).await;
    (instance, answer)
}

/// Who was there, and is not said to be gone by somebody who may not have heard of it. An address that another one has now was given to it.
fn still_there(before: &Directory, said: &Listing) -> Vec<Instance> {
    let gone: HashSet<&InstanceName> = said.gone.iter().collect();
    let urls: HashSet<&str> = said.directory.instances.iter().map(|instance| instance.url.as_str()).collect();
    let known: HashSet<InstanceName> = said.directory.instances.iter().map(Instance::name).collect();
    let is_left = |one: &&Instance| !gone.contains(&one.name()) && !known.contains(&one.name()) && !urls.contains(one.url.as_str());
    before.instances.iter().filter(is_left).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::client;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };
    use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener, task::JoinHandle};

    /// Somebody who says whether they are ready.
    async fn somebody(status: &'static str) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
            }
        });
        (url, serving)
    }

    fn instance(service: &str, id: &str, url: &str) -> Instance {
        Instance { service: service.to_owned(), id: id.to_owned(), url: url.to_owned(), endpoints: Vec::new(), admin: None }
    }

    fn ids(directory: &Directory) -> Vec<&str> {
        directory.instances.iter().map(|instance| instance.id.as_str()).collect()
    }

    #[tokio::test]
    async fn a_service_that_vanishes_is_asked_itself() {
        let ((up, _up), (unready, _unready), (dead, killed)) =
            (somebody("200 OK").await, somebody("503 Service Unavailable").await, somebody("200 OK").await);
        killed.abort();
        let _ = killed.await;
        let before = Directory::of(vec![
            instance("order", "up", &up),
            instance("order", "unready", &unready),
            instance("order", "dead", &dead),
            instance("stock", "gone", &dead),
            instance("pay", "one", &up),
            instance("pay", "two", &up),
        ]);
        let said = Directory::of(vec![instance("pay", "two", &up)]).into();
        let mut doubts = Doubts::new(client().unwrap());
        let now = doubts.believe(&before, &said).await;
        assert_eq!(ids(&now), ["up", "two"], "who of a vanished service answers; of one that has not vanished, who is named");
        assert!(doubts.any());
        let again = Directory::of(vec![instance("order", "new", &up)]).into();
        assert_eq!(ids(&doubts.believe(&now, &again).await), ["new", "two"]);
        doubts.since.insert("order".to_owned(), Instant::now().checked_sub(LONGEST).unwrap());
        let now = Directory::of(vec![instance("order", "up", &up)]);
        assert_eq!(ids(&doubts.believe(&now, &Listing::default()).await), [""; 0], "in the end the registry is believed");
        assert!(!doubts.any());
    }

    /// Somebody who takes this long to say that they are ready, and by how many they were asked at once at most.
    async fn slow(pause: Duration) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, most) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
        let (now, highest) = (Arc::new(AtomicUsize::new(0)), most.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                highest.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                let now = now.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1024]).await;
                    sleep(pause).await;
                    now.fetch_sub(1, SeqCst);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                });
            }
        });
        (url, most)
    }

    #[tokio::test]
    async fn not_all_are_asked_at_once() {
        let (url, most) = slow(Duration::from_millis(20)).await;
        let before = Directory::of((0..100).map(|n| instance("order", &n.to_string(), &url)).collect());
        let mut doubts = Doubts { at_once: 10, ..Doubts::new(client().unwrap()) };
        let now = doubts.believe(&before, &Listing::default()).await;
        assert_eq!(now.instances.len(), 100, "all of them, in the end");
        assert!(most.load(SeqCst) <= 10, "{most:?} at once");
    }

    #[tokio::test]
    async fn asking_ends_though_nobody_answers() {
        let ((silent, _), (up, _up)) = (slow(Duration::from_secs(60)).await, somebody("200 OK").await);
        let silent = (0..500).map(|n| instance("order", &n.to_string(), &silent));
        let before = Directory::of(silent.chain([instance("stock", "one", &up)]).collect());
        let mut doubts = Doubts { at_once: 50, in_all: Duration::from_millis(500), ..Doubts::new(client().unwrap()) };
        let begun = Instant::now();
        let now = doubts.believe(&before, &Listing::default()).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(ids(&now), ["one"], "one of each service is asked first");
    }

    #[tokio::test]
    async fn who_never_ends_to_begin_names_no_more_than_there_can_be() {
        let (mut doubts, mut now) = (Doubts::new(client().unwrap()), Directory::default());
        for round in 0..30 {
            let all = (0..1000).map(|n| instance("order", &format!("{round}-{n}"), &format!("http://10.0.{round}.1:{}", n + 1))).collect();
            now = doubts.believe(&now, &Listing { directory: Directory::of(all), warming: true, gone: Vec::new() }).await;
        }
        assert_eq!(now.instances.len(), MOST);
        assert_eq!(now.instances.iter().filter(|one| one.id.starts_with("29-")).count(), 1000, "what is said now counts first");
    }

    #[tokio::test]
    async fn who_has_only_just_begun_does_not_know_all() {
        let before = Directory::of(vec![
            instance("order", "1", "http://127.0.0.1:1"),
            instance("order", "2", "http://127.0.0.1:2"),
            instance("order", "3", "http://127.0.0.1:3"),
        ]);
        let directory = Directory::of(vec![instance("stock", "new", "http://127.0.0.1:3")]);
        let said = Listing { directory, warming: true, gone: vec![InstanceName { service: "order".to_owned(), id: "2".to_owned() }] };
        let now = Doubts::new(client().unwrap()).believe(&before, &said).await;
        assert_eq!(ids(&now), ["1", "new"], "2 is gone for sure, and 3 has lost its address to another one");
    }
}
