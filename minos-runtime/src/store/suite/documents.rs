//! Documents: how they are written, and how they are found.

use super::{appending, stream, unit, versions};
use crate::store::{
    CollectionChange, Cursor, Direction, Document, DocumentWrite, Field, Filter, Find, Kind, MemoryStore, Op, Order, SharedStore, Store,
    StoreError, StoreResult, Unit,
};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

fn write(collection: &'static str, key: &str, body: Option<Json>, expected: Option<u64>) -> DocumentWrite {
    DocumentWrite { collection: collection.into(), key: key.to_owned(), body: body.map(|body| body.to_string()), expected }
}

fn writing(writes: Vec<DocumentWrite>) -> Unit {
    Unit { documents: writes, ..unit() }
}

fn document(key: &str, version: u64, body: &Json) -> Document {
    Document { key: key.to_owned(), version, body: body.to_string() }
}

fn moved(key: &str, actual: u64) -> StoreResult<()> {
    Err(StoreError::DocumentConflict { collection: "foos".to_owned(), key: key.to_owned(), actual })
}

async fn read(store: &SharedStore, collection: &str, key: &str) -> Option<Document> {
    store.document(collection, key).await.expect("it is read")
}

async fn keys(store: &SharedStore, collection: &'static str) -> Vec<String> {
    let found = store.find(Find::all(collection, 100)).await.expect("they are read");
    found.into_iter().map(|document| document.key).collect()
}

#[allow(missing_docs)]
pub async fn a_document_counts_its_writes(store: SharedStore) {
    let put = async |body: Option<Json>, expected| store.commit(writing(vec![write("foos", "a", body, expected)])).await.map(|_| ());
    let (first, second) = (json!({ "z": 1, "a": "x y" }), json!({ "a": 1.5 }));
    put(Some(first.clone()), Some(0)).await.expect("it is not there");
    assert_eq!(read(&store, "foos", "a").await, Some(document("a", 1, &first)), "as it was written, to the letter");
    assert_eq!(put(Some(second.clone()), Some(0)).await, moved("a", 1));
    assert_eq!(put(None, Some(2)).await, moved("a", 1));
    put(Some(second.clone()), None).await.expect("whatever is there");
    put(Some(first.clone()), Some(2)).await.expect("the version fits");
    assert_eq!(read(&store, "foos", "a").await, Some(document("a", 3, &first)));
    assert_eq!((read(&store, "foos", "b").await, read(&store, "bars", "a").await), (None, None));
    put(None, Some(3)).await.expect("the version fits");
    put(None, None).await.expect("there is nothing to remove");
    put(None, Some(0)).await.expect("it is not there");
    assert_eq!(put(Some(second.clone()), Some(3)).await, moved("a", 0));
    put(Some(second.clone()), None).await.expect("it is not there");
    assert_eq!(read(&store, "foos", "a").await, Some(document("a", 1, &second)), "it begins anew");
}

#[allow(missing_docs)]
pub async fn many_documents_are_read_at_once(store: SharedStore) {
    let body = json!({});
    store.commit(writing(["b", "ä", "a"].map(|key| write("foos", key, Some(body.clone()), None)).to_vec())).await.expect("committed");
    let asked = ["b", "nobody", "a", "b", "ä"].map(str::to_owned);
    let found = store.documents_of("foos", &asked).await;
    assert_eq!(found, Ok(["a", "b", "ä"].map(|key| document(key, 1, &body)).to_vec()));
    assert_eq!(store.documents_of("foos", &[]).await, Ok(Vec::new()));
    assert_eq!(store.documents_of("bars", &asked).await, Ok(Vec::new()));
}

#[allow(missing_docs)]
pub async fn a_refused_unit_writes_no_document(store: SharedStore) {
    let taken = stream();
    store.commit(appending(&taken, 0, &["E"])).await.expect("a new stream");
    let free = stream();
    let refused = Unit { documents: vec![write("foos", "a", Some(json!(1)), None)], ..appending(&taken, 0, &["E"]) };
    assert!(matches!(store.commit(refused).await, Err(StoreError::Conflict { .. })));
    let refused = Unit { documents: vec![write("foos", "a", Some(json!(1)), Some(7))], ..appending(&free, 0, &["E"]) };
    assert_eq!(store.commit(refused).await.map(|_| ()), moved("a", 0));
    assert_eq!((read(&store, "foos", "a").await, versions(&store, &free).await), (None, Vec::new()));
    let text = |body: &str| DocumentWrite { collection: "foos".into(), key: "a".to_owned(), body: Some(body.to_owned()), expected: None };
    let ok = || write("foos", "a", Some(json!(1)), None);
    let long = DocumentWrite { key: "k".repeat(3000), ..ok() };
    let many = [
        writing(vec![text("{no JSON")]),
        writing(vec![text(r#"{"a":"\u0000"}"#)]),
        writing(vec![text(r#"{"a":"\ud800"}"#)]),
        writing(vec![ok(), ok()]),
        writing(vec![long]),
        writing(vec![DocumentWrite { key: "a\0".to_owned(), ..ok() }]),
    ];
    for unit in many {
        let refused = store.commit(unit.clone()).await;
        assert!(matches!(&refused, Err(StoreError::Unstorable(_))), "{unit:?}: {refused:?}");
    }
    store.commit(writing(vec![text(r#"{"a":"\\u0000"}"#)])).await.expect("that is a backslash");
}

/// Many count one up, each on what it has read.
#[allow(missing_docs)]
pub async fn writers_of_one_document(store: SharedStore) {
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let store = store.clone();
        tasks.spawn(async move {
            loop {
                let known = read(&store, "foos", "n").await;
                let (count, version) =
                    known.map_or((0, 0), |known| (serde_json::from_str::<u64>(&known.body).expect("a number"), known.version));
                match store.commit(writing(vec![write("foos", "n", Some(json!(count + 1)), Some(version))])).await {
                    Ok(_) => return,
                    Err(StoreError::DocumentConflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(read(&store, "foos", "n").await, Some(document("n", 30, &json!(30))));
}

/// Many write the same documents, whatever is there, in all orders.
#[allow(missing_docs)]
pub async fn writers_of_many_documents(store: SharedStore) {
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..10 {
                let mut writes: Vec<_> = (0..8).map(|key| write("foos", &key.to_string(), Some(json!({ "n": n })), None)).collect();
                writes.rotate_left((n + round) % 8);
                if n % 5 == 0 {
                    writes[0].body = None;
                }
                store.commit(writing(writes)).await.expect("committed");
            }
        });
    }
    tasks.join_all().await;
    store.commit(writing((0..8).map(|key| write("foos", &key.to_string(), Some(json!({})), None)).collect())).await.expect("committed");
    assert_eq!(keys(&store, "foos").await.len(), 8);
}

#[allow(missing_docs)]
pub async fn a_collection_is_cleared_and_replaced(store: SharedStore) {
    let put = |collection, key: &str| write(collection, key, Some(json!({ "of": collection })), None);
    let all = [("foos", "a"), ("foos", "b"), ("new foos", "b"), ("new foos", "c"), ("bars", "a")];
    store.commit(writing(all.map(|(collection, key)| put(collection, key)).to_vec())).await.expect("committed");
    store.commit(writing(vec![put("new foos", "c")])).await.expect("committed");
    let replace = CollectionChange::Replace { collection: "foos".into(), with: "new foos".into() };
    let unit_of = |changes: Vec<CollectionChange>| Unit { collections: changes, ..unit() };
    let taken = stream();
    store.commit(appending(&taken, 0, &["E"])).await.expect("a new stream");
    let refused = Unit { appends: appending(&taken, 0, &["E"]).appends, ..unit_of(vec![replace.clone()]) };
    assert!(store.commit(refused).await.is_err());
    assert_eq!(keys(&store, "foos").await, ["a", "b"], "nothing of what was refused was done");
    let switch = Unit { checkpoints: vec![("foos".to_owned(), 7)], documents: vec![put("foos", "d")], ..unit_of(vec![replace.clone()]) };
    store.commit(switch).await.expect("committed");
    assert_eq!((keys(&store, "foos").await, store.checkpoint("foos").await), (["b", "c", "d"].map(str::to_owned).to_vec(), Ok(7)));
    assert_eq!(read(&store, "foos", "c").await, Some(document("c", 2, &json!({ "of": "new foos" }))));
    assert_eq!((keys(&store, "new foos").await.len(), keys(&store, "bars").await.len()), (0, 1));
    store.commit(unit_of(vec![CollectionChange::Clear { collection: "bars".into() }])).await.expect("committed");
    assert!(keys(&store, "bars").await.is_empty());
    store.commit(unit_of(vec![replace.clone()])).await.expect("the other one has none");
    assert!(keys(&store, "foos").await.is_empty());
    let twice = unit_of(vec![replace.clone(), CollectionChange::Clear { collection: "new foos".into() }]);
    let expecting = Unit { documents: vec![write("foos", "a", Some(json!(1)), Some(0))], ..unit_of(vec![replace]) };
    for wrong in [twice, expecting] {
        assert!(matches!(store.commit(wrong).await, Err(StoreError::Unstorable(_))));
    }
}

/// Documents are written on what was read of them while their collection is cleared again and again.
#[allow(missing_docs)]
pub async fn a_collection_is_cleared_beside_its_writers(store: SharedStore) {
    let mut tasks = JoinSet::new();
    for n in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..10 {
                let clear = CollectionChange::Clear { collection: "foos".into() };
                store.commit(Unit { collections: vec![clear], ..unit() }).await.expect("committed");
            }
            let _ = n;
        });
    }
    for n in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..20 {
                let key = (n % 4).to_string();
                let version = read(&store, "foos", &key).await.map_or(0, |known| known.version);
                match store.commit(writing(vec![write("foos", &key, Some(json!(version + 1)), Some(version))])).await {
                    Ok(_) | Err(StoreError::DocumentConflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    for found in store.find(Find::all("foos", 10)).await.expect("they are read") {
        assert_eq!(found.body, found.version.to_string(), "each was written on what it was");
    }
}

#[allow(missing_docs)]
pub async fn an_index_is_made_once(store: SharedStore) {
    let body = |n: u64| json!({ "n": n, "in": { "it's \"odd\"": n.to_string() } });
    let all: Vec<_> = (0..10).map(|n| write("it's", &n.to_string(), Some(body(n)), None)).collect();
    store.commit(writing(all)).await.expect("committed");
    let fields = [Field::new(["n"], Kind::Number), Field::new(["in", "it's \"odd\""], Kind::Text)];
    let mut tasks = JoinSet::new();
    for n in 0..6 {
        let (store, field) = (store.clone(), fields[n % 2].clone());
        tasks.spawn(async move { store.index("it's", field).await });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    for (field, value) in fields.into_iter().zip([json!(7), json!("7")]) {
        let filter = Filter::Compare { field, op: Op::Eq, value };
        let found = store.find(Find { filter: filter.clone(), ..Find::all("it's", 10) }).await;
        assert_eq!(found, Ok(vec![document("7", 1, &body(7))]));
        assert_eq!(store.count("it's", filter).await, Ok(1));
    }
    assert!(matches!(store.index("foos", Field::new(Vec::<String>::new(), Kind::Text)).await, Err(StoreError::Unsupported(_))));
    let nowhere = Filter::IsNull(Vec::new());
    assert!(matches!(store.count("foos", nowhere.clone()).await, Err(StoreError::Unsupported(_))));
    assert!(matches!(store.find(Find { filter: nowhere, ..Find::all("foos", 1) }).await, Err(StoreError::Unsupported(_))));
    let cursor = Cursor { values: vec![json!(1)], key: String::new() };
    assert!(matches!(store.find(Find { after: Some(cursor), ..Find::all("foos", 1) }).await, Err(StoreError::Unsupported(_))));
}

const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "a%",
    "a_b",
    "%",
    "_",
    "\\",
    "\\%",
    "'",
    "\"",
    "é",
    "\u{e000}",
    "😀",
    "\u{10ffff}",
    "a\u{10ffff}",
    "10",
    "9",
    "Z",
    "aZZ",
    "ß",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0.0",
    "1",
    "1.0",
    "-1",
    "2",
    "0.1",
    "0.25",
    "-0.25",
    "1.5",
    "1e300",
    "-1e300",
    "1e-300",
    "9007199254740992",
    "9007199254740993",
    "9007199254740992.0",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "3.0e10",
    "30000000000",
];
const TIMES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.5Z",
    "2026-01-01T00:00:00.25Z",
    "2026-01-01T00:00:00.000001Z",
    "2026-01-01T00:00:01Z",
    "1969-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "Z",
    "",
];

/// What is made at random is made again with the same seed.
struct Random(fastrand::Rng);

impl Random {
    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.0.usize(..of.len())]
    }

    fn of_kind(&mut self, kind: Kind) -> Json {
        match kind {
            Kind::Text => json!(self.one(TEXTS)),
            Kind::Number => serde_json::from_str(self.one::<&str>(NUMBERS)).expect("a number"),
            Kind::Bool => json!(self.0.bool()),
            Kind::Time => json!(self.one(TIMES)),
        }
    }

    fn kind(&mut self) -> Kind {
        *self.one(&[Kind::Text, Kind::Number, Kind::Bool, Kind::Time])
    }

    /// Mostly of this kind.
    fn value(&mut self, kind: Kind) -> Json {
        match self.0.u8(..12) {
            0 => Json::Null,
            1 => {
                let kind = self.kind();
                self.of_kind(kind)
            }
            2 => json!({ "text": "a" }),
            _ => self.of_kind(kind),
        }
    }

    fn list(&mut self) -> Json {
        let items = self.0.usize(..4);
        let kind = self.kind();
        Json::Array((0..items).map(|_| self.value(kind)).collect())
    }

    fn body(&mut self) -> Json {
        if self.0.u8(..20) == 0 {
            return self.one(&[json!(["text"]), json!("text"), json!(1), json!(null), json!({ "in": ["text"] })]).clone();
        }
        let mut body = json!({});
        for (field, kind) in FIELDS.iter().filter_map(|(path, kind)| Some(((*path.first()?, path.get(1)), *kind))) {
            if self.0.u8(..6) == 0 {
                continue;
            }
            let value = if *field.0 == *"list" { self.list() } else { self.value(kind) };
            match field {
                (name, None) => body[name] = value,
                (name, Some(inner)) => body[name][*inner] = value,
            }
        }
        body
    }

    fn field(&mut self) -> Field {
        let (path, kind) = self.one(FIELDS);
        let kind = if self.0.u8(..8) == 0 { self.kind() } else { *kind };
        Field::new(path.iter().copied(), kind)
    }

    fn filter(&mut self, depth: usize) -> Filter {
        let field = self.field();
        let kinds = if depth == 0 { 7 } else { 10 };
        let several = |random: &mut Self| (0..random.0.usize(..4)).map(|_| random.filter(depth - 1)).collect();
        match self.0.usize(..kinds) {
            0 => Filter::In { values: (0..self.0.usize(..4)).map(|_| self.value(field.kind)).collect(), field },
            1 => Filter::IsNull(field.path),
            2 => Filter::StartsWith { path: field.path, prefix: (*self.one(TEXTS)).to_owned() },
            3 => Filter::Contains { path: field.path, part: (*self.one(TEXTS)).to_owned() },
            4 => {
                let field = Field::new(["list"], self.kind());
                Filter::Has { item: self.value(field.kind), field }
            }
            5 | 6 => {
                let op = *self.one(&[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge]);
                Filter::Compare { value: self.value(field.kind), field, op }
            }
            7 => Filter::All(several(self)),
            8 => Filter::Any(several(self)),
            _ => Filter::Not(Box::new(self.filter(depth - 1))),
        }
    }

    fn order(&mut self) -> Vec<Order> {
        let fields = self.0.usize(..4);
        (0..fields).map(|_| Order { field: self.field(), direction: *self.one(&[Direction::Ascending, Direction::Descending]) }).collect()
    }
}

const FIELDS: &[(&[&str], Kind)] = &[
    (&["text"], Kind::Text),
    (&["number"], Kind::Number),
    (&["bool"], Kind::Bool),
    (&["at"], Kind::Time),
    (&["list"], Kind::Text),
    (&["in", "text"], Kind::Text),
    (&["in", "o'd\"d \\ $.[0]"], Kind::Number),
];

/// Documents, questions and pages at random: every store answers as the one in memory, which is a plain evaluation.
#[allow(missing_docs)]
pub async fn documents_are_found(store: SharedStore) {
    let seed = fastrand::u64(..);
    let mut random = Random(fastrand::Rng::with_seed(seed));
    let plain = MemoryStore::new();
    for n in 0..120 {
        let key = format!("{}{n}", random.one(TEXTS));
        let body = random.body();
        for other in ["foos", "others"] {
            let unit = writing(vec![write(other, &key, Some(body.clone()), None)]);
            plain.commit(unit.clone()).await.expect("committed");
            store.commit(unit).await.expect("committed");
        }
    }
    for field in [Field::new(["text"], Kind::Text), Field::new(["number"], Kind::Number), Field::new(["at"], Kind::Time)] {
        store.index("foos", field).await.expect("it is made");
    }
    for _ in 0..150 {
        let mut find = Find { filter: random.filter(3), order: random.order(), ..Find::all("foos", usize::MAX) };
        let told = format!("seed {seed}: {find:?}");
        let all = plain.find(find.clone()).await.expect("they are found");
        assert_eq!(store.count("foos", find.filter.clone()).await, Ok(all.len() as u64), "{told}");
        find.limit = random.0.usize(1..40);
        let mut pages = Vec::new();
        loop {
            let page = store.find(find.clone()).await.unwrap_or_else(|error| panic!("{told}: {error}"));
            find.after = page.last().map(|last| Cursor::behind(last, &find.order));
            let full = page.len() == find.limit;
            pages.extend(page);
            assert!(pages.len() <= all.len(), "{told}: it finds what is not there, or goes in circles");
            if !full {
                break;
            }
        }
        let names = |documents: &[Document]| documents.iter().map(|document| document.key.clone()).collect::<Vec<_>>();
        assert_eq!(names(&pages), names(&all), "{told}");
        assert_eq!(pages, all, "{told}");
    }
}
