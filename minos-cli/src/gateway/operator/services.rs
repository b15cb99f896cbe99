//! All services, as the first page of the console shows them.

use super::places::Missing;
use crate::gateway::{app::App, metrics::standing};
use serde_json::{Value, json};

/// Each service with its instances, routes and conflicts, and whether its operator's API can be asked.
pub(in crate::gateway) fn told(app: &App) -> Value {
    let table = app.table.load();
    let places = &table.operated;
    let of = |service: &str| {
        let instances = table.instances.iter().filter(|one| one.service == service).map(|one| {
            let place = places.of(service).iter().find(|place| place.id == one.id);
            json!({
                "id": one.id, "url": one.url, "state": standing(one.standing()), "under_way": one.load(), "ejections": one.ejections(),
                "admin": place.map(|place| &place.url),
            })
        });
        let routes =
            table.routes().filter(|route| route.service == service).map(|route| json!({ "method": route.method, "path": route.path }));
        let conflicts = table.conflicts.iter().filter(|conflict| conflict.service == service);
        let unusable = table.unusable.iter().filter(|(other, _)| other == service).map(|(_, why)| why);
        let missing = places.missing(service).map(|missing| match missing {
            Missing::Service => format!("nobody runs `{service}`"),
            Missing::Address(why) => why,
        });
        json!({
            "service": service,
            "instances": instances.collect::<Vec<_>>(),
            "routes": routes.collect::<Vec<_>>(),
            "conflicts": conflicts.map(|conflict| json!({ "route": conflict.route, "kept_by": conflict.kept_by })).collect::<Vec<_>>(),
            "unusable": unusable.collect::<Vec<_>>(),
            "missing": missing,
        })
    };
    json!({
        "services": places.names().map(of).collect::<Vec<_>>(),
        "registry": app.services.as_ref().map(|services| json!({ "is": services.describe(), "failing": services.failing() })),
    })
}
