//! Callers, and registries that are what no registry should be.

use crate::{
    config::DiscoveryConfig,
    discovery::{Directory, Discovery, DiscoveryError, Endpoint, Instance, InstanceName, Listing, Registry, Services},
    sync::lock,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// Somebody at an address who says what the test wants, and notes what was asked. `GET /health/ready` is answered by all that live.
struct Somebody {
    addr: SocketAddr,
    says: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Somebody {
    async fn new() -> Self {
        Somebody::at(([127, 0, 0, 1], 0).into()).await
    }

    async fn at(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (says, asked) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (answer, note) = (says.clone(), asked.clone());
        let serving = tokio::spawn(async move {
            // With the listener, all connections end.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, answer.clone(), note.clone()));
            }
        });
        Somebody { addr, says, asked, serving }
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn says(&self, status: &str, body: &str) {
        *lock(&self.says) = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }

    fn lists(&self, listing: impl Into<Listing>) {
        self.says("200 OK", &serde_json::to_string(&listing.into()).unwrap());
    }

    /// As if its process were killed.
    async fn dies(self) -> SocketAddr {
        self.serving.abort();
        let _ = self.serving.await;
        self.addr
    }
}

async fn serve(mut stream: TcpStream, says: Arc<Mutex<String>>, asked: Arc<Mutex<Vec<String>>>) {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&piece[..n]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let answer = if head.starts_with("GET /health/ready ") {
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
    } else {
        lock(&asked).push(head.clone());
        let mut answer = lock(&says).clone();
        // As a registry does: what is known is no news, and waited for.
        let known = head.lines().find_map(|line| line.strip_prefix("if-none-match: ")).map(|tag| tag.trim_matches('"').to_owned());
        if known.is_some_and(|known| answer.contains(&known)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if *lock(&says) == answer {
                answer = "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned();
            } else {
                answer = lock(&says).clone();
            }
        }
        answer
    };
    if answer.is_empty() {
        // Slow for ever.
        std::future::pending::<()>().await;
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn instance(service: &str, id: &str, url: &str) -> Instance {
    Instance { service: service.to_owned(), id: id.to_owned(), url: url.to_owned(), endpoints: Vec::new(), admin: None }
}

fn registry(urls: &str) -> Registry {
    Registry::new(urls, "secret".into(), Duration::from_secs(5)).unwrap()
}

fn services(registry: &Somebody) -> Services {
    Services::open(&DiscoveryConfig::at(registry.url())).unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 10 s: {what}");
}

async fn ids(services: &Services, service: &str) -> Vec<String> {
    services.instances(service).await.into_iter().map(|instance| instance.id).collect()
}

#[tokio::test]
async fn an_announcement_as_the_registry_gets_it() {
    let somebody = Somebody::new().await;
    somebody.says("200 OK", "{}");
    let endpoints = vec![Endpoint { method: "GET".to_owned(), path: "/orders/{id}".to_owned() }];
    let admin = Some("http://10.0.0.7:9090".to_owned());
    let order = Arc::new(Instance { endpoints, admin, ..instance("order", "a-1", "http://10.0.0.7:80") });
    let registry = registry(&somebody.url());
    registry.announce(order.clone()).await.unwrap();
    registry.withdraw(order).await.unwrap();
    let asked = lock(&somebody.asked).clone();
    assert!(asked[0].starts_with("PUT /services/order/instances/a-1 HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].contains("authorization: Bearer secret\r\n"), "{asked:?}");
    assert!(asked[1].starts_with("DELETE /services/order/instances/a-1 HTTP/1.1\r\n"), "{asked:?}");
}

#[tokio::test]
async fn what_the_registry_says_is_told_by_kind() {
    let somebody = Somebody::new().await;
    let (registry, order) = (registry(&somebody.url()), Arc::new(instance("order", "a", "http://a:1")));
    somebody.says("403 Forbidden", "{\"detail\":\"wrong token\"}");
    let error = registry.announce(order.clone()).await.unwrap_err();
    assert!(matches!(&error, DiscoveryError::Refused { why, .. } if why == "it answers 403: wrong token"), "{error}");
    for (status, body) in [("500 Internal Server Error", "x"), ("429 Too Many Requests", ""), ("503 Service Unavailable", "{}")] {
        somebody.says(status, body);
        assert!(matches!(registry.announce(order.clone()).await, Err(DiscoveryError::Unavailable { .. })), "{status}");
    }
    // Nobody is followed to another place.
    somebody.says("302 Found\r\nlocation: http://127.0.0.1:9/", "");
    assert!(matches!(registry.announce(order).await, Err(DiscoveryError::Unavailable { .. })));
    for body in ["", "<html>", "[]", "{\"revision\":5}", "{\"instances\":[]}", "null"] {
        somebody.says("200 OK", body);
        assert!(matches!(registry.directory(None).await, Err(DiscoveryError::Unavailable { .. })), "{body}");
    }
    somebody.says("304 Not Modified", "");
    assert!(matches!(registry.directory(None).await, Err(DiscoveryError::Unavailable { .. })));
}

#[tokio::test]
async fn of_several_the_next_one_is_asked() {
    let (one, other) = (Somebody::new().await, Somebody::new().await);
    other.lists(Directory::of(vec![instance("order", "a", "http://a:1")]));
    one.lists(Directory::default());
    let registry = registry(&format!("{},{}", one.url(), other.url()));
    assert_eq!(registry.directory(None).await.unwrap().directory.instances.len(), 0);
    one.dies().await;
    assert_eq!(registry.directory(None).await.unwrap().directory.instances.len(), 1);
    let again = Instant::now();
    registry.directory(None).await.unwrap();
    assert!(again.elapsed() < Duration::from_millis(500), "the one that answers is asked first");
    other.dies().await;
    let error = registry.directory(None).await.unwrap_err().to_string();
    assert!(error.contains("refused") && error.matches("http://").count() == 4, "{error}");
}

#[tokio::test]
async fn the_last_good_answer_is_kept_while_the_registry_is_down() {
    let (somebody, order) = (Somebody::new().await, Somebody::new().await);
    somebody.lists(Directory::of(vec![instance("order", "a", &order.url())]));
    let services = services(&somebody);
    assert_eq!(ids(&services, "order").await, ["a"]);
    let addr = somebody.dies().await;
    until("it is known that it is down", async || services.failing().is_some()).await;
    assert_eq!(ids(&services, "order").await, ["a"]);
    let back = Somebody::at(addr).await;
    let long = format!("{{\"revision\":\"{}\",\"instances\":[]}}", "x".repeat(100_000));
    for (status, body) in [
        ("200 OK", "<html>"),
        ("500 Internal Server Error", ""),
        ("200 OK", "{\"revision\":\"x\",\"instances\":[{}]}"),
        // It would have to be said again in each question.
        ("200 OK", "{\"revision\":\"x\\ny\",\"instances\":[]}"),
        ("200 OK", &long),
    ] {
        back.says(status, body);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(ids(&services, "order").await, ["a"], "{status} {body}");
        assert!(services.failing().is_some());
    }
    back.lists(Directory::of(vec![instance("order", "a", &order.url()), instance("order", "b", &order.url())]));
    until("it is believed again", async || ids(&services, "order").await == ["a", "b"]).await;
    assert!(services.failing().is_none());
}

#[tokio::test]
async fn a_slow_registry_keeps_nobody_waiting() {
    let somebody = Somebody::new().await;
    let services = services(&somebody);
    let began = Instant::now();
    assert_eq!(ids(&services, "order").await, [""; 0], "it says nothing at all");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    somebody.lists(Directory::of(vec![instance("order", "a", "http://a:1")]));
    until("it has answered", async || !services.instances("order").await.is_empty()).await;
    *lock(&somebody.says) = String::new();
    let began = Instant::now();
    assert_eq!(ids(&services, "order").await, ["a"]);
    assert!(began.elapsed() < Duration::from_millis(100), "what is known is told at once");
}

#[tokio::test]
async fn a_registry_that_begins_anew_takes_nothing_away() {
    let (somebody, order, stock) = (Somebody::new().await, Somebody::new().await, Somebody::new().await);
    let all = vec![
        instance("order", "a", &order.url()),
        instance("order", "dead", "http://127.0.0.1:9"),
        instance("stock", "s", &stock.url()),
        instance("pay", "p", "http://127.0.0.1:8"),
    ];
    somebody.lists(Directory::of(all.clone()));
    let services = services(&somebody);
    assert_eq!(ids(&services, "order").await, ["a", "dead"]);
    // It has just begun, and has heard of one only; of another one it knows that it is gone.
    let gone = vec![InstanceName { service: "order".to_owned(), id: "dead".to_owned() }];
    somebody.lists(Listing { directory: Directory::of(vec![all[2].clone()]), warming: true, gone });
    until("who is gone for sure is gone", async || ids(&services, "order").await == ["a"]).await;
    assert_eq!(ids(&services, "pay").await, ["p"], "nothing was said of it");
    // It says that it has heard all, and names nobody at all.
    somebody.lists(Directory::default());
    until("who does not answer is gone", async || ids(&services, "pay").await.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ids(&services, "order").await, ["a"], "who answers is kept");
    assert_eq!(ids(&services, "stock").await, ["s"]);
    order.dies().await;
    until("until it does not", async || ids(&services, "order").await.is_empty()).await;
    assert_eq!(ids(&services, "stock").await, ["s"]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_left_out() {
    let somebody = Somebody::new().await;
    somebody.lists(Directory::of(vec![
        instance("order", "good", "http://10.0.0.1:1"),
        instance("order", "file", "file:///etc/passwd"),
        instance("order", "meta", "http://169.254.169.254"),
        instance("or\u{7}der", "bell", "http://10.0.0.1:1"),
        instance("order", "../x", "http://10.0.0.1:1"),
    ]));
    assert_eq!(ids(&services(&somebody), "order").await, ["good"]);
}

#[tokio::test]
async fn who_has_an_operators_address_that_cannot_be_asked_is_asked_itself() {
    let somebody = Somebody::new().await;
    let with = |id: &str, admin: &str| Instance { admin: Some(admin.to_owned()), ..instance("order", id, "http://10.0.0.1:1") };
    let all = ["http://10.0.0.1:9090", "http://169.254.169.254", "http://me:pw@10.0.0.1:9090", "file:///etc/passwd", ""];
    somebody.lists(Directory::of(all.iter().enumerate().map(|(n, admin)| with(&n.to_string(), admin)).collect()));
    let told: Vec<_> = services(&somebody).instances("order").await.into_iter().map(|one| one.admin).collect();
    assert_eq!(told, [Some("http://10.0.0.1:9090".to_owned()), None, None, None, None]);
}

#[tokio::test]
async fn a_registry_that_knows_of_no_operators_is_read_as_before() {
    let somebody = Somebody::new().await;
    somebody.says("200 OK", r#"{"revision":"r","instances":[{"service":"order","id":"a","url":"http://10.0.0.1:1"}]}"#);
    assert_eq!(services(&somebody).instances("order").await, [instance("order", "a", "http://10.0.0.1:1")]);
}

#[tokio::test]
async fn who_fails_is_asked_no_more_for_a_while() {
    let somebody = Somebody::new().await;
    somebody.lists(Directory::of(vec![instance("order", "a", "http://a:1"), instance("order", "b", "http://b:1")]));
    let services = services(&somebody);
    let first = services.choose("order").await.unwrap();
    services.failed(&first);
    for _ in 0..4 {
        assert_ne!(services.choose("order").await.unwrap().id, first.id);
    }
    services.worked(&first);
    let ids = [services.choose("order").await.unwrap().id, services.choose("order").await.unwrap().id];
    assert!(ids.contains(&first.id), "{ids:?}");
    assert!(services.choose("stock").await.is_none());
}

#[tokio::test]
async fn nobody_asks_when_nobody_wants_to_know() {
    let somebody = Somebody::new().await;
    somebody.lists(Directory::of(vec![instance("order", "a", "http://a:1")]));
    let services = services(&somebody);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(lock(&somebody.asked).is_empty(), "nobody has wanted to know anything");
    let mut known = services.watch();
    assert!(tokio::time::timeout(Duration::from_secs(5), known.wait_for(|known| known.instances.len() == 1)).await.is_ok());
    drop(services);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = lock(&somebody.asked).len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(lock(&somebody.asked).len(), asked);
    assert!(asked < 20, "{asked}: it asks without a pause");
}

#[tokio::test]
async fn who_answers_at_once_that_nothing_is_new_is_not_asked_without_a_pause() {
    let somebody = Somebody::new().await;
    // The revision is `x`, and is not recognised as what is known.
    somebody.says("200 OK", r#"{"revision":"\u0078","instances":[]}"#);
    let services = services(&somebody);
    services.directory().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = lock(&somebody.asked).len();
    assert!((2..=8).contains(&asked), "{asked}");
}
