//! What handlers answer.

use crate::{
    aggregate::{Hold, Prepared},
    codec::{hex, unhex},
    error::{Error, Result},
    message::Envelope,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An answer with a status and headers of its own. Most handlers answer just a type that is `Serialize`, which is a `200` with JSON.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// An answer with this status and no body.
    pub fn new(status: StatusCode) -> Self {
        Response { status, ..Response::default() }
    }

    /// A `200` with JSON.
    ///
    /// # Errors
    /// If the value cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Response::of_json(serde_json::to_vec(value)?))
    }

    fn of_json(json: Vec<u8>) -> Self {
        Response { body: json.into(), ..Response::default() }
    }

    /// The same answer with this status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same answer with this header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same answer with a body of another content type.
    #[must_use]
    pub fn with_body(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.headers.insert(http::header::CONTENT_TYPE, content_type);
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers that were added.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) fn into_parts(self) -> (StatusCode, HeaderMap, Bytes) {
        (self.status, self.headers, self.body)
    }

    /// The answer as text, for the inbox, with what is kept beside it: a repetition gets the same one.
    pub(crate) fn store(&self, kept: Kept) -> Result<String> {
        let headers =
            self.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
        let (body, hex) = match std::str::from_utf8(&self.body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (hex(&self.body), true),
        };
        Ok(serde_json::to_string(&Stored { status: self.status.as_u16(), headers, body, hex, kept })?)
    }

    /// An answer that was stored, and what with it.
    pub(crate) fn restore(text: &str) -> Result<(Self, Kept)> {
        let stored: Stored = serde_json::from_str(text)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &stored.headers {
            headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        let body = match stored.hex {
            true => unhex(&stored.body).ok_or_else(|| Error::internal("a stored answer cannot be read"))?,
            false => stored.body.into_bytes(),
        };
        Ok((Response { status: StatusCode::from_u16(stored.status)?, headers, body: body.into() }, stored.kept))
    }
}

/// An answer in the inbox.
#[derive(Serialize, Deserialize)]
struct Stored {
    status: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    body: String,
    /// Whether the body is hexadecimal, because it is no text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hex: bool,
    #[serde(flatten)]
    kept: Kept,
}

/// What is kept beside an answer.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// What was asked, in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<Uuid>,
    /// What the handler holds for a saga.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) holds: Vec<Hold>,
    /// What the step of an isolated saga has prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prepared: Option<Prepared>,
    /// Of a step that holds or has prepared something: the message that asked for it, without its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Box<Envelope>>,
    /// What became of all that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
}

/// What became of what a step has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// What was prepared is applied.
    Applied,
    /// What was prepared is dropped, and what was held is released.
    Released,
}

/// What a handler can answer: anything that is `Serialize`, or a [`Response`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer `{Self}`",
    label = "cannot be sent as an answer",
    note = "answer a type with `#[derive(Serialize)]`, a `Result<T>` of one, or a `Response`"
)]
pub trait Answer {
    /// The answer with its status.
    #[doc(hidden)]
    fn answer(self) -> Result<Response>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Answer for T {
    fn answer(self) -> Result<Response> {
        finish(&self, size_of::<T>() == 0)
    }
}

impl Answer for Response {
    fn answer(self) -> Result<Response> {
        Ok(self)
    }
}

/// What is JSON, as all types have it in common: the rest is compiled once.
trait ToJson {
    fn write(&self, to: &mut serde_json::Serializer<&mut Vec<u8>>) -> serde_json::Result<()>;
}

impl<T: Serialize> ToJson for T {
    fn write(&self, to: &mut serde_json::Serializer<&mut Vec<u8>>) -> serde_json::Result<()> {
        self.serialize(to)
    }
}

/// `()` has nothing to say, so it answers `204`; an `Option` that is `None` says `null`.
fn finish(value: &dyn ToJson, is_unit: bool) -> Result<Response> {
    let mut json = Vec::with_capacity(128);
    let written = value.write(&mut serde_json::Serializer::new(&mut json));
    written.map_err(|error| Error::from(error).context("the answer cannot be written as JSON"))?;
    Ok(if is_unit && json == b"null" { Response::new(StatusCode::NO_CONTENT) } else { Response::of_json(json) })
}

/// The error of a handler: anything that `?` turns into an [`Error`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    label = "not convertible to `minos::Error`",
    note = "implement `std::error::Error` for `{Self}` (for example with `#[derive(thiserror::Error)]`)"
)]
pub trait HandlerError {
    #[doc(hidden)]
    fn into_error(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> HandlerError for E {
    fn into_error(self) -> Error {
        self.into()
    }
}
