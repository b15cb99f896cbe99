//! One document of what all services can be asked, made of those that they give themselves.

mod combine;

use super::{
    app::App,
    upstream::{Instance, Standing, fetch},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The page that shows it. It needs nothing from elsewhere.
pub(super) const PAGE: &str = include_str!("page.html");
/// Where each service has its own.
const PATH: &str = "/openapi.json";
/// The largest document of a service.
const MAX: usize = 8 * 1024 * 1024;

/// What all services can be asked.
pub(super) struct Documents {
    text: ArcSwap<Bytes>,
    /// Services without a document, and why.
    missing: ArcSwap<BTreeMap<String, String>>,
}

impl Default for Documents {
    fn default() -> Self {
        let none = Bytes::from(combine::combine("All services", &BTreeMap::new(), &[]).to_string());
        Documents { text: ArcSwap::from_pointee(none), missing: ArcSwap::default() }
    }
}

impl Documents {
    pub(super) fn text(&self) -> Bytes {
        Bytes::clone(&self.text.load())
    }

    pub(super) fn missing(&self) -> BTreeMap<String, String> {
        BTreeMap::clone(&self.missing.load())
    }
}

/// Asks all services for their documents. One that gives none leaves a gap and nothing else: what it said last still holds.
pub(super) async fn refresh(app: &App, known: &mut BTreeMap<String, Value>) {
    let table = app.table.load_full();
    let mut by_service = BTreeMap::<&str, Vec<&Arc<Instance>>>::new();
    for instance in &table.instances {
        by_service.entry(&instance.service).or_default().push(instance);
    }
    known.retain(|service, _| by_service.contains_key(service.as_str()));
    let mut missing = BTreeMap::new();
    for (service, instances) in by_service {
        match ask(&instances).await {
            Ok(document) => drop(known.insert(service.to_owned(), document)),
            Err(why) => drop(missing.insert(service.to_owned(), why)),
        }
    }
    let served: Vec<_> = table.routes().map(|route| (route.service.clone(), route.method.clone(), route.path.clone())).collect();
    let document = combine::combine(&app.config.openapi.title, known, &served);
    app.documents.text.store(Arc::new(Bytes::from(document.to_string())));
    app.documents.missing.store(Arc::new(missing));
}

async fn ask(instances: &[&Arc<Instance>]) -> Result<Value, String> {
    let mut why = "no instance can be asked".to_owned();
    for instance in instances.iter().filter(|one| one.standing() == Standing::In).take(2) {
        match fetch(instance, PATH, MAX).await {
            Ok(bytes) => match serde_json::from_slice::<Value>(&bytes) {
                Ok(document) if document.is_object() => return Ok(document),
                Ok(_) => why = format!("{}{PATH} is no object", instance.url),
                Err(error) => why = format!("{}{PATH} is no JSON: {error}", instance.url),
            },
            Err(error) => why = format!("{}{PATH}: {error}", instance.url),
        }
    }
    Err(why)
}
