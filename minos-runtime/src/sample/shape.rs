//! What a type looks like when it is stored: as lines of text, and what is another one.

use super::maker::{Kind, Maker, ROOT, Step};
use std::fmt::Write;

/// The shape of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// In a few words: `u64`, `optional list of struct`.
    head: String,
    parts: Vec<Part>,
}

/// A field, a variant, or one of a tuple.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(super) name: String,
    /// Names that it had, which are still read.
    pub(super) also: Vec<String>,
    pub(super) shape: Shape,
}

/// Other names are no part of what is stored.
impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.shape) == (&other.name, &other.shape)
    }
}
impl Eq for Part {}

/// One difference between two shapes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where, by the names of fields.
    pub(crate) at: String,
    pub(crate) was: Option<String>,
    pub(crate) is: Option<String>,
    /// Why what was stored could not be read any more as what it is; nothing if it can.
    pub(crate) breaks: Option<&'static str>,
}

impl Part {
    pub(super) fn new(name: &str, shape: Shape) -> Self {
        Part { name: name.to_owned(), also: Vec::new(), shape }
    }
}

impl Shape {
    pub(super) fn plain(head: &str) -> Self {
        Shape { head: head.to_owned(), parts: Vec::new() }
    }

    /// The order of fields and of variants is nothing that is stored.
    pub(super) fn of(head: &str, mut parts: Vec<Part>) -> Self {
        if head != "tuple" {
            parts.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Shape { head: head.to_owned(), parts }
    }

    pub(super) fn under(self, word: &str) -> Self {
        Shape { head: format!("{word} {}", self.head), ..self }
    }

    pub(super) fn map(key: Shape, value: Shape) -> Self {
        if !key.parts.is_empty() {
            return Shape::of("map", vec![Part::new("key", key), Part::new("value", value)]);
        }
        value.under(&format!("map of {} to", key.head))
    }

    /// Its lines: the parts, and what is in them further to the right.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        if self.head != "struct" {
            let _ = writeln!(text, "  : {}", self.head);
        }
        write(&self.parts, 1, &mut text);
        text
    }

    /// Reads its lines again; nothing if they are none.
    pub(crate) fn parse<'t>(lines: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        // From the outermost part to the one that lines are in.
        let mut open: Vec<Part> = vec![Part::new("", Shape::plain("struct"))];
        for line in lines {
            let code = line.trim_start_matches(' ');
            let depth = (line.len() - code.len()) / 2;
            if let (1, Some(head)) = (depth, code.strip_prefix(": ")) {
                open.first_mut()?.shape.head = head.to_owned();
                continue;
            }
            while open.len() > depth.max(1) {
                close(&mut open)?;
            }
            if open.len() != depth {
                return None;
            }
            let (name, head) = named(code)?;
            open.push(Part::new(&name, Shape::plain(head)));
        }
        while open.len() > 1 {
            close(&mut open)?;
        }
        open.pop().map(|part| part.shape)
    }

    /// What is other in the shape that it is now. `renamed` are names of its fields, and those that they have now.
    pub(crate) fn differences(&self, now: &Shape, renamed: &[(&str, &str)]) -> Vec<Difference> {
        let mut found = Vec::new();
        compare(self, now, renamed, "", &mut found);
        found
    }
}

fn write(parts: &[Part], depth: usize, text: &mut String) {
    for Part { name, shape, .. } in parts {
        let indent = "  ".repeat(depth);
        let is_plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.$".contains(c));
        let name = if is_plain { name.clone() } else { serde_json::Value::from(name.as_str()).to_string() };
        let colon = if shape.head.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "{indent}{name}{colon}{}", shape.head);
        write(&shape.parts, depth + 1, text);
    }
}

/// The name of a line, and what stands behind it.
fn named(code: &str) -> Option<(String, &str)> {
    if !code.starts_with('"') {
        let (name, head) = code.split_once(": ").unwrap_or((code, ""));
        return Some((name.to_owned(), head));
    }
    let mut names = serde_json::Deserializer::from_str(code).into_iter::<String>();
    let name = names.next()?.ok()?;
    let rest = code.get(names.byte_offset()..)?;
    Some((name, rest.strip_prefix(": ").unwrap_or(rest)))
}

fn close(open: &mut Vec<Part>) -> Option<()> {
    let part = open.pop()?;
    open.last_mut()?.shape.parts.push(part);
    Some(())
}

fn compare(was: &Shape, is: &Shape, renamed: &[(&str, &str)], at: &str, found: &mut Vec<Difference>) {
    let mut tell = |at: &str, was: Option<&str>, is: Option<&str>, breaks| {
        found.push(Difference { at: at.to_owned(), was: was.map(str::to_owned), is: is.map(str::to_owned), breaks });
    };
    if was.head != is.head {
        // What was there always is there, and what could not be looked at is read as a sample only.
        let may_be = |what: &str| is.head.strip_prefix(what) == Some(&was.head);
        // What is sensitive is read from what was in the clear, too.
        let fits = may_be("optional ") || may_be("sensitive ") || [was, is].iter().any(|shape| shape.head.ends_with("unknown"));
        tell(at, Some(&was.head), Some(&is.head), (!fits).then_some("it has another type"));
        if !fits {
            return;
        }
    }
    let inner = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let is_enum = was.head.ends_with("enum");
    let follows = |old: &Part, new: &Part| {
        new.name == old.name || new.also.contains(&old.name) || renamed.iter().any(|(from, to)| *from == old.name && *to == new.name)
    };
    let added: Vec<&Part> = is.parts.iter().filter(|new| !was.parts.iter().any(|old| follows(old, new))).collect();
    let mut gone = Vec::new();
    let mut inside = Vec::new();
    for old in &was.parts {
        let found = is.parts.iter().find(|new| new.name == old.name).or_else(|| is.parts.iter().find(|new| follows(old, new)));
        match found {
            Some(new) if new.name != old.name => {
                tell(
                    &inner(&new.name),
                    Some(&format!("{}: {}", old.name, old.shape.head)),
                    Some(&format!("{}: {}", new.name, new.shape.head)),
                    None,
                );
                inside.push((old, new));
            }
            Some(new) => inside.push((old, new)),
            None => gone.push(old),
        }
    }
    for old in gone {
        let breaks = if is_enum {
            Some("a variant is gone")
        } else if !was.head.ends_with("struct") {
            Some("it has another type")
        } else if added.iter().any(|new| is_same(&old.shape, &new.shape)) {
            Some("a field is gone and one like it is new, as if it were renamed")
        } else {
            None
        };
        tell(&inner(&old.name), Some(&old.shape.head), None, breaks);
    }
    for new in added {
        // Whether it has a default is seen where samples are read.
        let breaks = (!is.head.ends_with("struct") && !is.head.ends_with("enum")).then_some("it has another type");
        tell(&inner(&new.name), None, Some(&new.shape.head), breaks);
    }
    for (old, new) in inside {
        compare(&old.shape, &new.shape, &[], &inner(&new.name), found);
    }
}

/// Whether the one may be the other under a new name.
fn is_same(old: &Shape, new: &Shape) -> bool {
    let bare =
        |shape: &Shape| Shape { head: shape.head.strip_prefix("optional ").unwrap_or(&shape.head).to_owned(), parts: shape.parts.clone() };
    bare(old) == bare(new)
}

impl Maker {
    /// All that was seen.
    pub(super) fn shape(&self) -> Shape {
        if self.nodes.is_empty() { Shape::plain("unknown") } else { self.shape_of(ROOT) }
    }

    fn shape_of(&self, node: usize) -> Shape {
        let node = &self.nodes[node];
        if let Some(name) = &node.again {
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
