#![allow(unused)]
use minos::prelude::*;

/// As if the feature were on.
pub struct Sensitive<T>(T);

#[aggregate]
pub struct Unique {
    #[unique]
    name: Sensitive<String>,
    city: String,
}

#[aggregate(unique(name, city))]
pub struct UniqueTogether {
    name: Option<Sensitive<String>>,
    city: String,
}

#[document]
pub struct Kept {
    name: Sensitive<String>,
    city: String,
}

#[message("Tell")]
pub struct Tell {
    name: Sensitive<String>,
}

#[aggregate_ref]
pub struct Customer {
    name: Option<Sensitive<String>>,
}

#[aggregate]
#[subject]
pub struct OnStruct {
    name: String,
}

#[aggregate]
pub struct Two {
    #[subject]
    one: Uuid,
    #[subject]
    other: Uuid,
}

#[aggregate]
pub struct Twice {
    #[subject]
    #[subject]
    one: Uuid,
}

#[aggregate]
pub struct WithArguments {
    #[subject(here)]
    one: Uuid,
}

#[aggregate]
pub struct Skipped {
    #[subject]
    #[serde(skip)]
    one: Uuid,
    name: String,
}

#[aggregate]
pub struct NoUuid {
    #[subject]
    one: String,
}

fn main() {}
