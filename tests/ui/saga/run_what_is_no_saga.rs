#![allow(unused)]
use minos::prelude::*;

#[message("Reserve", reply = u32)]
pub struct Reserve {
    pub n: u32,
}
#[message("Release")]
pub struct Release {
    pub n: u32,
}

fn run<S: Saga>(_: S) {}

fn other(release: Release) {
    run(release)
}

fn main() {}
