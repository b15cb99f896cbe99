#![allow(unused)]
use minos::prelude::*;

#[command(public, roles("admin"), POST "/a")]
async fn a() {}

#[query(scopes("a:read"), public, GET "/b")]
async fn b() {}

#[query(public, public, GET "/c")]
async fn c() {}

#[query(public("all"), GET "/d")]
async fn d() {}

fn main() {}
