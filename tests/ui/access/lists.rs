#![allow(unused)]
use minos::prelude::*;

#[command(roles(), POST "/a")]
async fn a() {}

#[command(roles, POST "/b")]
async fn b() {}

#[command(roles = "admin", POST "/c")]
async fn c() {}

#[command(roles(admin), POST "/d")]
async fn d() {}

#[command(roles("admin clerk"), POST "/e")]
async fn e() {}

#[command(roles("admin", "admin"), POST "/f")]
async fn f() {}

#[command(roles("admin"), roles("clerk"), POST "/g")]
async fn g() {}

#[query(scopes("", 7), GET "/h")]
async fn h() {}

fn main() {}
