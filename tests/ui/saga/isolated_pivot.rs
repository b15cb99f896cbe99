use minos::prelude::*;

saga! {
    #[isolated]
    pub Transfer { amount: u32 }

    pivot local take { on_execute: async |_cx, _saga| Ok(()) }
    retriable local give { on_execute: async |_cx, _saga| Ok(()) }
}

fn main() {}
