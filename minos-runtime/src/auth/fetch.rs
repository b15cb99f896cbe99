//! Where a set of keys is read from: a file, or a server.

use crate::{
    error::{Error, Result},
    tls,
};
use reqwest::{Client, Url, redirect::Policy};
use std::{fmt, path::PathBuf, time::Duration};

/// How long an answer may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is read of it.
const LONGEST: usize = 1024 * 1024;

/// A file, or a server.
pub(super) enum Place {
    File(PathBuf),
    Server(Client, Url),
}

impl Place {
    /// The place that this text means.
    ///
    /// # Errors
    /// If it is a URL that cannot be asked.
    pub(super) fn of(text: &str) -> Result<Self> {
        if !text.contains("://") {
            return Ok(Place::File(text.into()));
        }
        let url: Url = text.parse().map_err(|error| Error::invalid(format!("`auth.jwks` is `{text}`, which is no URL: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Error::invalid(format!("`auth.jwks` is `{text}`: write `https://…`, or the name of a file")));
        }
        let local = url.host_str().is_some_and(|host| {
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        });
        if url.scheme() == "http" && !local {
            tracing::warn!("`auth.jwks` is asked over `http:`, where somebody on the way can give keys of their own: write `https:`");
        }
        Ok(Place::Server(client()?, url))
    }

    /// What stands there.
    pub(super) async fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Place::File(path) => std::fs::read(path).map_err(|error| error.to_string()),
            Place::Server(client, url) => asked(client, url.clone()).await,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            // Without a password that may stand in it.
            Place::Server(_, url) => write!(f, "{}{}", url.origin().ascii_serialization(), url.path()),
        }
    }
}

/// A client that follows nobody elsewhere: who asks one server for keys does not believe another.
fn client() -> Result<Client> {
    let tls = tls::client(tls::system_roots()).map_err(|error| Error::from(error).context("TLS cannot be used"))?;
    let client = Client::builder().tls_backend_preconfigured(tls).redirect(Policy::none()).timeout(PATIENCE).build();
    client.map_err(|error| Error::from(error).context("`auth.jwks` cannot be asked"))
}

async fn asked(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    // The last cause says most, and the URL is told by who asks.
    let told = |error: reqwest::Error| {
        let error = error.without_url();
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        causes.last().map(ToString::to_string).unwrap_or_default()
    };
    let mut answer = client.get(url).send().await.map_err(told)?;
    if answer.status() != http::StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let mut text = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(told)? {
        text.extend_from_slice(&part);
        if text.len() > LONGEST {
            return Err(format!("it answers more than {LONGEST} bytes"));
        }
    }
    Ok(text)
}
