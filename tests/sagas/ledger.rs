//! A ledger and its clerk, for isolated sagas: a participant and a coordinator.

/// The participant.
pub mod books {
    use crate::{bank::Script, shop::Gates};
    use minos::prelude::*;

    /// Its state is kept as often as can be: no snapshot may hide who holds it, nor show what is only prepared.
    #[aggregate(snapshot(every = 1))]
    pub struct Purse {
        pub cents: i64,
    }

    #[aggregate(snapshot(every = 1))]
    pub struct Entry {
        pub cents: i64,
    }

    #[command("OpenPurse", POST "/purses")]
    async fn open_purse(cx: &mut Context, cents: i64) -> Result<Uuid> {
        Ok(Purse::create(cx, Purse { cents }).await?.uuid())
    }

    #[query(GET "/purses/{uuid}")]
    async fn purse(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Purse>> {
        Purse::get(cx, uuid).await
    }

    #[command(PUT "/purses/{uuid}/cents")]
    async fn fill(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<()> {
        let mut purse = Purse::get(cx, uuid).await?;
        purse.cents = cents;
        purse.save(cx).await
    }

    #[query(GET "/entries/{uuid}")]
    async fn entry(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Entry>> {
        Entry::get(cx, uuid).await
    }

    #[command(POST "/entries/{uuid}")]
    async fn write_entry(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<Root<Entry>> {
        Entry::create_as(cx, uuid, Entry { cents }).await
    }

    #[message("Pay", reply = i64)]
    pub struct Pay {
        pub step: String,
        pub purse: Uuid,
        pub cents: i64,
        /// Where it is written down, if it is.
        pub entry: Option<Uuid>,
    }

    #[message("Paid")]
    pub struct Paid {
        pub step: String,
    }

    /// Changes a purse, writes it down, tells it, and counts it in a table.
    #[command("Pay")]
    async fn pay(cx: &mut Context, input: Pay) -> Result<i64> {
        cx.resource::<Script>()?.clone().play(&input.step).await?;
        let mut purse = Purse::get(cx, input.purse).await?;
        purse.cents += input.cents;
        ensure!(purse.cents >= 0, "there is not so much in the purse");
        let cents = purse.cents;
        purse.save(cx).await?;
        if let Some(entry) = input.entry {
            Entry::create_as(cx, entry, Entry { cents: input.cents }).await?;
            cx.execute("INSERT INTO payments VALUES (?1, ?2)", [input.step.clone().into(), input.cents.into()]);
        }
        cx.send(Paid { step: input.step })?;
        Ok(cents)
    }

    #[command("Paid")]
    async fn paid(cx: &mut Context, input: Paid) -> Result<()> {
        cx.resource::<Script>()?.clone().play(&format!("told of {}", input.step)).await
    }

    #[message("Look", reply = i64)]
    pub struct Look {
        pub purse: Uuid,
    }

    /// What is in a purse, as its asker sees it.
    #[query("Look")]
    async fn look(cx: &Context, input: Look) -> Result<i64> {
        Ok(Purse::get(cx, input.purse).await?.cents)
    }

    #[message("Stop")]
    pub struct Stop {
        pub gate: String,
    }

    #[command("Stop")]
    async fn stop(cx: &mut Context, input: Stop) -> Result<()> {
        let (script, gates) = (cx.resource::<Script>()?.clone(), cx.resource::<Gates>()?.clone());
        script.play(&input.gate).await?;
        gates.pass(&input.gate).await;
        Ok(())
    }

    #[command(POST "/table")]
    async fn table(cx: &mut Context) -> Result<()> {
        cx.execute("CREATE TABLE IF NOT EXISTS payments (step TEXT, cents INTEGER)", []);
        Ok(())
    }

    #[derive(Serialize, Deserialize)]
    struct Payment {
        step: String,
        cents: i64,
    }

    #[query(GET "/payments")]
    async fn payments(cx: &Context) -> Result<Vec<Payment>> {
        cx.select("SELECT step, cents FROM payments ORDER BY rowid", []).await
    }

    #[event("PurseUpdated", "EntryCreated")]
    async fn changed(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
        cx.resource::<Script>()?.clone().play(event.name()).await
    }
}

/// The coordinator.
pub mod clerk {
    use super::books::{Look, Pay, Stop};
    use crate::bank::Script;
    use minos::prelude::*;

    #[aggregate]
    pub struct Receipt {
        pub cents: i64,
    }

    #[query(GET "/receipts/{uuid}")]
    async fn receipt(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Receipt>> {
        Receipt::get(cx, uuid).await
    }

    #[command(POST "/receipts/{uuid}")]
    async fn write_receipt(cx: &mut Context, Path(uuid): Path<Uuid>, cents: i64) -> Result<Root<Receipt>> {
        Receipt::create_as(cx, uuid, Receipt { cents }).await
    }

    #[message("Counted")]
    pub struct Counted {
        pub cents: i64,
    }

    #[command("Counted")]
    async fn counted(cx: &mut Context, input: Counted) -> Result<()> {
        cx.resource::<Script>()?.clone().play(&format!("counted {}", input.cents)).await
    }

    saga! {
        /// Pays from one purse into another, of which nobody sees half.
        #[isolated]
        pub Transfer { from: Uuid, to: Uuid, cents: i64, entry: Uuid, receipt: Uuid }

        remote take -> left: i64 {
            on_execute: |saga| Pay { step: "take".into(), purse: saga.from, cents: -saga.cents, entry: Some(saga.entry) },
            timeout: "15s",
        }

        local note {
            on_execute: async |cx, saga| {
                Receipt::create_as(cx, saga.receipt, Receipt { cents: 0 }).await?;
                cx.send(Counted { cents: saga.cents })
            },
        }

        remote look -> seen: i64 {
            on_execute: |saga| Look { purse: saga.from },
            timeout: "15s",
        }

        remote give -> had: i64 {
            on_execute: |saga| Pay { step: "give".into(), purse: saga.to, cents: saga.cents, entry: None },
            timeout: "15s",
        }

        remote fee -> after_fee: i64 {
            on_execute: |saga| Pay { step: "fee".into(), purse: saga.from, cents: -1, entry: None },
            timeout: "15s",
        }

        remote stop {
            on_execute: |_saga| Stop { gate: "stop".into() },
            timeout: "15s",
        }

        local close {
            on_execute: async |cx, saga| {
                cx.resource::<Script>()?.clone().play("close").await?;
                let mut receipt = Receipt::get(cx, saga.receipt).await?;
                receipt.cents = saga.cents;
                receipt.save(cx).await
            },
        }
    }

    #[command(POST "/transfers")]
    async fn transfer(cx: &mut Context, input: Transfer) -> Result<Uuid> {
        cx.start(input).await
    }

    saga! {
        /// Does not wait long.
        #[isolated]
        pub TransferQuickly { from: Uuid, cents: i64 }

        remote take -> left: i64 {
            on_execute: |saga| Pay { step: "take".into(), purse: saga.from, cents: -saga.cents, entry: None },
            timeout: "300ms",
        }
    }

    #[command(POST "/transfers/quickly")]
    async fn transfer_quickly(cx: &mut Context, input: TransferQuickly) -> Result<i64> {
        Ok(cx.run(input).await?.left)
    }

    saga! {
        /// Does what can be seen at once.
        #[isolated]
        pub Leak { what: String }

        local leak {
            on_execute: async |cx, saga| {
                match saga.what.as_str() {
                    "run" => cx.run(TransferQuickly { from: Uuid::nil(), cents: 1 }).await.map(|_| ()),
                    "start" => cx.start(TransferQuickly { from: Uuid::nil(), cents: 1 }).await.map(|_| ()),
                    _ => cx.effect("mail", async |_| Ok::<_, Error>(())).await,
                }
            },
        }
    }

    #[command(POST "/leaks/{what}")]
    async fn leak(cx: &mut Context, Path(what): Path<String>) -> Result<()> {
        cx.run(Leak { what }).await.map(|_| ())
    }
}
