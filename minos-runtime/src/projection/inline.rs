//! Projections that are part of the commit of their events.

use super::{Projections, Shared, definition::Plan, run::project, tables::Generation, work::Work};
use crate::{
    context::{Views, appended},
    error::Result,
    store::Unit,
};
use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

impl Projections {
    /// As the environment knows them.
    pub(crate) fn views(&self) -> Weak<dyn Views> {
        let shared: Arc<dyn Views> = self.0.clone();
        Arc::downgrade(&shared)
    }
}

impl Views for Shared {
    fn concerns(&self, unit: &Unit) -> bool {
        let takes = |plan: &Plan| unit.appends.iter().any(|append| plan.aggregates.iter().any(|name| *name == append.stream.aggregate));
        self.kept.iter().any(|kept| kept.plan.def.inline && takes(&kept.plan))
    }

    fn project<'a>(&'a self, unit: &'a mut Unit) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (at, cause) = (unit.at, unit.cause.clone());
            let events: Vec<_> = unit.appends.iter().flat_map(|append| appended(append, at, &cause)).collect();
            for kept in self.kept.iter().filter(|kept| kept.plan.def.inline) {
                let plan: &Arc<Plan> = &kept.plan;
                let work = Work::new(self.environment.store.clone(), plan.clone(), Generation::Live, true);
                for event in events.iter().filter(|event| !event.is_internal()) {
                    project(&self.environment, plan, &work, event).await?;
                }
                work.add_to(unit)?;
            }
            Ok(())
        })
    }

    fn reached<'a>(&'a self, name: &'a str, position: u64, patience: Duration) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.wait_for(name, position, patience))
    }
}
