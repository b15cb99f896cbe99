//! What the gateway costs, against nginx as a proxy of the same upstream, in one run on one machine:
//!
//! ```sh
//! cargo bench -p minos-cli --bench gateway
//! ```
//!
//! It needs `nginx` and `wrk` (Debian: `apt-get install nginx-light wrk`). The upstream is another nginx that answers from memory. All are processes of their
//! own with two workers, keep their connections, and log no requests. They are measured in turn, several times. A machine is faster at one moment than at
//! another, so each round has a ratio of its own, of what was measured within seconds, and the median of these counts.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const ROUNDS: usize = 9;
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 32;
/// What the gateway is held to.
const RATIO: f64 = 0.7;
const ADDED: Duration = Duration::from_millis(1);

/// A process that ends with this value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // By a signal that it can hear, for nginx ends its workers then. It is ours, and may have ended by itself.
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// What was measured of one.
#[derive(Clone, Copy)]
struct Measured {
    per_second: f64,
    median: Duration,
    p99: Duration,
}

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let (upstream, proxy, gateway) = (free(), free(), free());
    let served = "default_type application/json; location / { return 200 '{\"text\":\"This is an example response!\"}'; }";
    let proxied = "location / { proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host; \
                   proxy_set_header X-Forwarded-For $remote_addr; }";
    let pool = format!("upstream upstream {{ server {upstream}; keepalive 256; keepalive_requests 1000000; }}");
    let _upstream = nginx(directory.path(), "upstream", upstream, "", served);
    let _proxy = nginx(directory.path(), "proxy", proxy, &pool, proxied);
    let _gateway = minos(directory.path(), gateway, upstream);
    let all = [("upstream itself", upstream), ("nginx", proxy), ("minos gateway", gateway)];
    for connections in [1, CONNECTIONS] {
        let mut measured = all.map(|_| Vec::new());
        for round in 0..=ROUNDS {
            for (at, (_, addr)) in all.iter().enumerate() {
                let one = wrk(*addr, connections);
                // The first round warms up.
                if round > 0 {
                    measured[at].push(one);
                }
            }
        }
        println!("\n{connections} connections, {ROUNDS} rounds of {SECONDS} s, medians");
        println!("{:<16} {:>12} {:>10} {:>10}", "", "requests/s", "median", "p99");
        let each = |of: fn(&Measured, &Measured, &Measured) -> f64| {
            let [direct, nginx, minos] = &measured;
            middle(direct.iter().zip(nginx).zip(minos).map(|((direct, nginx), minos)| of(direct, nginx, minos)).collect())
        };
        let ratio = each(|_, nginx, minos| minos.per_second / nginx.per_second);
        let added = Duration::from_secs_f64(each(|direct, _, minos| minos.median.saturating_sub(direct.median).as_secs_f64()));
        for ((name, _), all) in all.iter().zip(&measured) {
            let one = median(all);
            println!("{name:<16} {:>12.0} {:>8} µs {:>8} µs", one.per_second, one.median.as_micros(), one.p99.as_micros());
        }
        let verdict = |holds: bool| if holds { "holds" } else { "DOES NOT HOLD" };
        println!("throughput: {ratio:.2} of nginx (at least {RATIO}): {}", verdict(ratio >= RATIO));
        println!("added at the median: {} µs (less than {} µs): {}", added.as_micros(), ADDED.as_micros(), verdict(added < ADDED));
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn nginx(directory: &Path, name: &str, addr: SocketAddr, http: &str, server: &str) -> Process {
    let home = directory.join(name);
    fs::create_dir(&home).expect("a directory");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", home.display()))
        .collect();
    let text = format!(
        "daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log; events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 100000000; {temporary} {http}\nserver {{ listen {addr} reuseport; {server} }} }}",
        home.display()
    );
    let path = home.join("nginx.conf");
    fs::write(&path, text).expect("the configuration of nginx");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&home).arg("-c").arg(&path);
    start(command, addr)
}

fn minos(directory: &Path, addr: SocketAddr, upstream: SocketAddr) -> Process {
    let path = directory.join("gateway.toml");
    let text = format!(
        "[http]\naddr = \"{addr}\"\n[log]\nlevel = \"warn\"\n[openapi]\nserve = \"nobody\"\n[services.example]\nurls = [\"http://{upstream}\"]\nroutes = [\"GET /examples/{{id}}\"]\n"
    );
    fs::write(&path, text).expect("the configuration of the gateway");
    let mut command = Command::new(env!("CARGO_BIN_EXE_minos"));
    command.arg("gateway").arg("--config").arg(&path);
    start(command, addr)
}

fn start(mut command: Command, addr: SocketAddr) -> Process {
    let child = command.stdout(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let begun = Instant::now();
    while TcpStream::connect(addr).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{command:?} does not listen on {addr}");
        thread::sleep(Duration::from_millis(20));
    }
    Process(child)
}

fn wrk(addr: SocketAddr, connections: u32) -> Measured {
    let threads = connections.min(2);
    let output = Command::new("wrk")
        .args([
            "--latency",
            &format!("-t{threads}"),
            &format!("-c{connections}"),
            &format!("-d{SECONDS}s"),
            &format!("http://{addr}/examples/1"),
        ])
        .output()
        .expect("wrk");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let word = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no `{name}` in {text}"));
        line.split_whitespace().last().unwrap_or_default().to_owned()
    };
    let per_second = word("Requests/sec:").parse().expect("a number");
    Measured { per_second, median: duration(&word("50%")), p99: duration(&word("99%")) }
}

/// `123.00us`, as wrk says it.
fn duration(text: &str) -> Duration {
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        _ => 1.0,
    };
    Duration::from_secs_f64(number.parse::<f64>().expect("a number") * factor)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median(all: &[Measured]) -> Measured {
    let time = |of: fn(&Measured) -> Duration| Duration::from_secs_f64(middle(all.iter().map(|one| of(one).as_secs_f64()).collect()));
    Measured {
        per_second: middle(all.iter().map(|one| one.per_second).collect()),
        median: time(|one| one.median),
        p99: time(|one| one.p99),
    }
}
