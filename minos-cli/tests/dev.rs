//! The first five minutes: from an empty directory to a service that is changed while it runs, as the README tells it.
#![cfg(unix)]

mod common;

use common::Place;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a first build may take.
const BUILD: Duration = Duration::from_secs(540);

/// `minos dev`, and what it tells.
struct Dev {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    _alone: MutexGuard<'static, ()>,
}

/// They all want the same addresses, and whoever comes second gets others.
static ALONE: Mutex<()> = Mutex::new(());

impl Dev {
    fn start(place: &Place) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = place.minos(&["dev"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let heard = lines.clone();
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line)));
        Dev { child, lines, _alone: alone }
    }

    /// How many lines there are: what was told before is not waited for.
    fn now(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// The next line behind so many that says this.
    fn hear(&self, behind: usize, what: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < BUILD {
            if let Some(line) = self.lines.lock().unwrap()[behind..].iter().find(|line| line.contains(what)) {
                return line.clone();
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody says `{what}`:\n{}", self.lines.lock().unwrap().join("\n"));
    }

    /// What follows the next of these words behind so many lines.
    fn addr(&self, behind: usize, words: &str) -> SocketAddr {
        let words = format!("{words} http://");
        let line = self.hear(behind, &words);
        line.split(&words).nth(1).unwrap().split([',', ';', '/']).next().unwrap().parse().unwrap()
    }

    /// Where the gateway and the service are, as soon as both answer.
    fn addrs(&self, behind: usize) -> (SocketAddr, SocketAddr) {
        (self.addr(behind, "all of them answer on"), self.addr(behind, "order answers on"))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    fn ends(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end:\n{}", self.lines.lock().unwrap().join("\n"));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(addr: SocketAddr, path: &str, body: &Value) -> Value {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    agent.post(format!("http://{addr}{path}")).send_json(body).unwrap().body_mut().read_json().unwrap()
}

fn get(addr: SocketAddr, path: &str) -> Value {
    ureq::get(format!("http://{addr}{path}")).call().unwrap().body_mut().read_json().unwrap()
}

/// Somebody who asks all the time, as long as this is there.
struct Asker {
    over: Arc<AtomicBool>,
    asking: thread::JoinHandle<Vec<(u16, String, Duration)>>,
}

impl Asker {
    /// Sends this, one after the other.
    fn of(addr: SocketAddr, path: &'static str, body: Value) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until = over.clone();
        let asking = thread::spawn(move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
            let mut answers = Vec::new();
            while !until.load(SeqCst) {
                let begun = Instant::now();
                let mut answer = agent.post(format!("http://{addr}{path}")).send_json(&body).unwrap();
                let text = answer.body_mut().read_to_string().unwrap();
                answers.push((answer.status().as_u16(), text, begun.elapsed()));
                thread::sleep(Duration::from_millis(5));
            }
            answers
        });
        Asker { over, asking }
    }

    /// Each answer, and how long it took.
    fn answers(self) -> Vec<(u16, String, Duration)> {
        self.over.store(true, SeqCst);
        self.asking.join().unwrap()
    }
}

/// Waits until nothing of it runs any more.
fn is_gone(place: &Place, addr: SocketAddr) -> bool {
    let begun = Instant::now();
    let runs = || {
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok().map(|entry| entry.path()));
        TcpStream::connect(addr).is_ok()
            || all.filter_map(|process| fs::read_link(process.join("cwd")).ok()).any(|cwd| cwd.starts_with(place.path()))
    };
    while runs() {
        if begun.elapsed() > Duration::from_secs(30) {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

#[test]
fn from_an_empty_directory_to_a_service_that_is_changed_while_it_runs() {
    let place = Place::new();
    place.told(&["new", "project", "shop", "--minos-path", common::MINOS]);
    place.told(&["new", "service", "order"]);
    place.at("shop").lock();
    let mut dev = Dev::start(&place);
    let gateway = dev.addr(0, "the gateway is on");
    // It is open, though the services are only being built.
    let early = ureq::get(format!("http://{gateway}/health")).call().unwrap();
    assert_eq!(early.status(), 200);
    let (named, direct) = dev.addrs(0);
    assert_eq!(named, gateway);
    let console = dev.addr(0, "its console is");
    let page = ureq::get(format!("http://{console}/console")).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("<html"), "{page}");
    let all = dev.addr(0, "the console of all of them is");
    let page = ureq::get(format!("http://{all}/console")).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("data-place=\"gateway\""), "{page}");
    let services = get(all, "/services");
    assert_eq!((&services["services"][0]["service"], &services["services"][0]["missing"]), (&json!("order"), &Value::Null), "{services}");
    assert!(services["registry"]["is"].as_str().unwrap().starts_with("the registry at http://127.0.0.1:"), "{services}");
    assert_eq!(get(all, "/services/order/overview")["service"], "order", "it is asked through the gateway");
    // All that follows is asked of the gateway.
    let addr = gateway;
    let uuid = post(addr, "/orders", &json!({ "name": "a lamp" }));
    let uuid = uuid.as_str().unwrap().to_owned();
    assert_eq!(get(addr, &format!("/orders/{uuid}"))["name"], "a lamp");
    assert_eq!(get(direct, &format!("/orders/{uuid}"))["name"], "a lamp", "the service has a place of its own");
    assert_eq!(post(addr, "/orders", &json!({ "name": "" }))["detail"], "the name is empty");
    dev.hear(0, "order    | ");

    let source = place.path().join("shop/services/order/src/order.rs");
    let text = fs::read_to_string(&source).unwrap();
    let before = dev.now();
    fs::write(&source, text.replace("input.name.is_empty()", "input.nam.is_empty()")).unwrap();
    dev.hear(before, "no field `nam`");
    dev.hear(before, "the services go on as they were");
    assert!(
        !dev.lines.lock().unwrap().iter().any(|line| line.contains("/health/ready")),
        "the registry asks all the time, and that is no news"
    );
    assert_eq!(get(addr, &format!("/orders/{uuid}"))["name"], "a lamp", "what does not compile ends nothing");

    let before = dev.now();
    let asker = Asker::of(addr, "/orders", json!({ "name": "" }));
    fs::write(&source, text.replace("\"the name is empty\"", "\"there is no name\"")).unwrap();
    dev.hear(before, "requests to the gateway wait");
    assert_eq!(dev.addrs(before), (gateway, direct), "they keep their places");
    thread::sleep(Duration::from_millis(100));
    let answers = asker.answers();
    let (old, new): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, text, _)| text.contains("the name is empty"));
    assert!(!old.is_empty() && !new.is_empty(), "{} {}", old.len(), new.len());
    let refused: Vec<_> = new.iter().filter(|(_, text, _)| !text.contains("there is no name")).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(new[0].2 > Duration::from_millis(50), "the first one that the new build answers has waited for it: {:?}", new[0]);
    assert_eq!(post(addr, "/orders", &json!({ "name": "" }))["detail"], "there is no name");
    assert_eq!(get(addr, &format!("/orders/{uuid}"))["name"], "a lamp", "what was stored is kept");

    let before = dev.now();
    fs::write(place.path().join("shop/services/order/note.txt"), "of no interest").unwrap();
    dev.hear(before, "nothing has changed for the services");

    dev.signal(rustix::process::Signal::INT);
    assert!(dev.ends(), "Ctrl-C is no failure");
    assert!(is_gone(&place, direct) && is_gone(&place, gateway), "Ctrl-C leaves nobody behind");
    drop(dev);

    // Whoever has the place of the gateway keeps it.
    let taken = TcpListener::bind(gateway).unwrap();
    let mut dev = Dev::start(&place);
    dev.hear(0, &format!("{gateway} is taken, so the gateway takes http://"));
    let addr = dev.addr(0, "the gateway is on");
    assert_ne!(addr, gateway);
    assert_eq!(get(addr, &format!("/orders/{uuid}"))["name"], "a lamp", "who is early waits");
    let (named, direct) = dev.addrs(0);
    assert_eq!(named, addr);
    assert_eq!(get(addr, &format!("/orders/{uuid}"))["name"], "a lamp");
    drop(taken);
    dev.signal(rustix::process::Signal::KILL);
    assert!(!dev.ends());
    assert!(is_gone(&place, direct), "nor does a crash");
}

#[test]
fn a_project_without_services_says_what_to_do() {
    let place = Place::new();
    place.told(&["new", "project", "shop", "--minos-path", common::MINOS]);
    let mut dev = Dev::start(&place);
    dev.hear(0, "the project has no service yet: `minos new service <name>` makes one");
    dev.signal(rustix::process::Signal::TERM);
    assert!(dev.ends());
}
