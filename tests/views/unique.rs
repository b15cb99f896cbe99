//! Values that only one aggregate has, on every store.

use crate::{
    common::{post, send},
    kit::{Place, places, service, start_module},
};
use futures_util::future::join_all;
use std::net::SocketAddr;

/// What knows nothing of unique values yet.
pub mod before {
    use minos::prelude::*;

    #[aggregate(name = "Person")]
    pub struct AnyPerson {
        pub tenant: String,
        pub email: Option<String>,
        pub badge: u32,
    }

    #[command(POST "/people")]
    async fn add(cx: &mut Context, input: AnyPerson) -> Result<Uuid> {
        Ok(AnyPerson::create(cx, input).await?.uuid())
    }

    #[command(PUT "/people/{uuid}/badge")]
    async fn number(cx: &mut Context, Path(uuid): Path<Uuid>, badge: u32) -> Result<()> {
        let mut person = AnyPerson::get(cx, uuid).await?;
        person.badge = badge;
        person.save(cx).await
    }
}

pub mod after {
    use minos::prelude::*;

    #[aggregate(name = "Person", unique(tenant, badge))]
    pub struct Person {
        pub tenant: String,
        #[unique]
        pub email: Option<String>,
        pub badge: u32,
    }

    #[aggregate]
    impl Person {
        #[event("EmailChanged")]
        pub fn change_email(&mut self, email: Option<String>) {
            self.email = email;
        }
    }

    #[command(POST "/people")]
    async fn add(cx: &mut Context, input: Person) -> Result<Uuid> {
        Ok(Person::create(cx, input).await?.uuid())
    }

    /// One after the other, each saved.
    #[command(PUT "/people/{uuid}/emails")]
    async fn emails(cx: &mut Context, Path(uuid): Path<Uuid>, emails: Vec<Option<String>>) -> Result<()> {
        let mut person = Person::get(cx, uuid).await?;
        for email in emails {
            person.change_email(email);
            person.save(cx).await?;
        }
        Ok(())
    }

    #[command(PUT "/people/{uuid}/swap/{other}")]
    async fn swap(cx: &mut Context, Path((uuid, other)): Path<(Uuid, Uuid)>) -> Result<()> {
        let (mut one, mut other) = (Person::get(cx, uuid).await?, Person::get(cx, other).await?);
        std::mem::swap(&mut one.email, &mut other.email);
        one.save(cx).await?;
        other.save(cx).await
    }

    #[command(DELETE "/people/{uuid}")]
    async fn remove(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        Person::get(cx, uuid).await?.delete(cx).await
    }
}

async fn try_add(addr: SocketAddr, tenant: &str, email: &str, badge: u32) -> (u16, String) {
    let answer = post(addr, "/people", &format!(r#"{{"tenant":"{tenant}","email":{email},"badge":{badge}}}"#)).await;
    (answer.status, answer.body.clone())
}

async fn add(addr: SocketAddr, tenant: &str, email: &str, badge: u32) -> String {
    let (status, body) = try_add(addr, tenant, email, badge).await;
    assert_eq!(status, 200, "{body}");
    body.trim_matches('"').to_owned()
}

async fn put(addr: SocketAddr, path: &str, body: &str) -> u16 {
    send(addr, "PUT", path, "", body).await.unwrap().status
}

async fn start(place: &Place) -> (minos::Running, SocketAddr) {
    start_module(place, "unique::after").await
}

#[tokio::test]
async fn of_many_at_once_one_has_the_value() {
    for place in places("of_many_at_once_one_has_the_value") {
        let (running, addr) = start(&place).await;
        let answers = join_all((0..30).map(|n| try_add(addr, "a", r#""ann@x""#, n))).await;
        assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
        let winner = &answers.iter().find(|(status, _)| *status == 200).unwrap().1;
        for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
            assert_eq!(*status, 409, "{body}");
            assert!(body.contains("there is another Person with this `email`"), "{body}");
            assert!(!body.contains(winner.trim_matches('"')), "whose it is stays here: {body}");
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn values_are_taken_and_freed_with_what_has_them() {
    for place in places("values_are_taken_and_freed_with_what_has_them") {
        let (running, addr) = start(&place).await;
        let ann = add(addr, "a", r#""ann""#, 1).await;
        let bob = add(addr, "a", r#""bob""#, 2).await;
        assert_eq!(put(addr, &format!("/people/{ann}/emails"), r#"["bob"]"#).await, 409);
        assert_eq!(put(addr, &format!("/people/{ann}/swap/{bob}"), "").await, 204);
        assert_eq!(put(addr, &format!("/people/{ann}/emails"), r#"["x", "y", "x", "bob", "z"]"#).await, 204, "only the last counts");
        for (n, free) in ["x", "y", "bob"].into_iter().enumerate() {
            add(addr, "b", &format!("\"{free}\""), n as u32).await;
        }
        for taken in ["ann", "z"] {
            assert_eq!(try_add(addr, "c", &format!("\"{taken}\""), 1).await.0, 409, "{taken}");
        }
        assert_eq!(put(addr, &format!("/people/{ann}/emails"), "[null]").await, 204);
        add(addr, "d", r#""z""#, 1).await;
        assert_eq!(send(addr, "DELETE", &format!("/people/{bob}"), "", "").await.unwrap().status, 204);
        add(addr, "d", r#""ann""#, 2).await;
        add(addr, "a", "null", 2).await;
        let (status, body) = try_add(addr, "a", "null", 2).await;
        assert_eq!(status, 409, "{body}");
        assert!(body.contains("`tenant, badge`"), "{body}");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_was_there_before_is_counted_or_the_service_does_not_start() {
    for place in places("what_was_there_before_is_counted_or_the_service_does_not_start") {
        if place.url == "memory:" {
            continue;
        }
        let (running, addr) = start_module(&place, "unique::before").await;
        let one = add(addr, "a", "null", 1).await;
        let other = add(addr, "a", r#""ann""#, 1).await;
        running.stop().await;
        let refused = service(&place, "unique::after").start().await.err().unwrap().chain().to_string();
        assert!(refused.contains(&one) && refused.contains(&other) && refused.contains("`tenant, badge`"), "{refused}");
        // Whichever had it by then.
        for (uuid, badge) in [(&one, 2), (&other, 3)] {
            let (running, addr) = start_module(&place, "unique::before").await;
            assert_eq!(put(addr, &format!("/people/{uuid}/badge"), &badge.to_string()).await, 204);
            running.stop().await;
        }
        let (running, addr) = start(&place).await;
        assert_eq!(try_add(addr, "b", r#""ann""#, 1).await.0, 409);
        for badge in [2, 3] {
            assert_eq!(try_add(addr, "a", "null", badge).await.0, 409);
        }
        running.stop().await;
    }
}
