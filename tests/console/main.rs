//! The operator's page in a real browser.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod browser;
mod guard;
mod pages;
mod shop;
