//! What the gateway itself wants to know of an instance.

use super::{body, connection::Connection, instance::Instance, outgoing::Outgoing};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use std::{future::poll_fn, pin::Pin, time::Duration};

/// How long such an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks an instance for a document of this size at most.
pub(in crate::gateway) async fn fetch(instance: &Instance, path: &'static str, max: usize) -> Result<Bytes, String> {
    let asking = ask(instance, path, max);
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

async fn ask(instance: &Instance, path: &'static str, max: usize) -> Result<Bytes, String> {
    let mut connection = Connection::open(instance).await.map_err(|broken| broken.why)?;
    let mut request = Request::new(Outgoing::Nothing);
    *request.uri_mut() = Uri::from_static(path);
    request.headers_mut().insert(header::HOST, instance.host.clone());
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let response = connection.send(request).await.map_err(|broken| broken.why)?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers {}", response.status()));
    }
    let driving = poll_fn(|cx| {
        connection.drive(cx);
        std::task::Poll::<()>::Pending
    });
    let reading = body::collect(response.into_body(), max);
    let (mut driving, mut reading) = (std::pin::pin!(driving), std::pin::pin!(reading));
    let read = poll_fn(|cx| {
        let polled = reading.as_mut().poll(cx);
        if polled.is_ready() {
            return polled;
        }
        let _ = Pin::new(&mut driving).poll(cx);
        reading.as_mut().poll(cx)
    });
    read.await.map_err(|error| error.to_string())?.ok_or_else(|| format!("it is larger than {max} bytes"))
}
