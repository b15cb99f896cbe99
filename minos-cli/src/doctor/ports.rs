//! Whether services can listen where they are told to, and whether the registry is there.

use super::Finding;
use minos_runtime::Config;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use toml::Table;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![port("http", "http.addr", config.http.addr).await];
    match config.admin.addr {
        Some(addr) => {
            findings.push(port("admin", "admin.addr", addr).await);
            if !addr.ip().is_loopback() {
                findings.push(Finding::warn(
                    "admin",
                    format!("{addr} is not for this machine alone"),
                    "who reaches it may repair sagas and drop messages: keep it from the public",
                ));
            }
        }
        None => findings.push(Finding::warn(
            "admin",
            "there is no operator's API",
            "`admin.addr = \"127.0.0.1:9090\"`, and `minos events`, `minos saga` and `minos dead-letters` reach the service",
        )),
    }
    findings
}

/// Whether something can listen there, or does.
async fn port(check: &'static str, key: &str, addr: SocketAddr) -> Finding {
    if addr.port() == 0 {
        return Finding::ok(check, format!("{addr}: any port that is free"));
    }
    match TcpListener::bind(addr).await {
        Ok(_) => Finding::ok(check, format!("{addr} is free")),
        Err(_) if is_minos(addr).await => Finding::ok(check, format!("{addr} answers as a service of Minos: it runs")),
        Err(error) => {
            Finding::fail(check, format!("{addr} cannot be had: {error}"), format!("end who has it, or take another one with `{key}`"))
        }
    }
}

/// Whether somebody answers `GET /health` there as a service does.
async fn is_minos(addr: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(format!("GET /health HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    matches!(timeout(PATIENCE, asked).await, Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 200"))
}

/// Addresses that more than one service wants.
pub(super) fn shared(configs: &[(&str, &Config)]) -> Vec<Finding> {
    let mut wanted: BTreeMap<SocketAddr, Vec<&str>> = BTreeMap::new();
    for (name, config) in configs {
        for addr in [Some(config.http.addr), config.admin.addr].into_iter().flatten().filter(|addr| addr.port() != 0) {
            wanted.entry(addr).or_default().push(name);
        }
    }
    let twice = wanted.into_iter().filter(|(_, names)| names.len() > 1);
    twice
        .map(|(addr, names)| {
            Finding::fail(
                "ports",
                format!("{addr} is wanted by {}", names.join(" and ")),
                "give each its own with `http.addr` and `admin.addr`",
            )
        })
        .collect()
}

/// Whether the registry answers.
pub(super) async fn discovery(file: &Table) -> Vec<Finding> {
    let from_file = || Some(file.get("discovery")?.get("url")?.as_str()?.to_owned());
    let Some(urls) = std::env::var("MINOS_DISCOVERY_URL").ok().or_else(from_file).filter(|url| !url.is_empty()) else { return Vec::new() };
    let mut findings = Vec::new();
    for url in urls.split(',').filter(|url| url.starts_with("http://") || url.starts_with("https://")) {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let port = if scheme == "https" { 443 } else { 80 };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let addr = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        findings.push(match timeout(PATIENCE, TcpStream::connect(&addr)).await {
            Ok(Ok(_)) => Finding::ok("discovery", format!("{url} takes connections")),
            Ok(Err(error)) => unreached(url, &error.to_string()),
            Err(_) => unreached(url, &format!("nothing came within {} s", PATIENCE.as_secs())),
        });
    }
    findings
}

fn unreached(url: &str, why: &str) -> Finding {
    Finding::fail(
        "discovery",
        format!("{url} does not answer: {why}"),
        "start it with `minos discovery`, or name the right one with `discovery.url`",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[tokio::test]
    async fn a_port_is_free_or_taken_by_a_service_or_by_somebody_else() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = other.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = other.accept().await {
                let _ = stream.write_all(b"220 mail\r\n").await;
            }
        });
        assert_eq!(port("http", "http.addr", addr).await.told().0, Level::Fail);
        let text = "[service]\nname = \"x\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"off\"";
        let running = minos_runtime::Service::from_toml(text).unwrap().module("none").start().await.unwrap();
        let finding = port("http", "http.addr", running.addr()).await;
        assert!(finding.told().0 == Level::Ok && finding.told().1.ends_with("it runs"), "{finding:?}");
        let addr = running.addr();
        running.stop().await;
        assert!(port("http", "http.addr", addr).await.told().1.ends_with("is free"));
    }

    #[test]
    fn two_services_do_not_listen_at_one_place() {
        let config = Config::parse("[service]\nname = \"x\"").unwrap();
        let findings = shared(&[("a", &config), ("b", &config)]);
        assert_eq!(findings[0].told(), (Level::Fail, "127.0.0.1:8080 is wanted by a and b"));
        assert!(shared(&[("a", &config)]).is_empty());
    }
}
