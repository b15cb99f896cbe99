#![allow(unused)]
use minos::prelude::*;

#[aggregate(unique(tenant, emial))]
pub struct NoField { tenant: String, email: String }

#[aggregate]
pub struct Skipped {
    name: String,
    #[unique]
    #[serde(skip)]
    email: String,
}

#[aggregate]
pub struct OfSet {
    #[unique]
    tags: ValueSet<String>,
}

#[aggregate(unique(email))]
pub struct Twice {
    #[unique]
    email: String,
}

#[aggregate(unique(email, email))]
pub struct TwiceInList { email: String }

#[aggregate]
pub struct TwiceOnField {
    #[unique]
    #[unique]
    email: String,
}

#[aggregate(unique)]
pub struct NoList { email: String }

fn main() {}
