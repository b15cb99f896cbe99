//! The suite on a table and on DNS.

use crate::{
    config::ServiceUrls,
    discovery::{Discovery, Dns, Endpoint, Resolve, Table, suite::Place},
    sync::lock,
};
use futures_util::future::BoxFuture;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

/// A file that somebody writes.
struct Files(TempDir);

impl Place for Files {
    fn discovery(&self) -> Arc<dyn Discovery> {
        Arc::new(Table::file(self.0.path().join("services.toml")).unwrap())
    }

    fn let_be<'a>(&'a self, services: &'a [(&'a str, usize)], endpoint: Endpoint) -> BoxFuture<'a, ()> {
        let table = services.iter().map(|(service, count)| {
            let urls: Vec<_> = (1..=*count).map(|n| format!("\"http://{service}-{n}:8080\"")).collect();
            format!("{service} = {{ urls = [{}], routes = [\"{} {}\"] }}\n", urls.join(", "), endpoint.method, endpoint.path)
        });
        // As a mounted file changes: at once.
        let (new, file) = (self.0.path().join("new"), self.0.path().join("services.toml"));
        std::fs::write(&new, table.collect::<String>()).unwrap();
        std::fs::rename(new, file).unwrap();
        Box::pin(async {})
    }
}

/// A resolver whose answers somebody changes. The names are always the same, as they are in a configuration.
#[derive(Default)]
struct Zone {
    addresses: Arc<Mutex<HashMap<String, Vec<IpAddr>>>>,
    endpoint: Mutex<Option<Endpoint>>,
}

impl Place for Zone {
    fn discovery(&self) -> Arc<dyn Discovery> {
        let routes: Vec<_> = lock(&self.endpoint).iter().map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect();
        let name = |service: &str| {
            (
                service.to_owned(),
                ServiceUrls { urls: vec![format!("http://{service}.shop.svc:8080")], routes: routes.clone(), ..ServiceUrls::default() },
            )
        };
        let addresses = self.addresses.clone();
        let resolve: Resolve = Arc::new(move |host| {
            let found = lock(&addresses).get(&host).cloned().unwrap_or_default();
            Box::pin(async { Ok(found) })
        });
        let names = ["order", "pay", "stock"].map(name).into_iter().collect();
        Arc::new(Dns::with(&names, resolve, Duration::from_millis(50)).unwrap())
    }

    fn let_be<'a>(&'a self, services: &'a [(&'a str, usize)], endpoint: Endpoint) -> BoxFuture<'a, ()> {
        *lock(&self.endpoint) = Some(endpoint);
        let mut addresses = lock(&self.addresses);
        addresses.clear();
        for (service, count) in services {
            let ips = (1..=*count).map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(n).unwrap())));
            addresses.insert(format!("{service}.shop.svc"), ips.collect());
        }
        Box::pin(async {})
    }
}

crate::discovery_suite!(table, async || Some(Files(tempfile::tempdir().unwrap())));
crate::discovery_suite!(dns, async || Some(Zone::default()));

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("services.toml");
    std::fs::write(&file, "order = \"http://order:8080\"").unwrap();
    let table = Table::file(&file).unwrap();
    assert_eq!(table.directory(None).await.unwrap().directory.instances.len(), 1);
    for broken in ["order = ", "order = \"ftp://x\"", "order = []"] {
        std::fs::write(&file, broken).unwrap();
        let error = table.directory(None).await.unwrap_err().to_string();
        assert!(error.contains("services.toml"), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(table.directory(None).await.is_err());
}
