//! What tests of the manager need: a saga of one remote step, and executions of it.

use super::{Manager, turn::nobody};
use crate::{
    clock,
    context::{Environment, Resources},
    health::Health,
    metrics::Metrics,
    saga::{Node, Outgoing, Plan, Policy, Retry, SagaDef, Step, StepKind, Work},
    store::{Lease, MemoryStore, SagaRow, Store},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

const NODES: &[Node] = &[Node::Step(Step {
    name: "ask",
    kind: StepKind::Compensable,
    output: None,
    timeout: Some(Duration::from_millis(1)),
    retry: None,
    sample: || Ok(Value::Null),
    work: Work::Remote {
        execute: |_| Ok(Outgoing { name: "Ask", key: None, content: b"{}".to_vec() }),
        read: |_| Ok(Value::Null),
        on_success: None,
        on_error: None,
        undo: None,
    },
})];

static DEF: SagaDef = SagaDef { name: "Ask", input: &[], isolated: false, nodes: NODES, module: "", file: "", line: 0 };

fn plan() -> Plan {
    let patient = Retry { attempts: 1, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(1) };
    Plan::of(&DEF, Policy { timeout: Duration::from_secs(1), patient }).unwrap()
}

/// A manager of the saga, its store, and a lease of it.
pub(super) async fn world(alarm_after: Duration) -> (Manager, Arc<MemoryStore>, Lease) {
    let store = Arc::new(MemoryStore::new());
    let environment = Arc::new(Environment::new("x", store.clone(), clock::system(), Resources::default(), Metrics::new("x")));
    let manager = Manager::new(environment, vec![plan()], 1, alarm_after, &Health::new(clock::system())).await.unwrap();
    let lease = store.acquire("a lease", Uuid::now_v7(), Duration::from_secs(60)).await.unwrap().unwrap();
    (manager, store, lease)
}

/// A new execution that cannot be read.
pub(super) fn row() -> SagaRow {
    SagaRow {
        id: Uuid::now_v7(),
        saga: "Ask".to_owned(),
        key: None,
        definition: plan().hash().to_owned(),
        status: "running".to_owned(),
        ended: false,
        wake: None,
        version: 1,
        state: "{}".to_owned(),
        cause: nobody(),
        started_at: Timestamp::UNIX_EPOCH,
        changed_at: Timestamp::UNIX_EPOCH,
    }
}
