//! Values that only one aggregate of its type has: they are taken and released by the unit that changes it.

use super::{
    Aggregate, difference, fold,
    queryable::{existing, mark, stored},
};
use crate::{
    context::{Environment, MakesDocument, store_error},
    error::{Error, Result},
    store::{Cause, StoreError, StoredEvent, StreamId, UniqueWrite, Unit},
};
use uuid::Uuid;

/// The collection that says for which aggregates the values of what was there are taken.
const TAKEN: &str = "minos/uniques";
/// How often values are taken anew of what others write at the same time.
const ATTEMPTS: u32 = 64;
/// How many pairs with the same value are named at most.
const NAMED: usize = 10;

/// Names of fields, and the value that they have, as canonical JSON.
pub(super) type Values = Vec<(String, String)>;

/// An aggregate with unique values; registered by `#[aggregate]`.
#[doc(hidden)]
pub struct UniqueDef {
    pub name: &'static str,
    unique: &'static [&'static [&'static str]],
    state: MakesDocument,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(UniqueDef);

impl UniqueDef {
    /// The registration of an aggregate.
    pub const fn of<A: Aggregate>(module: &'static str, file: &'static str, line: u32) -> Self {
        UniqueDef { name: A::NAME, unique: A::UNIQUE, state: state_of::<A>, module, file, line }
    }

    /// The unique values of what these events make.
    fn values(&self, uuid: Uuid, events: Vec<StoredEvent>) -> Result<Values> {
        (self.state)(uuid, events)?.map_or(Ok(Values::new()), |state| values(self.unique, &state))
    }
}

fn state_of<A: Aggregate>(uuid: Uuid, events: Vec<StoredEvent>) -> Result<Option<String>> {
    fold::fold::<A>(uuid, None, None, events)?.map(|root| Ok(serde_json::to_string(&*root)?)).transpose()
}

/// The unique values of a state. Where a field is `null` or not there, there is none.
pub(super) fn values(unique: &[&[&str]], state: &str) -> Result<Values> {
    if unique.is_empty() {
        return Ok(Values::new());
    }
    let (fields, mut found) = (difference::fields(state)?, Values::new());
    'keys: for names in unique {
        let mut parts = Vec::with_capacity(names.len());
        for name in *names {
            match fields.iter().find(|(key, _)| key == name) {
                Some((_, value)) if value.get() != "null" => parts.push(difference::canonical(value.get())?),
                _ => continue 'keys,
            }
        }
        let value = if let [one] = &parts[..] { one.clone() } else { format!("[{}]", parts.join(",")) };
        found.push((names.join(", "), value));
    }
    Ok(found)
}

/// Adds to a unit that an aggregate has other values from then on. Handlers may save it again and again: what it has at last counts.
pub(super) fn change(unit: &mut Unit, aggregate: &'static str, uuid: Uuid, before: Values, after: Values) {
    let (released, taken): (Values, Values) = (
        before.iter().filter(|value| !after.contains(value)).cloned().collect(),
        after.iter().filter(|value| !before.contains(value)).cloned().collect(),
    );
    for (takes, values) in [(false, released), (true, taken)] {
        for (field, value) in values {
            unit.unique
                .retain(|write| !(write.aggregate == aggregate && write.field == field && write.value == value && write.uuid == uuid));
            unit.unique.push(UniqueWrite { aggregate: aggregate.into(), field: field.into(), value, uuid, takes });
        }
    }
}

/// Takes the values of aggregates that were there before they were unique, once, before the service takes its first command.
///
/// # Errors
/// If two have the same value.
pub(crate) async fn prepare(environment: &Environment, defs: &[&'static UniqueDef]) -> Result<()> {
    for def in defs {
        let wanted = serde_json::to_string(def.unique)?;
        let known = environment.store.document(TAKEN, def.name).await.map_err(store_error)?;
        if known.is_some_and(|document| document.body == wanted) {
            continue;
        }
        let mut twice = Vec::new();
        for uuid in existing(environment, def.name).await? {
            twice.extend(take(environment, def, uuid).await?);
            if twice.len() >= NAMED {
                break;
            }
        }
        if !twice.is_empty() {
            return Err(Error::rejected(format!(
                "`{}` at {}:{} cannot be unique, for there are some with the same value: {}\nhelp: let the program without `#[unique]` change one of each",
                def.name,
                def.file,
                def.line,
                twice.join("; ")
            )));
        }
        mark(environment, TAKEN, def.name, wanted).await?;
    }
    Ok(())
}

/// Takes the values of one; says with which other one it shares a value, if it does.
async fn take(environment: &Environment, def: &UniqueDef, uuid: Uuid) -> Result<Option<String>> {
    let (store, mut before) = (&environment.store, Values::new());
    for _ in 0..ATTEMPTS {
        let (version, values) = current(environment, def, uuid).await?;
        let mut unit = Unit::new(environment.clock.now(), Cause::nobody());
        change(&mut unit, def.name, uuid, before.iter().filter(|value| !values.contains(value)).cloned().collect(), values.clone());
        if unit.is_empty() {
            return Ok(None);
        }
        let refused = match store.commit(unit).await {
            Ok(_) => {
                before = values;
                None
            }
            Err(StoreError::NotUnique { field, value, owner, .. }) => Some((field, value, owner)),
            Err(error) => return Err(store_error(error)),
        };
        // What was changed meanwhile has taken and released what was not so any more.
        if current(environment, def, uuid).await?.0 != version {
            continue;
        }
        let Some((field, value, owner)) = refused else { return Ok(None) };
        let place = (field, value);
        if current(environment, def, owner).await?.1.contains(&place) {
            return Ok(Some(format!("{uuid} and {owner} have the same `{}`", place.0)));
        }
        // A program that knew nothing of this has changed it since it was taken.
        let mut unit = Unit::new(environment.clock.now(), Cause::nobody());
        change(&mut unit, def.name, owner, vec![place], Values::new());
        store.commit(unit).await.map_err(store_error)?;
    }
    Err(Error::unavailable(format!("{} {uuid} is written again and again", def.name)))
}

/// The version of an aggregate, and its unique values.
async fn current(environment: &Environment, def: &UniqueDef, uuid: Uuid) -> Result<(u64, Values)> {
    let events = stored(environment, &StreamId::new(def.name, uuid)).await?;
    Ok((events.last().map_or(0, |event| event.version), def.values(uuid, events)?))
}
