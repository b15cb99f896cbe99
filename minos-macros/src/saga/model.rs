//! A saga as it was written: plain data.

use crate::{door::Door, item::plain};
use proc_macro2::TokenStream;
use std::time::Duration;
use syn::{Attribute, Field, Ident, Pat, Token, Type, Visibility};

/// A saga.
pub(super) struct Saga {
    pub(super) door: Door,
    pub(super) attrs: Vec<Attribute>,
    /// `#[isolated]`: nobody else sees what its steps do before all of them are done.
    pub(super) isolated: bool,
    pub(super) vis: Visibility,
    pub(super) name: Ident,
    /// The fields of its input.
    pub(super) fields: Vec<Field>,
    pub(super) nodes: Vec<Node>,
}

/// A part of a saga.
pub(super) enum Node {
    Step(Box<Step>),
    When(When),
    Parallel(Parallel),
}

/// `when |saga| condition { … } otherwise { … }`.
pub(super) struct When {
    pub(super) word: Ident,
    pub(super) condition: Callback,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Option<(Ident, Vec<Node>)>,
}

/// `parallel { … }`: each node is a branch, and so is each `{ … }` of several.
pub(super) struct Parallel {
    pub(super) word: Ident,
    pub(super) branches: Vec<Vec<Node>>,
}

/// `pivot remote name -> output: Type { … }`.
pub(super) struct Step {
    pub(super) docs: Vec<Attribute>,
    pub(super) pivot: Option<Ident>,
    pub(super) retriable: Option<Ident>,
    pub(super) place: Place,
    pub(super) name: Ident,
    pub(super) output: Option<(Ident, Type)>,
    pub(super) callbacks: Vec<(Ident, Callback)>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry: Option<Retry>,
}

/// Where a step does its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Remote,
    Local,
}

/// When a step is tried again.
#[derive(Clone, Copy)]
pub(super) struct Retry {
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
}

/// What stands behind `on_…:`.
pub(super) enum Callback {
    Closure(Box<Closure>),
    /// The path of a function.
    Function(TokenStream),
    /// `()`: there is nothing to do.
    Nothing,
}

/// A closure. Its body is left unread: what is unfinished in it is for rustc to tell, and for the editor to complete.
pub(super) struct Closure {
    pub(super) asyncness: Option<Token![async]>,
    /// The parameters with their bars.
    pub(super) bars: TokenStream,
    pub(super) params: Vec<(Pat, Option<Type>)>,
    pub(super) output: Option<Type>,
    pub(super) body: TokenStream,
}

impl Place {
    pub(super) fn word(self) -> &'static str {
        match self {
            Place::Remote => "remote",
            Place::Local => "local",
        }
    }
}

impl Step {
    pub(super) fn callback(&self, key: &str) -> Option<&Callback> {
        self.key(key).map(|(_, callback)| callback)
    }

    /// A callback with the word before it.
    pub(super) fn key(&self, key: &str) -> Option<&(Ident, Callback)> {
        self.callbacks.iter().find(|(known, _)| known == key)
    }

    /// Its name, as it is stored.
    pub(super) fn stored_name(&self) -> String {
        plain(&self.name)
    }

    /// Whether the saga can fail here.
    pub(super) fn can_fail(&self) -> bool {
        self.retriable.is_none()
    }
}

impl Closure {
    /// The name of a parameter.
    pub(super) fn param(&self, n: usize) -> Option<&Ident> {
        match self.params.get(n) {
            Some((Pat::Ident(pat), _)) => Some(&pat.ident),
            _ => None,
        }
    }
}

/// Calls `visit` for each step, in the order in which they are written.
pub(super) fn each_step<'n>(nodes: &'n [Node], visit: &mut dyn FnMut(&'n Step)) {
    each_node(nodes, &mut |node| {
        if let Node::Step(step) = node {
            visit(step);
        }
    });
}

/// Calls `visit` for each node, in the order in which they are written.
pub(super) fn each_node<'n>(nodes: &'n [Node], visit: &mut dyn FnMut(&'n Node)) {
    for node in nodes {
        visit(node);
        match node {
            Node::Step(_) => {}
            Node::When(when) => {
                each_node(&when.then, visit);
                each_node(when.otherwise(), visit);
            }
            Node::Parallel(parallel) => parallel.branches.iter().for_each(|branch| each_node(branch, visit)),
        }
    }
}

impl When {
    pub(super) fn otherwise(&self) -> &[Node] {
        self.otherwise.as_ref().map(|(_, nodes)| nodes.as_slice()).unwrap_or_default()
    }
}

/// The first step of these, whose name the decision for them has.
pub(super) fn first_step(nodes: &[Node]) -> Option<&Step> {
    let mut first = None;
    each_step(nodes, &mut |step| {
        first.get_or_insert(step);
    });
    first
}
