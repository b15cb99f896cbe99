//! The operator's page, at `/console` of the address of their API: what the service is, how it is, what happens, and what to do about it.
//!
//! The page is files of this program and asks nobody else for anything. It is made of nothing that comes from the service: what it shows it gets from the
//! operator's API, with the token that the operator gives it.

mod files;
mod overview;

pub use files::{FILES, HEADERS, PLACE, PageFile, Place};
pub(super) use overview::{OVERVIEW, Overview};

use crate::{
    auth::Access,
    context::Context,
    error::{Error, Result},
    handler::{FromRequest, Handle, HandlerDef, Kind, Path, Request, Response},
};
use futures_util::future::{self, BoxFuture, FutureExt};
use http::HeaderValue;

/// The page and its files: they tell nothing of the service, so who has no token yet may have them.
pub(super) static PUBLIC: [&HandlerDef; 2] = [&PAGE, &FILE];

static PAGE: HandlerDef = public("console", &[("GET", "/console")], |_, _| future::ready(answer("/console")).boxed());
static FILE: HandlerDef = public("console_file", &[("GET", "/console/{file}")], file);

const fn public(function: &'static str, routes: &'static [(&'static str, &'static str)], handle: Handle) -> HandlerDef {
    HandlerDef { access: Access::PUBLIC, ..super::admin::def(Kind::Query, function, routes, handle) }
}

fn file<'a>(_: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    let named = Path::<String>::from_request(request).and_then(|Path(file)| answer(&format!("/console/{file}")));
    future::ready(named).boxed()
}

fn answer(path: &str) -> Result<Response> {
    let file = FILES.iter().find(|file| file.path == path).ok_or_else(|| Error::not_found(format!("the page has no file `{path}`")))?;
    let answer = Response::default().with_body(HeaderValue::from_static(file.kind), file.content);
    Ok(HEADERS.iter().fold(answer, |answer, (name, value)| answer.with_header(name.clone(), HeaderValue::from_static(value))))
}
