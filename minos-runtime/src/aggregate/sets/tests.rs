//! Sets, from what happens to them to what is stored and read again.

use super::{EntitySet, ValueSet};
use crate::aggregate::difference::{Object, touches};
use crate::message::SetChange;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{collections::BTreeMap, fmt::Debug, time::Instant};
use uuid::Uuid;

const SETS: &[&str] = &["entries", "tags", "pairs", "maybe"];

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Entry {
    product: String,
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u32,
    #[serde(default, skip_serializing_if = "EntitySet::is_empty")]
    entries: EntitySet<Entry>,
    tags: ValueSet<String>,
    pairs: ValueSet<(u8, BTreeMap<u8, u8>)>,
    maybe: Option<EntitySet<u32>>,
}

fn text<T: Serialize>(state: &T) -> String {
    serde_json::to_string(state).unwrap()
}

fn change<T: Serialize>(before: &T, after: &T) -> Option<String> {
    Object::difference(&text(before), &text(after), SETS).unwrap()
}

fn folded<T: DeserializeOwned>(first: &str, changes: &[String]) -> T {
    let mut state = Object::parse(first).unwrap();
    for change in changes {
        state.merge(change).unwrap_or_else(|error| panic!("{error}: {change}"));
    }
    serde_json::from_str(&state.write()).unwrap()
}

fn entry(product: &str, quantity: u32) -> Entry {
    Entry { product: product.to_owned(), quantity, note: None }
}

fn same<T: PartialEq + Debug>(a: T, b: T, told: &str) {
    assert_eq!(a, b, "{told}");
}

#[test]
fn what_changed_in_a_set_is_one_small_note() {
    let uuids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    let mut before = Order::default();
    before.tags.insert("old".into());
    for uuid in &uuids[..2] {
        before.entries.add_as(*uuid, entry("apple", 1));
    }
    let mut after = before.clone();
    after.entries.remove(uuids[0]);
    after.entries.update(uuids[1], |entry| entry.quantity = 3).unwrap();
    after.entries.add_as(uuids[2], entry("pear", 2));
    after.tags.insert("new".into());
    after.tags.remove("old");
    let change = change(&before, &after).unwrap();
    let told: serde_json::Value = serde_json::from_str(&change).unwrap();
    let expected = json!({ "$sets": {
        "entries": {
            "create": { uuids[2].to_string(): { "product": "pear", "quantity": 2 } },
            "update": { uuids[1].to_string(): { "quantity": 3 } },
            "delete": [uuids[0]],
        },
        "tags": { "create": ["new"], "delete": ["old"] },
    } });
    assert_eq!(told, expected);
    assert_eq!(folded::<Order>(&text(&before), std::slice::from_ref(&change)), after);
    for (field, kind, is_it) in [
        ("entries", None, true),
        ("entries", Some(SetChange::Update), true),
        ("tags", Some(SetChange::Create), true),
        ("tags", Some(SetChange::Update), false),
        ("number", None, false),
        ("number", Some(SetChange::Create), false),
    ] {
        assert_eq!(touches(&change, field, kind).unwrap(), is_it, "{field} {kind:?}");
    }
}

#[test]
fn a_set_that_comes_or_goes_as_a_whole_tells_what_was_in_it() {
    let (mut before, mut after) = (Order::default(), Order::default());
    let uuid = after.entries.add(entry("apple", 1));
    after.maybe = Some([7].into_iter().collect());
    let come = change(&before, &after).unwrap();
    for field in ["entries", "maybe"] {
        assert!(touches(&come, field, Some(SetChange::Create)).unwrap(), "{come}");
    }
    same(folded(&text(&before), std::slice::from_ref(&come)), after.clone(), &come);
    std::mem::swap(&mut before, &mut after);
    let gone = change(&before, &after).unwrap();
    for field in ["entries", "maybe"] {
        assert!(touches(&gone, field, Some(SetChange::Delete)).unwrap(), "{gone}");
    }
    assert!(gone.contains(&uuid.to_string()), "{gone}");
    same(folded(&text(&before), std::slice::from_ref(&gone)), after, &gone);
}

#[test]
fn a_field_that_is_not_known_as_a_set_is_stored_whole() {
    let (before, mut after) = (Order::default(), Order::default());
    after.tags.insert("new".into());
    let change = Object::difference(&text(&before), &text(&after), &[]).unwrap().unwrap();
    assert_eq!(change, r#"{"tags":["new"]}"#);
}

#[test]
fn any_history_folds_to_the_state_that_it_led_to() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..300 {
        let mut state = Order::default();
        let (first, mut changes) = (text(&state), Vec::new());
        for _ in 0..random.usize(1..20) {
            let before = state.clone();
            for _ in 0..random.usize(1..5) {
                step(&mut state, &mut random);
            }
            changes.extend(change(&before, &state));
        }
        assert_eq!(folded::<Order>(&first, &changes), state, "round {round}: {changes:#?}");
    }
}

fn step(state: &mut Order, random: &mut fastrand::Rng) {
    let uuid = state.entries.iter().nth(random.usize(0..8)).map(|(uuid, _)| uuid);
    match (random.u8(0..12), uuid) {
        (0..=3, _) => {
            state.entries.add(entry("\"quoted\"", random.u32(..)));
        }
        (4, Some(uuid)) => drop(state.entries.remove(uuid)),
        (5, Some(uuid)) => state.entries.update(uuid, |entry| entry.quantity += 1).unwrap(),
        (6, Some(uuid)) => state.entries.update(uuid, |entry| entry.note = random.bool().then(|| "note".into())).unwrap(),
        (7, _) => {
            state.tags.insert(random.u8(0..6).to_string());
        }
        (8, _) => {
            state.tags.remove(random.u8(0..6).to_string().as_str());
        }
        (9, _) => {
            let pair = (random.u8(0..3), [(random.u8(0..2), random.u8(0..2))].into_iter().collect());
            if !state.pairs.remove(&pair) {
                state.pairs.insert(pair);
            }
        }
        (10, _) => match &mut state.maybe {
            Some(set) if random.bool() => {
                set.add(random.u32(0..3));
                set.retain(|_, number| *number != 1);
            }
            maybe => *maybe = random.bool().then(EntitySet::new),
        },
        _ => state.number = random.u32(0..3),
    }
}

#[test]
fn one_change_among_ten_thousand_is_small_and_folding_many_reads_the_set_once() {
    let mut state = Order::default();
    let uuids: Vec<Uuid> = (0..10_000).map(|n| state.entries.add(entry("apple", n))).collect();
    let (first, mut changes) = (text(&state), Vec::new());
    let began = Instant::now();
    for (n, uuid) in uuids.iter().enumerate().step_by(500) {
        let before = state.clone();
        state.entries.update(*uuid, |entry| entry.quantity += 1).unwrap();
        let change = change(&before, &state).unwrap();
        assert!(change.len() < 100, "{n}: {change}");
        changes.push(change);
    }
    let (told, began) = (began.elapsed() / 20, Instant::now());
    let last = changes.last().cloned().unwrap();
    changes.extend(std::iter::repeat_n(last, 1_000));
    assert_eq!(folded::<Order>(&first, &changes), state);
    println!("a difference of 10,000 entities: {told:?}; 1,020 changes of them folded: {:?}", began.elapsed());
}
