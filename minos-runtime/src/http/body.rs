//! Bodies of requests, within limits.

use super::{activity::Active, budget::Taken, watched::Watched};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body, as `tower` layers see it.
pub struct Body(Kind);

enum Kind {
    /// All there is, as handlers answer it: no box around it.
    Whole(Full<Bytes>),
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// A body of another type.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body(Kind::Other(UnsyncBoxBody::new(body.map_err(Into::into))))
    }

    /// The same, and its connection is not idle before the last piece of it is gone, or nothing was taken of it for so long: then it is let go. What is here as a whole
    /// keeps nothing.
    pub(super) fn taken_within(self, patience: Duration, active: Active) -> Self {
        let told = |_: &_| tracing::debug!("a client takes nothing of its answer, which is cut off");
        match self.0 {
            Kind::Whole(body) => body.into(),
            Kind::Other(body) => Body::new(Watched::new(body, patience, Box::new(active), told)),
        }
    }
}

impl From<Full<Bytes>> for Body {
    fn from(body: Full<Bytes>) -> Self {
        Body(Kind::Whole(body))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Kind::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => body.size_hint(),
            Kind::Other(body) => body.size_hint(),
        }
    }
}

/// Why a body could not be read.
pub(super) struct Unread {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: String,
}

/// Reads a body to its end. What it takes is taken from `memory` as it comes, so that who announces much and sends little keeps nobody out.
pub(super) async fn read<B>(body: B, max: usize, timeout: Duration, memory: &mut Taken<'_>) -> Result<Bytes, Unread>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    tokio::time::timeout(timeout, collect(body, max, memory)).await.unwrap_or_else(|_| {
        Err(Unread {
            status: StatusCode::REQUEST_TIMEOUT,
            title: "request timeout",
            detail: format!("the body did not arrive within {} s", timeout.as_secs_f32()),
        })
    })
}

async fn collect<B>(body: B, max: usize, memory: &mut Taken<'_>) -> Result<Bytes, Unread>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = std::pin::pin!(body);
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread {
            status: StatusCode::BAD_REQUEST,
            title: "malformed request",
            detail: format!("the body broke off: {}", error.into()),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > max {
            return Err(too_large(max));
        }
        if !memory.more(data.len()) {
            return Err(busy());
        }
        // Most bodies come as one piece, which needs no copy.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// There is no room for this request.
pub(super) fn busy() -> Unread {
    Unread {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "overloaded",
        detail: "the service has as many requests as it can have at once; nothing was done; try again later".to_owned(),
    }
}

fn too_large(max: usize) -> Unread {
    Unread { status: StatusCode::PAYLOAD_TOO_LARGE, title: "too large", detail: format!("the body is larger than {max} bytes") }
}
