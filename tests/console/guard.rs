//! Who stands before the operator's API and asks for a token, as a gateway or `[auth]` would.

use crate::common::send;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, net::SocketAddr};
use tokio::net::TcpListener;

/// Who has this token may look.
pub const LOOKS: &str = "looks";
/// Who has this one may do all.
pub const OPERATES: &str = "operates";

pub async fn before(admin: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = service_fn(move |request| pass(admin, request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
        }
    });
    addr
}

async fn pass(admin: SocketAddr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned));
    let is_file = request.uri().path().starts_with("/console");
    let refused = match token.as_deref() {
        _ if is_file => None,
        Some(OPERATES) => None,
        Some(LOOKS) if request.method() == Method::GET => None,
        Some(LOOKS) => Some((StatusCode::FORBIDDEN, "the role `minos:operate` is needed")),
        _ => Some((StatusCode::UNAUTHORIZED, "there is no token that is known")),
    };
    if let Some((status, why)) = refused {
        let problem = format!(r#"{{"title":"refused","detail":"{why}"}}"#);
        return Ok(Response::builder().status(status).body(problem.into()).unwrap());
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let answer =
        send(admin, method.as_str(), uri.path_and_query().unwrap().as_str(), "", std::str::from_utf8(&body).unwrap()).await.unwrap();
    let mut passed = Response::builder().status(answer.status);
    for (name, value) in answer.head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        if !matches!(name, "content-length" | "connection" | "transfer-encoding") {
            passed = passed.header(name, value);
        }
    }
    Ok(passed.body(answer.body.into()).unwrap())
}
