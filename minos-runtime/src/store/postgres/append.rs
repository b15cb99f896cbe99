//! A batch of units as the arguments of one statement or function of the database.

use crate::{
    auth::Identity,
    store::{CollectionChange, Mark, NewKey, SagaRow, Unit, number},
    trace::Trace,
};
use jiff::Timestamp;
use serde::Serialize;
use std::error::Error as StdError;
use tokio_postgres::types::{IsNull, Json, ToSql, Type, private::BytesMut, to_sql_checked};
use uuid::Uuid;

/// Commits a batch of nothing but events, in less than half of the time that [`APPEND`] takes: it neither locks the streams nor says what is wrong. Answers
/// nothing, and writes nothing, if a version is not there that an event follows; fails with a collision if one is there already that is to be written.
/// The parameters are those of [`Arguments::of_events`].
///
/// The lock of the fence is part of the row from which a number is drawn, so it is held before. Events are never removed, and of each version there can
/// be one only: so what was true when the statement began stays true, or the statement fails.
pub(super) const APPEND_EVENTS: &str = r#"WITH written AS (
        INSERT INTO {s}.events (position, aggregate, uuid, version, name, data, at, correlation, causation, "user")
        SELECT nextval('{s}.positions'), e.aggregate, e.uuid, e.version, e.name, e.data::json, e.at, e.correlation, e.causation, e."user"
        FROM (SELECT pg_advisory_xact_lock_shared({class}, {space}) IS NOT NULL AS held) AS fence
        CROSS JOIN unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[], $8::uuid[], $9::text[])
            AS e(aggregate, uuid, version, name, data, at, correlation, causation, "user")
        WHERE fence.held AND NOT EXISTS (SELECT FROM unnest($10::text[], $11::uuid[], $12::bigint[]) AS a(aggregate, uuid, expected)
            WHERE a.expected > 0 AND NOT EXISTS (SELECT FROM {s}.events e
                WHERE e.uuid = a.uuid AND e.aggregate = a.aggregate AND e.version = a.expected))
        RETURNING position
    )
    SELECT array_agg(position) FROM written HAVING count(*) > 0"#;
/// What became of it: the same events are there, or they are not. No other batch can have written them, for each command has ids of its own. The
/// parameters are the first of [`Arguments::of_events`].
pub(super) const EVENTS_OUTCOME: &str = r#"SELECT array_agg(stored.position ORDER BY e.n)
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[], $8::uuid[], $9::text[])
        WITH ORDINALITY AS e(aggregate, uuid, version, name, data, at, correlation, causation, "user", n)
    JOIN {s}.events AS stored ON stored.uuid = e.uuid AND stored.aggregate = e.aggregate AND stored.version = e.version
    WHERE stored.name = e.name AND stored.data::text = e.data AND stored.at = e.at
        AND stored.correlation = e.correlation AND stored.causation = e.causation AND stored."user" IS NOT DISTINCT FROM e."user"
    HAVING count(*) = cardinality($2)"#;
/// How many parameters that one has.
pub(super) const EVENT_COLUMNS: usize = 9;
/// Commits a batch. The parameters are those of [`Arguments::parameters`].
pub(super) const APPEND: &str = "SELECT positions, drawn, refused, reasons, items, actual FROM {s}.append_v1(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31,
    $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55)";
/// Commits a batch with further kinds of rows. The parameters are those of [`Arguments::parameters`].
const APPEND_MORE: &str = "SELECT positions, drawn, refused, reasons, items, actual FROM {s}.append_v2(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31,
    $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60,
    $61, $62, $63, $64, $65, $66, $67, $68, $69, $70, $71, $72, $73, $74, $75, $76, $77, $78)";

/// Declares a struct of columns, the first of which says whose row it is, and how they become parameters, in order.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { of: i32, $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        struct $name<'u> {
            of: Vec<i32>,
            $($column: Vec<$type>,)*
            unit: std::marker::PhantomData<&'u Unit>,
        }

        impl $name<'_> {
            fn parameters<'p>(&'p self, all: &mut Vec<&'p (dyn ToSql + Sync)>) {
                if self.of.is_empty() {
                    let columns = ["of", $(stringify!($column)),*].len();
                    all.extend(std::iter::repeat_n(&Nothing as &(dyn ToSql + Sync), columns));
                } else {
                    all.push(&self.of);
                    self.columns(all);
                }
            }

            /// Without the one that says whose row it is.
            fn columns<'p>(&'p self, all: &mut Vec<&'p (dyn ToSql + Sync)>) {
                $(all.push(&self.$column);)*
            }
        }
    };
}

/// The null of every type: it costs the server next to nothing, and an empty array nearly as much as a full one.
#[derive(Debug)]
struct Nothing;

impl ToSql for Nothing {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

columns!(Events {
    of: i32, aggregate: &'u str, uuid: Uuid, version: i64, name: &'u str, data: &'u str, at: Timestamp,
    correlation: Uuid, causation: Uuid, user: Option<&'u str>,
});
columns!(Appends { of: i32, aggregate: &'u str, uuid: Uuid, expected: i64, });
columns!(Messages { of: i32, id: Uuid, topic: &'u str, key: Option<&'u str>, headers: &'u str, content: &'u str, });
columns!(Marks {
    of: i32, subscriber: &'u str, key: &'u str, version: Option<i64>, becomes: i64, answer: Option<&'u str>, lane: Option<&'u str>, at: Timestamp,
});
columns!(Fences { of: i32, name: &'u str, epoch: i64, });
columns!(Letters {
    of: i32, at: Timestamp, subscriber: &'u str, key: &'u str, topic: &'u str, headers: &'u str, content: &'u [u8], cause: &'u str, attempts: i32,
});
columns!(Resolved { of: i32, id: i64 });
columns!(Checkpoints { of: i32, name: &'u str, position: i64, });
columns!(Sent { of: i32, id: i64 });
columns!(Sagas { of: i32, id: Uuid, expected: i64, row: Json<Saga<'u>>, });
columns!(Documents { of: i32, collection: &'u str, key: &'u str, body: Option<&'u str>, expected: Option<i64>, });
columns!(Collections { of: i32, collection: &'u str, with: Option<&'u str>, });
columns!(Unique { of: i32, aggregate: &'u str, field: &'u str, value: &'u str, uuid: Uuid, takes: bool, });
columns!(Snapshots { of: i32, uuid: Uuid, aggregate: &'u str, version: i64, schema: &'u str, state: &'u str, });
columns!(Keys { of: i32, subject: Uuid, key: Option<&'u [u8]>, });

/// The columns of an execution.
#[derive(Debug, Serialize)]
struct Saga<'u> {
    id: Uuid,
    saga: &'u str,
    key: Option<&'u str>,
    definition: &'u str,
    status: &'u str,
    ended: bool,
    wake: Option<Timestamp>,
    version: u64,
    state: &'u str,
    correlation: Uuid,
    causation: Uuid,
    user: Option<&'u str>,
    trace: Option<Trace>,
    started_at: Timestamp,
    changed_at: Timestamp,
}

impl<'u> Saga<'u> {
    fn of(row: &'u SagaRow) -> Self {
        Saga {
            id: row.id,
            saga: &row.saga,
            key: row.key.as_deref(),
            definition: &row.definition,
            status: &row.status,
            ended: row.ended,
            wake: row.wake,
            version: row.version,
            state: &row.state,
            correlation: row.cause.correlation,
            causation: row.cause.causation,
            user: row.cause.user.as_ref().map(Identity::text),
            trace: row.cause.trace,
            started_at: row.started_at,
            changed_at: row.changed_at,
        }
    }
}

/// The arguments for a batch: an array for each column of each kind of row, the first of which says whose row it is.
#[derive(Default)]
pub(super) struct Arguments<'u> {
    writer: Uuid,
    batch: i64,
    units: i32,
    locks: Vec<i64>,
    events: Events<'u>,
    appends: Appends<'u>,
    /// Whether there is one that writes nothing to its stream, and is there only to have its version compared.
    compares_only: bool,
    messages: Messages<'u>,
    marks: Marks<'u>,
    fences: Fences<'u>,
    letters: Letters<'u>,
    resolved: Resolved<'u>,
    checkpoints: Checkpoints<'u>,
    sent: Sent<'u>,
    sagas: Sagas<'u>,
    documents: Documents<'u>,
    collections: Collections<'u>,
    unique: Unique<'u>,
    snapshots: Snapshots<'u>,
    /// New ones; and, without a key, those that have to be there.
    keys: Keys<'u>,
}

impl<'u> Arguments<'u> {
    pub(super) fn new(writer: Uuid, batch: i64, units: &'u [Box<Unit>], keys: &[Vec<i64>]) -> Self {
        let mut locks: Vec<i64> = keys.iter().flatten().copied().collect();
        locks.sort_unstable();
        let mut all = Arguments { writer, batch, units: units.len() as i32, locks, ..Arguments::default() };
        for (unit, of) in units.iter().zip(1..) {
            all.add(unit, of);
        }
        all
    }

    fn add(&mut self, unit: &'u Unit, of: i32) {
        for append in &unit.appends {
            self.appends.of.push(of);
            self.appends.aggregate.push(&append.stream.aggregate);
            self.appends.uuid.push(append.stream.uuid);
            self.appends.expected.push(number(append.expected));
            self.compares_only |= append.events.is_empty();
            for (event, version) in append.events.iter().zip(number(append.expected).saturating_add(1)..) {
                self.events.of.push(of);
                self.events.aggregate.push(&append.stream.aggregate);
                self.events.uuid.push(append.stream.uuid);
                self.events.version.push(version);
                self.events.name.push(&event.name);
                self.events.data.push(&event.data);
                self.events.at.push(unit.at);
                self.events.correlation.push(unit.cause.correlation);
                self.events.causation.push(unit.cause.causation);
                self.events.user.push(unit.cause.user.as_ref().map(Identity::text));
            }
        }
        for message in &unit.messages {
            self.messages.of.push(of);
            self.messages.id.push(message.id);
            self.messages.topic.push(&message.topic);
            self.messages.key.push(message.key.as_deref());
            self.messages.headers.push(&message.headers);
            self.messages.content.push(&message.content);
        }
        if let Some(Mark { subscriber, handled, lane }) = &unit.mark {
            let (becomes, answer) = handled.becomes();
            self.marks.of.push(of);
            self.marks.subscriber.push(subscriber);
            self.marks.key.push(handled.key());
            self.marks.version.push(handled.above().map(number));
            self.marks.becomes.push(number(becomes));
            self.marks.answer.push(answer);
            self.marks.lane.push(lane.as_deref());
            self.marks.at.push(handled.time(unit.at));
        }
        if let Some(lease) = &unit.fence {
            self.fences.of.push(of);
            self.fences.name.push(&lease.name);
            self.fences.epoch.push(number(lease.epoch));
        }
        for letter in &unit.dead_letters {
            self.letters.of.push(of);
            self.letters.at.push(unit.at);
            self.letters.subscriber.push(&letter.subscriber);
            self.letters.key.push(&letter.key);
            self.letters.topic.push(&letter.topic);
            self.letters.headers.push(&letter.headers);
            self.letters.content.push(&letter.content);
            self.letters.cause.push(&letter.cause);
            self.letters.attempts.push(i32::try_from(letter.attempts).unwrap_or(i32::MAX));
        }
        for id in &unit.resolved {
            self.resolved.of.push(of);
            self.resolved.id.push(number(*id));
        }
        for (name, position) in &unit.checkpoints {
            self.checkpoints.of.push(of);
            self.checkpoints.name.push(name);
            self.checkpoints.position.push(number(*position));
        }
        for id in &unit.sent {
            self.sent.of.push(of);
            self.sent.id.push(number(*id));
        }
        for write in &unit.sagas {
            self.sagas.of.push(of);
            self.sagas.id.push(write.row.id);
            self.sagas.expected.push(number(write.expected));
            self.sagas.row.push(Json(Saga::of(&write.row)));
        }
        self.add_more(unit, of);
    }

    fn add_more(&mut self, unit: &'u Unit, of: i32) {
        for write in &unit.documents {
            self.documents.of.push(of);
            self.documents.collection.push(&write.collection);
            self.documents.key.push(&write.key);
            self.documents.body.push(write.body.as_deref());
            self.documents.expected.push(write.expected.map(number));
        }
        for change in &unit.collections {
            let (collection, with) = match change {
                CollectionChange::Clear { collection } => (collection, None),
                CollectionChange::Replace { collection, with } => (collection, Some(&**with)),
            };
            self.collections.of.push(of);
            self.collections.collection.push(collection);
            self.collections.with.push(with);
        }
        for write in &unit.unique {
            self.unique.of.push(of);
            self.unique.aggregate.push(&write.aggregate);
            self.unique.field.push(&write.field);
            self.unique.value.push(&write.value);
            self.unique.uuid.push(write.uuid);
            self.unique.takes.push(write.takes);
        }
        for snapshot in &unit.snapshots {
            self.snapshots.of.push(of);
            self.snapshots.uuid.push(snapshot.stream.uuid);
            self.snapshots.aggregate.push(&snapshot.stream.aggregate);
            self.snapshots.version.push(number(snapshot.version));
            self.snapshots.schema.push(&snapshot.schema);
            self.snapshots.state.push(&snapshot.state);
        }
        for NewKey { subject, key } in &unit.new_keys {
            self.keys.of.push(of);
            self.keys.subject.push(*subject);
            self.keys.key.push(Some(key));
        }
        for subject in &unit.sealed_for {
            self.keys.of.push(of);
            self.keys.subject.push(*subject);
            self.keys.key.push(None);
        }
    }

    /// Whether there are rows that [`APPEND`] does not know.
    fn has_more(&self) -> bool {
        let rows = self.documents.of.len() + self.collections.of.len() + self.unique.of.len() + self.snapshots.of.len();
        rows + self.keys.of.len() > 0
    }

    /// The arguments of [`APPEND_EVENTS`], if it can commit the batch: there are only events.
    pub(super) fn of_events(&self) -> Option<Vec<&(dyn ToSql + Sync)>> {
        // All by their names, so that a kind of rows that is added is not forgotten here: it would be lost.
        let Arguments {
            writer: _,
            batch: _,
            units: _,
            locks: _,
            events,
            appends,
            compares_only,
            messages,
            marks,
            fences,
            letters,
            resolved,
            checkpoints,
            sent,
            sagas,
            documents: _,
            collections: _,
            unique: _,
            snapshots: _,
            keys: _,
        } = self;
        let others = messages.of.len() + marks.of.len() + fences.of.len() + letters.of.len() + resolved.of.len();
        if others + checkpoints.of.len() + sent.of.len() + sagas.of.len() > 0 || self.has_more() || *compares_only || events.of.is_empty() {
            return None;
        }
        let mut all = Vec::with_capacity(12);
        events.columns(&mut all);
        appends.columns(&mut all);
        Some(all)
    }

    /// The statement that commits it: the one with more arguments only where they are needed.
    pub(super) fn statement(&self) -> &'static str {
        if self.has_more() { APPEND_MORE } else { APPEND }
    }

    /// In the order of [`statement`](Arguments::statement).
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut all: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(55);
        all.extend([&self.writer as &(dyn ToSql + Sync), &self.batch, &self.units, &self.locks]);
        self.events.parameters(&mut all);
        self.appends.parameters(&mut all);
        self.messages.parameters(&mut all);
        self.marks.parameters(&mut all);
        self.fences.parameters(&mut all);
        self.letters.parameters(&mut all);
        self.resolved.parameters(&mut all);
        self.checkpoints.parameters(&mut all);
        self.sent.parameters(&mut all);
        self.sagas.parameters(&mut all);
        if self.has_more() {
            self.documents.parameters(&mut all);
            self.collections.parameters(&mut all);
            self.unique.parameters(&mut all);
            self.snapshots.parameters(&mut all);
            self.keys.parameters(&mut all);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Append, Cause, Lease, NewEvent, StreamId};

    #[test]
    fn there_is_a_parameter_for_each_argument() {
        let mut arguments = Arguments::default();
        for (all, name, migration) in
            [(55, "append_v1(", include_str!("migrations/1.sql")), (78, "append_v2(", include_str!("migrations/5.sql"))]
        {
            let statement = arguments.statement();
            assert!(statement.contains(name));
            assert_eq!((arguments.parameters().len(), statement.matches('$').count()), (all, all));
            let declared = migration.split_once(name).unwrap().1.split_once("OUT").unwrap().0;
            assert_eq!(declared.matches(',').count(), all);
            arguments.keys.of.push(1);
        }
        assert!(<Vec<&[u8]> as ToSql>::accepts(&Type::BYTEA_ARRAY));
    }

    #[test]
    fn what_is_more_than_events_is_not_appended_as_if_it_were_not() {
        let arguments = |unit: Unit| Arguments::new(Uuid::now_v7(), 1, &[Box::new(unit)], &[Vec::new()]).of_events().map(|all| all.len());
        let unit = |events: Vec<NewEvent>| {
            let appends = vec![Append { stream: StreamId::new("Foo", Uuid::now_v7()), expected: 1, events }];
            Unit { appends, ..Unit::new(Timestamp::UNIX_EPOCH, Cause::nobody()) }
        };
        let event = || vec![NewEvent { name: "E".into(), data: "{}".into() }];
        let parameters = |statement: &str| statement.matches("[]").count();
        assert_eq!((arguments(unit(event())), parameters(APPEND_EVENTS), parameters(EVENTS_OUTCOME)), (Some(12), 12, EVENT_COLUMNS));
        let more = [
            unit(Vec::new()),
            Unit { checkpoints: vec![("c".into(), 1)], ..unit(event()) },
            Unit { sealed_for: vec![Uuid::now_v7()], ..unit(event()) },
            Unit { fence: Some(Lease { name: "l".into(), epoch: 1 }), ..unit(event()) },
        ];
        for unit in more {
            assert_eq!(arguments(unit), None);
        }
    }
}
