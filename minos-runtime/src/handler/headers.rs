//! The headers of a request.

use std::ops::Deref;

/// The headers of a request: of HTTP, or of the message.
#[derive(Debug, Clone, Default)]
pub struct Headers(pub http::HeaderMap);

impl Headers {
    /// The value of a header as text; `None` if it is not there or is no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Deref for Headers {
    type Target = http::HeaderMap;
    fn deref(&self) -> &http::HeaderMap {
        &self.0
    }
}
