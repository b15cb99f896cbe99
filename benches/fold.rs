//! How fast an aggregate is made of its events, as a ratio to decoding the same bytes with `serde_json` alone:
//!
//! ```sh
//! cargo bench --bench fold 2>/dev/null
//! ```
//!
//! 1,000 events of one aggregate: changes of fields, events of the domain, or both in turn. No store is asked: what is measured is from the events as a store hands
//! them out to the aggregate. The other side decodes each event into the type that it is, and drops it; both give back the memory of the events. For a change that is a struct of `Option`s, one for each field,
//! which is what a service would write by hand: it allocates only for what is there, and is several times as fast as a `serde_json::Value`.
//!
//! Updates of an aggregate of which serde is told something as a whole go by its text, which is slower where they come in turn with events of the domain.
//!
//! Both are measured in turn, many times, and the medians of both are compared.

use minos::{
    prelude::*,
    store::{Cause, StoredEvent, StreamId},
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const EVENTS: usize = 1000;
const ROUNDS: usize = 400;

/// What a bank knows of an account.
macro_rules! account {
    ($module:ident $(, $attribute:meta)?) => {
        #[allow(dead_code, reason = "nobody calls the methods: their events are there")]
        mod $module {
            use minos::prelude::*;

            #[aggregate(name = "Account")]
            $(#[$attribute])?
            pub(super) struct Account {
                pub(super) owner: String,
                pub(super) iban: String,
                pub(super) cents: i64,
                pub(super) limit: i64,
                pub(super) note: Option<String>,
                pub(super) is_frozen: bool,
            }

            #[aggregate]
            impl Account {
                #[event("MoneyDeposited")]
                pub(super) fn deposited(&mut self, cents: i64, text: String) {
                    self.cents += cents;
                    self.note = Some(text);
                }

                #[event("MoneyWithdrawn")]
                pub(super) fn withdrawn(&mut self, cents: i64, text: String) {
                    self.cents -= cents;
                    self.note = Some(text);
                }
            }
        }
    };
}

account!(plain);
account!(as_text, serde(deny_unknown_fields));

/// A change of an account, as a service would decode it by hand.
#[derive(Deserialize)]
#[allow(dead_code, reason = "it is decoded and dropped")]
struct Change {
    owner: Option<String>,
    iban: Option<String>,
    cents: Option<i64>,
    limit: Option<i64>,
    note: Option<Option<String>>,
    is_frozen: Option<bool>,
}

fn event(version: u64, name: &str, data: String) -> StoredEvent {
    StoredEvent {
        position: version,
        stream: StreamId::new("Account", Uuid::nil()),
        version,
        name: name.to_owned(),
        data,
        at: Timestamp::UNIX_EPOCH,
        cause: Cause { correlation: Uuid::nil(), causation: Uuid::nil(), user: None, trace: None },
    }
}

fn created() -> StoredEvent {
    let state = r#"{"owner":"Ada Lovelace","iban":"DE02120300000000202051","cents":0,"limit":50000,"note":null,"is_frozen":false}"#;
    event(1, "AccountCreated", state.to_owned())
}

fn changed(n: usize, version: u64) -> StoredEvent {
    let data = match n % 4 {
        0 => format!(r#"{{"limit":{}}}"#, 50_000 + n),
        1 => format!(r#"{{"owner":"Ada Lovelace the {n}th"}}"#),
        2 => format!(r#"{{"note":"a note of some length, number {n}","is_frozen":{}}}"#, n.is_multiple_of(8)),
        _ => format!(r#"{{"cents":{},"note":"corrected by hand"}}"#, n * 7),
    };
    event(version, "AccountUpdated", data)
}

fn happened(n: usize, version: u64) -> StoredEvent {
    let name = if n.is_multiple_of(3) { "MoneyWithdrawn" } else { "MoneyDeposited" };
    event(version, name, format!(r#"{{"cents":{},"text":"rent of month {n}"}}"#, 100 + n))
}

fn history(event: impl Fn(usize, u64) -> StoredEvent) -> Vec<StoredEvent> {
    std::iter::once(created()).chain((2..=EVENTS).map(|version| event(version, version as u64))).collect()
}

/// Decodes each into the type that it is.
fn decode(events: &[StoredEvent]) {
    for event in events {
        let data = black_box(&*event.data);
        match &*event.name {
            "AccountCreated" => drop(black_box(serde_json::from_str::<plain::Account>(data).unwrap())),
            "AccountUpdated" => drop(black_box(serde_json::from_str::<Change>(data).unwrap())),
            "MoneyDeposited" => drop(black_box(serde_json::from_str::<plain::MoneyDeposited>(data).unwrap())),
            "MoneyWithdrawn" => drop(black_box(serde_json::from_str::<plain::MoneyWithdrawn>(data).unwrap())),
            other => panic!("{other}"),
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Makes the aggregate, and gives back what the events took.
fn fold<A: Aggregate>(events: Vec<StoredEvent>) {
    drop(black_box(minos::__private::fold::<A>(Uuid::nil(), events).unwrap()));
}

fn measure(what: &str, events: &[StoredEvent], fold: fn(Vec<StoredEvent>)) {
    let (mut decoded, mut folded) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + ROUNDS / 10 {
        let (one, other) = (events.to_vec(), events.to_vec());
        let decoding = timed(|| {
            decode(&one);
            drop(one);
        });
        let folding = timed(|| fold(other));
        // The first rounds fill caches.
        if round >= ROUNDS / 10 {
            decoded.push(decoding);
            folded.push(folding);
        }
    }
    let (decoded, folded) = (median(decoded), median(folded));
    let ratio = decoded.as_secs_f64() / folded.as_secs_f64();
    println!("{what:<40} {:>9.1} µs {:>9.1} µs {ratio:>6.2} x", decoded.as_secs_f64() * 1e6, folded.as_secs_f64() * 1e6);
}

fn main() {
    println!("{EVENTS} events, medians of {ROUNDS} rounds in turn");
    println!("{:<40} {:>12} {:>12} {:>8}", "", "decoded", "folded", "ratio");
    let (changes, domain) = (history(changed), history(happened));
    let both = history(|n, version| if n.is_multiple_of(2) { changed(n, version) } else { happened(n, version) });
    measure("changes", &changes, fold::<plain::Account>);
    measure("events of the domain", &domain, fold::<plain::Account>);
    measure("both in turn", &both, fold::<plain::Account>);
    measure("both in turn, by the text of the whole", &both, fold::<as_text::Account>);
}
