//! A client of the services, which needs no socket.

use super::{TestAnswer, TestRunning, quoted};
use crate::{
    error::{Error, Result},
    http::Body,
    service::Running,
};
use ::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

impl TestRunning {
    /// `GET` of this path.
    ///
    /// # Errors
    /// If it cannot be asked: there is no such path to write, or two services have it. What is answered is no error, whatever it says.
    pub async fn get(&self, path: impl AsRef<str>) -> Result<TestAnswer> {
        self.request(Method::GET, path, ()).await
    }

    /// `POST` to this path, of something as JSON; of `()`, without a body.
    ///
    /// # Errors
    /// As [`get`](TestRunning::get).
    pub async fn post(&self, path: impl AsRef<str>, body: impl Serialize) -> Result<TestAnswer> {
        self.request(Method::POST, path, body).await
    }

    /// `PUT` to this path, of something as JSON; of `()`, without a body.
    ///
    /// # Errors
    /// As [`get`](TestRunning::get).
    pub async fn put(&self, path: impl AsRef<str>, body: impl Serialize) -> Result<TestAnswer> {
        self.request(Method::PUT, path, body).await
    }

    /// `PATCH` of this path, with something as JSON; with `()`, without a body.
    ///
    /// # Errors
    /// As [`get`](TestRunning::get).
    pub async fn patch(&self, path: impl AsRef<str>, body: impl Serialize) -> Result<TestAnswer> {
        self.request(Method::PATCH, path, body).await
    }

    /// `DELETE` of this path.
    ///
    /// # Errors
    /// As [`get`](TestRunning::get).
    pub async fn delete(&self, path: impl AsRef<str>) -> Result<TestAnswer> {
        self.request(Method::DELETE, path, ()).await
    }

    /// Any request to this path, of something as JSON; of `()`, without a body.
    ///
    /// # Errors
    /// As [`get`](TestRunning::get).
    pub async fn request(&self, method: Method, path: impl AsRef<str>, body: impl Serialize) -> Result<TestAnswer> {
        let json = serde_json::to_vec(&body)?;
        let content = if json == b"null" { Bytes::new() } else { json.into() };
        self.exchange(method, path.as_ref(), content).await
    }

    /// The same, with this header on each request: `shop.with_header("idempotency-key", "7").post(…)`.
    ///
    /// # Panics
    /// If it is no header.
    #[must_use]
    #[track_caller]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                let mut with = self.clone();
                with.headers.insert(name, value);
                with
            }
            _ => panic!("`{name}: {value}` is no header"),
        }
    }

    async fn exchange(&self, method: Method, path: &str, content: Bytes) -> Result<TestAnswer> {
        let asked = format!("{method} {path}");
        let unwritable = |error: ::http::Error| Error::invalid(format!("`{asked}` cannot be asked: {error}"));
        let has_content = !content.is_empty();
        let mut request = Request::builder().method(method.clone()).uri(path).body(Body::from(Full::new(content))).map_err(unwritable)?;
        if has_content {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().insert(self.user.clone());
        let running = self.server(&method, request.uri().path(), &asked)?;
        let (parts, body) = running.answer(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| Error::internal(format!("the answer to `{asked}` broke off: {error}")))?;
        Ok(TestAnswer { asked, status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }

    /// The service that has this route; if none has, the first one says so.
    fn server(&self, method: &Method, path: &str, asked: &str) -> Result<&Running> {
        if self.only.is_some() {
            return Ok(self.running());
        }
        let all = &self.world.running;
        let having: Vec<&Running> = all.iter().filter(|running| running.has_route(method, path)).collect();
        match &having[..] {
            [one] => Ok(one),
            [] => all.first().ok_or_else(|| Error::internal("a test has a service at least")),
            many => {
                let names: Vec<_> = many.iter().map(|running| running.name()).collect();
                Err(Error::invalid(format!("several services have `{asked}`: say with `.of(\"…\")` which is meant of {}", quoted(&names))))
            }
        }
    }
}
