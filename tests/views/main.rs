//! Read models, as users meet them, on every store.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod bank;
mod deployed;
mod documents;
mod goods;
mod kit;
mod ledger;
mod people;
mod property;
mod queries;
mod snapshots;
mod tables;
mod time;
mod unique;
