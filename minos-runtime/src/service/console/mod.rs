//! The operator's page, at `/console` of the address of their API: what the service is, how it is, what happens, and what to do about it.
//!
//! The page is files of this program and asks nobody else for anything. It is made of nothing that comes from the service: what it shows it gets from the
//! operator's API, with the token that the operator gives it.

mod overview;

pub(super) use overview::{OVERVIEW, Overview};

use crate::{
    auth::Access,
    context::Context,
    error::Result,
    handler::{HandlerDef, Kind, Request, Response},
};
use futures_util::future::{self, BoxFuture, FutureExt};
use http::{HeaderName, HeaderValue, header};

/// The page may load its own files and ask its own service, and nothing else. Diagrams are pictures, in which no script runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // The next version of the program has other files.
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The page and its files: they tell nothing of the service, so who has no token yet may have them.
pub(super) static FILES: [&HandlerDef; 4] = [&PAGE, &SCRIPT, &STYLE, &ICON];

static PAGE: HandlerDef = file("console", &[("GET", "/console")], |_, _| answer("text/html; charset=utf-8", include_str!("page.html")));
static SCRIPT: HandlerDef =
    file("console_script", &[("GET", "/console/app.js")], |_, _| answer("text/javascript; charset=utf-8", include_str!("app.js")));
static STYLE: HandlerDef =
    file("console_style", &[("GET", "/console/style.css")], |_, _| answer("text/css; charset=utf-8", include_str!("style.css")));
static ICON: HandlerDef = file("console_icon", &[("GET", "/console/icon.svg")], |_, _| answer("image/svg+xml", include_str!("icon.svg")));

const fn file(
    function: &'static str,
    routes: &'static [(&'static str, &'static str)],
    handle: for<'a> fn(&'a mut Context, &'a Request) -> BoxFuture<'a, Result<Response>>,
) -> HandlerDef {
    HandlerDef { access: Access::PUBLIC, ..super::admin::def(Kind::Query, function, routes, handle) }
}

fn answer(kind: &'static str, content: &'static str) -> BoxFuture<'static, Result<Response>> {
    let answer = Response::default().with_body(HeaderValue::from_static(kind), content);
    let answer = HEADERS.iter().fold(answer, |answer, (name, value)| answer.with_header(name.clone(), HeaderValue::from_static(value)));
    future::ready(Ok(answer)).boxed()
}
