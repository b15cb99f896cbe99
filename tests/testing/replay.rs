//! Random histories: what is read again is what was there.

use minos::{prelude::*, testing::TestService};

/// Defines an aggregate, and what can happen to it in a random history.
macro_rules! purse {
    ($module:ident, $purse:ident $(, $attribute:meta)?) => {
        mod $module {
            use super::*;

            #[aggregate]
            #[derive(Debug, Clone, PartialEq)]
            $(#[$attribute])?
            pub struct $purse {
                pub owner: String,
                pub cents: i64,
                pub note: Option<String>,
                #[serde(default, skip_serializing_if = "Vec::is_empty")]
                pub tags: Vec<String>,
                #[serde(rename = "is-open")]
                pub r#open: bool,
                pub shape: Shape,
                pub coins: EntitySet<Coin>,
                pub currencies: ValueSet<String>,
            }

            #[aggregate]
            impl $purse {
                #[event("Filled")]
                fn filled(&mut self, cents: i64, note: Option<String>) {
                    self.cents += cents;
                    self.note = note;
                }

                #[event("CoinFound")]
                fn found(&mut self, uuid: Uuid, cents: i64) {
                    self.coins.add_as(uuid, Coin { cents, year: None });
                    self.currencies.insert("EUR".to_owned());
                }

                #[event("Closed")]
                fn closed(&mut self) {
                    self.r#open = false;
                    self.tags.clear();
                }
            }

            fn new(random: &mut fastrand::Rng) -> $purse {
                let mut purse = $purse {
                    owner: text(random),
                    cents: random.i64(..),
                    note: None,
                    tags: Vec::new(),
                    r#open: true,
                    shape: Shape::Flat,
                    coins: EntitySet::default(),
                    currencies: ValueSet::default(),
                };
                change(random, &mut purse);
                purse
            }

            /// Changes some of its fields in place.
            fn change(random: &mut fastrand::Rng, purse: &mut $purse) {
                for _ in 0..random.usize(1..4) {
                    let coin = Uuid::from_u128(random.u128(1..6));
                    match random.u8(..12) {
                        0 => purse.owner = text(random),
                        1 => purse.cents = random.i64(..),
                        2 => purse.note = random.bool().then(|| text(random)),
                        3 => purse.tags.push(text(random)),
                        4 => purse.tags.clear(),
                        5 => purse.open = random.bool(),
                        6 => drop(purse.coins.add_as(coin, Coin { cents: random.i64(..), year: None })),
                        7 => drop(purse.coins.update(coin, |coin| coin.year = Some(random.u16(..)))),
                        8 => drop(purse.coins.remove(coin)),
                        9 => purse.shape = if random.bool() { Shape::Flat } else { Shape::Round { radius: random.u8(..) } },
                        10 => drop(purse.currencies.insert(text(random))),
                        _ => drop(purse.currencies.remove("EUR")),
                    }
                }
            }

            /// A history of which each state is known without events.
            pub async fn live(cx: &mut Context, seed: u64) -> Result<()> {
                let mut random = fastrand::Rng::with_seed(seed);
                let uuid = Uuid::from_u128(u128::from(seed) + 1);
                let mut state = new(&mut random);
                $purse::create_as(cx, uuid, state.clone()).await?;
                for _ in 0..random.usize(1..30) {
                    let mut purse = $purse::get(cx, uuid).await?;
                    for _ in 0..random.usize(1..4) {
                        match random.u8(..6) {
                            0 => {
                                let (cents, note) = (random.i64(-1000..1000), random.bool().then(|| text(&mut random)));
                                purse.cents = random.i64(-1000..1000);
                                state.cents = purse.cents + cents;
                                state.note.clone_from(&note);
                                purse.filled(cents, note);
                            }
                            1 => {
                                let (coin, cents) = (Uuid::from_u128(random.u128(1..6)), random.i64(..));
                                purse.found(coin, cents);
                                state.coins.add_as(coin, Coin { cents, year: None });
                                state.currencies.insert("EUR".to_owned());
                            }
                            2 => {
                                purse.closed();
                                state.open = false;
                                state.tags.clear();
                            }
                            _ => {
                                change(&mut random.clone(), &mut purse);
                                change(&mut random, &mut state);
                            }
                        }
                    }
                    purse.save(cx).await?;
                    let read = $purse::get(cx, uuid).await?;
                    assert_eq!(*read, state, "seed {seed}, version {}", read.version());
                }
                if random.bool() {
                    $purse::get(cx, uuid).await?.delete(cx).await?;
                    assert!($purse::find_one(cx, uuid).await?.is_none(), "seed {seed}");
                }
                Ok(())
            }
        }
    };
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Coin {
    pub cents: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub year: Option<u16>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub enum Shape {
    Flat,
    Round { radius: u8 },
}

purse!(by_field, PursePerField);
// What serde is told of the whole is known to serde alone, so updates go by the text.
purse!(by_text, PurseAsText, serde(deny_unknown_fields));

/// What a text may look like to who reads events by their text.
fn text(random: &mut fastrand::Rng) -> String {
    let texts = ["", "EUR", "ann", "\"$sets\":", "{\"$removed\":[\"owner\"]}", "é\n\u{1}", "a, \"b\": 1"];
    texts[random.usize(..texts.len())].to_owned()
}

#[test]
fn what_is_read_again_is_what_was_there() {
    let service = TestService::new();
    for seed in 0..40 {
        service.run(async |cx| by_field::live(cx, seed).await).unwrap();
        service.run(async |cx| by_text::live(cx, seed).await).unwrap();
    }
}

/// Numbers as texts.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What is stored of it is what somebody else has written.
#[derive(Aggregate, Clone)]
pub struct ByHand {
    pub cents: i64,
    pub n: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "as_text")]
    cents: i64,
    n: u32,
}

impl Serialize for ByHand {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Stored { cents: self.cents, n: self.n }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ByHand {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Stored::deserialize(deserializer).map(|Stored { cents, n }| ByHand { cents, n })
    }
}

#[aggregate]
impl ByHand {
    #[event("HandCounted")]
    fn counted(&mut self) {
        self.n += 1;
    }
}

#[aggregate]
pub struct Conditional {
    #[cfg_attr(all(), serde(with = "as_text"))]
    pub cents: i64,
    #[deprecated]
    pub old: u8,
    pub n: u32,
}

#[aggregate]
impl Conditional {
    #[event("ConditionalCounted")]
    fn counted(&mut self) {
        self.n += 1;
    }
}

#[aggregate]
pub struct Forgetful {
    pub cents: i64,
    /// What is not stored is as it is when the state is read from its text, whatever an event has made of it.
    #[serde(skip)]
    pub n: u32,
}

#[aggregate]
impl Forgetful {
    #[event("ForgetfulCounted")]
    fn counted(&mut self) {
        self.n += 1;
    }
}

#[test]
fn what_serde_is_told_in_another_way_is_read_in_that_way() {
    let service = TestService::new();
    macro_rules! changed_in_turn {
        ($aggregate:ident, $state:expr) => {
            service
                .run(async |cx| {
                    let uuid = $aggregate::create(cx, $state).await?.uuid();
                    let mut root = $aggregate::get(cx, uuid).await?;
                    root.counted();
                    root.cents = 7;
                    root.save(cx).await?;
                    let read = $aggregate::get(cx, uuid).await?;
                    Ok((read.cents, read.n))
                })
                .unwrap()
        };
    }
    assert_eq!(changed_in_turn!(ByHand, ByHand { cents: 1, n: 0 }), (7, 1));
    #[allow(deprecated)]
    let state = Conditional { cents: 1, old: 0, n: 0 };
    assert_eq!(changed_in_turn!(Conditional, state), (7, 1));
    assert_eq!(changed_in_turn!(Forgetful, Forgetful { cents: 1, n: 0 }), (7, 0));
}
