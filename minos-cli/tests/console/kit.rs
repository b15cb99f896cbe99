//! A registry, services that register with it, and a gateway that finds them there.

use crate::{
    common::{get, until},
    shop::{Mended, in_trouble_with},
    stock::Store,
    tokens::{SECRET, Signed, claims, header, token},
};
use minos::{Running, Service, Uuid};
use minos_cli::{
    discovery::{RegistryServer, RegistrySettings, start},
    gateway::{Gateway, GatewayConfig, RunningGateway},
};
use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
};

/// The token of the gateway.
pub const GATEWAY: &str = "the token of the gateway";

/// A token for the stock with this role.
pub fn of_role(role: &str) -> String {
    token(&header("HS256"), &claims(json!({ "roles": [role] })), Signed::Secret(SECRET.as_bytes()))
}

/// An instance in threads of its own, so that it can end without a word.
pub struct Instance {
    pub running: Running,
    runtime: Runtime,
}

impl Instance {
    async fn start(registry: &str, name: &'static str) -> Self {
        let config = format!(
            "[service]\nname = \"stock\"\ninstance = \"{name}\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[admin]\naddr = \"127.0.0.1:0\"\n\
             [auth]\nsecret = \"{SECRET}\"\n[discovery]\nurl = \"{registry}\"\nrenew = \"1s\"\n[log]\nlevel = \"off\""
        );
        let started = tokio::task::spawn_blocking(move || {
            let runtime = Runtime::new().unwrap();
            let service = Service::from_toml(&config).unwrap().module("console::stock");
            let running = runtime.block_on(async {
                let running = service.start().await.unwrap();
                running.call("StoreArticle", &Store { name: format!("a lamp of {name}"), pieces: 7 }).await.unwrap();
                running
            });
            Instance { running, runtime }
        });
        started.await.unwrap()
    }

    /// As `kill -9`.
    pub fn dies(self) {
        self.runtime.shutdown_background();
        drop(self.running);
    }
}

/// Somebody at the address of an operator's API who answers as no service does.
async fn odd() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nnull").await;
        }
    });
    addr
}

/// All of it.
pub struct Shops {
    pub shop: Running,
    /// What the shop's troubles are about, and the execution that is stuck.
    pub order: Uuid,
    pub execution: Uuid,
    pub gateway: RunningGateway,
    config: GatewayConfig,
    registry: RegistryServer,
}

impl Shops {
    /// The shop with its troubles, two instances of the stock, and something that does not say where its operator's API is.
    pub async fn open(mended: &Mended) -> (Self, [Instance; 2]) {
        let settings = RegistrySettings {
            addr: ([127, 0, 0, 1], 0).into(),
            store: "memory:".to_owned(),
            check_every: Duration::from_millis(500),
            ..RegistrySettings::default()
        };
        let registry = start(settings).await.unwrap();
        let url = registry.url();
        let more = format!("[discovery]\nurl = \"{url}\"\nrenew = \"1s\"\nlinger = \"10ms\"");
        let (shop, order, execution) = in_trouble_with(mended, &more).await;
        let stock = [Instance::start(&url, "stock-1").await, Instance::start(&url, "stock-2").await];
        let known = async || get(registry.addr(), "/directory").await.json()["instances"].as_array().map_or(0, Vec::len);
        until("all are handed out", async || known().await == 3).await;
        // Whoever wants a picture wants it without.
        let odd = if std::env::var_os("MINOS_SCREENSHOTS").is_some() {
            String::new()
        } else {
            format!("[services.odd]\nurls = [\"http://127.0.0.1:9\"]\nroutes = []\nadmin = \"http://{}\"", odd().await)
        };
        let config = format!(
            "[http]\naddr = \"127.0.0.1:0\"\n[discovery]\nurl = \"{url}\"\n[admin]\naddr = \"127.0.0.1:0\"\ntoken = \"{GATEWAY}\"\n\
             [services.invoices]\nurls = [\"http://127.0.0.1:9\"]\nroutes = [\"GET /invoices/{{id}}\"]\n{odd}"
        );
        let config = GatewayConfig::parse(&config).unwrap();
        let gateway = Gateway::new(config.clone()).start().await.unwrap();
        until("the gateway knows them", async || gateway.routes().iter().any(|route| route.ends_with("-> stock"))).await;
        (Shops { shop, order, execution, gateway, config, registry }, stock)
    }

    pub fn console(&self) -> String {
        format!("http://{}/console", self.admin())
    }

    pub fn admin(&self) -> SocketAddr {
        self.gateway.admin_addr().unwrap()
    }

    /// The gateway ends, and what it takes to have it again at the same place.
    pub async fn without_gateway(self) -> (Running, impl AsyncFnOnce() -> RunningGateway) {
        let Shops { shop, gateway, mut config, registry, .. } = self;
        config.admin.addr = gateway.admin_addr();
        gateway.stop().await;
        (shop, async move || {
            let gateway = Gateway::new(config).start().await.unwrap();
            // Until now it was there to be asked.
            drop(registry);
            gateway
        })
    }

    pub async fn close(self) {
        self.gateway.stop().await;
        self.shop.stop().await;
        self.registry.stop().await;
    }
}
