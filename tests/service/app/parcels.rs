//! A service as it was, and as it is after its aggregate was renamed and changed.

#[derive(minos::prelude::Deserialize)]
#[serde(crate = "minos::prelude::serde")]
pub struct Change {
    pub text: Option<String>,
    pub number: Option<u64>,
}

pub mod v1 {
    use super::Change;
    use crate::setup::Calls;
    use minos::{SchemaError, prelude::*};

    #[aggregate]
    pub struct Parcel {
        /// In euros.
        pub price: u64,
        pub owner: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
        pub grams: u64,
    }

    #[aggregate]
    impl Parcel {
        #[event("Weighed")]
        fn weighed(&mut self, kilograms: u64) {
            self.grams = kilograms * 1_000;
        }
    }

    #[command(POST "/parcels")]
    async fn send(cx: &mut Context) -> Result<Uuid> {
        let parcel = Parcel { price: 3, owner: "ada".to_owned(), note: Some("fragile".to_owned()), grams: 0 };
        Ok(Parcel::create(cx, parcel).await?.uuid())
    }

    #[command(PUT "/parcels/{uuid}")]
    async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, change: Change) -> Result<()> {
        let mut parcel = Parcel::get(cx, uuid).await?;
        parcel.note = None;
        parcel.owner = change.text.unwrap_or_default();
        parcel.weighed(change.number.unwrap_or_default());
        parcel.save(cx).await
    }

    #[query(GET "/parcels/{uuid}")]
    async fn show(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Parcel>> {
        Parcel::get(cx, uuid).await
    }

    /// Fails for some time as what reads the event of a newer deployment does.
    #[event("Parcel.Weighed")]
    async fn follow(cx: &mut Context, _event: Event<serde_json::Value>) -> Result<()> {
        if cx.resource::<Calls>()?.add() > 6 {
            return Ok(());
        }
        let (aggregate, event) = ("Parcel".to_owned(), "Weighed".to_owned());
        Err(Error::unavailable("not yet").caused_by(SchemaError::Newer { aggregate, event, stored: 2, known: 1 }))
    }
}

pub mod v2 {
    use super::Change;
    use crate::setup::Bug;
    use minos::{Fields, prelude::*};

    #[derive(Serialize, Deserialize, Debug)]
    pub struct Price {
        pub cents: u64,
    }

    #[aggregate(name = "Parcel", version = 2, upcast = in_cents)]
    pub struct Package {
        pub price: Price,
        #[minos(was = "owner")]
        pub sender: String,
        #[minos(was = "note", was = "comment")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub remark: Option<String>,
        pub grams: u64,
    }

    fn in_cents(fields: &mut Fields) -> Result<()> {
        if let Some(euros) = fields.take::<u64>("price")? {
            fields.set("price", &Price { cents: euros * 100 })?;
        }
        Ok(())
    }

    #[aggregate]
    impl Package {
        #[event("Weighed", version = 3, upcast = [in_grams, by_scale])]
        fn weighed(&mut self, grams: u64, #[minos(was = "machine")] scale: String) {
            self.grams = grams;
            let _ = scale;
        }
    }

    #[derive(Deserialize)]
    pub struct WeighedV1 {
        kilograms: u64,
    }

    #[derive(Deserialize)]
    pub struct WeighedV2 {
        grams: u64,
    }

    fn in_grams(old: WeighedV1) -> Result<WeighedV2> {
        let grams = old.kilograms.checked_mul(1_000).ok_or_else(|| Error::internal("too heavy"))?;
        Ok(WeighedV2 { grams })
    }

    fn by_scale(old: WeighedV2) -> Weighed {
        Weighed { grams: old.grams, scale: "unknown".to_owned() }
    }

    #[command(PUT "/parcels/{uuid}")]
    async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, change: Change) -> Result<()> {
        let mut parcel = Package::get(cx, uuid).await?;
        parcel.sender = change.text.unwrap_or_default();
        parcel.weighed(change.number.unwrap_or_default(), "left".to_owned());
        parcel.save(cx).await
    }

    #[query(GET "/parcels/{uuid}")]
    async fn show(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Package>> {
        Package::get(cx, uuid).await
    }

    #[event("ParcelCreated")]
    async fn created(cx: &mut Context, event: PackageCreated) -> Result<()> {
        told(cx, format!("{} created {} {}", event.content_version(), event.sender, event.price.cents))
    }

    #[event("ParcelUpdated.sender")]
    async fn sent(cx: &mut Context, event: PackageUpdated) -> Result<()> {
        told(cx, format!("{} sent {:?} {}", event.content_version(), event.get::<String>("sender")?, event.changed("remark")))
    }

    #[event("Parcel.Weighed")]
    async fn weighed(cx: &mut Context, event: Event<Weighed>) -> Result<()> {
        told(cx, format!("{} weighed {} {}", event.content_version(), event.grams, event.scale))
    }

    fn told(cx: &Context, what: String) -> Result<()> {
        cx.resource::<Bug>()?.seen.lock().map_err(|_| Error::internal("poisoned"))?.push(what);
        Ok(())
    }
}
