//! That an instance says that it is there, again and again, and at the end that it is not.

use super::{Discovery, Endpoint, Instance};
use crate::{
    config::{AdminConfig, Config, DiscoveryConfig},
    error::{Error, Result},
    health::Health,
    metrics::{Metrics, OutcomeLabels},
    stop::{Stop, Stopper},
};
use http::{Uri, uri::Scheme};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The name of the part in [`Health`].
const PART: &str = "discovery";
/// The name of what makes the service not ready while it says good-bye.
const STOPPING: &str = "stopping";
/// How often it is looked whether the service is ready.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to say anything to a registry, when the service ends.
const GOOD_BYE: Duration = Duration::from_secs(2);
/// The pause after an announcement that failed; it doubles with each, up to `discovery.renew`.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// An instance that says that it is there.
pub struct Registration {
    discovery: Arc<dyn Discovery>,
    instance: Arc<Instance>,
    linger: Duration,
    health: Health,
    stopper: Stopper,
    announcing: JoinHandle<()>,
}

impl Registration {
    /// What an instance of this service that listens on this address, and for its operator perhaps on another one, says of itself.
    ///
    /// # Errors
    /// If nobody can know under which URL others reach it, or it has a name that nobody can have.
    pub fn instance(config: &Config, addr: SocketAddr, admin: Option<SocketAddr>, endpoints: Vec<Endpoint>) -> Result<Instance> {
        let id = match config.service.instance.as_str() {
            "" => Uuid::new_v4().simple().to_string(),
            name => name.to_owned(),
        };
        let url = advertised(&config.discovery, addr)?;
        let admin = operated(&config.admin, &url, admin)?;
        let instance = Instance { service: config.service.name.clone(), id, url, endpoints, admin };
        instance.check().map_err(|unfit| Error::invalid(format!("this instance cannot be registered: {unfit}")))?;
        Ok(instance)
    }

    /// Begins to say that this instance is there, as soon as the service is ready. It neither waits nor fails: whether it works is told by health and metrics.
    pub fn begin(discovery: Arc<dyn Discovery>, instance: Instance, config: &DiscoveryConfig, health: &Health, metrics: &Metrics) -> Self {
        health.expect(PART, false);
        let (instance, stopper) = (Arc::new(instance), Stopper::new());
        let announcer = Announcer {
            discovery: discovery.clone(),
            instance: instance.clone(),
            renew: config.renew,
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let announcing = tokio::spawn(announcer.run(stopper.hear()));
        Registration { discovery, instance, linger: config.linger, health: health.clone(), stopper, announcing }
    }

    /// Says that this instance is not to be asked any more, and waits a moment that all who ask it notice. It is not ready from then on.
    pub async fn withdraw(&mut self) {
        self.health.expect(STOPPING, true);
        self.health.failed(STOPPING, "the service stops");
        self.stopper.say();
        // First what is under way: an announcement that comes behind the good-bye would undo it.
        if tokio::time::timeout(GOOD_BYE, &mut self.announcing).await.is_err() {
            self.announcing.abort();
        }
        match tokio::time::timeout(GOOD_BYE, self.discovery.withdraw(self.instance.clone())).await {
            Ok(Ok(())) => tracing::info!("{}: withdrawn from {}", self.instance.service, self.discovery.describe()),
            Ok(Err(error)) => tracing::warn!(%error, "the instance could not be withdrawn; it is found out by others"),
            Err(_) => tracing::warn!("the instance could not be withdrawn in time; it is found out by others"),
        }
        tokio::time::sleep(self.linger).await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.announcing.abort();
    }
}

/// The URL under which others reach this instance.
fn advertised(config: &DiscoveryConfig, addr: SocketAddr) -> Result<String> {
    let url = config.advertise.trim().trim_end_matches('/');
    if !url.is_empty() {
        return super::check::check_url(url)
            .map(|()| url.to_owned())
            .map_err(|unfit| Error::invalid(format!("`discovery.advertise`: {unfit}")));
    }
    if addr.ip().is_unspecified() {
        return Err(Error::invalid(format!(
            "`http.addr` is {addr}, so nobody can know under which URL others reach this instance: say it with `discovery.advertise` or \
             MINOS_DISCOVERY_ADVERTISE, as in `http://10.0.0.7:{}`",
            addr.port()
        )));
    }
    Ok(format!("http://{addr}"))
}

/// The URL under which others reach the operator's API of an instance that is at this URL: the one that is said, or that of where it listens, if others than this machine's
/// own reach that.
fn operated(config: &AdminConfig, url: &str, addr: Option<SocketAddr>) -> Result<Option<String>> {
    let said = config.advertise.trim().trim_end_matches('/');
    let Some(addr) = addr else {
        if said.is_empty() {
            return Ok(None);
        }
        return Err(Error::invalid(
            "`admin.advertise` says where others reach the operator's API, and there is none: set `admin.addr` as well",
        ));
    };
    if !said.is_empty() {
        let unfit = |unfit| Error::invalid(format!("`admin.advertise`: {unfit}"));
        return super::check::check_url(said).map(|()| Some(said.to_owned())).map_err(unfit);
    }
    let Ok(uri) = url.parse::<Uri>() else { return Ok(None) };
    let host = uri.host().unwrap_or_default();
    if addr.ip().is_unspecified() {
        // It listens at all addresses of the machine, so also where the service itself is reached; unless something else stands there, which takes away TLS.
        return Ok((uri.scheme() == Some(&Scheme::HTTP)).then(|| format!("http://{host}:{}", addr.port())));
    }
    let is_local = |host: &str| host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    // Who is asked for from another machine would look at their own.
    Ok((!addr.ip().is_loopback() || is_local(host)).then(|| format!("http://{addr}")))
}

struct Announcer {
    discovery: Arc<dyn Discovery>,
    instance: Arc<Instance>,
    renew: Duration,
    health: Health,
    metrics: Metrics,
}

impl Announcer {
    async fn run(self, stop: Stop) {
        while !self.health.is_ready() {
            if !stop.pause(LOOK).await {
                return;
            }
        }
        let mut failures = 0;
        loop {
            // Not cut off by the stop: whether it has arrived would not be known.
            let pause = match self.discovery.announce(self.instance.clone()).await {
                Ok(()) => {
                    failures = 0;
                    self.succeeded();
                    self.renew.mul_f64(0.8 + fastrand::f64() * 0.2)
                }
                Err(error) => {
                    self.failed(&error.to_string());
                    let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(self.renew);
                    failures += 1;
                    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
                }
            };
            if !stop.pause(pause).await {
                return;
            }
        }
    }

    fn succeeded(&self) {
        self.metrics.announcements.get_or_create_owned(&OutcomeLabels { outcome: "taken" }).inc();
        let first = self.health.parts().get(PART).is_none_or(|part| part.succeeded_at.is_none());
        if self.health.succeeded(PART) || first {
            let Instance { service, id, url, .. } = &*self.instance;
            tracing::info!("{service}: registered as `{id}` at {url} with {}", self.discovery.describe());
        }
    }

    fn failed(&self, why: &str) {
        self.metrics.announcements.get_or_create_owned(&OutcomeLabels { outcome: "failed" }).inc();
        if self.health.failed(PART, why) {
            tracing::warn!("{}: others may not find this instance: {why}; will be tried again", self.instance.service);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        discovery::{DiscoveryError, DiscoveryResult, LONGEST_WAIT, Listing},
        sync::lock,
    };
    use futures_util::future::BoxFuture;
    use std::sync::Mutex;
    use tokio::time::Instant;

    /// Notes what it is told, and refuses it while it is down.
    #[derive(Default)]
    struct Notes {
        said: Mutex<Vec<(&'static str, Instant)>>,
        down: Mutex<bool>,
        takes: Duration,
    }

    impl Notes {
        async fn note(&self, what: &'static str) -> DiscoveryResult<()> {
            tokio::time::sleep(self.takes).await;
            lock(&self.said).push((what, Instant::now()));
            if *lock(&self.down) {
                return Err(DiscoveryError::Unavailable { registry: "it".to_owned(), why: "as told".to_owned() });
            }
            Ok(())
        }

        fn said(&self) -> Vec<&'static str> {
            lock(&self.said).iter().map(|(what, _)| *what).collect()
        }
    }

    impl Discovery for Notes {
        fn describe(&self) -> String {
            "notes".to_owned()
        }
        fn announce(&self, _: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>> {
            Box::pin(self.note("here"))
        }
        fn withdraw(&self, _: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>> {
            Box::pin(self.note("gone"))
        }
        fn directory(&self, _: Option<&str>) -> BoxFuture<'_, DiscoveryResult<Listing>> {
            Box::pin(async {
                tokio::time::sleep(LONGEST_WAIT).await;
                Ok(Listing::default())
            })
        }
    }

    fn config(lines: &str) -> Config {
        Config::parse(&format!("[service]\nname = \"order\"\n{lines}")).unwrap()
    }

    fn begin(notes: &Arc<Notes>, health: &Health) -> Registration {
        let config = config("instance = \"one\"\n[discovery]\nrenew = \"5s\"\nlinger = \"3s\"");
        let instance = Registration::instance(&config, ([127, 0, 0, 1], 80).into(), None, Vec::new()).unwrap();
        Registration::begin(notes.clone(), instance, &config.discovery, health, &Metrics::new("order"))
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_ready_says_so_again_and_again() {
        let (notes, health) = (Arc::new(Notes::default()), Health::new(clock::system()));
        health.expect("store", true);
        let mut registration = begin(&notes, &health);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(notes.said().is_empty(), "it is not ready");
        health.succeeded("store");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let times: Vec<Instant> = lock(&notes.said).iter().map(|(_, at)| *at).collect();
        assert!(times.windows(2).all(|two| (4.0..=5.0).contains(&(two[1] - two[0]).as_secs_f64())), "{times:?}");
        assert!((4..=6).contains(&times.len()), "{times:?}");
        let before = Instant::now();
        registration.withdraw().await;
        assert_eq!(notes.said().last(), Some(&"gone"));
        assert!(before.elapsed() >= Duration::from_secs(3), "it lingers");
        assert!(!health.is_ready(), "who asks whether it is ready knows, too");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(notes.said().last(), Some(&"gone"), "and that is its last word");
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_down_is_told_and_hurts_nobody() {
        let (notes, health) = (Arc::new(Notes::default()), Health::new(clock::system()));
        *lock(&notes.down) = true;
        let registration = begin(&notes, &health);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(health.is_ready(), "it degrades the service, and no more");
        assert!(health.parts()[PART].failing.as_deref().is_some_and(|why| why.contains("as told")));
        assert!((6..=16).contains(&notes.said().len()), "{:?}", notes.said().len());
        *lock(&notes.down) = false;
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(health.parts()[PART].works());
        drop(registration);
    }

    #[tokio::test(start_paused = true)]
    async fn good_bye_comes_behind_what_is_under_way() {
        let (notes, health) = (Arc::new(Notes { takes: Duration::from_secs(1), ..Notes::default() }), Health::new(clock::system()));
        let mut registration = begin(&notes, &health);
        tokio::time::sleep(Duration::from_millis(100)).await;
        registration.withdraw().await;
        assert_eq!(notes.said(), ["here", "gone"]);
    }

    #[test]
    fn where_others_reach_it() {
        let url = |lines: &str, addr: &str| {
            Registration::instance(&config(lines), addr.parse().unwrap(), None, Vec::new())
                .map(|one| one.url)
                .map_err(|error| error.to_string())
        };
        assert_eq!(url("", "127.0.0.1:8080").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(url("", "[::1]:8080").unwrap(), "http://[::1]:8080");
        assert_eq!(url("[discovery]\nadvertise = \"https://order.example/\"", "0.0.0.0:80").unwrap(), "https://order.example");
        let told = url("", "0.0.0.0:8080").unwrap_err();
        assert!(told.starts_with("`http.addr` is 0.0.0.0:8080, so nobody can know") && told.contains("`http://10.0.0.7:8080`"), "{told}");
        assert!(url("", "[::]:8080").is_err());
        assert!(url("[discovery]\nadvertise = \"order:80\"", "127.0.0.1:1").unwrap_err().starts_with("`discovery.advertise`: the URL"));
        assert!(url("instance = \"a b\"", "127.0.0.1:1").unwrap_err().contains("the instance \"a b\" is none"));
    }

    #[test]
    fn where_others_reach_its_operators_api() {
        let admin = |lines: &str, http: &str, admin: &str| {
            let admin = (!admin.is_empty()).then(|| admin.parse().unwrap());
            let instance = Registration::instance(&config(lines), http.parse().unwrap(), admin, Vec::new());
            instance.map(|one| one.admin.unwrap_or_default()).map_err(|error| error.to_string())
        };
        let behind = |url: &str| format!("[discovery]\nadvertise = \"{url}\"");
        assert_eq!(admin("", "127.0.0.1:80", "").unwrap(), "", "there is none");
        assert_eq!(admin("", "127.0.0.1:80", "127.0.0.1:90").unwrap(), "http://127.0.0.1:90");
        assert_eq!(admin("", "[::1]:80", "127.0.0.1:90").unwrap(), "http://127.0.0.1:90", "on one machine");
        assert_eq!(admin("", "10.0.0.7:80", "10.0.0.7:90").unwrap(), "http://10.0.0.7:90");
        assert_eq!(admin("", "10.0.0.7:80", "127.0.0.1:90").unwrap(), "", "nobody else reaches it");
        assert_eq!(admin("", "10.0.0.7:80", "0.0.0.0:90").unwrap(), "http://10.0.0.7:90");
        assert_eq!(admin(&behind("http://[fd00::7]:80"), "[::]:80", "[::]:90").unwrap(), "http://[fd00::7]:90");
        assert_eq!(admin(&behind("http://order.svc:80"), "0.0.0.0:80", "0.0.0.0:90").unwrap(), "http://order.svc:90");
        assert_eq!(
            admin(&behind("https://order.example"), "0.0.0.0:80", "0.0.0.0:90").unwrap(),
            "",
            "what stands before it is not at that port"
        );
        let said = "[admin]\nadvertise = \"http://10.0.0.8:9090/\"";
        assert_eq!(admin(said, "10.0.0.7:80", "127.0.0.1:90").unwrap(), "http://10.0.0.8:9090");
        let told = admin("[admin]\nadvertise = \"10.0.0.8\"", "10.0.0.7:80", "127.0.0.1:90").unwrap_err();
        assert!(told.starts_with("`admin.advertise`: the URL"), "{told}");
        assert!(admin(said, "10.0.0.7:80", "").unwrap_err().contains("set `admin.addr` as well"));
    }
}
