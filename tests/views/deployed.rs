//! The same read model as a newer deployment keeps it.

/// It counts everything twice.
pub mod newer {
    use crate::bank::AccountCreated;
    use minos::prelude::*;

    pub struct Totals;

    #[projection(version = 2)]
    impl Totals {
        const TABLES: &str = "CREATE TABLE {totals} (owner TEXT PRIMARY KEY, accounts INTEGER NOT NULL, cents BIGINT NOT NULL)";

        #[event("AccountCreated")]
        async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
            view.execute(
                "INSERT INTO {totals} VALUES ($1, 2, $2) ON CONFLICT (owner) DO UPDATE SET accounts = {totals}.accounts + 2, cents = {totals}.cents + excluded.cents",
                [event.owner.clone().into(), (2 * event.cents).into()],
            )
        }
    }
}

use crate::{
    common::until,
    kit::{databases, start_module},
    tables::{open, standing, total, until_totals},
};

#[tokio::test]
async fn a_newer_version_is_built_beside_the_old_one_and_is_not_built_back() {
    for place in databases("a_newer_version_is_built_beside_the_old_one_and_is_not_built_back") {
        let (older, addr) = start_module(&place, "ledger").await;
        open(addr, "ann", 5).await;
        until_totals(addr, &[total("ann", 1, 5)]).await;
        older.stop().await;
        let (newer, _) = start_module(&place, "deployed::newer").await;
        until("the newer one is read", async || {
            let live = standing(&newer).await.progress.live;
            live.is_some_and(|live| (live.generation, live.version) == (2, 2))
        })
        .await;
        newer.stop().await;
        // As in a deployment that is taken back, or takes its time: the old one stands by.
        let (older, addr) = start_module(&place, "ledger").await;
        until("it has looked", async || older.health().parts()["projection Totals"].succeeded_at.is_some()).await;
        until_totals(addr, &[total("ann", 2, 10)]).await;
        let now = standing(&older).await.progress;
        assert!(now.rebuild.is_none() && now.live.is_some_and(|live| live.generation == 2), "it is not built back");
        let refused = older.projections().rebuild("Totals").await.unwrap_err();
        assert_eq!(refused.to_string(), "a newer deployment of the service goes on with `Totals`: ask that one");
        older.stop().await;
    }
}
