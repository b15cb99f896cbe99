//! Which pages of other origins may ask (the Fetch standard).

use crate::gateway::{config::CorsConfig, upstream::Body};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// Marks an answer to a preflight, in which all is told.
#[derive(Clone)]
struct Preflight;

/// What pages of other origins are told.
pub(in crate::gateway) struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
    credentials: bool,
    headers: HeaderValue,
    expose: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    /// Nothing if no origin may ask.
    pub(in crate::gateway) fn new(config: &CorsConfig) -> Result<Option<Self>, String> {
        if config.origins.is_empty() {
            return Ok(None);
        }
        let value =
            |key: &str, text: &str| HeaderValue::from_str(text).map_err(|_| format!("`cors.{key}` has `{text}`, which no header can say"));
        let any = config.origins.iter().any(|origin| origin == "*");
        Ok(Some(Cors {
            origins: config.origins.iter().map(|origin| value("origins", origin)).collect::<Result<_, _>>()?,
            any,
            credentials: config.credentials,
            headers: value("headers", &config.headers.join(", "))?,
            expose: value("expose", &config.expose.join(", "))?,
            max_age: HeaderValue::from(config.max_age.as_secs()),
        }))
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.any || self.origins.contains(origin)
    }

    /// The answer to a browser's question whether its page may ask, if this is one. `methods` are those of the path.
    pub(in crate::gateway) fn preflight(&self, request: &HeaderMap, methods: &str) -> Option<Response<Body>> {
        let origin = request.get(header::ORIGIN)?;
        request.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let mut answer = Response::new(Body::from(bytes::Bytes::new()));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer.extensions_mut().insert(Preflight);
        let headers = answer.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers"));
        if self.allows(origin) {
            self.tell_origin(headers, origin);
            if let Ok(methods) = HeaderValue::from_str(methods) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        Some(answer)
    }

    /// Tells a page what it may read of an answer. What the instance says about that does not count: there is one place that decides. Who asks for no page is told that others may get
    /// something else: a cache may keep it for a page.
    pub(in crate::gateway) fn tell(&self, origin: Option<&HeaderValue>, answer: &mut Response<Body>) {
        if answer.extensions().get::<Preflight>().is_some() {
            return;
        }
        let headers = answer.headers_mut();
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            header::ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.filter(|origin| self.allows(origin)) {
            self.tell_origin(headers, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
        }
    }

    fn tell_origin(&self, headers: &mut HeaderMap, origin: &HeaderValue) {
        let origin = if self.any { HeaderValue::from_static("*") } else { origin.clone() };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}
