//! A saga as an image, in SVG: boxes from top to bottom, what is parallel side by side.
//!
//! A saga is made of sequences, choices and forks, each within the other, so each of them is a block: it knows its size, is entered in the middle of its
//! top and left in the middle of its bottom, and places the blocks in it.

use super::{class_of, class_of_step, decision, end, lines, yes_and_no};
use crate::saga::{Decision, Execution, Node, SagaDef, Step, StepKind, Work};
use std::fmt::{Arguments, Write};

/// In pixels.
const MARGIN: i32 = 16;
/// Between a block and the one below.
const DOWN: i32 = 28;
/// Between blocks side by side.
const ASIDE: i32 = 28;
const LINE: i32 = 16;
/// About the width of a letter; a broad one has two.
const LETTER: i32 = 7;
/// The narrowest a block may be, so that the ways of a choice begin beside it.
const NARROWEST: i32 = 72;
const CHOICE: (i32, i32) = (72, 44);
const BAR: i32 = 5;
/// How many letters of a line are shown; all of it is in the title of its box.
const LONGEST: usize = 44;

/// The picture of a saga; with an execution, how far that has come. Remote steps have double sides, the pivot has six corners, and what can only be
/// retried is round. It has no scripts and loads nothing, and what is in it from outside is text.
pub fn svg(def: &SagaDef, execution: Option<&Execution>) -> String {
    let mut all = vec![Block::new(Shape::Round, None, vec![def.name.to_owned()])];
    all.extend(blocks(def.nodes, execution));
    all.push(Block::new(Shape::Round, execution.map(|execution| class_of(execution.status)), vec![end(execution).to_owned()]));
    let all = Block::column(all);
    let (width, height) = (all.width + 2 * MARGIN, all.height + 2 * MARGIN);
    let mut picture = Picture(String::new());
    picture.add(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">"#
    ));
    picture.add(format_args!("<title>{}</title>", escaped(def.name)));
    picture.add(format_args!(
        r##"<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555555"/></marker></defs>"##
    ));
    picture.add(format_args!(r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##));
    picture.block(&all, width / 2, MARGIN);
    picture.add(format_args!("</svg>"));
    picture.0
}

struct Block {
    width: i32,
    height: i32,
    kind: Kind,
}

enum Kind {
    Box { shape: Shape, class: Option<&'static str>, lines: Vec<String> },
    Column(Vec<Block>),
    Choice { class: Option<&'static str>, ways: Box<[(&'static str, Block); 2]> },
    Fork(Vec<Block>),
}

#[derive(Clone, Copy)]
enum Shape {
    Plain,
    Double,
    Hexagon,
    Round,
}

fn blocks(nodes: &[Node], execution: Option<&Execution>) -> Vec<Block> {
    let block = |node: &Node| match node {
        Node::Step(step) => Block::step(step, execution),
        Node::When { then, otherwise, .. } => {
            let decision = decision(then, execution);
            let class = matches!(decision, Some(Decision::Stuck(_))).then_some("stuck");
            let (yes, no) = yes_and_no(decision);
            Block::choice(class, [(yes, Block::column(blocks(then, execution))), (no, Block::column(blocks(otherwise, execution)))])
        }
        Node::Parallel(branches) => Block::fork(branches.iter().map(|branch| Block::column(blocks(branch, execution))).collect()),
    };
    nodes.iter().map(block).collect()
}

impl Block {
    fn new(shape: Shape, class: Option<&'static str>, lines: Vec<String>) -> Self {
        let longest = lines.iter().map(|line| letters(&shown(line))).max().unwrap_or_default();
        let height = lines.len() as i32 * LINE + 14;
        Block { width: (longest as i32 * LETTER + 36).max(NARROWEST), height, kind: Kind::Box { shape, class, lines } }
    }

    fn step(step: &Step, execution: Option<&Execution>) -> Self {
        let state = execution.and_then(|execution| execution.steps.get(step.name));
        let shape = match (step.kind, &step.work) {
            (StepKind::Pivot, _) => Shape::Hexagon,
            (StepKind::Retriable, _) => Shape::Round,
            (StepKind::Compensable, Work::Remote { .. }) => Shape::Double,
            (StepKind::Compensable, Work::Local { .. }) => Shape::Plain,
        };
        Block::new(shape, state.map(class_of_step), lines(step, state))
    }

    fn column(blocks: Vec<Block>) -> Self {
        let width = blocks.iter().map(|block| block.width).max().unwrap_or(NARROWEST);
        let gaps = DOWN * (blocks.len() as i32 - 1).max(0);
        Block { width, height: blocks.iter().map(|block| block.height).sum::<i32>() + gaps, kind: Kind::Column(blocks) }
    }

    fn choice(class: Option<&'static str>, ways: [(&'static str, Block); 2]) -> Self {
        let [(_, yes), (_, no)] = &ways;
        let height = CHOICE.1 + DOWN + yes.height.max(no.height) + DOWN / 2;
        Block { width: yes.width + ASIDE + no.width, height, kind: Kind::Choice { class, ways: Box::new(ways) } }
    }

    fn fork(branches: Vec<Block>) -> Self {
        let gaps = ASIDE * (branches.len() as i32 - 1).max(0);
        let width = branches.iter().map(|branch| branch.width).sum::<i32>() + gaps;
        let height = branches.iter().map(|branch| branch.height).max().unwrap_or_default() + 2 * (BAR + DOWN);
        Block { width, height, kind: Kind::Fork(branches) }
    }

    /// Whether there is nothing in it: a way goes through.
    fn is_empty(&self) -> bool {
        matches!(&self.kind, Kind::Column(blocks) if blocks.is_empty())
    }
}

/// The middles of blocks side by side, which are as wide as this together.
fn middles<'b>(blocks: impl Iterator<Item = &'b Block>, width: i32, middle: i32) -> Vec<i32> {
    let mut left = middle - width / 2;
    blocks
        .map(|block| {
            let middle = left + block.width / 2;
            left += block.width + ASIDE;
            middle
        })
        .collect()
}

/// The colours and the line of a class.
fn paint(class: Option<&str>) -> &'static str {
    match class {
        Some("done") => r##"fill="#d3f2d9" stroke="#2c7a3f""##,
        Some("active") => r##"fill="#dbe9ff" stroke="#2a5db0""##,
        Some("undone") => r##"fill="#eeeeee" stroke="#777777" stroke-dasharray="4""##,
        Some("failed") => r##"fill="#ffe3cf" stroke="#b3541e""##,
        Some("stuck") => r##"fill="#ffd3d3" stroke="#b00020" stroke-width="3""##,
        _ => r##"fill="#f7f7f7" stroke="#555555""##,
    }
}

struct Picture(String);

impl Picture {
    /// A block with its top here.
    fn block(&mut self, block: &Block, middle: i32, top: i32) {
        match &block.kind {
            Kind::Box { shape, class, lines } => self.step(block, *shape, *class, lines, middle, top),
            Kind::Column(blocks) => {
                let mut top = top;
                for (n, block) in blocks.iter().enumerate() {
                    if n > 0 {
                        self.way(format_args!("M{middle},{top} V{}", top + DOWN), true);
                        top += DOWN;
                    }
                    self.block(block, middle, top);
                    top += block.height;
                }
            }
            Kind::Choice { class, ways } => self.choice(block, *class, ways, middle, top),
            Kind::Fork(branches) => self.fork(block, branches, middle, top),
        }
    }

    fn step(&mut self, block: &Block, shape: Shape, class: Option<&str>, lines: &[String], middle: i32, top: i32) {
        let (width, height, paint) = (block.width, block.height, paint(class));
        let (left, right, bottom) = (middle - width / 2, middle - width / 2 + width, top + height);
        self.add(format_args!("<g><title>{}</title>", escaped(&lines.join("\n"))));
        match shape {
            Shape::Hexagon => {
                let half = top + height / 2;
                let (inner_left, inner_right) = (left + 12, right - 12);
                self.add(format_args!(
                    r#"<polygon points="{left},{half} {inner_left},{top} {inner_right},{top} {right},{half} {inner_right},{bottom} {inner_left},{bottom}" {paint}/>"#
                ));
            }
            Shape::Plain | Shape::Double | Shape::Round => {
                let round = if matches!(shape, Shape::Round) { height / 2 } else { 3 };
                self.add(format_args!(r#"<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="{round}" {paint}/>"#));
            }
        }
        if matches!(shape, Shape::Double) {
            self.add(format_args!(r#"<path d="M{},{top} V{bottom} M{},{top} V{bottom}" {paint}/>"#, left + 6, right - 6));
        }
        for (n, line) in lines.iter().enumerate() {
            let (y, weight) = (top + 19 + n as i32 * LINE, if n == 0 { r#" font-weight="bold""# } else { "" });
            self.add(format_args!(r#"<text x="{middle}" y="{y}" text-anchor="middle"{weight}>{}</text>"#, escaped(&shown(line))));
        }
        self.add(format_args!("</g>"));
    }

    fn choice(&mut self, block: &Block, class: Option<&str>, ways: &[(&'static str, Block); 2], middle: i32, top: i32) {
        let ((width, height), bottom) = (CHOICE, top + block.height);
        let (left, right, half) = (middle - width / 2, middle + width / 2, top + height / 2);
        let below = top + height;
        self.add(format_args!(r#"<polygon points="{left},{half} {middle},{top} {right},{half} {middle},{below}" {}/>"#, paint(class)));
        self.add(format_args!(r#"<text x="{middle}" y="{}" text-anchor="middle">when</text>"#, half + 4));
        let middles = middles(ways.iter().map(|(_, way)| way), block.width, middle);
        for ((words, way), (side, at)) in ways.iter().zip([left, right].into_iter().zip(middles)) {
            let (start, end) = (below + DOWN, below + DOWN + way.height);
            self.way(format_args!("M{side},{half} H{at} V{start}"), !way.is_empty());
            self.add(format_args!(r#"<text x="{}" y="{}">{words}</text>"#, at + 5, below + DOWN / 2));
            self.block(way, at, start);
            self.way(format_args!("M{at},{end} V{bottom} H{middle}"), false);
        }
    }

    fn fork(&mut self, block: &Block, branches: &[Block], middle: i32, top: i32) {
        let (left, bottom) = (middle - block.width / 2, top + block.height);
        for bar in [top, bottom - BAR] {
            self.add(format_args!(r##"<rect x="{left}" y="{bar}" width="{}" height="{BAR}" fill="#555555"/>"##, block.width));
        }
        let start = top + BAR + DOWN;
        for (branch, at) in branches.iter().zip(middles(branches.iter(), block.width, middle)) {
            self.way(format_args!("M{at},{} V{start}", top + BAR), true);
            self.block(branch, at, start);
            self.way(format_args!("M{at},{} V{}", start + branch.height, bottom - BAR), true);
        }
    }

    fn way(&mut self, path: Arguments<'_>, has_head: bool) {
        let head = if has_head { r#" marker-end="url(#arrow)""# } else { "" };
        self.add(format_args!(r##"<path d="{path}" fill="none" stroke="#555555"{head}/>"##));
    }

    fn add(&mut self, what: Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{what}");
    }
}

/// What of a line is shown.
fn shown(line: &str) -> String {
    let mut shown: String = line.chars().take(LONGEST).collect();
    if line.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// How many letters wide a text is, about.
fn letters(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum()
}

/// A text as it stands in XML, whatever is in it. What no XML may have becomes a mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            '\0'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
