//! What was answered by HTTP.

use crate::error::{Error, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An answer by HTTP.
#[derive(Debug, Clone)]
pub struct TestAnswer {
    pub(super) asked: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl TestAnswer {
    /// Its status; it compares with numbers.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// One of its headers, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What a success says.
    ///
    /// # Errors
    /// What the answer says if it is none, with its status; or that it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.ok()?;
        let body = if self.body.is_empty() { &b"null"[..] } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            Error::internal(format!("what `{}` answered is no `{}`: {error}: {}", self.asked, std::any::type_name::<T>(), self.text()))
        })
    }

    /// The answer, if it is a success.
    ///
    /// # Errors
    /// What it says otherwise, with its status.
    pub fn ok(&self) -> Result<&Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let why = self.problem().unwrap_or_else(|| self.text());
        Err(Error::internal(format!("`{}` was answered with {}: {why}", self.asked, self.status.as_u16())).with_status(self.status))
    }

    /// What the problem document says that it is: the `detail`, or the title if nothing more is told. `None` if it is none.
    pub fn problem(&self) -> Option<String> {
        if self.header("content-type") != Some("application/problem+json") {
            return None;
        }
        let problem: Value = serde_json::from_slice(&self.body).ok()?;
        let text = problem.get("detail").or_else(|| problem.get("title"))?;
        text.as_str().map(str::to_owned)
    }
}
