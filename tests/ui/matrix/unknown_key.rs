use minos::prelude::*;

saga! {
    pub Nothing { n: u32 }

    local nothing { on_execute: async |_cx, _saga| Ok(()) }
}

minos::crash_matrix!(Nothing { inptu: Nothing { n: 1 }, answers: { nothing: (), nothing: () } });

fn main() {}
