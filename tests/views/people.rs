//! Data of persons on every store: sealed in all that is written, and gone with its key.

use crate::{
    common::{config, get, post, send, until},
    kit::{Place, databases, places, service, start_module},
};
use futures_util::future::join_all;
use minos::{Running, Service, Uuid};
use serde_json::{Value, json};
use std::net::SocketAddr;

pub mod service_of {
    use minos::prelude::*;

    /// Its state is kept as often as can be, as sealed as its events are.
    #[aggregate(queryable, snapshot(every = 1, schema = 1))]
    #[derive(Debug)]
    pub struct Person {
        #[validate(length(1..=40))]
        pub name: Sensitive<String>,
        pub city: String,
        pub street: Option<Sensitive<String>>,
        pub notes: EntitySet<Note>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Note {
        pub text: Sensitive<String>,
        pub day: u32,
    }

    #[aggregate]
    impl Person {
        #[event("Moved")]
        fn moved(&mut self, city: String, street: Sensitive<String>) {
            self.city = city;
            self.street = Some(street);
        }
    }

    /// Of somebody.
    #[aggregate(snapshot(every = 1))]
    pub struct Parcel {
        #[subject]
        pub receiver: Uuid,
        pub address: Sensitive<String>,
        pub weight: u32,
    }

    #[aggregate]
    impl Parcel {
        #[event("Forwarded")]
        pub fn forwarded(&mut self, receiver: Uuid) {
            self.receiver = receiver;
        }
    }

    /// What is shown of a person, with what was exposed.
    #[document]
    pub struct Neighbour {
        pub name: Option<String>,
        pub city: String,
    }

    #[projection]
    impl Neighbour {
        #[event("PersonCreated")]
        async fn came(view: &mut View<Self>, event: PersonCreated) -> Result<()> {
            view.put(event.uuid(), Neighbour { name: event.name.expose().cloned(), city: event.city.clone() });
            Ok(())
        }

        #[event("PersonUpdated.name")]
        async fn renamed(view: &mut View<Self>, event: PersonUpdated) -> Result<()> {
            let name = event.get::<Sensitive<String>>("name")?.and_then(Sensitive::into_exposed);
            view.update(event.uuid(), |neighbour| neighbour.name = name).await
        }

        #[event("DataSubject.Forgotten")]
        async fn forgotten(view: &mut View<Self>, event: Event<SubjectForgotten>) -> Result<()> {
            match view.update(event.uuid(), |neighbour| neighbour.name = None).await {
                // Of others there is none.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                updated => updated,
            }
        }
    }

    #[document]
    pub struct Counted {
        pub named: u32,
        pub unnamed: u32,
    }

    /// As part of each commit.
    #[projection(inline)]
    impl Counted {
        #[event("PersonCreated")]
        async fn came(view: &mut View<Self>, event: PersonCreated) -> Result<()> {
            let is_named = event.name.expose().is_some();
            view.update_or("all", Counted { named: 0, unnamed: 0 }, |all| *(if is_named { &mut all.named } else { &mut all.unnamed }) += 1)
                .await
        }
    }

    #[derive(Deserialize)]
    pub struct NewPerson {
        name: Sensitive<String>,
        city: String,
    }

    #[derive(Serialize)]
    pub struct Shown {
        name: Option<String>,
        city: String,
        street: Option<String>,
        notes: Vec<Option<String>>,
        version: u64,
    }

    fn shown(person: &Person, version: u64) -> Shown {
        let notes = person.notes.iter().map(|(_, note)| note.text.expose().cloned()).collect();
        let street = person.street.as_ref().and_then(Sensitive::expose).cloned();
        Shown { name: person.name.expose().cloned(), city: person.city.clone(), street, notes, version }
    }

    #[command(POST "/people")]
    async fn add(cx: &mut Context, input: NewPerson) -> Result<Uuid> {
        Ok(Person::create(cx, Person { name: input.name, city: input.city, street: None, notes: EntitySet::default() }).await?.uuid())
    }

    #[command(PUT "/people/{uuid}/name")]
    async fn rename(cx: &mut Context, Path(uuid): Path<Uuid>, name: String) -> Result<()> {
        let mut person = Person::get(cx, uuid).await?;
        person.name.set(name);
        person.save(cx).await
    }

    #[command(PUT "/people/{uuid}/city")]
    async fn recity(cx: &mut Context, Path(uuid): Path<Uuid>, city: String) -> Result<()> {
        let mut person = Person::get(cx, uuid).await?;
        person.city = city;
        person.save(cx).await
    }

    #[command(POST "/people/{uuid}/notes")]
    async fn note(cx: &mut Context, Path(uuid): Path<Uuid>, text: String) -> Result<()> {
        let mut person = Person::get(cx, uuid).await?;
        person.notes.add(Note { text: text.into(), day: 1 });
        person.save(cx).await
    }

    #[command(PUT "/people/{uuid}/street")]
    async fn relocate(cx: &mut Context, Path(uuid): Path<Uuid>, street: String) -> Result<()> {
        let mut person = Person::get(cx, uuid).await?;
        person.moved("Paris".to_owned(), street.into());
        person.save(cx).await
    }

    #[command(DELETE "/people/{uuid}/data")]
    async fn forget(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<bool> {
        cx.forget_subject(uuid).await
    }

    /// Does both, and then fails.
    #[command(DELETE "/people/{uuid}/not")]
    async fn forget_not(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        cx.forget_subject(uuid).await?;
        bail!("no")
    }

    #[query(GET "/people/{uuid}")]
    async fn show(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Shown> {
        let person = Person::get(cx, uuid).await?;
        Ok(shown(&person, person.version()))
    }

    #[query(GET "/people/{uuid}/root")]
    async fn show_root(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Person>> {
        Person::get(cx, uuid).await
    }

    #[query(GET "/people/{uuid}/debug")]
    async fn show_debug(cx: &Context, Path(uuid): Path<Uuid>) -> Result<String> {
        let (root, history) = (Person::get(cx, uuid).await?, Person::history(cx, uuid).await?);
        Ok(format!("{root:?} {history:?}"))
    }

    #[derive(Serialize)]
    pub struct Past {
        stored: String,
        name: Option<String>,
    }

    #[query(GET "/people/{uuid}/history")]
    async fn history(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Vec<Past>> {
        #[derive(Deserialize)]
        struct Name {
            #[serde(default)]
            name: Option<Sensitive<String>>,
        }
        let past = Person::history(cx, uuid).await?;
        past.iter()
            .map(|event| {
                Ok(Past { stored: event.data.get().to_owned(), name: event.read::<Name>()?.name.and_then(Sensitive::into_exposed) })
            })
            .collect()
    }

    #[query(GET "/people/{uuid}/at/{version}")]
    async fn at(cx: &Context, Path((uuid, version)): Path<(Uuid, u64)>) -> Result<Option<Shown>> {
        Ok(Person::at_version(cx, uuid, version).await?.map(|person| shown(&person, person.version())))
    }

    #[query(GET "/found/{city}")]
    async fn found(cx: &Context, Path(city): Path<String>) -> Result<Vec<Shown>> {
        let found = Person::find(cx, Person::city().eq(city)).list().await?;
        Ok(found.iter().map(|person| shown(person, person.version())).collect())
    }

    #[query(GET "/neighbours/{uuid}")]
    async fn neighbour(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<Neighbour>> {
        Neighbour::get(cx, uuid).await
    }

    #[query(GET "/counted")]
    async fn counted(cx: &Context) -> Result<Option<Counted>> {
        Counted::get(cx, "all").await
    }

    #[derive(Deserialize)]
    pub struct NewParcel {
        receiver: Uuid,
        address: String,
    }

    #[command(POST "/parcels")]
    async fn send(cx: &mut Context, input: NewParcel) -> Result<Uuid> {
        let parcel = Parcel { receiver: input.receiver, address: input.address.into(), weight: 1 };
        Ok(Parcel::create(cx, parcel).await?.uuid())
    }

    #[command(PUT "/parcels/{uuid}/receiver")]
    async fn resend(cx: &mut Context, Path(uuid): Path<Uuid>, receiver: Uuid) -> Result<()> {
        let mut parcel = Parcel::get(cx, uuid).await?;
        parcel.receiver = receiver;
        parcel.save(cx).await
    }

    #[query(GET "/parcels/{uuid}")]
    async fn parcel(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<String>> {
        Ok(Parcel::get(cx, uuid).await?.address.expose().cloned())
    }

    /// What handlers of events have seen.
    #[aggregate]
    pub struct Seen {
        pub texts: Vec<String>,
    }

    #[event("PersonCreated")]
    async fn hear(cx: &mut Context, event: PersonCreated) -> Result<()> {
        let text = format!("{:?} {:?}", event.name.expose().map(String::len), *event);
        Seen::create_as(cx, Uuid::from_u128(event.uuid().as_u128() ^ 1), Seen { texts: vec![text] }).await?;
        Ok(())
    }

    #[event("DataSubject.Forgotten")]
    async fn hear_forgotten(cx: &mut Context, event: Event<SubjectForgotten>) -> Result<()> {
        let uuid = Uuid::from_u128(event.uuid().as_u128() ^ 1);
        if let Some(mut seen) = Seen::find_one(cx, uuid).await? {
            seen.texts.push("forgotten".to_owned());
            seen.save(cx).await?;
        }
        Ok(())
    }

    #[query(GET "/seen/{uuid}")]
    async fn seen(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Vec<String>> {
        let seen = Seen::find_one(cx, Uuid::from_u128(uuid.as_u128() ^ 1)).await?;
        Ok(seen.map(|seen| seen.texts.clone()).unwrap_or_default())
    }
}

/// Another service, which hears of persons and keeps what it hears.
pub mod other {
    use minos::prelude::*;

    /// As that service tells it.
    #[derive(Deserialize)]
    pub struct Told {
        pub name: Sensitive<String>,
    }

    #[aggregate]
    pub struct Contact {
        pub name: Sensitive<String>,
        pub known: Option<String>,
        pub forgotten: bool,
    }

    #[event("PersonCreated")]
    async fn told(cx: &mut Context, event: Event<Told>) -> Result<()> {
        let known = event.name.expose().cloned();
        let contact = Contact { known, forgotten: event.name.is_forgotten(), name: event.name.clone() };
        Contact::create_as(cx, event.uuid(), contact).await?;
        Ok(())
    }

    #[event("DataSubject.Forgotten")]
    async fn forgotten(cx: &mut Context, event: Event<SubjectForgotten>) -> Result<()> {
        let mut contact = Contact::get(cx, event.uuid()).await?;
        contact.forgotten = true;
        contact.save(cx).await
    }

    #[query(GET "/contacts/{uuid}")]
    async fn contact(cx: &Context, Path(uuid): Path<Uuid>) -> Result<(Option<String>, Option<String>, bool)> {
        let contact = Contact::get(cx, uuid).await?;
        Ok((contact.name.expose().cloned(), contact.known.clone(), contact.forgotten))
    }

    #[query(GET "/contacts/{uuid}/stored")]
    async fn stored(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Vec<String>> {
        Ok(Contact::history(cx, uuid).await?.iter().map(|event| event.data.get().to_owned()).collect())
    }
}

async fn start(place: &Place) -> (Running, SocketAddr) {
    start_module(place, "people::service_of").await
}

async fn add(addr: SocketAddr, name: &str) -> String {
    let answer = post(addr, "/people", &json!({ "name": name, "city": "London" }).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

async fn put(addr: SocketAddr, path: &str, text: &str) {
    let answer = send(addr, "PUT", path, "", &json!(text).to_string()).await.unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
}

async fn shown(addr: SocketAddr, path: &str) -> Value {
    let answer = get(addr, path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

async fn forget(addr: SocketAddr, person: &str) -> bool {
    let answer = send(addr, "DELETE", &format!("/people/{person}/data"), "", "").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_bool().unwrap()
}

/// Creates, changes and forgets a person whose data is all that has `Ada` in it.
async fn live(addr: SocketAddr) -> String {
    let ada = add(addr, "Ada1").await;
    put(addr, &format!("/people/{ada}/name"), "Ada2").await;
    put(addr, &format!("/people/{ada}/city"), "York").await;
    put(addr, &format!("/people/{ada}/street"), "Ada Street").await;
    let answer = post(addr, &format!("/people/{ada}/notes"), r#""Ada3""#).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    ada
}

#[tokio::test]
async fn what_is_sensitive_is_read_until_it_is_forgotten() {
    for place in places("what_is_sensitive_is_read_until_it_is_forgotten") {
        let (running, addr) = start(&place).await;
        let (ada, bob) = (live(addr).await, add(addr, "Bob").await);
        let known = json!({ "name": "Ada2", "city": "Paris", "street": "Ada Street", "notes": ["Ada3"], "version": 5 });
        assert_eq!(shown(addr, &format!("/people/{ada}")).await, known);
        assert_eq!(shown(addr, "/found/Paris").await, json!([known]));
        assert_eq!(shown(addr, &format!("/people/{ada}/at/1")).await["name"], "Ada1");
        until("the projection shows it", async || {
            shown(addr, &format!("/neighbours/{ada}")).await == json!({ "name": "Ada2", "city": "London" })
        })
        .await;
        let history = shown(addr, &format!("/people/{ada}/history")).await;
        let names: Vec<_> = history.as_array().unwrap().iter().map(|event| event["name"].as_str()).collect();
        assert_eq!(names, [Some("Ada1"), Some("Ada2"), None, None, None]);
        assert_eq!(history[2]["stored"], r#"{"city":"York"}"#, "what has not changed is not written");
        for path in ["root", "debug", "history"] {
            let text = shown(addr, &format!("/people/{ada}/{path}")).await;
            let text = if path == "history" {
                text.as_array().unwrap().iter().map(|event| event["stored"].to_string()).collect()
            } else {
                text.to_string()
            };
            assert!(!text.contains("Ada") && !text.contains("$sensitive"), "{path}: {text}");
        }

        let answer = send(addr, "DELETE", &format!("/people/{ada}/not"), "", "").await.unwrap();
        assert!(answer.status >= 400, "{answer:?}");
        assert_eq!(shown(addr, &format!("/people/{ada}")).await["name"], "Ada2", "nothing of it happened");

        assert!(forget(addr, &ada).await);
        assert!(!forget(addr, &ada).await);
        let forgotten = json!({ "name": null, "city": "Paris", "street": null, "notes": [null], "version": 5 });
        assert_eq!(shown(addr, &format!("/people/{ada}")).await, forgotten);
        assert_eq!(shown(addr, "/found/Paris").await, json!([forgotten]));
        assert_eq!(shown(addr, &format!("/people/{ada}/at/1")).await["name"], Value::Null);
        until("the projection forgets it", async || {
            shown(addr, &format!("/neighbours/{ada}")).await == json!({ "name": null, "city": "London" })
        })
        .await;
        until("handlers hear of it once", async || {
            let person = "Person { name: Sensitive(…), city: \"London\", street: None, notes: EntitySet({}) }";
            shown(addr, &format!("/seen/{ada}")).await == json!([format!("Some(4) InitialState({person})"), "forgotten"])
        })
        .await;
        // Others are as they were, and what is not sensitive goes on to change.
        assert_eq!(shown(addr, &format!("/people/{bob}")).await["name"], "Bob");
        put(addr, &format!("/people/{ada}/city"), "Rome").await;
        assert_eq!(shown(addr, "/found/Rome").await[0]["name"], Value::Null);
        let answer = send(addr, "PUT", &format!("/people/{ada}/name"), "", r#""Ada4""#).await.unwrap();
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.body.contains("was forgotten") && !answer.body.contains("Ada4"), "{answer:?}");
        assert_eq!(shown(addr, "/counted").await, json!({ "named": 2, "unnamed": 0 }));
        running.stop().await;
    }
}

#[tokio::test]
async fn another_process_reads_what_is_sealed_and_forgets_it() {
    for place in databases("another_process_reads_what_is_sealed_and_forgets_it") {
        let (running, addr) = start(&place).await;
        let (ada, bob) = (live(addr).await, add(addr, "Bob").await);
        running.stop().await;
        let (running, addr) = start(&place).await;
        assert_eq!(shown(addr, &format!("/people/{ada}")).await["name"], "Ada2");
        put(addr, &format!("/people/{ada}/name"), "Ada5").await;
        assert!(forget(addr, &ada).await);
        running.stop().await;
        let (running, addr) = start(&place).await;
        assert_eq!(shown(addr, &format!("/people/{ada}")).await["name"], Value::Null);
        assert_eq!(shown(addr, &format!("/people/{bob}")).await["name"], "Bob");
        assert!(!forget(addr, &ada).await);
        running.stop().await;
    }
}

#[tokio::test]
async fn it_stands_nowhere_in_the_files() {
    let place = databases("it_stands_nowhere_in_the_files").into_iter().find(|place| place.url.starts_with("sqlite://")).unwrap();
    let (running, addr) = start(&place).await;
    let (receiver, secret) = (Uuid::now_v7().to_string(), "An address that stands nowhere else");
    let answer = post(addr, "/parcels", &json!({ "receiver": receiver, "address": secret }).to_string()).await;
    let parcel = answer.json().as_str().unwrap().to_owned();
    let path = place.url.strip_prefix("sqlite://").unwrap().to_owned();
    let holding = |part: &[u8]| {
        let files = ["", "-wal"].map(|end| std::fs::read(format!("{path}{end}")).unwrap_or_default());
        files.iter().any(|bytes| bytes.windows(part.len()).any(|window| window == part))
    };
    assert!(holding(parcel.as_bytes()) && holding(receiver.as_bytes()), "what is not sensitive is seen");
    assert!(!holding(secret.as_bytes()), "it never was in the clear");
    let key = stored_key(&path, &receiver);
    assert!(key.len() == 32 && holding(&key), "it is seen while it is there");
    assert!(forget(addr, &receiver).await);
    assert!(!holding(&key) && !holding(secret.as_bytes()) && holding(parcel.as_bytes()));
    running.stop().await;
}

fn stored_key(path: &str, subject: &str) -> Vec<u8> {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT key FROM subject_keys WHERE subject = ?1", [subject], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn many_write_of_one_subject_at_first() {
    for place in places("many_write_of_one_subject_at_first") {
        let (running, addr) = start(&place).await;
        let subject = Uuid::now_v7();
        let parcels = join_all((0..20).map(|n| async move {
            let answer = post(addr, "/parcels", &json!({ "receiver": subject, "address": format!("A{n}") }).to_string()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json().as_str().unwrap().to_owned()
        }))
        .await;
        for (n, parcel) in parcels.iter().enumerate() {
            assert_eq!(shown(addr, &format!("/parcels/{parcel}")).await, json!(format!("A{n}")));
        }
        // One of them becomes somebody else's.
        let other = Uuid::now_v7();
        put(addr, &format!("/parcels/{}/receiver", parcels[0]), &other.to_string()).await;
        assert!(forget(addr, &subject.to_string()).await);
        assert_eq!(shown(addr, &format!("/parcels/{}", parcels[0])).await, json!("A0"));
        for parcel in &parcels[1..] {
            assert_eq!(shown(addr, &format!("/parcels/{parcel}")).await, Value::Null);
        }
        assert!(forget(addr, &other.to_string()).await);
        assert_eq!(shown(addr, &format!("/parcels/{}", parcels[0])).await, Value::Null);
        running.stop().await;
    }
}

#[tokio::test]
async fn another_service_gets_what_it_cannot_read() {
    let place = places("another_service_gets_what_it_cannot_read").remove(0);
    let other = Service::from_toml(&config("others", "memory:")).unwrap().module("views::people::other");
    let mut running = Service::start_all([service(&place, "people::service_of"), other]).await.unwrap();
    let (addr, other) = (running[0].addr(), running[1].addr());
    let ada = add(addr, "Ada1").await;
    until("it is told", async || get(other, &format!("/contacts/{ada}")).await.status == 200).await;
    assert_eq!(shown(other, &format!("/contacts/{ada}")).await, json!([null, null, false]));
    let stored = shown(other, &format!("/contacts/{ada}/stored")).await.to_string();
    assert!(stored.contains("$sealed") && stored.contains(&ada) && !stored.contains("Ada1"), "{stored}");
    assert!(forget(addr, &ada).await);
    until("it hears of it", async || shown(other, &format!("/contacts/{ada}")).await[2] == true).await;
    let stored = shown(other, &format!("/contacts/{ada}/stored")).await;
    assert_eq!(stored[1], r#"{"forgotten":true}"#, "what it cannot read is no change");
    for running in running.drain(..) {
        running.stop().await;
    }
}

/// A rule that does not hold says nothing of the value.
#[tokio::test]
async fn rules_look_at_it() {
    let place = places("rules_look_at_it").remove(0);
    let (running, addr) = start(&place).await;
    let answer = post(addr, "/people", &json!({ "name": "Ada ".repeat(20), "city": "London" }).to_string()).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("#/name") && !answer.body.contains("Ada"), "{answer:?}");
    assert!(service(&place, "people::service_of").start().await.is_ok());
    running.stop().await;
}

/// What was the data of one subject, and is that of another one behind a domain event, is the other's alone, wherever it is kept.
#[test]
fn what_is_given_to_another_subject_is_forgotten_with_that_one() {
    use minos::prelude::*;
    use service_of::{Parcel, ParcelEvents};
    let (test, ann, bob) = (minos::testing::TestService::new(), Uuid::from_u128(1), Uuid::from_u128(2));
    let parcel = test
        .run(async |cx| {
            let parcel = Parcel { receiver: ann, address: Sensitive::new("a street".to_owned()), weight: 1 };
            Ok(Parcel::create(cx, parcel).await?.uuid())
        })
        .unwrap();
    test.run(async |cx| {
        let mut parcel = Parcel::get(cx, parcel).await?;
        parcel.forwarded(bob);
        parcel.weight = 2;
        parcel.save(cx).await?;
        // What is not committed yet is no more told than what is.
        let told = serde_json::to_string(&Parcel::history(cx, parcel.uuid()).await?)?;
        assert!(!told.contains("a street"), "{told}");
        Ok(())
    })
    .unwrap();
    let address = |forgotten: Uuid| {
        test.run(async |cx| cx.forget_subject(forgotten).await.map(drop)).unwrap();
        test.run(async |cx| Ok(Parcel::get(cx, parcel).await?.address.expose().cloned())).unwrap()
    };
    assert_eq!(address(ann).as_deref(), Some("a street"));
    assert_eq!(address(bob), None);
}
