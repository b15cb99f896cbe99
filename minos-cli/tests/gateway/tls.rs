//! HTTPS.

use super::kit::{Upstream, answer, gateway, header, raw, service, with_port};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use minos_cli::gateway::{Gateway, GatewayConfig};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::Value;
use std::{fs, net::SocketAddr, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

const NAME: &str = "shop.example";

/// A certificate of its own authority, with its key, as files.
struct Certificate {
    directory: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()]).unwrap();
        fs::write(directory.path().join("certificate.pem"), cert.pem()).unwrap();
        fs::write(directory.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        Certificate { directory, der: cert.der().clone() }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn section(&self) -> String {
        format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", self.path("certificate.pem"), self.path("key.pem"))
    }

    /// A connection of a client that knows the certificate, and speaks these.
    async fn connect(&self, addr: SocketAddr, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        let stream = TcpStream::connect(addr).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
    }
}

#[tokio::test]
async fn both_versions_of_http_come_in_by_tls() {
    let (certificate, upstream) = (Certificate::new(), Upstream::echo().await);
    let gateway = gateway(&format!("{}{}", certificate.section(), service(&[&upstream], "\"GET /foos/{id}\""))).await;
    let request = |uri: &str| http::Request::builder().uri(uri).header("host", NAME).body(Full::<bytes::Bytes>::default()).unwrap();

    let stream = certificate.connect(gateway.addr(), &[b"http/1.1"]).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    // Twice on one connection.
    for _ in 0..2 {
        answers.push(sender.send_request(request("/foos/1")).await.unwrap().into_body().collect().await.unwrap().to_bytes());
    }

    let stream = certificate.connect(gateway.addr(), &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "who can, speaks HTTP/2");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request(&format!("https://{NAME}/foos/1"))).await.unwrap();
    answers.push(answer.into_body().collect().await.unwrap().to_bytes());

    for answer in answers {
        let told: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(header(&told, "x-forwarded-proto").unwrap(), "https");
        assert_eq!(header(&told, "x-forwarded-host").unwrap(), NAME);
        assert!(header(&told, "forwarded").unwrap().contains(";proto=https;"), "{told}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn who_speaks_no_tls_or_stops_in_its_middle_is_let_go() {
    let (certificate, upstream) = (Certificate::new(), Upstream::echo().await);
    let text = format!("[http]\nheader_timeout = \"300ms\"\n{}{}", certificate.section(), service(&[&upstream], "\"GET /foos/{id}\""));
    let gateway = gateway(&text).await;
    let quiet = Duration::from_secs(5);
    let plain = raw(gateway.addr(), b"GET /foos/1 HTTP/1.1\r\nhost: shop.example\r\n\r\n", quiet).await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    // The beginning of a handshake, and no more.
    let mut stalled = TcpStream::connect(gateway.addr()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stalled, &[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    let end = tokio::time::timeout(quiet, stalled.read(&mut [0; 1])).await;
    assert_eq!(end.expect("it is closed").unwrap_or_default(), 0);
    assert_eq!(upstream.asked(), 0);
    // A client that does not believe the certificate.
    assert!(Certificate::new().connect(gateway.addr(), &[b"http/1.1"]).await.is_err());
    // All others are served.
    assert!(certificate.connect(gateway.addr(), &[b"http/1.1"]).await.is_ok());
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_at_the_start() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    fs::write(certificate.path("empty.pem"), "nothing\n").unwrap();
    let refused = async |pem: &str, key: &str| {
        let config = GatewayConfig::parse(&format!("[tls]\ncertificate = \"{pem}\"\nkey = \"{key}\"\n")).unwrap();
        Gateway::new(with_port(config)).start().await.err().expect("it is refused").to_string()
    };
    let (pem, key) = (certificate.path("certificate.pem"), certificate.path("key.pem"));
    let missing = refused(&certificate.path("missing.pem"), &key).await;
    assert!(missing.contains("missing.pem: it cannot be read as certificates in PEM"), "{missing}");
    let empty = refused(&certificate.path("empty.pem"), &key).await;
    assert!(empty.contains("empty.pem: it has no certificate"), "{empty}");
    let no_key = refused(&pem, &pem).await;
    assert!(no_key.contains("certificate.pem: it cannot be read as a private key in PEM"), "{no_key}");
    let mixed = refused(&pem, &other.path("key.pem")).await;
    assert!(mixed.contains("it cannot be used with"), "{mixed}");
}

#[tokio::test]
async fn requests_that_run_when_it_stops_are_answered_by_tls_too() {
    let certificate = Certificate::new();
    let (go, going) = tokio::sync::watch::channel(false);
    let upstream = Upstream::new(move |_| {
        let mut going = going.clone();
        async move {
            let _ = going.wait_for(|going| *going).await;
            answer(200, "done")
        }
    });
    let upstream = upstream.await;
    let gateway = gateway(&format!("{}{}", certificate.section(), service(&[&upstream], "\"GET /foos/{id}\""))).await;
    let addr = gateway.addr();
    let stream = certificate.connect(addr, &[b"http/1.1"]).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().uri("/foos/1").header("host", NAME).body(Full::<bytes::Bytes>::default()).unwrap();
    let asking = tokio::spawn(async move { sender.send_request(request).await });
    while upstream.asked() == 0 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(gateway.stop());
    go.send_replace(true);
    let told = asking.await.unwrap().unwrap();
    assert_eq!(told.into_body().collect().await.unwrap().to_bytes(), "done");
    stopping.await.unwrap();
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}
