//! Mistakes: collected, and told all at once.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::{cell::RefCell, fmt::Display};

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors(RefCell<Option<syn::Error>>);

impl Errors {
    /// A mistake in these tokens. `dyn`, so that this is compiled once.
    pub(crate) fn at(&self, tokens: &dyn ToTokens, message: impl Display) {
        let mut stream = TokenStream::new();
        tokens.to_tokens(&mut stream);
        self.push(syn::Error::new_spanned(stream, message));
    }

    /// A mistake at this place.
    pub(crate) fn at_span(&self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    pub(crate) fn push(&self, error: syn::Error) {
        match &mut *self.0.borrow_mut() {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Adds the mistakes of a part.
    pub(crate) fn join(&self, part: Errors) {
        if let Some(errors) = part.0.into_inner() {
            self.push(errors);
        }
    }

    /// The value, or one more mistake.
    pub(crate) fn ok<T>(&self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_none()
    }

    /// The mistakes as compile errors, with the user's item, so that what names it does not fail, too.
    pub(crate) fn with_item(self, item: &dyn ToTokens) -> TokenStream {
        let errors = self.into_tokens();
        quote!(#item #errors)
    }

    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.into_inner().map(syn::Error::into_compile_error).unwrap_or_default()
    }
}

/// A line that proposes the nearest of the known words; nothing if none is near.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let near =
        known.iter().map(|known| (distance(&word.to_lowercase(), &known.to_lowercase()), known)).filter(|(distance, _)| *distance <= 2);
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| format!("\nhelp: did you mean `{known}`?")).unwrap_or_default()
}

/// How many letters have to change; two that are swapped count as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let cell = |rows: &[Vec<usize>], i: usize, j: usize| rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(usize::MAX / 2);
    for (i, x) in a.iter().enumerate() {
        rows.push(vec![i + 1]);
        for (j, y) in b.iter().enumerate() {
            let change = cell(&rows, i, j) + usize::from(x != y);
            let mut best = change.min(cell(&rows, i, j + 1) + 1).min(cell(&rows, i + 1, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(cell(&rows, i - 1, j - 1) + 1);
            }
            if let Some(row) = rows.last_mut() {
                row.push(best);
            }
        }
    }
    cell(&rows, a.len(), b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed() {
        assert_eq!(distance("PSOT", "POST"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(did_you_mean("psot", &["GET", "POST"]), "\nhelp: did you mean `POST`?");
        assert_eq!(did_you_mean("TELEPORT", &["GET", "POST"]), "");
    }
}
