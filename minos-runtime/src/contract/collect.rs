//! The contract, from what the macros have registered.

use super::{
    Parts,
    model::{Aggregate, Answer, Components, Consumes, Contract, Event, Message, Operation, Route, Saga, Step, VERSION},
    problems,
};
use crate::{
    aggregate::{AggregateDef, EventDef, tell_rules},
    clock,
    context::{Environment, Resources},
    handler::{Asked, HandlerDef, Kind, Parameter, parameters},
    message::{EventName, MessageDef},
    metrics::Metrics,
    saga::{Node, SagaDef, Work},
    sample::{Look, Schema, Seen, rename, unmark},
    store::MemoryStore,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, panic::catch_unwind, sync::Arc};

type Schemas = BTreeMap<String, Value>;

/// Collects it.
pub(super) fn contract(parts: &Parts<'_>) -> Contract {
    let mut collected = Collected::new();
    let (mut operations, mut events) = (BTreeMap::new(), BTreeMap::new());
    for def in parts.handlers {
        match def.kind {
            // What Minos itself handles is no promise.
            Kind::Command | Kind::Query if !def.function.ends_with(".states") => {
                let operation = collected.operation(def, parts);
                operations.insert(free_name(def, &operations), operation);
            }
            Kind::Event => collected.subscriptions(def, &mut events),
            _ => {}
        }
    }
    let aggregates = collected.aggregates(parts);
    let messages = collected.messages(parts);
    let renamed = unmark(&mut collected.schemas);
    for operation in operations.values_mut() {
        let in_path = operation.path.iter_mut().map(|(_, schema)| schema);
        in_path.chain(&mut operation.query).chain(&mut operation.input).for_each(|schema| rename(schema, &renamed));
    }
    Contract {
        contract: VERSION,
        service: parts.service.to_owned(),
        operations,
        aggregates,
        sagas: parts.sagas.iter().map(|def| (def.name.to_owned(), saga(def))).collect(),
        consumes: Consumes { events, messages },
        components: Components { schemas: collected.schemas },
        hidden: collected.hidden,
    }
}

/// The function's name, or with its module if there is another one.
fn free_name(def: &HandlerDef, known: &BTreeMap<String, Operation>) -> String {
    if known.contains_key(def.function) { def.subscriber().replace("::", "_") } else { def.function.to_owned() }
}

/// What was seen so far.
struct Collected {
    schemas: Schemas,
    hidden: Vec<String>,
    /// Handlers are asked for their parameters with it. Nothing is in it, and nothing gets in.
    environment: Arc<Environment>,
}

impl Collected {
    fn new() -> Self {
        let metrics = Metrics::new("contract");
        let environment = Environment::new("contract", Arc::new(MemoryStore::new()), clock::system(), Resources::default(), metrics);
        Collected { schemas: Schemas::new(), hidden: Vec::new(), environment: Arc::new(environment) }
    }

    /// What was seen of a type; anything, if nothing was.
    fn seen(&mut self, look: Look, around: &str, what: impl FnOnce() -> String) -> (Value, bool) {
        #[cfg(feature = "sensitive")]
        let _sampling = crate::sensitive::sampling();
        // A type of the user may not be made for what it is given.
        match catch_unwind(|| look.see()).unwrap_or_else(|_| Some(Seen::nothing())) {
            Some(seen) => {
                if let Some(why) = &seen.hidden {
                    self.hidden.push(format!("{}: not all of it is described, since no sample of it could be made: {why}", what()));
                }
                let is_free = seen.is_free;
                (seen.around(around).schema.put(&mut self.schemas), is_free)
            }
            None => {
                self.hidden.push(format!("{} is not described: write `Deserialize` beside its `Serialize`", what()));
                (Schema::open().root, false)
            }
        }
    }

    fn operation(&mut self, def: &HandlerDef, parts: &Parts<'_>) -> Operation {
        let parameters = parameters(def, &self.environment);
        let mut operation = Operation {
            kind: def.kind.name(),
            doc: def.about.doc,
            module: def.module.split_once("::").map_or_else(String::new, |(_, module)| module.to_owned()),
            routes: def.routes.iter().map(|(method, path)| Route { method, path }).collect(),
            topics: def.names.to_vec(),
            access: problems::security(def, parts),
            path: Vec::new(),
            query: None,
            input: None,
            answer: self.answer(def),
            problems: problems::of(def, parts),
        };
        let mut named = def.routes.first().map_or_else(Vec::new, |(_, path)| names_in(path));
        for Parameter { asked, schema, readers, hidden } in parameters {
            // What is handed in is to be as the rules say. What is answered may be older than they are.
            let schema = schema.told(&readers, tell_rules);
            if let Some(why) = hidden {
                self.hidden.push(format!("a parameter of `{}` at {}: not all of it is described: {why}", def.function, def.place()));
            }
            match asked {
                Asked::Path => operation.path = in_path(&std::mem::take(&mut named), &schema),
                Asked::Query => operation.query = Some(schema.put(&mut self.schemas)),
                Asked::Input => operation.input = Some(schema.put(&mut self.schemas)),
                Asked::Headers | Asked::Event => {}
            }
        }
        operation.path.extend(named.into_iter().map(|name| (name, json!({ "type": "string" }))));
        operation
    }

    fn answer(&mut self, def: &HandlerDef) -> Answer {
        let about = &def.about;
        let what = || format!("the answer `{}` of `{}` at {}", about.answer_type, def.function, def.place());
        let (content, is_free) = self.seen(Look::Whole(about.answer), about.around, what);
        match content.get("type").and_then(Value::as_str) {
            _ if is_free => Answer { status: None, content: None },
            Some("null") => Answer { status: Some(204), content: None },
            _ => Answer { status: Some(200), content: Some(content) },
        }
    }

    fn subscriptions(&mut self, def: &HandlerDef, events: &mut BTreeMap<&'static str, Value>) {
        let is_event = |parameter: &Parameter| matches!(parameter.asked, Asked::Input | Asked::Event);
        let content = match parameters(def, &self.environment).into_iter().find(is_event) {
            Some(Parameter { schema, hidden, .. }) => {
                let why =
                    hidden.map(|why| format!("the event of `{}` at {}: not all of it is described: {why}", def.function, def.place()));
                self.hidden.extend(why);
                schema.put(&mut self.schemas)
            }
            None => json!({}),
        };
        for name in def.names {
            let known = events.entry(name).or_insert_with(|| content.clone());
            // Two that read it: which of them reads what is not told apart.
            if *known != content {
                *known = json!({});
            }
        }
    }

    fn aggregates(&mut self, parts: &Parts<'_>) -> BTreeMap<String, Aggregate> {
        let mut all = BTreeMap::new();
        let mut defs: Vec<_> = inventory::iter::<AggregateDef>.into_iter().filter(|def| (parts.owns)(def.module)).collect();
        defs.sort_by_key(|def| def.name);
        for def in defs {
            let name = def.name;
            let (state, _) = self.seen(def.look, "", || format!("the aggregate `{name}`"));
            let changes = self.changes(&state);
            let mut events = BTreeMap::from([
                (format!("{name}Created"), Event { version: 1, content: state }),
                (format!("{name}Updated"), Event { version: 1, content: changes }),
                (format!("{name}Deleted"), Event { version: 1, content: json!({}) }),
            ]);
            let mut own: Vec<_> = inventory::iter::<EventDef>.into_iter().filter(|event| event.aggregate == name).collect();
            own.retain(|event| (parts.owns)(event.module));
            own.sort_by_key(|event| event.name);
            for event in own {
                let (content, _) = self.seen(event.look, "", || format!("the event `{name}.{}`", event.name));
                events.insert(event.name.to_owned(), Event { version: event.version, content });
            }
            all.insert(name.to_owned(), Aggregate { events });
        }
        all
    }

    /// An update: any of the fields, and what happened to sets.
    fn changes(&self, state: &Value) -> Value {
        let of_name = |text: &Value| text.as_str().and_then(|text| text.rsplit('/').next()).map(str::to_owned);
        let named = state.get("$ref").and_then(of_name).and_then(|name| self.schemas.get(&name));
        let fields = named.unwrap_or(state).get("properties").cloned().unwrap_or_else(|| json!({}));
        json!({ "type": "object", "properties": fields })
    }

    fn messages(&mut self, parts: &Parts<'_>) -> BTreeMap<&'static str, Message> {
        let mut defs: Vec<_> = inventory::iter::<MessageDef>.into_iter().filter(|def| (parts.owns)(def.module)).collect();
        defs.sort_by_key(|def| (def.name, def.module, def.line));
        let mut messages = BTreeMap::new();
        for def in defs {
            let (content, _) = self.seen(def.content, "", || format!("the message `{}` at {}:{}", def.name, def.file, def.line));
            let (reply, _) = self.seen(Look::Whole(def.reply), "", || format!("what `{}` at {}:{} answers", def.name, def.file, def.line));
            messages.entry(def.name).or_insert(Message { content, reply });
        }
        messages
    }
}

/// The parameters of a path, in their order.
fn names_in(path: &str) -> Vec<String> {
    let part = |part: &str| Some(part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*').to_owned());
    path.split('/').filter_map(part).collect()
}

/// What `Path<…>` says of them: one value, some in their order, or a struct.
fn in_path(names: &[String], schema: &Schema) -> Vec<(String, Value)> {
    let whole = schema.resolved();
    let of = |(n, name): (usize, &String)| {
        let nth = whole.get("prefixItems").and_then(|items| items.get(n)).or_else(|| whole.get("items"));
        let field = || whole.get("properties").and_then(|fields: &Value| fields.get(name));
        let one = || (names.len() == 1 && whole.get("properties").is_none()).then_some(whole);
        let schema = nth.or_else(field).or_else(one).cloned().unwrap_or_else(|| json!({ "type": "string" }));
        (name.clone(), schema)
    };
    names.iter().enumerate().map(of).map(|(name, value)| (name, replaced(value, schema))).collect()
}

/// A named schema itself, since a parameter stands alone.
fn replaced(value: Value, among: &Schema) -> Value {
    let name = value.get("$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next());
    match name.and_then(|name| among.named.get(name)) {
        Some(named) => named.clone(),
        None => value,
    }
}

fn saga(def: &SagaDef) -> Saga {
    let mut steps = Vec::new();
    walk(def.nodes, &mut steps);
    Saga { input: def.input.iter().map(|field| (field.name, field.ty)).collect(), steps }
}

fn walk(nodes: &[Node], steps: &mut Vec<Step>) {
    for node in nodes {
        match node {
            Node::Step(step) => steps.push(Step {
                name: step.name,
                work: if matches!(step.work, Work::Remote { .. }) { "remote" } else { "local" },
                yields: step.output.map(|output| output.ty),
            }),
            Node::When { then, otherwise, .. } => {
                walk(then, steps);
                walk(otherwise, steps);
            }
            Node::Parallel(branches) => branches.iter().for_each(|branch| walk(branch, steps)),
        }
    }
}

/// The topic of an event, which is the name of its aggregate.
pub(super) fn topic_of(event: &str) -> &str {
    EventName::parse(event).map_or(event, |name| name.aggregate)
}
