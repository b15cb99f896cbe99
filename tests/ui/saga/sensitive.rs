use minos::prelude::*;

/// As if the feature were on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sensitive<T>(T);

saga! {
    pub Register { name: Sensitive<String>, city: String }

    local check -> number: Sensitive<u32> {
        on_execute: async |_cx, _saga| Ok(Sensitive(1)),
    }
}

fn main() {}
