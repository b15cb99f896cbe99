//! What became of a batch, and so of each of its units.

use crate::store::{Committed, StoreError, StoreResult, Unit};
use tokio_postgres::{Error, Row};

/// What became of a batch, if it was committed.
pub(super) const OUTCOME: &str =
    "SELECT positions, drawn, refused, reasons, items, actual FROM {s}.batches WHERE writer = $1 AND batch = $2";

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

    /// That of a batch of events, none of which was refused.
    pub(super) fn of_events(row: &Row) -> Result<Self, Error> {
        let positions: Vec<i64> = row.try_get(0)?;
        let drawn = positions.last().map_or(0, |position| *position as u64);
        Ok(Outcome { positions, drawn, refused: Vec::new(), reasons: Vec::new(), items: Vec::new(), actual: Vec::new() })
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
    pub(super) fn results(&self, units: &[Box<Unit>]) -> Vec<StoreResult<Committed>> {
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
    fn refusal(&self, n: usize, place: usize, unit: &Unit, units: &[Box<Unit>]) -> StoreError {
        let item = |count: fn(&Unit) -> usize| (self.items[n] - 1) as usize - units[..place].iter().map(|unit| count(unit)).sum::<usize>();
        let keys = |unit: &Unit| unit.new_keys.len() + unit.sealed_for.len();
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
            "document moved" => unit.documents.get(item(|unit| unit.documents.len())).map(|write| StoreError::DocumentConflict {
                collection: write.collection.to_string(),
                key: write.key.clone(),
                actual: self.actual[n] as u64,
            }),
            "key exists" => unit.new_keys.get(item(keys)).map(|new| StoreError::KeyExists(new.subject)),
            "forgotten" => {
                let mut subjects = unit.new_keys.iter().map(|new| new.subject).chain(unit.sealed_for.iter().copied());
                subjects.nth(item(keys)).map(StoreError::Forgotten)
            }
            reason => reason
                .strip_prefix("not unique ")
                .and_then(|owner| Some(unit.unique.get(item(|unit| unit.unique.len()))?.refused(owner.parse().ok()?))),
        }
        .unwrap_or_else(unknown)
    }
}
