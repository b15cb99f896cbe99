//! What callers ask: the last good answer, kept fresh in the background.

use super::{
    Directory, Discovery, DiscoveryResult, Instance, Listing, client,
    doubt::{ASK_AGAIN, Doubts},
    ejection::Ejections,
    open,
};
use crate::{config::DiscoveryConfig, sync::lock};
use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

/// How long a caller waits for the very first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// The pause after a question that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What lies between two questions at least, whatever is answered.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
/// What is no news and came as fast as this was not waited for by who was asked.
const HASTY: Duration = Duration::from_millis(100);

/// Which services there are, and where: the last good answer, whatever becomes of who gave it. Cheap to clone; the first question begins to ask in the
/// background, and that ends with the last clone.
///
/// A service with `[discovery]` has one for its handlers: `cx.resource::<Services>()`.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

struct Inner {
    discovery: Arc<dyn Discovery>,
    known: watch::Sender<Arc<Directory>>,
    /// Whether there was an answer at all.
    answered: watch::Sender<bool>,
    /// Why the last question failed, if it did.
    failing: Mutex<Option<String>>,
    ejections: Ejections,
    turn: AtomicUsize,
    asking: Mutex<Option<JoinHandle<()>>>,
}

impl Services {
    /// What this one knows.
    pub fn new(discovery: Arc<dyn Discovery>) -> Self {
        Services(Arc::new(Inner {
            discovery,
            known: watch::Sender::default(),
            answered: watch::Sender::new(false),
            failing: Mutex::default(),
            ejections: Ejections::default(),
            turn: AtomicUsize::new(0),
            asking: Mutex::default(),
        }))
    }

    /// What is known by whom the configuration names.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(config: &DiscoveryConfig) -> DiscoveryResult<Self> {
        Ok(Services::new(open(config)?))
    }

    /// All that is known, now and whenever it is something else: empty until the first answer. It must be called in a runtime.
    pub fn watch(&self) -> watch::Receiver<Arc<Directory>> {
        self.begin();
        self.0.known.subscribe()
    }

    /// All that is known. The very first time it waits for an answer, for some seconds.
    pub async fn directory(&self) -> Arc<Directory> {
        self.begin();
        if !*self.0.answered.borrow() {
            let mut answered = self.0.answered.subscribe();
            // Nobody answers: then nothing is known.
            let _ = tokio::time::timeout(FIRST_ANSWER, answered.wait_for(|answered| *answered)).await;
        }
        self.0.known.borrow().clone()
    }

    /// The instances of a service.
    pub async fn instances(&self, service: &str) -> Vec<Instance> {
        self.directory().await.instances_of(service).cloned().collect()
    }

    /// The instance to ask next: in turn, and not one that has [failed](Services::failed) lately. None if the service does not run.
    pub async fn choose(&self, service: &str) -> Option<Instance> {
        let directory = self.directory().await;
        let instances: Vec<&Instance> = directory.instances_of(service).collect();
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        self.0.ejections.choose(&instances, turn).cloned()
    }

    /// This one was asked and has not answered: it is left alone for a while, longer each time.
    pub fn failed(&self, instance: &Instance) {
        self.0.ejections.failed(instance.name());
    }

    /// This one has answered.
    pub fn worked(&self, instance: &Instance) {
        self.0.ejections.worked(&instance.name());
    }

    /// Why nothing new is known, if it is so.
    pub fn failing(&self) -> Option<String> {
        lock(&self.0.failing).clone()
    }

    /// Who is asked, for the operator.
    pub fn describe(&self) -> String {
        self.0.discovery.describe()
    }

    fn begin(&self) {
        let mut asking = lock(&self.0.asking);
        if asking.as_ref().is_none_or(JoinHandle::is_finished) {
            *asking = Some(tokio::spawn(ask(Arc::downgrade(&self.0), self.0.discovery.clone())));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(asking) = lock(&self.asking).take() {
            asking.abort();
        }
    }
}

/// Asks again and again, as long as anybody wants to know.
async fn ask(services: Weak<Inner>, discovery: Arc<dyn Discovery>) {
    let mut doubts = match client() {
        Ok(client) => Doubts::new(client),
        Err(error) => return tracing::error!(%error, "nobody can be asked which services there are"),
    };
    let (mut last, mut pause) = (None::<Listing>, FIRST_PAUSE);
    loop {
        let asked = Instant::now();
        let revision = last.as_ref().map(|last| last.directory.revision.clone());
        let mut answer = discovery.directory(revision.as_deref());
        let answered = loop {
            if !doubts.any() {
                break answer.await;
            }
            match tokio::time::timeout(ASK_AGAIN, &mut answer).await {
                Ok(answered) => break answered,
                Err(_) => {
                    let (Some(inner), Some(last)) = (services.upgrade(), &last) else { return };
                    inner.take(last, &mut doubts).await;
                }
            }
        };
        let Some(inner) = services.upgrade() else { return };
        match answered {
            Ok(listing) => {
                let listing = fit(listing);
                inner.take(&listing, &mut doubts).await;
                inner.answered.send_replace(true);
                if lock(&inner.failing).take().is_some() {
                    tracing::info!("{} answers again", discovery.describe());
                }
                // Whoever answers at once though nothing is new would be asked without a pause.
                let hasty = last.as_ref() == Some(&listing) && asked.elapsed() < HASTY;
                pause = if hasty { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                last = Some(listing);
                drop(inner);
                tokio::time::sleep(if hasty { pause } else { LEAST_PAUSE }).await;
            }
            Err(error) => {
                let why = error.to_string();
                if lock(&inner.failing).replace(why.clone()).is_none() {
                    tracing::warn!("{why}; what was known before still holds");
                }
                drop(inner);
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl Inner {
    async fn take(&self, said: &Listing, doubts: &mut Doubts) {
        let before = self.known.borrow().clone();
        let now = doubts.believe(&before, said).await;
        if now != *before {
            self.ejections.keep(&now.instances);
            self.known.send_replace(Arc::new(now));
        }
    }
}

/// Without what cannot be asked, and what is there twice.
fn fit(mut listing: Listing) -> Listing {
    let instances = std::mem::take(&mut listing.directory.instances).into_iter().map(Instance::without_unfit_admin);
    let is_fit = |instance: &Instance| match instance.check() {
        Ok(()) => true,
        Err(unfit) => {
            tracing::warn!(%unfit, "the registry names an instance that is none: it is left out");
            false
        }
    };
    listing.directory.instances = instances.filter(is_fit).collect();
    listing
}
