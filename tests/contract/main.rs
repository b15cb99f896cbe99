//! What services promise: the documents of `examples/foo`, held against files, and types that are made of such a file.
//!
//! After a change that is meant, run with `CONTRACT=overwrite` and read the difference.

#![allow(unreachable_pub, dead_code)]

mod imported;
mod subscribed;

#[path = "../../examples/foo/main.rs"]
mod foo;

use minos::{Service, contract::Format};
use std::{fs, path::Path};

fn foo() -> Service {
    let config = "[service]\nname = \"foo\"\n[store]\nurl = \"memory:\"\n";
    Service::from_toml(config).unwrap().module(concat!(module_path!(), "::foo"))
}

#[test]
fn the_documents_of_the_first_example_are_as_they_were() {
    for format in [Format::OpenApi, Format::AsyncApi, Format::Contract] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/contract/foo.{format}.json"));
        let text = foo().describe(format).unwrap();
        if std::env::var_os("CONTRACT").is_some_and(|word| word == "overwrite") {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap_or_default(),
            text,
            "{}: run with `CONTRACT=overwrite` and read the difference",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_service_serves_its_documents() {
    let config = "[service]\nname = \"foo\"\n[store]\nurl = \"memory:\"\n[http]\naddr = \"127.0.0.1:0\"\n";
    let service = Service::from_toml(config).unwrap().module(concat!(module_path!(), "::foo"));
    let running = service.start().await.unwrap();
    for (path, format) in [("/openapi.json", Format::OpenApi), ("/asyncapi.json", Format::AsyncApi)] {
        let mut stream = tokio::net::TcpStream::connect(running.addr()).await.unwrap();
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: application/json"), "{head}");
        assert_eq!(body, foo().describe(format).unwrap());
    }
    running.stop().await;
}
