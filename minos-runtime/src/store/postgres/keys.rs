//! The advisory locks of a unit: what two of them must not do at once.
//!
//! A lock is a number made of a text, the same on every node and in every version. That two texts may make the same number costs a wait, no more.

use crate::store::{CollectionChange, Lease, Mark, SagaWrite, UniqueWrite, Unit};

/// The class of the shared lock by which readers know who may still commit numbers: `MINO`.
const CLASS: u32 = 0x4d49_4e4f;

/// FNV-1a, with the length of each part, so that parts cannot run together.
fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| (part.len() as u64).to_le_bytes().into_iter().chain(part.iter().copied()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The lock of something in a schema.
pub(super) fn of(schema: &str, kind: &str, parts: &[&[u8]]) -> i64 {
    let all: Vec<&[u8]> = [schema.as_bytes(), kind.as_bytes()].into_iter().chain(parts.iter().copied()).collect();
    hash(&all) as i64
}

/// The class and number of the shared lock of all who draw numbers in a schema, as `oid`s and `int`s show it alike.
pub(super) fn fence(schema: &str) -> (u32, u32) {
    (CLASS, hash(&[schema.as_bytes()]) as u32 >> 1)
}

/// A statement of Minos as it is for a schema: `{s}` is its name, `{class}` and `{space}` are the lock of all who draw numbers.
pub(super) fn within(schema: &str, sql: &str) -> String {
    let (class, space) = fence(schema);
    sql.replace("{s}", schema).replace("{class}", &class.to_string()).replace("{space}", &space.to_string())
}

pub(super) fn lease(schema: &str, name: &str) -> i64 {
    of(schema, "lease", &[name.as_bytes()])
}

/// How many locks the documents of a collection share: a server has room for some thousands, and a unit that builds a read model has more documents.
const OF_A_COLLECTION: u64 = 256;

fn document(schema: &str, collection: &str, key: &str) -> i64 {
    let lock = hash(&[key.as_bytes()]) % OF_A_COLLECTION;
    of(schema, "document", &[collection.as_bytes(), &lock.to_le_bytes()])
}

/// The locks of a unit, sorted. `resolved` are the subscribers and keys of the dead letters that it deals with.
pub(super) fn of_unit(schema: &str, unit: &Unit, resolved: &[(String, String)]) -> Vec<i64> {
    let mut keys = Vec::with_capacity(4);
    let lane = |subscriber: &str, key: &str| of(schema, "lane", &[subscriber.as_bytes(), key.as_bytes()]);
    keys.extend(
        unit.appends.iter().map(|append| of(schema, "stream", &[append.stream.aggregate.as_bytes(), append.stream.uuid.as_bytes()])),
    );
    if let Some(Mark { subscriber, handled, lane: of_lane }) = &unit.mark {
        keys.push(of(schema, "mark", &[subscriber.as_bytes(), handled.key().as_bytes()]));
        keys.extend(of_lane.as_ref().map(|key| lane(subscriber, key)));
    }
    keys.extend(unit.fence.as_ref().map(|Lease { name, .. }| lease(schema, name)));
    for SagaWrite { expected, row } in &unit.sagas {
        keys.push(of(schema, "saga", &[row.id.as_bytes()]));
        let key = row.key.as_ref().filter(|_| *expected == 0);
        keys.extend(key.map(|key| of(schema, "key of a saga", &[row.saga.as_bytes(), key.as_bytes()])));
    }
    keys.extend(unit.dead_letters.iter().map(|letter| lane(&letter.subscriber, &letter.key)));
    keys.extend(resolved.iter().map(|(subscriber, key)| lane(subscriber, key)));
    keys.extend(unit.resolved.iter().map(|id| of(schema, "dead letter", &[&id.to_le_bytes()])));
    keys.extend(unit.checkpoints.iter().map(|(name, _)| of(schema, "checkpoint", &[name.as_bytes()])));
    keys.extend(unit.documents.iter().map(|write| document(schema, &write.collection, &write.key)));
    let changed = unit.collections.iter().flat_map(CollectionChange::collections);
    keys.extend(changed.map(|collection| of(schema, "collection", &[collection.as_bytes()])));
    let value = |write: &UniqueWrite| {
        let (aggregate, field, value) = write.place();
        of(schema, "unique value", &[aggregate.as_bytes(), field.as_bytes(), value.as_bytes()])
    };
    keys.extend(unit.unique.iter().map(value));
    let subjects = unit.new_keys.iter().map(|new| &new.subject).chain(&unit.forgotten);
    keys.extend(subjects.map(|subject| of(schema, "subject", &[subject.as_bytes()])));
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_different_has_different_locks_and_they_never_change() {
        assert_ne!(of("a", "stream", &[b"bc", b"d"]), of("a", "stream", &[b"b", b"cd"]));
        assert_ne!(of("a", "mark", &[b"b"]), of("a", "lane", &[b"b"]));
        assert_ne!(fence("a"), fence("b"));
        // Nodes of all versions have to agree on these.
        assert_eq!((of("minos", "stream", &[b"Foo"]), fence("minos")), (4_135_328_423_538_136_149, (0x4d49_4e4f, 1_657_526_135)));
    }
}
