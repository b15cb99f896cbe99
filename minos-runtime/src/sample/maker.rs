//! What was chosen and what was seen while values of a type are made.

use super::shape::{Part, Shape};
use std::collections::HashMap;

/// Where a type begins.
pub(super) const ROOT: usize = 0;

/// From a place in a type to one in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a struct, or a variant of an enum.
    Named(&'static str),
    Nth(usize),
    Some,
    Item,
    Key,
}

/// What a type asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Plain(&'static str),
    Optional,
    #[cfg(feature = "sensitive")]
    Sensitive,
    List,
    Tuple(usize),
    Map,
    Struct(&'static [&'static str]),
    Enum(&'static [&'static str]),
}

/// A place in a type.
#[derive(Default)]
struct Node {
    parent: Option<(usize, Step)>,
    kind: Option<Kind>,
    parts: Vec<(Step, usize)>,
    /// The types that are here, by what reads them: one, and those around it that are written as what is in them.
    types: Vec<&'static str>,
    /// The name of the type, if it is one that it stands in.
    again: Option<&'static str>,
    /// Whether it stands in such a one.
    within: bool,
    /// The variants that were taken.
    taken: Vec<&'static str>,
    /// Other names of fields, and those that they mean.
    aliases: Vec<(&'static str, String)>,
    /// Fields whose other names come later.
    first: Vec<&'static str>,
}

/// What was chosen so far. Whoever refuses a value does so before the next one is made: so it is the last choice that is changed first.
#[derive(Default)]
pub(super) struct Maker {
    /// Which of how many, in the order in which they are made.
    choices: Vec<(usize, usize)>,
    pub(super) made: usize,
    pub(super) path: Vec<String>,
    /// Whether values show as much of the type as there is, and not as little.
    pub(super) full: bool,
    nodes: Vec<Node>,
    /// Which variants are to be taken, by place.
    wanted: HashMap<usize, &'static str>,
    /// The variants that were wanted once.
    tried: Vec<(usize, &'static str)>,
    /// The field whose name was given last.
    offered: Option<(usize, &'static str)>,
}

impl Maker {
    pub(super) fn full() -> Self {
        Maker { full: true, ..Maker::default() }
    }

    pub(super) fn begin(&mut self) {
        (self.made, self.path, self.offered) = (0, Vec::new(), None);
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
    }

    /// One of so many.
    pub(super) fn choose(&mut self, of: usize) -> usize {
        let chosen = self.choices.get(self.made).map_or(0, |(chosen, _)| *chosen);
        if self.made == self.choices.len() {
            self.choices.push((0, of));
        }
        self.made += 1;
        chosen
    }

    /// The next way to choose; false if there is none.
    pub(super) fn next(&mut self) -> bool {
        self.choices.truncate(self.made);
        while let Some((chosen, of)) = self.choices.pop() {
            if chosen + 1 < of {
                self.choices.push((chosen + 1, of));
                return true;
            }
        }
        false
    }

    pub(super) fn child(&mut self, node: usize, step: Step) -> usize {
        if let Some((_, child)) = self.nodes[node].parts.iter().find(|(known, _)| *known == step) {
            return *child;
        }
        let child = self.nodes.len();
        let within = self.is_again(node);
        self.nodes.push(Node { parent: Some((node, step)), within, ..Node::default() });
        self.nodes[node].parts.push((step, child));
        child
    }

    pub(super) fn note(&mut self, node: usize, kind: Kind) {
        self.nodes[node].kind.get_or_insert(kind);
    }

    /// A type with a name begins here.
    pub(super) fn enter(&mut self, node: usize, name: &'static str, ty: &'static str) {
        let mut above = self.nodes[node].parent;
        while let Some((parent, _)) = above {
            if self.nodes[parent].types.contains(&ty) {
                self.nodes[node].again.get_or_insert(name);
                return;
            }
            above = self.nodes[parent].parent;
        }
        if !self.nodes[node].types.contains(&ty) {
            self.nodes[node].types.push(ty);
        }
    }

    /// Whether the type that is here is one that it stands in, so that nothing new is to be seen.
    pub(super) fn is_again(&self, node: usize) -> bool {
        self.nodes[node].within || self.nodes[node].again.is_some()
    }

    /// The place of a variant: the one that is wanted comes first.
    pub(super) fn place_of(&self, node: usize, chosen: usize, of: usize) -> Option<usize> {
        let Some(Kind::Enum(names)) = self.nodes[node].kind else { return None };
        let wanted = self.wanted.get(&node).and_then(|wanted| names.iter().position(|name| name == wanted)).unwrap_or(0);
        (wanted + chosen).checked_rem(of)
    }

    pub(super) fn takes(&mut self, node: usize, variant: &'static str) {
        if !self.nodes[node].taken.contains(&variant) {
            self.nodes[node].taken.push(variant);
        }
    }

    /// Begins anew for a variant that was not taken yet; false if there is none.
    pub(super) fn wants_more(&mut self) -> bool {
        let missing = self.nodes.iter().enumerate().find_map(|(place, node)| {
            let Some(Kind::Enum(names)) = node.kind.filter(|_| !node.within && node.again.is_none()) else { return None };
            names.iter().find(|name| !node.taken.contains(name) && !self.tried.contains(&(place, name))).map(|name| (place, *name))
        });
        let Some((place, name)) = missing else { return false };
        self.tried.push((place, name));
        self.choices.clear();
        self.wanted = HashMap::from([(place, name)]);
        // What stands in a variant needs that one.
        let mut above = self.nodes[place].parent;
        while let Some((parent, step)) = above {
            if let (Some(Kind::Enum(_)), Step::Named(variant)) = (self.nodes[parent].kind, step) {
                self.wanted.insert(parent, variant);
            }
            above = self.nodes[parent].parent;
        }
        true
    }

    /// The names that are given for the fields of a struct, the first one last.
    pub(super) fn offered(&self, node: usize, names: &'static [&'static str]) -> Vec<&'static str> {
        let node = &self.nodes[node];
        let others = names.iter().filter(|name| !node.first.contains(name) && !node.aliases.iter().any(|(alias, _)| alias == *name));
        let mut names: Vec<_> = node.first.iter().chain(others).copied().collect();
        names.reverse();
        names
    }

    pub(super) fn offer(&mut self, node: usize, name: &'static str) {
        self.path.push(name.to_owned());
        self.offered = Some((node, name));
    }

    /// Whether a value was only refused because a field was given by two of its names. serde names aliases among the fields, and says which field it is.
    pub(super) fn is_alias(&mut self, refusal: &str) -> bool {
        let (Some((node, name)), Some(field)) = (self.offered, refusal.strip_prefix("duplicate field `")) else { return false };
        let Some(field) = field.strip_suffix('`') else { return false };
        let node = &mut self.nodes[node];
        if field != name {
            node.aliases.push((name, field.to_owned()));
        } else if node.first.contains(&name) {
            return false;
        } else {
            node.first.push(name);
        }
        true
    }

    /// All that was seen.
    pub(super) fn shape(&self) -> Shape {
        if self.nodes.is_empty() { Shape::plain("unknown") } else { self.shape_of(ROOT) }
    }

    fn shape_of(&self, node: usize) -> Shape {
        let node = &self.nodes[node];
        if let Some(name) = node.again {
            return Shape::plain(&format!("{name} again"));
        }
        let part = |step: Step| {
            let found = node.parts.iter().find(|(known, _)| *known == step);
            found.map_or_else(|| Shape::plain("unknown"), |(_, child)| self.shape_of(*child))
        };
        let named = |name: &&'static str| {
            let also = node.aliases.iter().filter(|(_, of)| of == name).map(|(alias, _)| (*alias).to_owned()).collect();
            Part { name: (*name).to_owned(), also, shape: part(Step::Named(name)) }
        };
        match node.kind {
            None => Shape::plain("unknown"),
            Some(Kind::Plain(kind)) => Shape::plain(kind),
            Some(Kind::Optional) => part(Step::Some).under("optional"),
            #[cfg(feature = "sensitive")]
            Some(Kind::Sensitive) => part(Step::Some).under("sensitive"),
            Some(Kind::List) => part(Step::Item).under("list of"),
            Some(Kind::Map) => Shape::map(part(Step::Key), part(Step::Item)),
            Some(Kind::Tuple(of)) => Shape::of("tuple", (0..of).map(|n| Part::new(&n.to_string(), part(Step::Nth(n)))).collect()),
            Some(Kind::Struct(names)) => {
                let is_alias = |name: &&&str| node.aliases.iter().any(|(alias, _)| alias == *name);
                Shape::of("struct", names.iter().filter(|name| !is_alias(name)).map(named).collect())
            }
            Some(Kind::Enum(names)) => Shape::of("enum", names.iter().map(named).collect()),
        }
    }
}
