#![allow(unused)]
use minos::prelude::*;

#[derive(Serialize)]
pub struct Pay { pub cents: u64 }
fn _u(cx: &mut Context) { let _ = cx.send(Pay { cents: 1 }); }

fn main() {}
