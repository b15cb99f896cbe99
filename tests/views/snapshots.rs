//! Loading begins at a snapshot where there is one, and is none the wiser for it.

use crate::{
    common::{get, post, until},
    kit::{Place, places, start_module},
};
use fastrand::Rng;
use minos::{
    Running,
    prelude::*,
    store::{Cause, Loaded, NewSnapshot, StreamId, Unit},
};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What is loaded.
mod shelf {
    use minos::prelude::*;

    #[derive(Clone, Serialize, Deserialize)]
    pub struct Copy {
        pub place: String,
        pub lent: u32,
    }

    #[aggregate(snapshot(every = 7))]
    pub struct Book {
        pub title: String,
        pub copies: EntitySet<Copy>,
        pub tags: ValueSet<String>,
        pub note: Option<String>,
        pub sold: u64,
    }

    #[aggregate]
    impl Book {
        #[event("CopiesSold")]
        pub fn sell(&mut self, count: u64) {
            self.sold += count;
        }
    }

    /// A shelf's state is kept once a day.
    #[aggregate(snapshot(age = "1d", schema = 3))]
    pub struct Shelf {
        pub books: u64,
    }

    #[command(POST "/shelves")]
    async fn put_up(cx: &mut Context, input: Shelf) -> Result<Uuid> {
        Ok(Shelf::create(cx, input).await?.uuid())
    }

    #[command(PUT "/shelves/{uuid}")]
    async fn fill(cx: &mut Context, Path(uuid): Path<Uuid>, books: u64) -> Result<()> {
        let mut shelf = Shelf::get(cx, uuid).await?;
        shelf.books = books;
        shelf.save(cx).await
    }

    #[query(GET "/shelves/{uuid}")]
    async fn shelf(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Shelf>> {
        Shelf::get(cx, uuid).await
    }

    #[derive(Deserialize)]
    pub enum Change {
        Title(String),
        Note(Option<String>),
        Tag(String),
        Untag(String),
        Add(Copy),
        Lend(usize),
        Lose(usize),
        Sell(u64),
        SellAndNote(u64, String),
    }

    #[command(POST "/books")]
    async fn print(cx: &mut Context, title: String) -> Result<Uuid> {
        let (copies, tags) = Default::default();
        Ok(Book::create(cx, Book { title, copies, tags, note: None, sold: 0 }).await?.uuid())
    }

    #[command(POST "/books/{uuid}")]
    async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, change: Change) -> Result<u64> {
        let mut book = Book::get(cx, uuid).await?;
        let copy = |book: &Book, n: usize| book.copies.iter().nth(n % book.copies.len().max(1)).map(|(uuid, _)| uuid);
        match change {
            Change::Title(title) => book.title = title,
            Change::Note(note) => book.note = note,
            Change::Tag(tag) => drop(book.tags.insert(tag)),
            Change::Untag(tag) => drop(book.tags.remove(&tag)),
            Change::Add(copy) => drop(book.copies.add(copy)),
            Change::Lend(n) => {
                if let Some(uuid) = copy(&book, n) {
                    book.copies.update(uuid, |copy| copy.lent += 1)?;
                }
            }
            Change::Lose(n) => {
                if let Some(uuid) = copy(&book, n) {
                    book.copies.remove(uuid);
                }
            }
            Change::Sell(count) => book.sell(count),
            Change::SellAndNote(count, note) => {
                book.sell(count);
                book.note = Some(note);
            }
        }
        book.save(cx).await?;
        Ok(book.version())
    }

    #[command(DELETE "/books/{uuid}")]
    async fn pulp(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        Book::get(cx, uuid).await?.delete(cx).await
    }

    #[query(GET "/books/{uuid}")]
    async fn book(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Book>> {
        Book::get(cx, uuid).await
    }

    /// From the first event on, whatever is kept.
    #[query(GET "/books/{uuid}/versions/{version}")]
    async fn book_at(cx: &Context, Path((uuid, version)): Path<(Uuid, u64)>) -> Result<Option<Seen<Book>>> {
        Book::at_version(cx, uuid, version).await
    }
}

async fn started(place: &Place) -> (Running, SocketAddr) {
    start_module(place, "snapshots::shelf").await
}

async fn created(addr: SocketAddr, path: &str, input: &Value) -> String {
    let answer = post(addr, path, &input.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

async fn change(addr: SocketAddr, book: &str, change: &Value) -> u64 {
    let answer = post(addr, &format!("/books/{book}"), &change.to_string()).await;
    assert_eq!(answer.status, 200, "{change}: {answer:?}");
    answer.json().as_u64().unwrap()
}

fn stream(aggregate: &'static str, uuid: &str) -> StreamId {
    StreamId::new(aggregate, uuid.parse().unwrap())
}

async fn put(running: &Running, snapshot: NewSnapshot) {
    let unit = Unit::new(Timestamp::now(), Cause { correlation: Uuid::nil(), causation: Uuid::nil(), user: None, trace: None });
    running.store().commit(Unit { snapshots: vec![snapshot], ..unit }).await.unwrap();
}

async fn kept(running: &Running, stream: &StreamId) -> Loaded {
    running.store().load(stream.clone()).await.unwrap()
}

/// Loads a book until its snapshot is of this version at least.
async fn until_kept(running: &Running, addr: SocketAddr, book: &str, version: u64) -> Loaded {
    let stream = stream("Book", book);
    until(&format!("a snapshot of version {version}"), async || {
        get(addr, &format!("/books/{book}")).await;
        kept(running, &stream).await.snapshot.is_some_and(|snapshot| snapshot.version >= version)
    })
    .await;
    kept(running, &stream).await
}

/// A snapshot and what came behind it are the state as of the last version, which is a fold of all events.
#[tokio::test]
async fn a_state_from_a_snapshot_is_the_one_of_all_events() {
    for place in places("a_state_from_a_snapshot_is_the_one_of_all_events") {
        let (running, addr) = started(&place).await;
        for seed in 0..4 {
            let mut random = Rng::with_seed(seed);
            let book = created(addr, "/books", &json!("ü\"\\")).await;
            let mut version = 1;
            for n in 0..90 {
                let text = ["", "a", "ü\"\\\n", "null"][random.usize(0..4)];
                let number = random.u32(0..5);
                let next = match random.u8(0..9) {
                    0 => json!({ "Title": text }),
                    1 => json!({ "Note": random.bool().then_some(text) }),
                    2 => json!({ "Tag": text }),
                    3 => json!({ "Untag": text }),
                    4 => json!({ "Add": { "place": text, "lent": 0 } }),
                    5 => json!({ "Lend": number }),
                    6 => json!({ "Lose": number }),
                    7 => json!({ "Sell": number }),
                    _ => json!({ "SellAndNote": [number, text] }),
                };
                version = change(addr, &book, &next).await;
                if n % 9 == 8 {
                    let now = get(addr, &format!("/books/{book}")).await.json();
                    let folded = get(addr, &format!("/books/{book}/versions/{version}")).await.json();
                    assert_eq!(now, folded, "seed {seed}, version {version}");
                    assert_eq!(now["version"], version);
                }
            }
            let kept = until_kept(&running, addr, &book, version - 6).await;
            assert!(kept.events.len() < 7, "those behind the snapshot alone are loaded: {kept:?}");
        }
        running.stop().await;
    }
}

/// That a snapshot is what is loaded, and what is no use is not.
#[tokio::test]
async fn a_snapshot_is_believed_if_this_program_has_written_it_and_can_read_it() {
    for place in places("a_snapshot_is_believed_if_this_program_has_written_it_and_can_read_it") {
        let (running, addr) = started(&place).await;
        let book = created(addr, "/books", &json!("a")).await;
        for n in 0..10 {
            change(addr, &book, &json!({ "Note": n.to_string() })).await;
        }
        let good = until_kept(&running, addr, &book, 7).await.snapshot.unwrap();
        let next = change(addr, &book, &json!({ "Note": "last" })).await;
        let shown = async || get(addr, &format!("/books/{book}")).await.json();
        let truth = shown().await;
        let put = async |schema: &str, state: String| {
            let (stream, schema) = (stream("Book", &book), schema.to_owned());
            running.store().forget_snapshot(stream.clone()).await.unwrap();
            put(&running, NewSnapshot { stream, version: next - 1, schema, state }).await;
        };
        let forged = good.state.replace("\"title\":\"a\"", "\"title\":\"forged\"");
        assert_ne!(forged, good.state);
        put(&good.schema, forged.clone()).await;
        let seen = shown().await;
        assert_eq!(
            (&seen["title"], &seen["note"], &seen["version"]),
            (&json!("forged"), &json!("last"), &json!(next)),
            "it is what is loaded"
        );
        put("program 0", forged).await;
        assert_eq!(shown().await, truth, "another program has written it");
        for broken in [
            "null".to_owned(),
            "{}".to_owned(),
            good.state.replace("\"title\":\"a\"", "\"title\":[1]"),
            good.state.replace("\"state\":{", "\"state\":{\"$v\":9,"),
        ] {
            put(&good.schema, broken.clone()).await;
            assert_eq!(shown().await, truth, "{broken}");
            until("it is replaced or removed", async || {
                kept(&running, &stream("Book", &book)).await.snapshot.is_none_or(|kept| kept.state != broken)
            })
            .await;
        }
        // What was deleted is gone, whatever is kept of it.
        until_kept(&running, addr, &book, 7).await;
        assert_eq!(crate::common::send(addr, "DELETE", &format!("/books/{book}"), "", "").await.unwrap().status, 204);
        assert!(kept(&running, &stream("Book", &book)).await.snapshot.is_some());
        assert_eq!(get(addr, &format!("/books/{book}")).await.status, 404);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_snapshot_is_taken_when_the_last_one_is_old() {
    for place in places("a_snapshot_is_taken_when_the_last_one_is_old") {
        let (running, addr) = started(&place).await;
        let shelf = created(addr, "/shelves", &json!({ "books": 1 })).await;
        let stream = stream("Shelf", &shelf);
        let shown = async || get(addr, &format!("/shelves/{shelf}")).await.json();
        let truth = shown().await;
        assert_eq!(kept(&running, &stream).await.snapshot, None, "it is younger than a day");
        let state = json!({ "at": "2020-01-01T00:00:00Z", "created_at": truth["created_at"], "updated_at": truth["updated_at"], "state": { "books": 5 } }).to_string();
        let old = NewSnapshot { stream: stream.clone(), version: 1, schema: "3".to_owned(), state };
        put(&running, old.clone()).await;
        assert_eq!(shown().await["books"], 5, "the schema is the user's");
        assert_eq!(kept(&running, &stream).await.snapshot.unwrap().state, old.state, "nothing has happened since");
        crate::common::send(addr, "PUT", &format!("/shelves/{shelf}"), "", "6").await.unwrap();
        until("a newer one", async || {
            assert_eq!(shown().await["books"], 6);
            kept(&running, &stream).await.snapshot.unwrap().version == 2
        })
        .await;
        running.stop().await;
    }
}
