//! The operator's page of all services at a gateway, in a real browser.

#![allow(unreachable_pub)]

#[path = "../../../tests/console/browser.rs"]
mod browser;
#[path = "../../../tests/common/mod.rs"]
mod common;
#[path = "../../../tests/console/shop.rs"]
mod shop;
#[path = "../../../tests/common/tokens.rs"]
mod tokens;

mod kit;
mod pages;
mod stock;
