//! What handlers take.
//!
//! Every parameter but the context is read from the request by [`FromRequest`]. One type is the input, which is the request's content; the
//! others say by their names what they are: [`Path`], [`Query`], [`Headers`], [`User`] and [`Event`].

use super::{
    Headers, User,
    probe::Asked,
    request::{Content, PathSource, Request},
    strings,
};
use crate::{
    aggregate::{Event, EventContent},
    error::{Error, ErrorKind, Result},
    sample::{Class, Fault, Json, Reader, Readers, Schema, Tracer},
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
        input(request, Asked::Input)
    }

    fn for_query(request: &Request) -> Result<Self> {
        match &request.parts().content {
            Content::Form => from_form(request),
            _ => input(request, Asked::Input),
        }
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    fn from_request(request: &Request) -> Result<Self> {
        if request.parts().probe.is_some() {
            return input(request, Asked::Query).map(Query);
        }
        match (&request.parts().path, &request.parts().content) {
            (PathSource::Content(_), Content::Json(_)) => input(request, Asked::Query).map(Query),
            _ => from_form(request).map(Query),
        }
    }
}

impl<T: DeserializeOwned> FromRequest for Path<T> {
    fn from_request(request: &Request) -> Result<Self> {
        if request.parts().probe.is_some() {
            return input(request, Asked::Path).map(Path);
        }
        let parameters = strings::parameters(request)?;
        T::deserialize(strings::ParametersDeserializer::new(&parameters)).map(Path).map_err(|error| bad_path(&parameters, &error))
    }
}

impl FromRequest for Headers {
    fn from_request(request: &Request) -> Result<Self> {
        if let Some(probe) = &request.parts().probe {
            probe.tell(Asked::Headers, (Schema::open(), Readers::new(), None));
        }
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
            _ if parts.probe.is_some() => {
                let seen = T::seen();
                parts.probe.iter().for_each(|probe| probe.tell(Asked::Event, (seen.schema.clone(), Readers::new(), seen.hidden.clone())));
                Err(Error::internal("there is no event"))
            }
            _ => Err(Error::internal("an event is the parameter of an `#[event]` handler only")),
        }
    }
}

/// The request's content as `T`. This is compiled once for each input, so what is not generic is elsewhere, and nothing is passed through closures.
fn input<T: DeserializeOwned>(request: &Request, asked: Asked) -> Result<T> {
    let mut input = Input::of(request, asked);
    // Once, unless it is to be seen what its type looks like.
    loop {
        match T::deserialize(input.reader()) {
            Ok(value) => match input.ends() {
                Ok(true) => return Ok(value),
                Ok(false) => {}
                Err(error) => return Err(error),
            },
            Err(fault) => {
                if let Some(error) = input.refused(&fault) {
                    return Err(error);
                }
            }
        }
    }
}

/// An input that is being read.
struct Input<'r> {
    request: &'r Request,
    source: Source<'r>,
}

/// Where it is read from.
enum Source<'r> {
    Json(Json<'r>),
    /// Nowhere: it is looked at what its type is.
    Looked(Box<Tracer>, Asked),
}

impl<'r> Input<'r> {
    fn of(request: &'r Request, asked: Asked) -> Self {
        let source = match &request.parts().probe {
            None => Source::Json(Json::new(json(request))),
            Some(_) => Source::Looked(Box::new(Tracer::new()), asked),
        };
        Input { request, source }
    }

    fn reader(&mut self) -> Reader<'_, 'r> {
        match &mut self.source {
            Source::Json(json) => Reader::Json(json),
            Source::Looked(tracer, _) => tracer.reader(),
        }
    }

    /// Whether the value is the input.
    ///
    /// # Errors
    /// If the content does not end where the input does, or has fields that the input does not have.
    fn ends(&mut self) -> Result<bool> {
        let content = match &mut self.source {
            Source::Json(content) => content,
            Source::Looked(tracer, asked) => {
                let is_last = tracer.made();
                let asked = *asked;
                if is_last {
                    self.tell(asked);
                }
                return Ok(is_last);
            }
        };
        if let Err(fault) = content.end() {
            return Err(bad_json(&fault, content));
        }
        // It would be opened with what is stored.
        #[cfg(feature = "sensitive")]
        if crate::sensitive::names_seal(json(self.request)) {
            return Err(Error::invalid("the input has a `$sealed`, which nobody but this service writes"));
        }
        match content.unknown() {
            Some((field, known)) if self.request.is_strict() => Err(strings::unknown(field, known)),
            _ => Ok(true),
        }
    }

    /// Why it cannot be read; nothing if it is to be tried again.
    fn refused(&mut self, fault: &Fault) -> Option<Error> {
        match (&mut self.source, &self.request.parts().content) {
            (Source::Looked(tracer, asked), _) => {
                if tracer.refused(fault) {
                    return None;
                }
                let asked = *asked;
                self.tell(asked);
                Some(Error::invalid(format!("no sample could be made: {fault}")))
            }
            (Source::Json(content), Content::Json(_)) => Some(bad_json(fault, content)),
            (Source::Json(_), Content::Form | Content::None) => {
                Some(Error::new(ErrorKind::Malformed, "the request has no body, and this needs one"))
            }
        }
    }

    /// Tells who wants to know what was seen.
    fn tell(&mut self, asked: Asked) {
        let source = std::mem::replace(&mut self.source, Source::Json(Json::new(b"")));
        if let (Source::Looked(tracer, _), Some(probe)) = (source, &self.request.parts().probe) {
            probe.tell(asked, tracer.finish());
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

fn bad_json(fault: &Fault, json: &Json<'_>) -> Error {
    let (line, column) = json.place();
    let place = format!("{fault} at line {line} column {column}");
    match fault.class() {
        Class::Data => Error::invalid(format!("the input is not of the expected form: {place}")),
        Class::Cut => Error::new(ErrorKind::Malformed, format!("the input is no JSON: {place}; is it cut off?")),
        Class::Syntax => Error::new(ErrorKind::Malformed, format!("the input is no JSON: {place}")),
    }
}
