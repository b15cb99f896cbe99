//! How fast a read model is rebuilt, as a ratio to how fast its events were appended in the same run, by the same process on the same store:
//!
//! ```sh
//! cargo bench --bench projections 2>/dev/null                        # on SQLite
//! MINOS_BENCH_STORE=postgres://… cargo bench --features postgres --bench projections 2>/dev/null
//! ```
//!
//! `MINOS_BENCH_EVENTS` says how many events there are, a million unless it does. What is appended at first by 64 commands at once is measured; the rest is
//! put there in larger units, which is not.

use minos::{
    Running,
    prelude::*,
    store::{Append, Cause, NewEvent, StreamId, Unit},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const CONCURRENT: usize = 64;
const MEASURED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
/// How many accounts the events are about.
const ACCOUNTS: usize = 10_000;
/// How many events are put there at once.
const UNIT: usize = 500;

#[aggregate]
pub struct Account {
    pub owner: String,
    pub balance: i64,
    pub note: String,
}

#[aggregate]
impl Account {
    #[event("MoneyDeposited")]
    fn deposited(&mut self, amount: i64, note: String) {
        self.balance += amount;
        self.note = note;
    }
}

#[derive(Serialize, Deserialize)]
pub struct Deposit {
    account: Uuid,
    amount: i64,
}

#[command("Deposit")]
async fn deposit(cx: &mut Context, input: Deposit) -> Result<()> {
    let mut account = Account::get(cx, input.account).await?;
    account.deposited(input.amount, "a deposit of some money".to_owned());
    account.save(cx).await
}

#[command("Open")]
async fn open(cx: &mut Context, owner: String) -> Result<Uuid> {
    Ok(Account::create(cx, Account { owner, balance: 0, note: String::new() }).await?.uuid())
}

/// What there is in each account.
#[document]
pub struct Balance {
    pub owner: String,
    pub balance: i64,
    pub deposits: u32,
    pub last: Timestamp,
}

#[projection]
impl Balance {
    #[event("AccountCreated")]
    async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
        view.put(event.uuid(), Balance { owner: event.owner.clone(), balance: event.balance, deposits: 0, last: view.now() });
        Ok(())
    }

    #[event("Account.MoneyDeposited")]
    async fn deposited(view: &mut View<Self>, event: Event<MoneyDeposited>) -> Result<()> {
        let now = view.now();
        view.update(event.uuid(), |balance| {
            balance.balance += event.amount;
            balance.deposits += 1;
            balance.last = now;
        })
        .await
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let events: u64 = std::env::var("MINOS_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let directory = tempfile::tempdir().unwrap();
    let url = std::env::var("MINOS_BENCH_STORE").unwrap_or_else(|_| format!("sqlite://{}", directory.path().join("bench.db").display()));
    let config = format!("[service]\nname = \"bench\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"{url}\"\n[log]\nlevel = \"warn\"");
    let running = Arc::new(Service::from_toml(&config).unwrap().start().await.unwrap());
    let rate = appended(&running).await;
    println!("appended by commands, {CONCURRENT} at once: {rate:.0} events/s");
    fill(&running, events).await;
    wait(&running, None).await;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let head = running.store().log(0, 1, Some(&[])).await.unwrap().read;
        let start = Instant::now();
        running.projections().rebuild("Balance").await.unwrap();
        wait(&running, Some(round as u64 + 2)).await;
        let seconds = start.elapsed().as_secs_f64();
        let rebuilt = head as f64 / seconds;
        println!("rebuilt: {head} events in {seconds:.2} s: {rebuilt:.0} events/s, {:.1} x", rebuilt / rate);
        ratios.push(rebuilt / rate);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median: {:.1} x the rate at which they were appended", ratios[ROUNDS / 2]);
    if let Some(running) = Arc::into_inner(running) {
        running.stop().await;
    }
}

/// How many events a second are appended by commands.
async fn appended(running: &Arc<Running>) -> f64 {
    let mut accounts: Vec<Uuid> = Vec::new();
    for n in 0..ACCOUNTS / 10 {
        accounts.push(serde_json::from_slice(running.call("Open", &format!("owner {n}")).await.unwrap().body()).unwrap());
    }
    let (done, accounts) = (Arc::new(AtomicU64::new(0)), Arc::new(accounts));
    let start = Instant::now();
    let workers: Vec<_> = (0..CONCURRENT)
        .map(|n| {
            let (running, done, accounts) = (running.clone(), done.clone(), accounts.clone());
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(n as u64);
                while start.elapsed() < MEASURED {
                    // Each has accounts of its own, so that none waits for another.
                    let account = accounts[random.usize(0..accounts.len() / CONCURRENT) * CONCURRENT + n];
                    running.call("Deposit", &Deposit { account, amount: random.i64(1..100) }).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// Puts events there until there are so many.
async fn fill(running: &Running, events: u64) {
    let store = running.store();
    let accounts: Vec<Uuid> = (0..ACCOUNTS).map(|_| Uuid::now_v7()).collect();
    let mut versions = vec![0_u64; ACCOUNTS];
    let mut written = store.log(0, 1, Some(&[])).await.unwrap().read;
    let mut next = 0;
    while written < events {
        let mut unit =
            Unit::new(Timestamp::now(), Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: None, trace: None });
        for _ in 0..UNIT.min(ACCOUNTS) {
            let (uuid, version) = (accounts[next], versions[next]);
            let event = match version {
                0 => NewEvent { name: "AccountCreated".into(), data: format!(r#"{{"owner":"owner {next}","balance":0,"note":""}}"#) },
                _ => {
                    NewEvent { name: "MoneyDeposited".into(), data: format!(r#"{{"amount":{version},"note":"a deposit of some money"}}"#) }
                }
            };
            unit.appends.push(Append { stream: StreamId::new("Account", uuid), expected: version, events: vec![event] });
            versions[next] += 1;
            next = (next + 1) % ACCOUNTS;
        }
        written += unit.appends.len() as u64;
        store.commit(unit).await.unwrap();
    }
}

/// Waits until the view of this generation is the one that is read, and has taken all.
async fn wait(running: &Running, generation: Option<u64>) {
    loop {
        let standing = running.projections().list().await.unwrap().into_iter().next().unwrap();
        let live = standing.progress.live.as_ref();
        if live.is_some_and(|live| live.position >= standing.head && generation.is_none_or(|wanted| live.generation == wanted)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
