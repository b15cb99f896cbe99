//! `static:`: a table that somebody has written, in the configuration or in a file of its own.
//!
//! It suits names that stand for all instances of a service, as those of Kubernetes services do. Nobody can be announced there; a file may be written anew
//! while others read it, as a mounted `ConfigMap` is.

use super::{Directory, Discovery, DiscoveryError, DiscoveryResult, Endpoint, Instance, LONGEST_WAIT, Listing, check};
use crate::config::ServiceUrls;
use futures_util::future::BoxFuture;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often a file is read again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A table of services.
pub struct Table {
    /// Read again and again; none if the table never changes.
    file: Option<PathBuf>,
    fixed: Listing,
}

impl Table {
    /// This table.
    ///
    /// # Errors
    /// If something in it cannot be asked.
    pub fn new(services: &BTreeMap<String, ServiceUrls>) -> DiscoveryResult<Self> {
        let fixed = directory(services).map_err(|why| refused("`[discovery.services]`", why))?.into();
        Ok(Table { file: None, fixed })
    }

    /// The table in this file: `order = "http://order:8080"`, and so on.
    ///
    /// # Errors
    /// If the file cannot be read now; later that is waited out.
    pub fn file(path: impl Into<PathBuf>) -> DiscoveryResult<Self> {
        let path = path.into();
        let text = std::fs::read_to_string(&path).map_err(|error| refused(&path.display().to_string(), error.to_string()))?;
        let fixed = parse(&text).map_err(|why| refused(&path.display().to_string(), why))?.into();
        Ok(Table { file: Some(path), fixed })
    }

    async fn read(&self) -> DiscoveryResult<Listing> {
        let Some(path) = &self.file else { return Ok(self.fixed.clone()) };
        let unavailable = |why: String| DiscoveryError::Unavailable { registry: self.describe(), why };
        let (read_from, name) = (path.clone(), path.display().to_string());
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(read_from)).await;
        let text = read.map_err(|error| unavailable(error.to_string()))?.map_err(|error| unavailable(format!("{name}: {error}")))?;
        Ok(parse(&text).map_err(unavailable)?.into())
    }

    async fn wait(&self, known: Option<String>) -> DiscoveryResult<Listing> {
        let end = Instant::now() + LONGEST_WAIT;
        loop {
            let listing = self.read().await?;
            let now = Instant::now();
            if known.as_deref() != Some(&listing.directory.revision) || now >= end {
                return Ok(listing);
            }
            let pause = if self.file.is_some() { LOOK_AGAIN } else { LONGEST_WAIT };
            tokio::time::sleep_until((now + pause).min(end)).await;
        }
    }
}

fn refused(registry: &str, why: String) -> DiscoveryError {
    DiscoveryError::Refused { registry: registry.to_owned(), why }
}

fn parse(text: &str) -> Result<Directory, String> {
    let services: BTreeMap<String, ServiceUrls> = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    directory(&services)
}

/// The instances of a table, numbered in its order.
fn directory(services: &BTreeMap<String, ServiceUrls>) -> Result<Directory, String> {
    let mut instances = Vec::new();
    for (service, urls) in services {
        let endpoints = endpoints(service, urls)?;
        for (n, (url, admin)) in urls.urls.iter().zip(admins(service, urls)?).enumerate() {
            let url = url.trim_end_matches('/').to_owned();
            let instance = Instance { service: service.clone(), id: format!("{}", n + 1), url, endpoints: endpoints.clone(), admin };
            instance.check().map_err(|unfit| unfit.to_string())?;
            instances.push(instance);
        }
    }
    Ok(Directory::of(instances))
}

/// What a table says that a service answers.
pub(super) fn endpoints(service: &str, urls: &ServiceUrls) -> Result<Vec<Endpoint>, String> {
    if urls.urls.is_empty() {
        return Err(format!("`{service}` has no URL: write `{service} = \"http://host:port\"`"));
    }
    urls.routes.iter().map(|route| check::parse_endpoint(route).map_err(|unfit| format!("`{service}`: {unfit}"))).collect()
}

/// Where a table says that the operator's API of each URL is: named for each, or once for all of them.
pub(super) fn admins(service: &str, urls: &ServiceUrls) -> Result<Vec<Option<String>>, String> {
    let admin = |n: usize| match &urls.admin[..] {
        [all] => Some(all),
        each => each.get(n),
    };
    if !matches!(urls.admin.len(), 0 | 1) && urls.admin.len() != urls.urls.len() {
        return Err(format!(
            "`{service}` has {} of `urls` and {} of `admin`: write one for each, or one for all",
            urls.urls.len(),
            urls.admin.len()
        ));
    }
    Ok((0..urls.urls.len()).map(|n| admin(n).map(|url| url.trim_end_matches('/').to_owned())).collect())
}

impl Discovery for Table {
    fn describe(&self) -> String {
        match &self.file {
            Some(path) => format!("the table {}", path.display()),
            None => "the table of the configuration".to_owned(),
        }
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
