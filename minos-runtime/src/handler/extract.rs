//! What handlers take.
//!
//! Every parameter but the context is read from the request by [`FromRequest`]. One type is the input, which is the request's content; the
//! others say by their names what they are: [`Path`], [`Query`], [`Headers`], [`User`] and [`Event`].

use super::{
    Headers, User,
    request::{Content, PathSource, Request},
    strings,
};
use crate::{
    aggregate::{Event, EventContent},
    error::{Error, ErrorKind, Result},
};
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// What can be a parameter of a handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a handler",
    label = "neither an extractor nor `Deserialize`",
    note = "the input of a handler needs `#[derive(Deserialize)]`; extractors are `Path<T>`, `Query<T>`, `Headers`, `User` and `Event<T>`",
    note = "if it is there, the type may come from another version of `serde` than the one Minos uses"
)]
pub trait FromRequest: Sized {
    /// Reads it.
    #[doc(hidden)]
    fn from_request(request: &Request) -> Result<Self>;

    /// Reads it for a query, whose input may stand in the query string. Decoding from there is compiled for these only.
    #[doc(hidden)]
    fn for_query(request: &Request) -> Result<Self> {
        Self::from_request(request)
    }
}

/// Parameters of the path, in the order of the route: `Path<Uuid>` for one, `Path<(Uuid, u32)>` for two, or a struct with their names.
///
/// A message of the broker has no path: there they are fields of its content, by the names that the route gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// The query string as a struct: `?page=2&tag=a&tag=b`. A message of the broker has none: there it is the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + Send + 'static> FromRequest for T {
    fn from_request(request: &Request) -> Result<Self> {
        input(request)
    }

    fn for_query(request: &Request) -> Result<Self> {
        match &request.parts().content {
            Content::Form => from_form(request),
            _ => input(request),
        }
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    fn from_request(request: &Request) -> Result<Self> {
        match (&request.parts().path, &request.parts().content) {
            (PathSource::Content(_), Content::Json(_)) => input(request).map(Query),
            _ => from_form(request).map(Query),
        }
    }
}

impl<T: DeserializeOwned> FromRequest for Path<T> {
    fn from_request(request: &Request) -> Result<Self> {
        let parameters = strings::parameters(request)?;
        T::deserialize(strings::ParametersDeserializer::new(&parameters)).map(Path).map_err(|error| bad_path(&parameters, &error))
    }
}

impl FromRequest for Headers {
    fn from_request(request: &Request) -> Result<Self> {
        Ok(Headers(request.parts().headers.clone()))
    }
}

impl FromRequest for User {
    fn from_request(request: &Request) -> Result<Self> {
        Ok(request.user().clone())
    }
}

impl<T: EventContent> FromRequest for Event<T> {
    fn from_request(request: &Request) -> Result<Self> {
        let parts = request.parts();
        match (&parts.event, &parts.content) {
            (Some(meta), Content::Json(json)) => Event::read(std::str::from_utf8(json)?, meta.clone()),
            _ => Err(Error::internal("an event is the parameter of an `#[event]` handler only")),
        }
    }
}

/// The request's content as `T`. This is compiled once for each input, so what is not generic is elsewhere, and nothing is passed through closures.
fn input<T: DeserializeOwned>(request: &Request) -> Result<T> {
    let mut input = Input::of(request);
    match T::deserialize(input.watched()) {
        Ok(value) => match input.ends() {
            None => Ok(value),
            Some(error) => Err(error),
        },
        Err(error) => Err(input.refused(error)),
    }
}

/// An input that is being read.
struct Input<'r> {
    request: &'r Request,
    decoder: serde_json::Deserializer<serde_json::de::SliceRead<'r>>,
    /// Those that its type has.
    fields: Option<&'static [&'static str]>,
}

impl<'r> Input<'r> {
    fn of(request: &'r Request) -> Self {
        Input { request, decoder: serde_json::Deserializer::from_slice(json(request)), fields: None }
    }

    fn watched(&mut self) -> strings::Watch<'_, &mut serde_json::Deserializer<serde_json::de::SliceRead<'r>>> {
        strings::Watch { inner: &mut self.decoder, fields: &mut self.fields }
    }

    /// What is wrong, if the content does not end where the input does, or has fields that the input does not have.
    fn ends(&mut self) -> Option<Error> {
        if let Err(error) = self.decoder.end() {
            return Some(bad_json(error));
        }
        // It would be opened with what is stored.
        #[cfg(feature = "sensitive")]
        if crate::sensitive::names_seal(json(self.request)) {
            return Some(Error::invalid("the input has a `$sealed`, which nobody but this service writes"));
        }
        if self.request.is_strict() { unknown_fields(json(self.request), self.fields).err() } else { None }
    }

    fn refused(&self, error: serde_json::Error) -> Error {
        match &self.request.parts().content {
            Content::Json(_) => bad_json(error),
            Content::Form | Content::None => Error::new(ErrorKind::Malformed, "the request has no body, and this needs one"),
        }
    }
}

/// The content. Nothing is what `()` and `Option` read from nothing.
fn json(request: &Request) -> &[u8] {
    match &request.parts().content {
        Content::Json(json) => json,
        Content::Form | Content::None => b"null",
    }
}

fn from_form<T: DeserializeOwned>(request: &Request) -> Result<T> {
    let query = request.parts().query.as_deref().unwrap_or_default();
    let decoder = serde_html_form::Deserializer::from_bytes(query.as_bytes());
    let mut fields = None;
    match T::deserialize(strings::Watch { inner: decoder, fields: &mut fields }) {
        Ok(value) => match strings::unknown_parameters(query, fields) {
            Ok(()) => Ok(value),
            Err(error) => Err(error),
        },
        Err(error) => Err(bad_query(&error)),
    }
}

fn bad_query(error: &impl std::fmt::Display) -> Error {
    Error::invalid(format!("the query string is not of the expected form: {error}"))
}

fn bad_path(parameters: &[(Cow<'_, str>, Cow<'_, str>)], error: &impl std::fmt::Display) -> Error {
    let names: Vec<_> = parameters.iter().map(|(name, value)| format!("{name} = `{value}`")).collect();
    Error::invalid(format!("the path is not of the expected form ({}): {error}", names.join(", ")))
}

fn bad_json(error: serde_json::Error) -> Error {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => Error::invalid(format!("the input is not of the expected form: {error}")),
        Category::Eof => Error::new(ErrorKind::Malformed, format!("the input is no JSON: {error}; is it cut off?")),
        Category::Syntax | Category::Io => Error::new(ErrorKind::Malformed, format!("the input is no JSON: {error}")),
    }
}

fn unknown_fields(json: &[u8], fields: Option<&'static [&'static str]>) -> Result<()> {
    let Some(fields) = fields else { return Ok(()) };
    // Serde would read a list as the fields in their order, which no client should build on.
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(Error::invalid("the input is not of the expected form: it is a list, and has to be an object"));
    }
    strings::check_known(strings::keys(json)?.iter().map(|key| &**key), fields)
}
