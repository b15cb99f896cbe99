//! Goes through all worlds that a first one leads to: those with few faults before those with many, and what happens soon before what happens late. So what
//! is wrong is found by the shortest way to it.

use super::{
    event::{ANY, Event},
    world::{Checked, World},
};
use crate::saga::Status;
use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::DefaultHasher},
    hash::Hasher,
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Explored {
    /// Situations that are different.
    pub(super) worlds: usize,
    /// Ways through them: each goes on alone until it ends, or comes to a situation that is known.
    pub(super) lives: usize,
    /// How often they end, and how.
    pub(super) ends: BTreeMap<&'static str, usize>,
    /// With so many faults there is nothing that was not looked at.
    pub(super) complete: Option<u32>,
}

/// A world in which something is wrong.
pub(super) struct Found {
    /// What is wrong.
    pub(super) why: String,
    /// How it came to that, with the last thing that happened.
    pub(super) story: Vec<Event>,
    /// The world, or the one before if there is none.
    pub(super) world: Box<World>,
}

/// How a world came to be: by what, from which.
struct Past(Option<(usize, Event)>);

/// What is known of a world that was looked at.
#[derive(Default)]
struct Seen {
    next: Vec<usize>,
    ended: bool,
}

/// Goes on until there were so many lives. `visit` is told of each, with what can happen next.
pub(super) fn explore(first: World, limit: usize, visit: &mut dyn FnMut(&World, &[Event]) -> Checked<()>) -> Result<Explored, Box<Found>> {
    let mut search = Search::default();
    search.add(first, Past(None));
    let mut cut = None;
    while let Some((faults, (id, world))) = search.next() {
        if search.explored.lives >= limit {
            cut = Some(faults);
            search.end_here(id, world);
            break;
        }
        search.explored.worlds += 1;
        let events = world.events();
        if let Err(why) = world.check().and_then(|()| visit(&world, &events)) {
            return Err(search.found(why, id, None, world));
        }
        if world.has_ended() {
            search.ended(id, world.execution.status);
        } else if world.waits_for_nobody(&events) {
            search.ended(id, Status::NeedsOperator);
        }
        if events.is_empty() {
            search.explored.lives += 1;
        }
        for event in events {
            match world.after(&event) {
                Ok(next) => search.reach(id, next, event),
                Err(why) => return Err(search.found(why, id, Some(event), world)),
            }
        }
    }
    if let Some(id) = search.endless() {
        let story = search.story(id);
        // It is made again, since worlds are not kept.
        return Err(Box::new(Found { why: ENDLESS.to_owned(), world: Box::new(search.again(&story)), story }));
    }
    search.explored.complete = match cut {
        None => Some(ANY),
        Some(faults) => faults.checked_sub(1),
    };
    Ok(search.explored)
}

const ENDLESS: &str = "the saga never ends from here, though nothing goes wrong any more and the operator tries again";

#[derive(Default)]
struct Search {
    first: Option<World>,
    /// By the number of faults.
    todo: BTreeMap<u32, VecDeque<(usize, World)>>,
    known: HashMap<u64, usize>,
    pasts: Vec<Past>,
    seen: Vec<Seen>,
    explored: Explored,
}

impl Search {
    fn next(&mut self) -> Option<(u32, (usize, World))> {
        let mut entry = self.todo.first_entry()?;
        let faults = *entry.key();
        let next = entry.get_mut().pop_front();
        if next.is_none() {
            entry.remove();
            return self.next();
        }
        next.map(|next| (faults, next))
    }

    /// Adds a world if it is new, and says which it is.
    fn add(&mut self, world: World, past: Past) -> (usize, bool) {
        let mut hasher = DefaultHasher::new();
        world.identify(&mut hasher);
        let new = self.pasts.len();
        let id = *self.known.entry(hasher.finish()).or_insert(new);
        if id < new {
            return (id, false);
        }
        if self.first.is_none() {
            self.first = Some(world.clone());
        }
        self.pasts.push(past);
        self.seen.push(Seen::default());
        let faults = if world.budget.faults == ANY { 0 } else { world.spent };
        self.todo.entry(faults).or_default().push_back((id, world));
        (id, true)
    }

    fn reach(&mut self, from: usize, world: World, event: Event) {
        let (id, is_new) = self.add(world, Past(Some((from, event))));
        if !is_new {
            self.explored.lives += 1;
        }
        if let Some(seen) = self.seen.get_mut(from) {
            seen.next.push(id);
        }
    }

    fn ended(&mut self, id: usize, status: Status) {
        *self.explored.ends.entry(status.name()).or_default() += 1;
        self.mark(id);
    }

    fn mark(&mut self, id: usize) {
        if let Some(seen) = self.seen.get_mut(id) {
            seen.ended = true;
        }
    }

    /// What was not looked at may end.
    fn end_here(&mut self, id: usize, world: World) {
        let faults = world.spent;
        self.todo.entry(faults).or_default().push_front((id, world));
        let left: Vec<usize> = self.todo.values().flatten().map(|(id, _)| *id).collect();
        left.into_iter().for_each(|id| self.mark(id));
    }

    /// The first world from which no way leads to an end.
    fn endless(&self) -> Option<usize> {
        let mut before = vec![Vec::new(); self.seen.len()];
        for (from, seen) in self.seen.iter().enumerate() {
            for to in &seen.next {
                if let Some(before) = before.get_mut(*to) {
                    before.push(from);
                }
            }
        }
        let mut ends: Vec<bool> = self.seen.iter().map(|seen| seen.ended).collect();
        let mut todo: Vec<usize> = ends.iter().enumerate().filter(|(_, ended)| **ended).map(|(id, _)| id).collect();
        while let Some(id) = todo.pop() {
            for from in before.get(id).into_iter().flatten() {
                if let Some(ended) = ends.get_mut(*from).filter(|ended| !**ended) {
                    *ended = true;
                    todo.push(*from);
                }
            }
        }
        ends.iter().position(|ended| !ended)
    }

    fn story(&self, id: usize) -> Vec<Event> {
        let (mut story, mut at) = (Vec::new(), Some(id));
        while let Some(id) = at {
            at = self.pasts.get(id).and_then(|Past(past)| past.as_ref()).map(|(from, event)| {
                story.push(event.clone());
                *from
            });
        }
        story.reverse();
        story
    }

    fn again(&self, story: &[Event]) -> World {
        let Some(first) = self.first.clone() else { unreachable!("nothing is found before the first world is looked at") };
        story.iter().fold(first, |world, event| world.after(event).unwrap_or(world))
    }

    fn found(&self, why: String, id: usize, event: Option<Event>, world: World) -> Box<Found> {
        let mut story = self.story(id);
        story.extend(event);
        Box::new(Found { why, story, world: Box::new(world) })
    }
}
