//! What everybody does who knows which services there are: one suite, run on each implementation.
//!
//! ```ignore
//! minos_runtime::discovery_suite!(table, async || Some(Files::new()));
//! ```

use super::{Discovery, Endpoint, Instance, Listing};
use futures_util::future::BoxFuture;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Every case of the suite as a test of its own. `$make` makes a [`Place`](crate::discovery::suite::Place), or none if there cannot be one here.
#[macro_export]
macro_rules! discovery_suite {
    ($name:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::discovery_suite!(@cases $make;
                who_is_there_is_found who_is_gone_is_not_found several_instances_of_several_services what_is_the_same_has_the_same_revision
                news_are_told_at_once nothing_new_is_an_answer_too announcing_harms_nobody);
        }
    };
    (@cases $make:expr; $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let make = $make;
            if let Some(place) = make().await {
                $crate::discovery::suite::$case(&place).await;
            }
        })*
    };
}

/// Where instances come and go.
pub trait Place: Send + Sync {
    /// Somebody who knows it. All that are made know the same.
    fn discovery(&self) -> Arc<dyn Discovery>;

    /// Lets exactly these be there, in the way in which they come to be there: each `(service, how many)` with this endpoint. They answer if they are asked.
    fn let_be<'a>(&'a self, services: &'a [(&'a str, usize)], endpoint: Endpoint) -> BoxFuture<'a, ()>;
}

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn endpoint(path: &str) -> Endpoint {
    Endpoint { method: "GET".to_owned(), path: path.to_owned() }
}

fn counted(listing: &Listing) -> Vec<(String, usize)> {
    let mut counted = Vec::<(String, usize)>::new();
    for instance in &listing.directory.instances {
        match counted.last_mut() {
            Some((service, count)) if *service == instance.service => *count += 1,
            _ => counted.push((instance.service.clone(), 1)),
        }
    }
    counted
}

/// Waits until these are known.
async fn until(discovery: &dyn Discovery, services: &[(&str, usize)]) -> Listing {
    let wanted: Vec<_> = services.iter().map(|(service, count)| ((*service).to_owned(), *count)).collect();
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < PATIENCE {
        match discovery.directory(None).await {
            Ok(listing) if counted(&listing) == wanted => return listing,
            other => last = Some(other),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within {PATIENCE:?}: {wanted:?}; last came {last:?}");
}

/// Who is there is found, with what it answers, and can be asked as it is named.
pub async fn who_is_there_is_found(place: &impl Place) {
    place.let_be(&[("order", 1)], endpoint("/orders/{id}")).await;
    let listing = until(&*place.discovery(), &[("order", 1)]).await;
    let instance = &listing.directory.instances[0];
    assert_eq!(instance.endpoints, [endpoint("/orders/{id}")]);
    assert_eq!(instance.check(), Ok(()));
    assert!(!listing.directory.revision.is_empty());
}

/// Who is gone is not found.
pub async fn who_is_gone_is_not_found(place: &impl Place) {
    place.let_be(&[("order", 2), ("stock", 1)], endpoint("/")).await;
    until(&*place.discovery(), &[("order", 2), ("stock", 1)]).await;
    place.let_be(&[("order", 1), ("stock", 1)], endpoint("/")).await;
    until(&*place.discovery(), &[("order", 1), ("stock", 1)]).await;
}

/// All of them are found, each once, in the order of services and ids.
pub async fn several_instances_of_several_services(place: &impl Place) {
    place.let_be(&[("stock", 1), ("order", 3), ("pay", 2)], endpoint("/")).await;
    let listing = until(&*place.discovery(), &[("order", 3), ("pay", 2), ("stock", 1)]).await;
    let names: Vec<_> = listing.directory.instances.iter().map(Instance::name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(names, sorted);
}

/// The revision is that of the content: two who know the same say the same, and what is another content has another one.
pub async fn what_is_the_same_has_the_same_revision(place: &impl Place) {
    place.let_be(&[("order", 2)], endpoint("/")).await;
    let (one, other) = (until(&*place.discovery(), &[("order", 2)]).await, until(&*place.discovery(), &[("order", 2)]).await);
    assert_eq!(one, other);
    place.let_be(&[("order", 1)], endpoint("/")).await;
    assert_ne!(until(&*place.discovery(), &[("order", 1)]).await.directory.revision, one.directory.revision);
}

/// Who waits for news gets them when they come.
pub async fn news_are_told_at_once(place: &impl Place) {
    place.let_be(&[("order", 1)], endpoint("/")).await;
    let discovery = place.discovery();
    let known = until(&*discovery, &[("order", 1)]).await.directory.revision;
    let waiting = tokio::spawn({
        let (discovery, known) = (discovery.clone(), known.clone());
        async move { discovery.directory(Some(&known)).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "there is nothing new");
    place.let_be(&[("order", 2)], endpoint("/")).await;
    let listing = tokio::time::timeout(PATIENCE, waiting).await.expect("news are told").unwrap().unwrap();
    assert_ne!(listing.directory.revision, known);
}

/// Nobody is kept waiting for ever: in the end what is known is said once more.
pub async fn nothing_new_is_an_answer_too(place: &impl Place) {
    place.let_be(&[("order", 1)], endpoint("/")).await;
    let discovery = place.discovery();
    let known = until(&*discovery, &[("order", 1)]).await;
    let again = tokio::time::timeout(PATIENCE, discovery.directory(Some(&known.directory.revision))).await.expect("it answers").unwrap();
    assert_eq!(again, known);
    assert!(!discovery.describe().is_empty());
}

/// Announcing what is there, twice, and withdrawing what is not, is no mistake.
pub async fn announcing_harms_nobody(place: &impl Place) {
    place.let_be(&[("order", 1)], endpoint("/")).await;
    let discovery = place.discovery();
    let known = until(&*discovery, &[("order", 1)]).await;
    let there = Arc::new(known.directory.instances[0].clone());
    discovery.announce(there.clone()).await.unwrap();
    discovery.announce(there.clone()).await.unwrap();
    let nobody = Arc::new(Instance { id: "nobody".to_owned(), ..(*there).clone() });
    discovery.withdraw(nobody.clone()).await.unwrap();
    discovery.withdraw(nobody).await.unwrap();
    assert_eq!(until(&*discovery, &[("order", 1)]).await, known);
}
