//! What the macros cannot see, because they see one function at a time: checked when the service starts, and told with both places.

use crate::{
    aggregate::{AggregateDef, EventDef, is_elsewhere, sets_of},
    broker::{Subscription, Topics},
    handler::{HandlerDef, Kind},
    message::{EventName, SetChange},
    projection::{self, ProjectionDef},
    saga::{Plan, Policy, SagaDef},
};
use std::collections::BTreeMap;

/// Aggregates of one name in one service would share their streams.
pub(super) fn aggregates(belongs: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut wrong, mut known) = (Vec::new(), BTreeMap::<&str, &AggregateDef>::new());
    for def in inventory::iter::<AggregateDef>.into_iter().filter(|def| belongs(def.module)) {
        #[cfg(feature = "sensitive")]
        if def.name == crate::context::DATA_SUBJECT {
            wrong.push(format!(
                "an aggregate is named `{}`, at {}:{}, as that whose events say who was forgotten, so rename it",
                def.name, def.file, def.line
            ));
        }
        if let Some(other) = known.insert(def.name, def) {
            wrong.push(format!(
                "two aggregates named `{}`, at {}:{} and {}:{}: the name is the name of their streams, so rename one",
                def.name, other.file, other.line, def.file, def.line
            ));
        }
    }
    wrong
}

/// Events of one aggregate in one service that are stored under one name: what one has stored, the other would be applied for.
pub(super) fn events(belongs: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut wrong, mut known) = (Vec::new(), BTreeMap::<(&str, &str), &EventDef>::new());
    for def in inventory::iter::<EventDef>.into_iter().filter(|def| belongs(def.module)) {
        if is_own(def.aggregate, def.name) {
            wrong.push(format!(
                "every aggregate `{}` has an event `{}` by itself, so that at {}:{} needs another name",
                def.aggregate, def.name, def.file, def.line
            ));
        }
        if let Some(other) = known.insert((def.aggregate, def.name), def) {
            wrong.push(format!(
                "two events of `{}` are named `{}`, at {}:{} and {}:{}: the name is what is stored, so rename one",
                def.aggregate, def.name, other.file, other.line, def.file, def.line
            ));
        }
    }
    wrong
}

/// Whether it is one of the events that every aggregate has.
fn is_own(aggregate: &str, event: &str) -> bool {
    matches!(event.strip_prefix(aggregate), Some("Created" | "Updated" | "Deleted"))
}

/// Handlers of one service that would take each other's marks for their own: what one has handled, the other one would never get. Queries leave none.
pub(super) fn subscribers(defs: &[&'static HandlerDef]) -> Vec<String> {
    let (mut wrong, mut known) = (Vec::new(), BTreeMap::<String, &HandlerDef>::new());
    for def in defs.iter().filter(|def| def.kind != Kind::Query) {
        if let Some(other) = known.insert(def.subscriber(), def) {
            wrong.push(format!(
                "two handlers are `{}`, at {} and {}: under this name, which is the path without the crate, a handler marks what it has handled, so rename one, or put it into a module of another name",
                def.subscriber(),
                other.place(),
                def.place()
            ));
        }
    }
    wrong
}

/// Plans of these sagas. Sagas of one name in one service would take each other's executions for their own.
pub(super) fn sagas(defs: &[&'static SagaDef], policy: Policy, wrong: &mut Vec<String>) -> Vec<Plan> {
    let (mut plans, mut known) = (Vec::new(), BTreeMap::<&str, &SagaDef>::new());
    for def in defs {
        if let Some(other) = known.insert(def.name, def) {
            wrong.push(format!(
                "two sagas named `{}`, at {}:{} and {}:{}: the name is that of their executions, so rename one",
                def.name, other.file, other.line, def.file, def.line
            ));
        }
        match Plan::of(def, policy) {
            Ok(plan) => plans.push(plan),
            Err(illegal) => wrong.push(format!("{illegal} ({}:{})", def.file, def.line)),
        }
    }
    plans
}

/// Plans of these projections. Those of one name in one service would take each other's progress for their own, and so do their documents.
pub(super) fn projections(defs: &[&'static ProjectionDef], wrong: &mut Vec<String>) -> Vec<projection::Plan> {
    let (mut plans, mut known) = (Vec::new(), BTreeMap::<&str, &ProjectionDef>::new());
    for def in defs {
        if let Some(other) = known.insert(def.name, def) {
            wrong.push(format!(
                "two projections named `{}`, at {} and {}: the name is that of their progress, so rename one",
                def.name,
                other.place(),
                def.place()
            ));
        }
        let Some(plan) = projection::Plan::of(def, wrong) else { continue };
        for (event, function) in plan.subscriptions() {
            if let Some(why) = not_in_log(&event) {
                wrong.push(format!("nothing can bring `{}` to `{function}` of `{}` at {}: {why}", named(&event), def.name, def.place()));
            }
        }
        plans.push(plan);
    }
    plans
}

/// Events that nobody in this process can send: with the local broker, they would never come. Those of another service's aggregates are answered, to be told and not
/// refused: their service may be run in one process with this one elsewhere, and a test tells of them itself.
pub(super) fn undeliverable(topics: &Topics, wrong: &mut Vec<String>) -> Vec<String> {
    let mut awaited = Vec::new();
    for subscription in topics.subscriptions() {
        let Subscription { event, def } = subscription;
        let (name, aggregate) = (named(event), event.aggregate);
        match not_in_log(event) {
            None => {}
            Some(why) if is_here(aggregate) => wrong.push(undelivered(subscription, &why)),
            Some(_) if is_elsewhere(aggregate) => awaited.push(format!(
                "`{}` gets no `{name}` here: `{aggregate}` is another service's, and the broker `local:` is that of one process; run both in one, as `minos dev` does, or give both the same `kafka://…`",
                def.function
            )),
            Some(why) => wrong.push(undelivered(
                subscription,
                &format!("{why}; if it is another service's, say so by `#[aggregate_ref] pub struct {aggregate} {{ … }}`"),
            )),
        }
    }
    awaited
}

fn undelivered(subscription: &Subscription, why: &str) -> String {
    let Subscription { event, def } = subscription;
    let name = named(event);
    format!("nothing can deliver `{name}` to `{}` at {}: {why}", def.function, def.place())
}

/// Whether a service of this process has this aggregate.
fn is_here(aggregate: &str) -> bool {
    inventory::iter::<AggregateDef>.into_iter().any(|def| def.name == aggregate)
}

fn named(event: &EventName<'_>) -> String {
    let name: Vec<&str> = [Some(event.event), event.field, event.change.map(SetChange::word)].into_iter().flatten().collect();
    name.join(".")
}

/// Why no aggregate of this process makes such an event.
fn not_in_log(event: &EventName<'_>) -> Option<String> {
    let EventName { aggregate, event, field, change } = *event;
    #[cfg(feature = "sensitive")]
    if aggregate == crate::context::DATA_SUBJECT && event == crate::context::FORGOTTEN {
        return None;
    }
    // Services of one process may have aggregates of one name.
    let defs: Vec<_> = inventory::iter::<AggregateDef>.into_iter().filter(|def| def.name == aggregate).collect();
    let Some(def) = defs.first() else {
        let known: Vec<_> = inventory::iter::<AggregateDef>.into_iter().map(|def| def.name).collect();
        return Some(format!("there is no aggregate `{aggregate}` in this process; there are {}", list(&known)));
    };
    if let Some(field) = field {
        let known = defs.iter().any(|def| def.fields.is_empty() || def.fields.contains(&field));
        let sets = sets_of(aggregate);
        if known && change.is_some() && !sets.contains(&field) {
            return Some(format!(
                "the field `{field}` of `{aggregate}` at {}:{} is no set; sets, whose type is written `EntitySet<…>` or `ValueSet<…>`, are {}",
                def.file,
                def.line,
                list(sets)
            ));
        }
        return (!known).then(|| format!("`{aggregate}` at {}:{} has no field `{field}`; it has {}", def.file, def.line, list(def.fields)));
    }
    let events: Vec<_> = inventory::iter::<EventDef>.into_iter().filter(|def| def.aggregate == aggregate).map(|def| def.name).collect();
    (!is_own(aggregate, event) && !events.contains(&event))
        .then(|| format!("`{aggregate}` at {}:{} has no event `{event}`; it has {}", def.file, def.line, list(&events)))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

/// Topics that two services of one process claim: a request goes to one of them only.
pub(super) fn shared_topics(services: &[(&str, &Topics)]) -> Vec<String> {
    let (mut wrong, mut known) = (Vec::new(), BTreeMap::<&str, (&str, &'static HandlerDef)>::new());
    for (service, topics) in services {
        for (topic, def) in topics.requests() {
            if let Some((other, first)) = known.insert(topic, (service, def)) {
                wrong.push(format!(
                    "two services of this process handle the topic `{topic}`: `{other}` with `{}` at {} and `{service}` with `{}` at {}",
                    first.function,
                    first.place(),
                    def.function,
                    def.place()
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn def(kind: Kind, module: &'static str, file: &'static str) -> &'static HandlerDef {
        let handle: crate::handler::Handle = |_, _| unreachable!();
        Box::leak(Box::new(HandlerDef {
            kind,
            function: "order_placed",
            names: &[],
            routes: &[],
            access: crate::auth::Access::CLOSED,
            handle,
            about: crate::handler::About::NOTHING,
            module,
            file,
            line: 1,
        }))
    }

    #[test]
    fn handlers_of_one_name_in_two_crates_are_told_with_both_places() {
        let (billing, shipping) = (def(Kind::Event, "billing", "billing/src/lib.rs"), def(Kind::Event, "shipping", "shipping/src/lib.rs"));
        let [wrong] = &subscribers(&[billing, shipping])[..] else { panic!("one mistake") };
        assert!(wrong.starts_with("two handlers are `order_placed`, at billing/src/lib.rs:1 and shipping/src/lib.rs:1: "), "{wrong}");
        assert!(subscribers(&[billing, def(Kind::Event, "shipping::orders", "x.rs")]).is_empty(), "a module tells them apart");
        assert!(subscribers(&[billing, def(Kind::Query, "shipping", "x.rs")]).is_empty(), "a query marks nothing");
    }
}
