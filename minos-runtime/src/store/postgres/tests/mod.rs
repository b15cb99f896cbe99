//! What only the store on PostgreSQL does, on a real server.

mod server;

use super::*;
use crate::store::{Append, Cause, NewEvent, SharedStore};

async fn in_new_schema() -> Option<SharedStore> {
    server::open().await.map(|store| Arc::new(store) as SharedStore)
}

crate::store_suite!(suite, in_new_schema);

fn unit() -> Unit {
    Unit::new(Timestamp::now(), Cause { correlation: Uuid::now_v7(), causation: Uuid::now_v7(), user: None })
}

fn creating(data: &str) -> (StreamId, Unit) {
    let stream = StreamId::new("Foo", Uuid::now_v7());
    let events = vec![NewEvent { name: "FooCreated".into(), data: data.to_owned() }];
    (stream.clone(), Unit { appends: vec![Append { stream, expected: 0, events }], ..unit() })
}
