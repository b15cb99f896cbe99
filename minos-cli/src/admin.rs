//! The operator's API of a service, asked over HTTP.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use ureq::{Agent, Body, http::Response};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the operator's API could not be asked, or what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// Nobody answers.
    #[error(
        "the operator's API at {url} does not answer: {why}; is `admin.addr` set in the service's configuration? `--admin` says where it is"
    )]
    Unreachable { url: String, why: String },
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// It answers something else.
    #[error("{url} does not answer as the operator's API does: {why}")]
    Foreign { url: String, why: String },
}

/// The operator's API of one service.
pub(crate) struct Admin {
    url: String,
    agent: Agent,
}

impl Admin {
    pub(crate) fn new(url: &str) -> Self {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let agent = Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build().new_agent();
        Admin { url: url.trim_end_matches('/').to_owned(), agent }
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.answer(self.agent.get(format!("{}{path}", self.url)).call())
    }

    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.answer(self.agent.put(format!("{}{path}", self.url)).send_empty())
    }

    pub(crate) fn put_with<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, AdminError> {
        self.answer(self.agent.put(format!("{}{path}", self.url)).send_json(body))
    }

    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.answer(self.agent.delete(format!("{}{path}", self.url)).call())
    }

    /// What is told in another form than JSON.
    pub(crate) fn text(&self, path: &str) -> Result<String, AdminError> {
        self.body(self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// Reads a part of what was told.
    pub(crate) fn read<T: DeserializeOwned>(&self, told: Value) -> Result<T, AdminError> {
        serde_json::from_value(told).map_err(|error| AdminError::Foreign { url: self.url.clone(), why: error.to_string() })
    }

    fn answer<T: DeserializeOwned>(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<T, AdminError> {
        let text = self.body(answer)?;
        serde_json::from_str(&text).map_err(|error| AdminError::Foreign { url: self.url.clone(), why: error.to_string() })
    }

    fn body(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<String, AdminError> {
        let url = || self.url.clone();
        let mut answer = answer.map_err(|error| AdminError::Unreachable { url: url(), why: error.to_string() })?;
        let text = answer.body_mut().read_to_string().map_err(|error| AdminError::Unreachable { url: url(), why: error.to_string() })?;
        if !answer.status().is_success() {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let detail = problem["detail"].as_str().or(problem["title"].as_str());
            return Err(AdminError::Refused(detail.map_or_else(|| format!("it answers {}", answer.status()), str::to_owned)));
        }
        Ok(text)
    }
}

/// A part of a path, in which nothing means anything else.
pub(crate) fn part(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths_are_only_that() {
        assert_eq!(part("Balance"), "Balance");
        assert_eq!(part("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }

    #[test]
    fn who_is_not_there_is_told_with_what_to_do() {
        let error = Admin::new("127.0.0.1:1").get::<Value>("/projections").unwrap_err().to_string();
        assert!(
            error.starts_with("the operator's API at http://127.0.0.1:1 does not answer: ") && error.contains("`admin.addr`"),
            "{error}"
        );
    }
}
