use minos::prelude::*;

saga! {
    #[isolated(yes)]
    #[isolated]
    pub Transfer { amount: u32 }

    local take { on_execute: async |_cx, _saga| Ok(()) }
}

fn main() {}
