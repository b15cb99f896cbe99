//! Whole services: over HTTP and the local broker, on each embedded store.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod aggregates;
mod app;
mod connections;
mod health;
mod messages;
mod requests;
mod setup;
mod starting;
mod stopping;
