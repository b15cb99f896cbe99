//! A view that is built from the beginning is built by several at once: each takes the streams that fall to it, in their order.
//!
//! That is right as long as no document is touched by two of them, since what a function does depends on its event and on the documents that it touches, and
//! on nothing else. It is looked at before each commit; where two have touched one, what is not committed is done again by one alone, and so is the rest.

use super::{definition::Plan, run::project, work::Work};
use crate::{
    context::Environment,
    error::Result,
    store::{LogPage, StoredEvent, Unit},
};
use futures_util::future::join_all;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    thread::available_parallelism,
};

/// More do not help: one reads the log for all.
const MOST: usize = 8;

/// Who works on a view: several, or one alone.
pub(super) struct Shards(Vec<Work>);

/// How many can work on a view that is being built.
pub(super) fn count(plan: &Plan) -> usize {
    // What statements do is known to the database alone, so they stay in the order of their events.
    if plan.tables.is_some() { 1 } else { available_parallelism().map_or(1, |cores| cores.get().min(MOST)) }
}

/// Some event could not be taken.
pub(super) struct Failed;

impl Shards {
    pub(super) fn new(count: usize, work: impl Fn() -> Work) -> Self {
        Shards((0..count.max(1)).map(|_| work()).collect())
    }

    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// What one works on who works alone.
    pub(super) fn alone(&self) -> &Work {
        &self.0[0]
    }

    /// Takes the events of a page behind this position, all at once. Says how many these are.
    pub(super) async fn take(
        &self,
        environment: &Arc<Environment>,
        plan: &Arc<Plan>,
        page: &Arc<LogPage>,
        after: u64,
    ) -> std::result::Result<usize, Failed> {
        let shards = self.0.iter().enumerate().map(|(shard, work)| {
            let (environment, plan, page, work) = (environment.clone(), plan.clone(), page.clone(), work.clone());
            let of = self.0.len() as u64;
            tokio::spawn(async move {
                let mut count = 0;
                for event in
                    page.events.iter().filter(|event| event.position > after && !event.is_internal() && falls_to(event, of) == shard as u64)
                {
                    if project(&environment, &plan, &work, event).await.is_err() {
                        return Err(Failed);
                    }
                    count += 1;
                }
                Ok(count)
            })
        });
        let mut count = 0;
        for taken in join_all(shards).await {
            count += taken.unwrap_or(Err(Failed))?;
        }
        Ok(count)
    }

    /// Whether two have touched the same document.
    pub(super) fn overlap(&self) -> bool {
        self.are_several()
            && self.0.iter().enumerate().any(|(n, work)| {
                let others = || self.0.iter().enumerate().filter(|(other, _)| *other != n);
                work.has_touched(|key| others().any(|(_, other)| other.has(key)))
            })
    }

    pub(super) fn begin_empty(&self) {
        self.0.iter().for_each(Work::begins_empty);
    }

    pub(super) fn pending(&self) -> usize {
        self.0.iter().map(Work::pending).sum()
    }

    pub(super) fn kept(&self) -> usize {
        self.0.iter().map(Work::kept).sum()
    }

    pub(super) fn add_to(&self, unit: &mut Unit) -> Result<()> {
        for work in &self.0 {
            work.add_to(unit)?;
        }
        // In the order of their keys, so that a unit is the same each time.
        unit.documents.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(())
    }

    /// What was done is committed. If more documents are kept than so many, all are dropped: what one does not know then, another one may.
    pub(super) fn committed(&self, keep: usize) {
        let keeps = self.kept() <= keep;
        self.0.iter().for_each(|work| work.committed(keeps));
    }

    pub(super) fn forget(&self) {
        self.0.iter().for_each(Work::forget);
    }
}

fn falls_to(event: &StoredEvent, of: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    event.stream.hash(&mut hasher);
    hasher.finish() % of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        projection::{ProjectionDef, tables::Generation},
        store::{MemoryStore, SharedStore},
    };

    static NUMBERS: ProjectionDef =
        ProjectionDef { name: "Numbers", inline: false, version: 1, tables: None, handlers: &[], module: "", file: "", line: 1 };

    #[tokio::test]
    async fn two_that_touch_one_document_are_seen_also_behind_a_commit() {
        let (store, mut wrong): (SharedStore, _) = (Arc::new(MemoryStore::new()), Vec::new());
        let plan = Arc::new(Plan::of(&NUMBERS, &mut wrong).unwrap());
        let shards = Shards::new(2, || Work::new(store.clone(), plan.clone(), Generation::Live, false));
        shards.begin_empty();
        shards.0[0].put("a".to_owned(), Some(1_u32));
        shards.0[1].put("b".to_owned(), Some(2_u32));
        assert!(!shards.overlap());
        shards.committed(10);
        shards.0[1].fetch::<u32>("a").await.unwrap();
        assert!(shards.overlap(), "that there is none is not for this one to say");
        shards.committed(0);
        shards.0[1].fetch::<u32>("a").await.unwrap();
        assert!(!shards.overlap(), "nothing is kept, so it is read from the store");
    }
}
