//! The registry `minos discovery`, asked over HTTP. Of several that share a store, the next one is asked when one does not answer.

use super::{Discovery, DiscoveryError, DiscoveryResult, Instance, LONGEST_WAIT, Listing, check, outgoing};
use crate::{config::Secret, sync::lock};
use futures_util::future::BoxFuture;
use http::HeaderValue;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How long an answer may take that is not waited for on purpose.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a revision may be, in bytes.
const LONGEST_REVISION: usize = 200;

/// The registry `minos discovery`.
pub struct Registry {
    /// Where it is, without the `/` at the end; at least one.
    urls: Vec<String>,
    /// Whose turn it is: the last one that has answered.
    turn: AtomicUsize,
    token: Secret,
    /// How often an instance says that it is there.
    renew: Duration,
    client: Client,
    /// What was answered last: it is what "nothing new" means.
    last: Mutex<Option<Arc<Listing>>>,
}

/// What an instance says: it is named by the path.
#[derive(Serialize)]
struct Announcement<'i> {
    url: &'i str,
    endpoints: &'i [super::Endpoint],
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<&'i str>,
    /// Its rhythm, so that the registry knows when it should have been heard again.
    renew_ms: u64,
}

impl Registry {
    /// The registry at these URLs, with commas between them: `http://10.0.0.1:7070,http://10.0.0.2:7070`. The token is what it wants to see; it is sent
    /// to nobody else.
    ///
    /// # Errors
    /// If a URL is none.
    pub fn new(urls: &str, token: Secret, renew: Duration) -> DiscoveryResult<Self> {
        let urls: Vec<String> = urls.split(',').map(|url| url.trim().trim_end_matches('/').to_owned()).collect();
        for url in &urls {
            check::check_url(url)
                .map_err(|unfit| DiscoveryError::Refused { registry: "`discovery.url`".to_owned(), why: unfit.to_string() })?;
        }
        Ok(Registry { urls, turn: AtomicUsize::new(0), token, renew, client: outgoing::client()?, last: Mutex::default() })
    }

    fn request(&self, url: &str, method: Method, path: &str, patience: Duration) -> RequestBuilder {
        let request = self.client.request(method, format!("{url}{path}")).timeout(patience);
        if self.token.is_empty() { request } else { request.bearer_auth(self.token.expose()) }
    }

    /// Asks one after the other until one answers. A refusal is an answer.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        patience: Duration,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> DiscoveryResult<Answered> {
        let first = self.turn.load(Ordering::Relaxed);
        let mut whys = Vec::new();
        for n in 0..self.urls.len() {
            let at = (first + n) % self.urls.len();
            let Some(url) = self.urls.get(at) else { continue };
            match answered(with(self.request(url, method.clone(), path, patience)).send().await).await {
                Ok(answered) => {
                    self.turn.store(at, Ordering::Relaxed);
                    return Ok(answered);
                }
                Err(Failed::Refused(why)) => return Err(DiscoveryError::Refused { registry: self.describe(), why }),
                Err(Failed::Silent(why)) if self.urls.len() > 1 => whys.push(format!("{url}: {why}")),
                Err(Failed::Silent(why)) => whys.push(why),
            }
        }
        Err(DiscoveryError::Unavailable { registry: self.describe(), why: whys.join("; ") })
    }

    async fn list(&self, known: Option<String>) -> DiscoveryResult<Listing> {
        let (path, patience) = match known {
            Some(_) => (format!("/directory?wait={}s", LONGEST_WAIT.as_secs()), LONGEST_WAIT + PATIENCE),
            None => ("/directory".to_owned(), PATIENCE),
        };
        let last = lock(&self.last).clone().filter(|last| known.as_ref() == Some(&last.directory.revision));
        let answered = self.ask(Method::GET, &path, patience, |request| match &last {
            Some(last) => request.header(header::IF_NONE_MATCH, format!("\"{}\"", last.directory.revision)),
            None => request,
        });
        match (answered.await?, last) {
            (Answered::NothingNew, Some(last)) => Ok((*last).clone()),
            (Answered::NothingNew, None) => Err(self.foreign("it says that there is nothing new, and was not told what is known")),
            (Answered::Body(body), _) => {
                let listing: Listing = serde_json::from_slice(&body).map_err(|error| self.foreign(&error.to_string()))?;
                // It is said again in a header, and what cannot be said there would be asked for in vain for ever.
                let revision = &listing.directory.revision;
                if revision.len() > LONGEST_REVISION || HeaderValue::from_str(revision).is_err() {
                    return Err(self.foreign("its revision is none: it is too long, or has control characters"));
                }
                *lock(&self.last) = Some(Arc::new(listing.clone()));
                Ok(listing)
            }
        }
    }

    fn foreign(&self, why: &str) -> DiscoveryError {
        DiscoveryError::Unavailable { registry: self.describe(), why: format!("it does not answer as a registry does: {why}") }
    }
}

enum Answered {
    Body(Vec<u8>),
    NothingNew,
}

enum Failed {
    /// It says no.
    Refused(String),
    /// It does not answer, or says that it cannot now.
    Silent(String),
}

async fn answered(sent: Result<Response, reqwest::Error>) -> Result<Answered, Failed> {
    let answer = sent.map_err(|error| Failed::Silent(outgoing::told(&error)))?;
    let status = answer.status();
    if status == StatusCode::NOT_MODIFIED {
        return Ok(Answered::NothingNew);
    }
    let body = outgoing::body(answer).await.map_err(Failed::Silent)?;
    if status.is_success() {
        return Ok(Answered::Body(body));
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().map(|detail| format!(": {detail}")).unwrap_or_default();
    let why = format!("it answers {}{detail}", status.as_u16());
    let says_no = status.is_client_error() && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    Err(if says_no { Failed::Refused(why) } else { Failed::Silent(why) })
}

/// Names are checked, so they mean nothing else in a path.
fn path_of(instance: &Instance) -> String {
    format!("/services/{}/instances/{}", instance.service, instance.id)
}

impl Discovery for Registry {
    fn describe(&self) -> String {
        format!("the registry at {}", self.urls.join(", "))
    }

    fn announce(&self, instance: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>> {
        Box::pin(async move {
            let renew_ms = u64::try_from(self.renew.as_millis()).unwrap_or(u64::MAX);
            let said = Announcement { url: &instance.url, endpoints: &instance.endpoints, admin: instance.admin.as_deref(), renew_ms };
            self.ask(Method::PUT, &path_of(&instance), PATIENCE, |request| request.json(&said)).await?;
            Ok(())
        })
    }

    fn withdraw(&self, instance: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>> {
        Box::pin(async move {
            self.ask(Method::DELETE, &path_of(&instance), PATIENCE, |request| request).await?;
            Ok(())
        })
    }

    fn directory(&self, known: Option<&str>) -> BoxFuture<'_, DiscoveryResult<Listing>> {
        Box::pin(self.list(known.map(str::to_owned)))
    }
}
