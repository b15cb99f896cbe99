use minos::prelude::*;

#[message("Take", reply = u32)]
pub struct Take {
    pub amount: u32,
}

saga! {
    #[isolated]
    pub Transfer { amount: u32 }

    remote take -> left: u32 {
        on_execute: |saga| Take { amount: saga.amount },
        on_failure: |saga| Take { amount: saga.left },
    }
}

fn main() {}
