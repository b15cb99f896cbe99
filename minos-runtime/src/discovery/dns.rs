//! `dns:`: names of hosts that stand for all instances of a service, as those of a headless service of Kubernetes do: each of their addresses is one.
//!
//! Names are looked up by the system's resolver, so what it is told by `/etc/hosts` and `/etc/resolv.conf` holds. It knows no ports, so these stand in the
//! table. Nobody can be announced there: who runs the names does that.

use super::{
    Directory, Discovery, DiscoveryError, DiscoveryResult, Endpoint, Instance, LONGEST_WAIT, Listing,
    check::check_url,
    table::{admins, endpoints},
};
use crate::{config::ServiceUrls, sync::lock};
use futures_util::future::{BoxFuture, join_all};
use http::Uri;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// How often names are looked up again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Finds the addresses of a host.
pub type Resolve = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Names that stand for services.
pub struct Dns {
    names: Vec<Name>,
    resolve: Resolve,
    look_again: Duration,
    /// What each host was found at when it was found last.
    found: Mutex<HashMap<String, Vec<IpAddr>>>,
}

struct Name {
    service: String,
    host: String,
    port: u16,
    endpoints: Vec<Endpoint>,
    admin: Option<Admin>,
}

/// Where the operator's API of all addresses of a name is.
enum Admin {
    /// At each of them, on this port.
    Port(u16),
    /// Elsewhere.
    Url(String),
}

impl Dns {
    /// Looks up the hosts of these URLs.
    ///
    /// # Errors
    /// If there is none, or one of them cannot be asked.
    pub fn new(services: &BTreeMap<String, ServiceUrls>) -> DiscoveryResult<Self> {
        Dns::with(services, Arc::new(|host| Box::pin(system(host))), LOOK_AGAIN)
    }

    /// The same with another resolver, and another rhythm.
    ///
    /// # Errors
    /// As [`new`](Dns::new).
    pub fn with(services: &BTreeMap<String, ServiceUrls>, resolve: Resolve, look_again: Duration) -> DiscoveryResult<Self> {
        let refused = |why: String| DiscoveryError::Refused { registry: "`[discovery.services]`".to_owned(), why };
        if services.is_empty() {
            return Err(refused(
                "DNS does not say which services there are: name them, as in `order = \"http://order.shop.svc.cluster.local:8080\"`"
                    .to_owned(),
            ));
        }
        let mut names = Vec::new();
        for (service, urls) in services {
            let endpoints = endpoints(service, urls).map_err(refused)?;
            let admins = admins(service, urls).map_err(refused)?;
            for (url, admin) in urls.urls.iter().zip(admins) {
                let (host, port) = parse(service, url).map_err(refused)?;
                let admin = admin.map(|admin| match parse(service, &admin).map_err(refused)? {
                    (same, port) if same == host => DiscoveryResult::Ok(Admin::Port(port)),
                    _ => Ok(Admin::Url(admin)),
                });
                names.push(Name { service: service.clone(), host, port, endpoints: endpoints.clone(), admin: admin.transpose()? });
            }
        }
        Ok(Dns { names, resolve, look_again, found: Mutex::default() })
    }

    /// Looks all names up. Who is not found now is where it was found last; if nobody is found, it is the resolver that is not there.
    async fn look(&self) -> DiscoveryResult<Listing> {
        let looked = join_all(self.names.iter().map(|name| async {
            let found = tokio::time::timeout(PATIENCE, (self.resolve)(name.host.clone())).await;
            found.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
        }));
        let (mut instances, mut whys, mut any) = (Vec::new(), Vec::new(), false);
        for (name, addresses) in self.names.iter().zip(looked.await) {
            let addresses = match addresses {
                Ok(addresses) => {
                    any = true;
                    lock(&self.found).insert(name.host.clone(), addresses.clone());
                    addresses
                }
                Err(error) => {
                    whys.push(format!("`{}`: {error}", name.host));
                    lock(&self.found).get(&name.host).cloned().unwrap_or_default()
                }
            };
            instances.extend(addresses.into_iter().map(|ip| name.instance(ip)));
        }
        if !any {
            return Err(DiscoveryError::Unavailable { registry: self.describe(), why: whys.join("; ") });
        }
        if !whys.is_empty() {
            tracing::debug!(why = whys.join("; "), "some names are not found");
        }
        Ok(Directory::of(instances).into())
    }

    async fn wait(&self, known: Option<String>) -> DiscoveryResult<Listing> {
        let end = Instant::now() + LONGEST_WAIT;
        loop {
            let listing = self.look().await?;
            let now = Instant::now();
            if known.as_deref() != Some(&listing.directory.revision) || now >= end {
                return Ok(listing);
            }
            tokio::time::sleep_until((now + self.look_again).min(end)).await;
        }
    }
}

impl Name {
    fn instance(&self, ip: IpAddr) -> Instance {
        let addr = SocketAddr::new(ip, self.port);
        // Letters, digits and `-` only, as ids are.
        let id = addr.to_string().replace(['[', ']'], "").replace(['.', ':'], "-");
        let admin = self.admin.as_ref().map(|admin| match admin {
            Admin::Port(port) => format!("http://{}", SocketAddr::new(ip, *port)),
            Admin::Url(url) => url.clone(),
        });
        Instance { service: self.service.clone(), id, url: format!("http://{addr}"), endpoints: self.endpoints.clone(), admin }
    }
}

fn parse(service: &str, url: &str) -> Result<(String, u16), String> {
    check_url(url).map_err(|unfit| format!("`{service}`: {unfit}"))?;
    let uri: Uri = url.parse().map_err(|error| format!("`{service}`: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!(
            "`{service}` has the URL `{url}`: a certificate holds for the name and not for its addresses, so `dns:` takes `http://` only; with `static:` the name itself is asked"
        ));
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, uri.port_u16().unwrap_or(80)))
}

/// By the system's resolver. An address that is none of a port comes once.
async fn system(host: String) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.map(|addr| addr.ip()).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

impl Discovery for Dns {
    fn describe(&self) -> String {
        let hosts: Vec<&str> = self.names.iter().map(|name| name.host.as_str()).collect();
        format!("DNS ({})", hosts.join(", "))
    }

    fn takes_announcements(&self) -> bool {
        false
    }

    fn announce(&self, _: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>> {
        Box::pin(async { Ok(()) })
    }

    fn withdraw(&self, _: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>> {
        Box::pin(async { Ok(()) })
    }

    fn directory(&self, known: Option<&str>) -> BoxFuture<'_, DiscoveryResult<Listing>> {
        Box::pin(self.wait(known.map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(answers: Arc<Mutex<HashMap<String, Vec<IpAddr>>>>, names: &[(&str, &str)]) -> DiscoveryResult<Dns> {
        let services = names
            .iter()
            .map(|(service, url)| ((*service).to_owned(), ServiceUrls { urls: vec![(*url).to_owned()], ..ServiceUrls::default() }));
        let resolve: Resolve = Arc::new(move |host| {
            let found = lock(&answers).get(&host).cloned().ok_or_else(|| io::Error::other("no such host"));
            Box::pin(async { found })
        });
        Dns::with(&services.collect(), resolve, Duration::from_millis(10))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn each_address_is_an_instance_and_who_is_not_found_is_where_it_was() {
        let answers = Arc::new(Mutex::new(HashMap::from([
            ("order.svc".to_owned(), vec![ip("10.0.0.1"), ip("fd00::1")]),
            ("stock".to_owned(), vec![]),
        ])));
        let dns = dns(answers.clone(), &[("order", "http://order.svc:8080"), ("stock", "http://stock")]).unwrap();
        let listing = dns.directory(None).await.unwrap();
        let urls: Vec<_> =
            listing.directory.instances.iter().map(|one| (one.service.as_str(), one.id.as_str(), one.url.as_str())).collect();
        assert_eq!(urls, [("order", "10-0-0-1-8080", "http://10.0.0.1:8080"), ("order", "fd00--1-8080", "http://[fd00::1]:8080")]);
        assert!(listing.directory.instances.iter().all(|one| one.check().is_ok()));
        lock(&answers).remove("order.svc");
        assert_eq!(dns.directory(None).await.unwrap(), listing, "it is where it was");
        lock(&answers).clear();
        assert!(matches!(dns.directory(None).await, Err(DiscoveryError::Unavailable { .. })), "nobody is found: that is no answer");
    }

    #[tokio::test]
    async fn an_operators_address_of_the_same_name_is_that_of_each_address() {
        let resolve: Resolve = Arc::new(|_| Box::pin(async { Ok(vec![ip("10.0.0.1"), ip("fd00::1")]) }));
        let admins = async |admin: &str| {
            let urls =
                ServiceUrls { urls: vec!["http://order.svc:8080".to_owned()], admin: vec![admin.to_owned()], ..ServiceUrls::default() };
            let dns = Dns::with(&BTreeMap::from([("order".to_owned(), urls)]), resolve.clone(), LOOK_AGAIN)?;
            DiscoveryResult::Ok(dns.directory(None).await?.directory.instances.into_iter().filter_map(|one| one.admin).collect::<Vec<_>>())
        };
        assert_eq!(admins("http://order.svc:9090").await.unwrap(), ["http://10.0.0.1:9090", "http://[fd00::1]:9090"]);
        assert_eq!(admins("http://operators:9090").await.unwrap(), ["http://operators:9090", "http://operators:9090"]);
        assert!(admins("http://me:pw@order.svc:9090").await.unwrap_err().to_string().contains("do not belong into it"));
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        assert!(system("localhost".to_owned()).await.unwrap().iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let none = |names: &[(&str, &str)]| dns(Arc::default(), names).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(none(&[]).contains("DNS does not say which services there are"));
        assert!(none(&[("order", "https://order")]).contains("takes `http://` only"));
        assert!(none(&[("order", "http://me:pw@order")]).contains("do not belong into it"));
    }
}
