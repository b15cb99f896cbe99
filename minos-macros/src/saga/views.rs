//! What is known where: which values each step sees, and why one that it reads is not among them.

use super::model::{Callback, Node, Saga, Step};
use crate::{
    item::{camel, canonical, plain},
    serial,
};
use quote::{ToTokens, format_ident};
use syn::{Attribute, Ident, Type};

/// A field of the input, or what a step yields.
#[derive(Clone, Copy)]
pub(super) struct Value<'s> {
    pub(super) name: &'s Ident,
    pub(super) ty: &'s Type,
    /// Attributes, if it is a field.
    pub(super) attrs: &'s [Attribute],
    /// The step, if it yields it.
    pub(super) step: Option<&'s Step>,
}

/// A step with what it sees.
pub(super) struct Seen<'s> {
    pub(super) step: &'s Step,
    /// What is known before it.
    pub(super) before: Vec<Value<'s>>,
    /// The way to it from the root of the saga.
    way: Vec<Turn>,
}

/// What is known at each point of a saga.
pub(super) struct Views<'s> {
    /// When it begins: the input.
    pub(super) input: Vec<Value<'s>>,
    /// For each step, in the order in which they are written.
    pub(super) steps: Vec<Seen<'s>>,
    /// When it has committed.
    pub(super) done: Vec<Value<'s>>,
}

/// A part of the way to a step: the node of a block, and the branch of that node.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Turn {
    node: usize,
    branch: usize,
    at: Fork,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fork {
    /// At the step itself.
    None,
    When,
    Parallel,
}

impl Value<'_> {
    pub(super) fn text(&self) -> String {
        plain(self.name)
    }

    /// Its name, as it is stored.
    pub(super) fn stored(&self) -> String {
        serial::renamed(self.attrs).unwrap_or_else(|| self.text())
    }

    pub(super) fn type_text(&self) -> String {
        canonical(self.ty.to_token_stream())
    }

    fn is_same(&self, other: &Value<'_>) -> bool {
        self.text() == other.text() && self.type_text() == other.type_text()
    }
}

impl<'s> Seen<'s> {
    /// What is known when it has succeeded.
    pub(super) fn after(&self) -> Vec<Value<'s>> {
        let mut known = self.before.clone();
        add(&mut known, self.step.value());
        known
    }
}

impl Seen<'_> {
    /// The name of the type of what is known before it; nothing if it would be none.
    pub(super) fn view(&self) -> Option<Ident> {
        let name = camel(&self.step.stored_name());
        syn::parse_str::<Ident>(&name).ok().map(|_| Ident::new(&name, self.step.name.span()))
    }

    /// That of what is known when it has succeeded, if that is more and anything looks at it.
    pub(super) fn done_view(&self) -> Option<Ident> {
        let looks = |key| self.step.callback(key).is_some_and(|callback| !matches!(callback, Callback::Nothing));
        self.step.output.as_ref().filter(|_| looks("on_success") || looks("on_failure"))?;
        self.view().map(|view| format_ident!("{view}Done"))
    }
}

impl Step {
    /// What it yields.
    pub(super) fn value(&self) -> Option<Value<'_>> {
        self.output.as_ref().map(|(name, ty)| Value { name, ty, attrs: &[], step: Some(self) })
    }
}

impl<'s> Views<'s> {
    pub(super) fn of(saga: &'s Saga) -> Self {
        let mut input: Vec<Value<'s>> = Vec::new();
        for field in &saga.fields {
            // Two of one name are for rustc to tell.
            if let Some(name) = field.ident.as_ref().filter(|name| input.iter().all(|known| known.name != *name)) {
                input.push(Value { name, ty: &field.ty, attrs: &field.attrs, step: None });
            }
        }
        let mut views = Views { input: input.clone(), steps: Vec::new(), done: Vec::new() };
        views.done = views.follow(&saga.nodes, input, &[]);
        views
    }

    /// Notes what each of these steps sees, and gives what is known behind them.
    fn follow(&mut self, nodes: &'s [Node], mut known: Vec<Value<'s>>, way: &[Turn]) -> Vec<Value<'s>> {
        for (node, part) in nodes.iter().enumerate() {
            let turn = |branch, at| way.iter().copied().chain([Turn { node, branch, at }]).collect::<Vec<_>>();
            match part {
                Node::Step(step) => {
                    self.steps.push(Seen { step, before: known.clone(), way: turn(0, Fork::None) });
                    add(&mut known, step.value());
                }
                Node::When(when) => {
                    let then = self.follow(&when.then, known.clone(), &turn(0, Fork::When));
                    let otherwise = self.follow(when.otherwise(), known.clone(), &turn(1, Fork::When));
                    let both = then.into_iter().skip(known.len()).filter(|value| otherwise.iter().any(|other| other.is_same(value)));
                    add(&mut known, both);
                }
                Node::Parallel(parallel) => {
                    let mut more = Vec::new();
                    for (n, branch) in parallel.branches.iter().enumerate() {
                        more.extend(self.follow(branch, known.clone(), &turn(n, Fork::Parallel)).into_iter().skip(known.len()));
                    }
                    add(&mut known, more);
                }
            }
        }
        known
    }

    /// What a step sees.
    pub(super) fn seen(&self, step: &Step) -> Option<&Seen<'s>> {
        self.steps.iter().find(|seen| std::ptr::eq(seen.step, step))
    }

    /// All values, each name once: the fields of the input, then what steps yield.
    pub(super) fn values(&self) -> Vec<Value<'s>> {
        let mut all = self.input.clone();
        add(&mut all, self.steps.iter().filter_map(|seen| seen.step.value()));
        all
    }

    /// Why a value is not known to a step; nothing if no step yields it.
    pub(super) fn why_unknown(&self, reader: &Seen<'s>, key: &str, name: &Ident) -> Option<String> {
        let place = self.steps.iter().position(|seen| std::ptr::eq(seen, reader))?;
        let yields = |seen: &&Seen<'s>| seen.step.value().is_some_and(|value| value.text() == plain(name));
        let of = self.steps.iter().find(yields)?;
        let giver = &of.step.name;
        let step = if key == "when" { "this condition".to_owned() } else { format!("`{}`", reader.step.name) };
        if std::ptr::eq(of, reader) && key != "when" {
            return Some(format!("`{name}` is what this step yields, so its `{key}` cannot read it"));
        }
        let fork = of.way.iter().zip(&reader.way).find(|(a, b)| a != b).filter(|(a, b)| a.node == b.node).map(|(a, _)| a.at);
        let is_later = self.steps.iter().skip(place).any(|seen| std::ptr::eq(seen, of));
        Some(match fork {
            Some(Fork::Parallel) => format!(
                "`{name}` is not known here: step `{giver}` yields it, while {step} runs in parallel to it\nhelp: read it in a step behind the `parallel`"
            ),
            Some(_) => format!("`{name}` is not known here: step `{giver}` yields it, in the other branch of the `when`"),
            None if is_later => format!("`{name}` is not known yet: step `{giver}` yields it, later than {step}"),
            None => format!(
                "`{name}` is not known here: step `{giver}` yields it, in one branch of a `when` only\nhelp: yield it in the other branch, too"
            ),
        })
    }
}

/// Adds those whose names are new.
fn add<'s>(known: &mut Vec<Value<'s>>, more: impl IntoIterator<Item = Value<'s>>) {
    for value in more {
        if known.iter().all(|known| known.text() != value.text()) {
            known.push(value);
        }
    }
}
