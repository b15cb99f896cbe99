//! How others are asked: with limits, without proxies, and following nobody to another place.

use super::{DiscoveryError, DiscoveryResult};
use crate::tls;
use reqwest::{Client, StatusCode, redirect::Policy};
use std::{error::Error, time::Duration};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);
/// The largest answer that is read.
const LARGEST: usize = 16 * 1024 * 1024;

/// A client that follows no redirection and asks no proxy. The system's certificates say who is trusted.
///
/// # Errors
/// If TLS cannot be used here.
pub fn client() -> DiscoveryResult<Client> {
    let refused = |why: String| DiscoveryError::Refused { registry: "TLS".to_owned(), why };
    let tls = tls::client(tls::system_roots()).map_err(|error| refused(error.to_string()))?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("minos/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| refused(told(&error)))
}

/// An error with its causes, which say what has happened: the outermost names the URL only.
pub(super) fn told(error: &reqwest::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { last }
}

/// The body of an answer, within limits.
pub(super) async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| told(&error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(format!("the answer is larger than {LARGEST} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What somebody says who is asked whether they are ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They are.
    Ready,
    /// They are not, for sure: nobody listens there, or who does says so.
    NotReady(String),
    /// There is no answer, which may be due to the way there.
    Silent(String),
}

/// Asks `GET /health/ready`, and reads nothing but the status.
pub async fn readiness(client: &Client, url: &str, patience: Duration) -> Readiness {
    let asked = client.get(format!("{}/health/ready", url.trim_end_matches('/'))).timeout(patience).send().await;
    match asked {
        Ok(answer) if answer.status() == StatusCode::OK => Readiness::Ready,
        Ok(answer) => Readiness::NotReady(format!("it answers {} when asked whether it is ready", answer.status().as_u16())),
        Err(error) if refuses(&error) => Readiness::NotReady("nobody listens there".to_owned()),
        Err(error) => Readiness::Silent(told(&error)),
    }
}

/// Whether the machine itself says that nobody is there.
fn refuses(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        source = inner.source();
    }
    false
}
