//! A small HTTP client, and services on free ports or in processes of their own.

#![allow(dead_code)]

pub mod disk;
pub mod process;
pub mod servers;

use serde_json::Value;
use std::{
    io::{self, Write},
    net::SocketAddr,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `detail` of a problem document.
    pub fn detail(&self) -> String {
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request on a connection of its own.
pub async fn send(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Answer> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    raw(addr, &[head.as_bytes(), body.as_bytes()].concat()).await
}

/// Sends these bytes, and reads what comes until the other side closes.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other(format!("no whole answer: {text:?}")))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| io::Error::other("no status"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

pub async fn get(addr: SocketAddr, path: &str) -> Answer {
    send(addr, "GET", path, "", "").await.unwrap()
}

pub async fn post(addr: SocketAddr, path: &str, body: &str) -> Answer {
    send(addr, "POST", path, "", body).await.unwrap()
}

pub fn config(name: &str, store: &str) -> String {
    format!(
        "[service]\nname = \"{name}\"\n[http]\naddr = \"127.0.0.1:0\"\nmax_body = \"10KiB\"\nheader_timeout = \"500ms\"\nbody_timeout = \"500ms\"\nrequest_timeout = \"2s\"\n[store]\nurl = \"{store}\"\n[broker]\nattempts = 3\nfirst_pause = \"1ms\"\n[log]\nlevel = \"error\""
    )
}

/// Waits until this holds.
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(10, what, holds).await;
}

/// Waits until this holds, for so many seconds.
pub async fn until_within(seconds: u64, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..seconds * 100 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not within {seconds} s: {what}");
}

/// Says that a test could not be run, where it can be read: what `eprintln` writes, the harness keeps for itself while the test passes.
pub fn not_run(what: &str) {
    let _ = writeln!(io::stderr(), "\nNOT RUN: {what}\n");
}
