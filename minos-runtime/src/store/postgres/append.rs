//! A batch of units as the arguments of one function of the database, and what it answers.

use crate::{
    store::{Committed, Mark, SagaRow, StoreError, StoreResult, Unit, number},
    trace::Trace,
};
use jiff::Timestamp;
use serde::Serialize;
use std::error::Error as StdError;
use tokio_postgres::{
    Error, Row,
    types::{IsNull, Json, ToSql, Type, private::BytesMut, to_sql_checked},
};
use uuid::Uuid;

/// Commits a batch. The parameters are those of [`Arguments::parameters`].
pub(super) const APPEND: &str = "SELECT positions, drawn, refused, reasons, items, actual FROM {s}.append_v1(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31,
    $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55)";
/// What became of a batch, if it was committed.
pub(super) const OUTCOME: &str =
    "SELECT positions, drawn, refused, reasons, items, actual FROM {s}.batches WHERE writer = $1 AND batch = $2";

/// Declares a struct of columns, and how they become parameters, in order.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        struct $name<'u> {
            $($column: Vec<$type>,)*
            unit: std::marker::PhantomData<&'u Unit>,
        }

        impl $name<'_> {
            fn parameters<'p>(&'p self, all: &mut Vec<&'p (dyn ToSql + Sync)>) {
                let none = self.of.is_empty();
                $(all.push(if none { &Nothing } else { &self.$column });)*
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
            user: row.cause.user.as_deref(),
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
    messages: Messages<'u>,
    marks: Marks<'u>,
    fences: Fences<'u>,
    letters: Letters<'u>,
    resolved: Resolved<'u>,
    checkpoints: Checkpoints<'u>,
    sent: Sent<'u>,
    sagas: Sagas<'u>,
}

impl<'u> Arguments<'u> {
    pub(super) fn new(writer: Uuid, batch: i64, units: &'u [Unit], keys: &[Vec<i64>]) -> Self {
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
                self.events.user.push(unit.cause.user.as_deref());
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
    }

    /// In the order of [`APPEND`].
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
        all
    }
}

/// What became of a batch.
pub(super) struct Outcome {
    /// The positions of all events that were written, in order.
    positions: Vec<i64>,
    /// The highest number that was drawn; 0 if none was.
    pub(super) drawn: u64,
    refused: Vec<i32>,
    reasons: Vec<String>,
    items: Vec<i32>,
    actual: Vec<i64>,
}

impl Outcome {
    pub(super) fn read(row: &Row) -> Result<Self, Error> {
        Ok(Outcome {
            positions: row.try_get(0)?,
            drawn: row.try_get::<_, i64>(1)? as u64,
            refused: row.try_get(2)?,
            reasons: row.try_get(3)?,
            items: row.try_get(4)?,
            actual: row.try_get(5)?,
        })
    }

    /// The position of the last event; 0 if there was none.
    pub(super) fn last(&self) -> u64 {
        self.positions.last().map_or(0, |position| *position as u64)
    }

    /// Which units were refused, by their place in the batch.
    pub(super) fn refused(&self) -> impl Iterator<Item = usize> {
        self.refused.iter().map(|unit| (*unit - 1) as usize)
    }

    /// The results of the units, in their order.
    pub(super) fn results(&self, units: &[Unit]) -> Vec<StoreResult<Committed>> {
        let mut results: Vec<StoreResult<Committed>> = units.iter().map(|_| Ok(Committed::default())).collect();
        for (n, unit) in self.refused().enumerate() {
            if let (Some(result), Some(unit_of)) = (results.get_mut(unit), units.get(unit)) {
                *result = Err(self.refusal(n, unit, unit_of, units));
            }
        }
        let mut positions = self.positions.iter();
        for (unit, result) in units.iter().zip(&mut results) {
            let events: usize = unit.appends.iter().map(|append| append.events.len()).sum();
            if let Ok(committed) = result
                && events > 0
                && let Some(position) = positions.nth(events - 1)
            {
                committed.position = *position as u64;
            }
        }
        results
    }

    /// The refusal of this number. `item` is counted over all rows of its kind in the batch.
    fn refusal(&self, n: usize, place: usize, unit: &Unit, units: &[Unit]) -> StoreError {
        let item = |count: fn(&Unit) -> usize| (self.items[n] - 1) as usize - units[..place].iter().map(count).sum::<usize>();
        let unknown =
            || StoreError::Unavailable(format!("the database refused a unit as `{}`, which this version does not know", self.reasons[n]));
        match self.reasons[n].as_str() {
            "fenced" => unit.fence.as_ref().map(|lease| StoreError::Fenced(lease.name.clone())),
            "duplicate" => unit
                .mark
                .as_ref()
                .map(|mark| StoreError::Duplicate { subscriber: mark.subscriber.to_string(), key: mark.handled.key().to_owned() }),
            "parked" => unit
                .mark
                .as_ref()
                .map(|mark| StoreError::Parked { subscriber: mark.subscriber.to_string(), key: mark.lane.clone().unwrap_or_default() }),
            "not parked" => unit
                .dead_letters
                .get(item(|unit| unit.dead_letters.len()))
                .map(|letter| StoreError::NotParked { subscriber: letter.subscriber.clone(), key: letter.key.clone() }),
            "resolved" => unit.resolved.get(item(|unit| unit.resolved.len())).map(|id| StoreError::Resolved(*id)),
            "saga moved" => unit.sagas.get(item(|unit| unit.sagas.len())).map(|write| StoreError::SagaMoved {
                id: write.row.id,
                expected: write.expected,
                actual: self.actual[n] as u64,
            }),
            "saga exists" => unit
                .sagas
                .get(item(|unit| unit.sagas.len()))
                .map(|write| StoreError::SagaExists { saga: write.row.saga.clone(), key: write.row.key.clone().unwrap_or_default() }),
            "conflict" => unit.appends.get(item(|unit| unit.appends.len())).map(|append| StoreError::Conflict {
                stream: append.stream.clone(),
                expected: append.expected,
                actual: self.actual[n] as u64,
            }),
            _ => None,
        }
        .unwrap_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_parameter_for_each_argument() {
        let arguments = Arguments::default();
        let count = APPEND.matches('$').count();
        assert_eq!((arguments.parameters().len(), count), (55, 55));
        let declared = include_str!("migrations/1.sql").split_once("append_v1(").unwrap().1.split_once("OUT").unwrap().0;
        assert_eq!(declared.matches(',').count(), count);
        assert!(<Vec<&[u8]> as ToSql>::accepts(&Type::BYTEA_ARRAY));
    }
}
