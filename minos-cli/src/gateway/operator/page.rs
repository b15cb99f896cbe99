//! The page: the files are those that each service has, and only one word says that this is a gateway.

use crate::gateway::{edge::problem::document, upstream::Body};
use bytes::Bytes;
use http::Response;
use minos_runtime::operator::{FILES, HEADERS, PLACE};
use std::sync::LazyLock;

/// The page as the gateway has it.
static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let page = FILES.iter().find(|file| file.path == "/console").map_or("", |file| file.content);
    Bytes::from(page.replacen(PLACE.service, PLACE.gateway, 1))
});

/// What there is at this path for everybody: it tells nothing of any service.
pub(in crate::gateway) fn file(path: &str) -> Option<Response<Body>> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let content = if file.path == "/console" { PAGE.clone() } else { Bytes::from_static(file.content.as_bytes()) };
    let mut answer = document(file.kind, content);
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_where_it_is_once() {
        let page = std::str::from_utf8(&PAGE).unwrap();
        assert_eq!((page.matches(PLACE.gateway).count(), page.matches(PLACE.service).count()), (1, 0));
        assert!(file("/console").is_some() && file("/console/app.js").is_some());
        for path in ["/console/", "/console/nothing.js", "/", "/console/../console"] {
            assert!(file(path).is_none(), "{path}");
        }
    }
}
