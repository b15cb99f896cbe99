//! `crash_matrix!`.

use crate::{
    diag::{Errors, did_you_mean},
    door::{Door, at},
    item::{plain, snake},
    word::MATRIX_KEYS,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Expr, Ident, Path, Token, braced,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    spanned::Spanned,
    token::Brace,
};

/// A test.
struct Matrix {
    door: Door,
    saga: Path,
    inputs: Vec<Expr>,
    /// By the names of steps.
    answers: Vec<(Ident, Expr)>,
    lives: Option<Expr>,
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let matrix = errors.ok((|input: ParseStream<'_>| parse(&errors, input)).parse2(input));
    match matrix.filter(|_| errors.is_empty()) {
        Some(matrix) => generate(&matrix),
        None => errors.into_tokens(),
    }
}

fn parse(errors: &Errors, input: ParseStream<'_>) -> syn::Result<Matrix> {
    let mut door = Door::default();
    if Door::is_next(input) && input.peek2(Token![=]) {
        door = Door::parse(input)?;
        input.parse::<Token![;]>()?;
    }
    let saga = input
        .call(Path::parse_mod_style)
        .map_err(|error| syn::Error::new(error.span(), "`crash_matrix!` takes a saga\nhelp: `minos::crash_matrix!(AddFoobar);`"))?;
    let mut matrix = Matrix { door, saga, inputs: Vec::new(), answers: Vec::new(), lives: None };
    if input.peek(Brace) {
        let block;
        braced!(block in input);
        while !block.is_empty() {
            entry(errors, &block, &mut matrix)?;
            if !block.is_empty() {
                block.parse::<Token![,]>()?;
            }
        }
    }
    if input.is_empty() {
        return Ok(matrix);
    }
    Err(input.error("a saga is all that `crash_matrix!` takes, perhaps with a block\nhelp: `AddFoobar { input: …, answers: { … } }`"))
}

fn entry(errors: &Errors, block: ParseStream<'_>, matrix: &mut Matrix) -> syn::Result<()> {
    let key = block.call(Ident::parse_any)?;
    block.parse::<Token![:]>()?;
    match key.to_string().as_str() {
        "input" => matrix.inputs.push(block.parse()?),
        "answers" => {
            let answers;
            braced!(answers in block);
            while !answers.is_empty() {
                let step: Ident = answers.call(Ident::parse_any)?;
                answers.parse::<Token![:]>()?;
                if matrix.answers.iter().any(|(known, _)| *known == step) {
                    errors.at(&step, format!("step `{step}` has an answer already"));
                }
                matrix.answers.push((step, answers.parse()?));
                if !answers.is_empty() {
                    answers.parse::<Token![,]>()?;
                }
            }
        }
        "lives" => {
            if matrix.lives.is_some() {
                errors.at(&key, "`lives` is given already");
            }
            matrix.lives = Some(block.parse()?);
        }
        other => {
            let hint = did_you_mean(other, MATRIX_KEYS);
            errors.at(&key, format!("`crash_matrix!` has no `{other}`; it has input, answers and lives{hint}"));
            block.parse::<Expr>()?;
        }
    }
    Ok(())
}

fn generate(matrix: &Matrix) -> TokenStream {
    let Matrix { door, saga, inputs, answers, lives } = matrix;
    let name = saga.segments.last().map(|segment| snake(&plain(&segment.ident))).unwrap_or_default();
    let test = format_ident!("crash_matrix_of_{name}", span = saga.span());
    let new = quote_spanned!(at(saga.span())=> #door::testing::CrashMatrix::<#saga>::new());
    let inputs = inputs.iter().map(|input| quote!(.input(#input)));
    let answers = answers.iter().map(|(step, answer)| {
        let step = plain(step);
        quote!(.answer(#step, #answer))
    });
    let lives = lives.iter().map(|lives| quote!(.lives(#lives)));
    quote! {
        #[test]
        fn #test() {
            #new #(#inputs)* #(#answers)* #(#lives)* .run();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text.parse().unwrap()).to_string().replace(' ', "")
    }

    #[test]
    fn one_line_is_one_test() {
        assert_eq!(
            expanded("crate::app::AddFoobar"),
            "#[test]fncrash_matrix_of_add_foobar(){::minos::__private::testing::CrashMatrix::<crate::app::AddFoobar>::new().run();}"
        );
        let given = expanded("crate = ::renamed; A { input: f(1, 2), input: A { b: 1 }, answers: { r#type: 7, b: x.y(), }, lives: 9 }");
        let calls = "::<A>::new().input(f(1,2)).input(A{b:1}).answer(\"type\",7).answer(\"b\",x.y()).lives(9).run();";
        assert!(given.contains("::renamed::__private::testing::CrashMatrix") && given.contains(calls), "{given}");
    }

    #[test]
    fn whatever_is_missing_is_told() {
        for wrong in [
            "",
            "A,",
            "A { input }",
            "A { inptu: 1 }",
            "A { input: }",
            "A { answers: 1 }",
            "A { answers: { a } }",
            "A { answers: { a: 1, a: 2 } }",
            "A {} B",
            "A { lives: 1, lives: 2 }",
            "7",
            "crate = ;",
            "A::<B>",
        ] {
            assert!(expanded(wrong).contains("compile_error"), "{wrong}");
        }
        assert!(expanded("A { inptu: 1 }").contains("didyoumean`input`?"));
    }
}
