//! Finds out what a type looks like: makes one sample of it after the other, each to see one thing.

use super::{
    TRIES,
    fault::{self, Fault, Given, Said},
    loose::KINDS,
    maker::{Ask, Kind, Maker, Node, ROOT},
    reader::Reader,
    sampler::Sampler,
    schema::{Readers, Schema},
};

/// How often something is tried that the type may refuse.
const FEW: usize = 200;

/// What a sample is to show.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Goal {
    /// All that is there.
    First,
    /// A variant that was not taken yet.
    Variant,
    /// Something about a place.
    Ask(Ask),
    /// Nothing more: it is what the program goes on with.
    Last,
    Done,
}

/// What was seen of a type so far.
pub(crate) struct Tracer {
    maker: Maker,
    goal: Goal,
    tries: usize,
    /// What is still to be seen, the next one last.
    left: Vec<Ask>,
    failed: Option<String>,
}

impl Tracer {
    pub(crate) fn new() -> Self {
        Tracer { maker: Maker::full(), goal: Goal::First, tries: 0, left: Vec::new(), failed: None }
    }

    /// What the type is to be read from.
    pub(crate) fn reader<'de>(&mut self) -> Reader<'_, 'de> {
        self.tries += 1;
        self.maker.begin();
        fault::listen();
        Reader::Sample(Sampler { maker: &mut self.maker, depth: 0, node: ROOT })
    }

    /// A sample was made. Whether that was the last one.
    pub(crate) fn made(&mut self) -> bool {
        fault::heard();
        match self.goal {
            // It was not seen.
            Goal::Ask(_) if !self.maker.has_come_up() => {}
            Goal::Ask(ask) => self.is_taken(ask),
            _ => self.maker.keep(),
        }
        let is_last = self.goal == Goal::Last;
        self.next();
        is_last
    }

    fn is_taken(&mut self, ask: Ask) {
        match ask {
            Ask::Nothing => {}
            Ask::Without(node, word, name) => self.maker.nodes[node].optional.push((word, name)),
            Ask::Plain(node) => self.maker.nodes[node].is_plain = true,
            Ask::Long(node) => self.maker.nodes[node].is_long = true,
            Ask::Kind(node, given) => self.maker.came_of(node, given, None),
            Ask::Other(node) => self.maker.nodes[node].takes_others = true,
        }
    }

    /// A sample was refused. Whether another one is to be made.
    pub(crate) fn refused(&mut self, fault: &Fault) -> bool {
        let (text, heard) = (fault.to_string(), fault::heard());
        if self.goes_on(fault, &text, &heard) {
            return true;
        }
        if matches!(self.goal, Goal::First | Goal::Last) {
            self.failed.get_or_insert(text);
            self.goal = Goal::Done;
            return false;
        }
        self.next();
        true
    }

    /// Whether another sample may show the same.
    fn goes_on(&mut self, fault: &Fault, text: &str, heard: &[Said]) -> bool {
        match self.goal {
            Goal::Ask(Ask::Kind(node, given)) if self.maker.has_come_up() => {
                self.maker.came_of(node, given, Some(heard));
                false
            }
            Goal::Ask(Ask::Other(_)) if self.maker.has_come_up() => false,
            Goal::Ask(Ask::Without(_, _, name)) if heard.contains(&Said::Missing(name)) => false,
            Goal::Ask(ask @ Ask::Without(..)) => {
                let goes_on = self.tries < FEW && (self.maker.is_alias(text) || self.maker.next());
                // Nobody has missed it, so nobody may.
                if !goes_on && self.maker.has_come_up() {
                    self.is_taken(ask);
                }
                goes_on
            }
            Goal::Ask(_) => self.tries < FEW && (self.maker.is_alias(text) || self.maker.next()),
            _ => self.tries < TRIES && (self.maker.is_alias(text) || self.maker.learn(fault.said(), heard) || self.maker.next()),
        }
    }

    fn next(&mut self) {
        self.tries = 0;
        self.goal = match self.goal {
            Goal::First | Goal::Variant if self.maker.wants_more() => Goal::Variant,
            Goal::First | Goal::Variant => {
                self.left = self.questions();
                self.left.pop().map_or(Goal::Last, Goal::Ask)
            }
            Goal::Ask(_) => self.left.pop().map_or(Goal::Last, Goal::Ask),
            Goal::Last | Goal::Done => Goal::Done,
        };
        match self.goal {
            Goal::Ask(ask) => self.maker.try_to_see(ask),
            Goal::Last => self.maker.try_to_see(Ask::Nothing),
            _ => {}
        }
    }

    /// What is to be seen of the places that there are.
    fn questions(&self) -> Vec<Ask> {
        let places = self.maker.nodes.iter().enumerate().filter(|(place, _)| !self.maker.is_again(*place));
        places.flat_map(|(place, node)| self.questions_about(place, node)).collect()
    }

    fn questions_about(&self, place: usize, node: &Node) -> Vec<Ask> {
        let mut questions = Vec::new();
        let fields = node.loose.fields.iter().filter(|(_, name)| node.tag != Some(name));
        questions.extend(fields.map(|(word, name)| Ask::Without(place, word, name)));
        let was_taken = |given| node.loose.settled == Some(given);
        match node.kind {
            Some(Kind::Struct(names)) => {
                let own = names.iter().filter(|name| !node.aliases.iter().any(|(alias, _)| alias == *name));
                let words = self.maker.words_of(place);
                for name in own {
                    let besides = if node.tag == Some(name) || words.is_empty() { &[""][..] } else { &words };
                    questions.extend(besides.iter().map(|word| Ask::Without(place, word, name)));
                }
            }
            Some(Kind::Enum(names)) if !names.is_empty() => questions.push(Ask::Other(place)),
            // What takes `null` first may be anything.
            Some(Kind::Plain("any")) if node.loose.settled.is_some() && !was_taken(Given::Null) => {
                questions.extend(KINDS.iter().map(|given| Ask::Kind(place, *given)));
            }
            _ => {}
        }
        let is_text = node.kind == Some(Kind::Plain("string")) || was_taken(Given::Text);
        if is_text && node.words.is_none() && node.taken_value.is_some_and(|taken| taken > 0) {
            questions.extend([Ask::Plain(place), Ask::Long(place)]);
        }
        questions
    }

    /// Whether serde makes one of nothing, as it does of an option where a field is missing.
    pub(crate) fn is_optional(&self) -> bool {
        let root = self.maker.nodes.get(ROOT);
        root.is_some_and(|root| root.kind == Some(Kind::Optional) && root.name.is_none() && !root.mixed)
    }

    /// What was seen, by what it is read, and why not all of it was.
    pub(crate) fn finish(self) -> (Schema, Readers, Option<String>) {
        let (schema, readers, open) = Schema::of(&self.maker);
        (schema, readers, self.failed.or(open))
    }
}
