//! What is known in memory, by a clock that the test sets.

use crate::discovery::register::{Full, LONGEST_TTL, Register, Said};
use minos::discovery::{Directory, InstanceName, Listing, Readiness};
use std::time::Duration;
use tokio::time::Instant;

const TTL: Duration = Duration::from_secs(15);
const EVERY: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(250);

fn name(id: &str) -> InstanceName {
    InstanceName { service: "order".to_owned(), id: id.to_owned() }
}

fn said(url: &str) -> Said {
    Said { url: url.to_owned(), endpoints: Vec::new(), renew_ms: 5000, admin: None }
}

fn register(now: Instant) -> Register {
    Register::new(TTL, EVERY, 3, now)
}

fn pass(register: &mut Register, now: &mut Instant, time: Duration) -> Vec<InstanceName> {
    let (end, mut expired) = (*now + time, Vec::new());
    while *now < end {
        *now += TICK;
        expired.extend(register.sweep(TICK, *now).into_iter().map(|(name, _)| name));
    }
    expired
}

fn ids(listing: &Listing) -> Vec<&str> {
    listing.directory.instances.iter().map(|instance| instance.id.as_str()).collect()
}

#[test]
fn who_is_not_heard_of_is_gone_in_time() {
    let mut now = Instant::now();
    let mut register = register(now);
    register.announced(&name("a"), &said("http://a:1"), now).unwrap();
    register.announced(&name("slow"), &Said { renew_ms: 20_000, ..said("http://b:1") }, now).unwrap();
    assert_eq!(pass(&mut register, &mut now, TTL), []);
    assert_eq!(pass(&mut register, &mut now, TICK * 2), [name("a")]);
    assert_eq!(pass(&mut register, &mut now, Duration::from_secs(46)), [name("slow")], "three times its own rhythm");
    register.announced(&name("never"), &Said { renew_ms: u64::MAX, ..said("http://a:1") }, now).unwrap();
    assert_eq!(pass(&mut register, &mut now, LONGEST_TTL + TICK * 2), [name("never")]);
}

#[test]
fn only_who_is_ready_is_handed_out() {
    let now = Instant::now();
    let mut register = register(now);
    register.announced(&name("a"), &said("http://a:1"), now).unwrap();
    assert!(ids(&register.listing(now)).is_empty(), "nobody has looked yet");
    assert_eq!(register.due(9, now), [(name("a"), "http://a:1".to_owned())]);
    assert_eq!(register.due(9, now), [], "it is being asked");
    register.checked(&name("a"), "http://a:1", Readiness::Ready, now);
    assert_eq!(ids(&register.listing(now)), ["a"]);
    register.checked(&name("a"), "http://old:1", Readiness::NotReady(String::new()), now);
    assert_eq!(ids(&register.listing(now)), ["a"], "that was said of another address");
    register.announced(&name("a"), &said("http://new:1"), now).unwrap();
    assert!(ids(&register.listing(now)).is_empty(), "at its new address nobody has looked yet");
}

#[test]
fn an_address_is_that_of_one_instance() {
    let now = Instant::now();
    let mut register = register(now);
    register.announced(&name("dead"), &said("http://a:1"), now).unwrap();
    assert_eq!(register.announced(&name("new"), &said("http://a:1"), now).unwrap().replaced, [name("dead")]);
    assert_eq!(register.entries().keys().collect::<Vec<_>>(), [&name("new")]);
}

#[test]
fn there_are_no_more_than_there_may_be() {
    let now = Instant::now();
    let mut register = register(now);
    for n in 0..3 {
        register.announced(&name(&n.to_string()), &said(&format!("http://a:{}", n + 1)), now).unwrap();
    }
    assert_eq!(register.announced(&name("more"), &said("http://a:9"), now), Err(Full(3)));
    assert!(register.announced(&name("1"), &said("http://a:9"), now).is_ok(), "who is there is heard");
}

#[test]
fn a_registry_that_has_just_begun_says_so_and_what_it_knows_for_sure() {
    let mut now = Instant::now();
    let mut register = register(now);
    assert!(register.listing(now).warming);
    register.announced(&name("a"), &said("http://a:1"), now).unwrap();
    register.announced(&name("b"), &said("http://b:1"), now).unwrap();
    assert_eq!(register.listing(now).gone, [], "nobody has looked yet");
    let _ = register.due(9, now);
    register.checked(&name("a"), "http://a:1", Readiness::Ready, now);
    register.checked(&name("b"), "http://b:1", Readiness::Ready, now);
    let before = register.listing(now);
    register.checked(&name("b"), "http://b:1", Readiness::NotReady(String::new()), now);
    assert_eq!(register.listing(now).gone, [name("b")]);
    register.withdrawn(&name("a"));
    assert_eq!(register.listing(now).gone, [name("a"), name("b")]);
    assert_ne!(register.listing(now).directory.revision, before.directory.revision);
    pass(&mut register, &mut now, TTL + TICK);
    let after = register.listing(now);
    assert!(!after.warming && after.gone.is_empty());
    assert_eq!(after.directory.revision, Directory::of(Vec::new()).revision, "it is that of the content");
}

#[test]
fn who_stood_still_itself_blames_nobody() {
    let mut now = Instant::now();
    let mut register = register(now);
    register.announced(&name("a"), &said("http://a:1"), now).unwrap();
    pass(&mut register, &mut now, TTL);
    assert!(!register.listing(now).warming);
    now += Duration::from_secs(3600);
    assert_eq!(register.sweep(TICK, now), []);
    assert!(register.listing(now).warming, "others may have come meanwhile");
    assert_eq!(pass(&mut register, &mut now, TTL + TICK * 2), [name("a")]);
}

#[test]
fn what_others_of_the_store_have_heard_counts() {
    let mut now = Instant::now();
    let mut register = register(now);
    register.recorded(&[(name("a"), 1, said("http://a:1")), (name("b"), 7, said("http://b:1"))], now);
    pass(&mut register, &mut now, Duration::from_secs(10));
    register.recorded(&[(name("a"), 2, said("http://a:1")), (name("b"), 7, said("http://b:1"))], now);
    assert_eq!(pass(&mut register, &mut now, Duration::from_secs(6)), [name("b")], "a was heard of elsewhere");
    assert!(register.announced(&name("c"), &said("http://c:1"), now).unwrap().write);
    register.recorded(&[], now);
    assert_eq!(register.entries().keys().collect::<Vec<_>>(), [&name("c")], "a was withdrawn elsewhere, and c is not written yet");
}

#[test]
fn a_record_of_before_there_were_operators_is_read() {
    let now = Instant::now();
    let mut register = register(now);
    let old: Said = serde_json::from_str(r#"{"url":"http://a:1","endpoints":[],"renew_ms":5000}"#).unwrap();
    assert_eq!(old, said("http://a:1"));
    register.recorded(&[(name("a"), 1, old)], now);
    let new = Said { admin: Some("http://a:9090".to_owned()), ..said("http://a:1") };
    assert!(register.announced(&name("a"), &new, now).unwrap().write, "it is another one now");
    let _ = register.due(9, now);
    register.checked(&name("a"), "http://a:1", Readiness::Ready, now);
    assert_eq!(register.listing(now).directory.instances[0].admin.as_deref(), Some("http://a:9090"));
    assert!(!serde_json::to_string(&said("http://a:1")).unwrap().contains("admin"), "one of before reads it as well");
}

#[test]
fn it_is_written_when_it_is_news_and_now_and_then() {
    let mut now = Instant::now();
    let mut register = register(now);
    let write = |register: &mut Register, said: &Said, now| register.announced(&name("a"), said, now).unwrap().write;
    assert!(write(&mut register, &said("http://a:1"), now));
    assert!(!write(&mut register, &said("http://a:1"), now));
    assert!(write(&mut register, &said("http://b:1"), now));
    now += Duration::from_secs(4);
    assert!(write(&mut register, &said("http://b:1"), now));
    register.unwritten(&name("a"));
    assert!(write(&mut register, &said("http://b:1"), now));
}
