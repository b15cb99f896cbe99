//! What the broker carries: closed topics, and users who go with messages and sagas.

use crate::{
    common::{config, post, until},
    kit::{Issuer, ask, bearer, token_of},
    office::{Note, Seen, Stamp, whole},
};
use minos::{ErrorKind, Running, Service, User};
use serde_json::json;

fn clerk() -> User {
    User::new("ada").with_role("clerk")
}

#[tokio::test]
async fn topics_are_closed_as_routes_are() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    // A test needs no key: what handlers demand closes their service there.
    for section in [String::new(), issuer.section()] {
        let (both, seen) = whole::start(&section).await;
        let stamp = || Stamp { paper: "a".to_owned() };
        let error = both.send(stamp()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
        let error = both.as_user(User::new("bob")).send(stamp()).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Forbidden, "this takes the role `clerk`"));
        let error = both.as_user(User::service("other")).send(stamp()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "a service has no roles");
        assert_eq!(both.as_user(clerk()).send(stamp()).await.unwrap(), "ada");
        let error = both.send(Note { text: "x".to_owned() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        both.as_user(User::service("other")).send(Note { text: "note".to_owned() }).await.unwrap();
        both.call::<()>("Anything", json!({})).await.unwrap();
        assert_eq!(both.call::<serde_json::Value>("Me", json!({})).await.unwrap_err().kind(), ErrorKind::Unauthenticated, "a query, too");
        assert_eq!(both.as_user(clerk()).call::<serde_json::Value>("Me", json!({})).await.unwrap()["id"], "ada");
        assert_eq!(seen.all(), ["stamp: ada [clerk]", "note: service other []"], "nobody else was let in");
    }
}

#[tokio::test]
async fn a_message_that_nobody_vouches_for_is_put_aside() {
    let (both, seen) = whole::start("").await;
    let letter = async |for_the_desk: bool| {
        let letter = json!({ "text": "a letter", "for_the_desk": for_the_desk });
        assert_eq!(both.post("/letters", letter).await.unwrap().status(), 204);
        // It tells what was put aside.
        let _ = both.settled().await;
    };
    letter(true).await;
    assert_eq!(seen.all(), ["a letter: service desk []"], "the desk has taken it upon itself");
    letter(false).await;
    let letters = both.of("archive").running().dead_letters().page(0, 10).await.unwrap();
    assert_eq!((letters.len(), seen.all().len()), (1, 1));
    assert!(letters[0].letter.cause.contains("nobody vouches for who asks"), "{letters:?}");
    let again = both.of("archive").running().dead_letters().replay(letters[0].id).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unauthenticated, "an operator is not who has sent it");
}

#[tokio::test]
async fn events_and_schedules_without_a_user_are_the_services_own_doing() {
    let (both, seen) = whole::start("").await;
    both.as_user(clerk()).post("/forms", ()).await.unwrap();
    both.settled().await.unwrap();
    assert_eq!(seen.all(), ["form: ada [clerk]", "of a form: ada [clerk]"], "an event brings who asked, with roles");
    both.happened("FormCreated", minos::Uuid::now_v7(), json!({ "by": "" })).await.unwrap();
    both.settled().await.unwrap();
    assert_eq!(seen.all()[2..], ["form: service archive []", "of a form: service archive []"]);
    both.wait(std::time::Duration::from_secs(3600)).await.unwrap();
    both.settled().await.unwrap();
    assert_eq!(seen.all()[4..], ["tidy: service archive []"]);
}

#[tokio::test]
async fn a_saga_carries_its_user_to_other_services_and_back() {
    let (both, seen) = whole::start("").await;
    let file = |is_torn| json!({ "paper": "form 7", "is_torn": is_torn });
    let denied = both.as_user(User::new("bob")).post("/files", file(false)).await.unwrap();
    assert_eq!(denied.status(), 403);
    let refused = both.as_user(User::new("eve").with_role("boss")).post("/files", file(false)).await.unwrap();
    assert_eq!(refused.status(), 403, "she may file, and not have it stamped: {refused:?}");
    assert!(seen.all().is_empty());
    assert_eq!(both.as_user(clerk()).post("/files", file(false)).await.unwrap().status(), 200);
    assert_eq!(seen.all(), ["stamp: ada [clerk]", "file: ada [clerk]"]);
    assert_eq!(both.as_user(clerk()).post("/files", file(true)).await.unwrap().status(), 422);
    both.settled().await.unwrap();
    assert_eq!(seen.all()[2..], ["stamp: ada [clerk]", "file: ada [clerk]", "unstamp form 7: ada [clerk]"], "also what undoes it");
}

/// The same in services as they run: with tokens, on disk, and with a restart between a step and what undoes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_saga_keeps_its_user_over_a_restart() {
    let issuer = Issuer::new(&[("1", "rsa.der")]);
    let (dir, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let service = |name: &str| {
        let store = format!("sqlite://{}", dir.path().join(format!("{name}.db")).display());
        let text = format!("{}{}[sagas]\nfirst_pause = \"100ms\"\n", config(name, &store), issuer.section());
        Service::from_toml(&text).unwrap().module(format!("auth::office::{name}")).with(seen.clone())
    };
    let start = async || Service::start_all([service("desk"), service("archive")]).await.unwrap();
    let stop = async |both: Vec<Running>| {
        for running in both {
            running.stop().await;
        }
    };
    seen.lock(true);
    let both = start().await;
    let headers = bearer(&token_of(json!({ "sub": "ada", "roles": ["clerk"] })));
    let body = json!({ "paper": "form 7", "is_torn": true }).to_string();
    let asked = ask(both[0].addr(), "POST", "/files", &headers, &body).await;
    assert!(asked.status >= 500, "it has not ended in time: {asked:?}");
    stop(both).await;
    assert_eq!(seen.all(), ["stamp: ada [clerk]", "file: ada [clerk]"]);
    seen.lock(false);
    let both = start().await;
    until("it is undone", async || seen.all().len() >= 3).await;
    assert_eq!(seen.all()[2..], ["unstamp form 7: ada [clerk]"]);
    assert_eq!(post(both[0].addr(), "/files", &body).await.status, 401, "who comes without a token is not who came before");
    stop(both).await;
}
