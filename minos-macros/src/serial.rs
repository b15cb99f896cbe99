//! Serde's derives, so that a field that cannot have them is one error and not five.
//!
//! The derives assume of each field what the proof beside them shows. `for<'minos>` keeps an assumption that is false from being an error where it is
//! written. Of a type that everybody knows nothing is assumed: each assumption is compiled anew with every function that the derives write.

use crate::{
    door::{Door, at},
    item::{last_segment, type_arguments},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Field, GenericArgument, PathArguments, Type, spanned::Spanned};

/// Types that serde is known to write and read, by the names of the standard library and of our prelude.
const KNOWN: &[&str] = &[
    "bool",
    "char",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "String",
    "Uuid",
    "Timestamp",
];
/// The same of types that are as their parameters are.
const KNOWN_OF: &[&str] = &["Option", "Vec", "VecDeque", "BTreeMap", "BTreeSet", "HashMap", "HashSet", "EntitySet", "ValueSet"];

/// What a field is to be fit for: the trait and the function of the runtime that say so in the user's terms.
#[derive(Clone, Copy)]
pub(crate) enum Fit {
    /// To be stored in an aggregate.
    Store,
    /// To be sent in a message.
    Send,
}

impl Fit {
    fn names(self) -> [Ident; 2] {
        let names = match self {
            Fit::Store => ["Field", "field"],
            Fit::Send => ["MessageField", "message_field"],
        };
        names.map(|name| Ident::new(name, Span::call_site()))
    }

    /// The derives.
    pub(crate) fn derives(self, door: &Door, types: &[&Type]) -> TokenStream {
        let [field, _] = self.names();
        derives(door, &quote!(#door::#field), types)
    }

    /// The proofs: each a statement that names a type where the user did.
    pub(crate) fn proofs(self, door: &Door, types: &[&Type]) -> TokenStream {
        let [_, field] = self.names();
        types.iter().map(|ty| quote_spanned!(at(ty.span())=> #door::#field::<#ty>();)).collect()
    }
}

/// Serde's derives of a struct whose fields are of these types, each of which is assumed to fulfil a trait.
pub(crate) fn derives(door: &Door, field: &TokenStream, types: &[&Type]) -> TokenStream {
    let serde = door.serde();
    let bounds: Vec<String> = types.iter().map(|ty| quote!(for<'minos> #ty: #field).to_string()).collect();
    let bound = (!bounds.is_empty()).then(|| bounds.join(", ")).map(|bound| quote!(, bound = #bound));
    quote! {
        #[derive(#door::serde::Serialize, #door::serde::Deserialize)]
        #[serde(crate = #serde #bound)]
    }
}

/// The types of fields that Minos vouches for, each once. Fields with attributes for serde are between serde and the user, a type that mentions the
/// struct itself would need itself for its proof, and what is known needs none.
pub(crate) fn types<'f>(ident: &Ident, fields: impl IntoIterator<Item = &'f Field>) -> Vec<&'f Type> {
    let (mut types, mut seen) = (Vec::new(), Vec::new());
    for field in fields.into_iter().filter(|field| attrs(&field.attrs).next().is_none()) {
        // A set of entities is as they are, and what is wrong with them is told of them.
        let ty = entity(&field.ty).unwrap_or(&field.ty);
        let text = ty.to_token_stream().to_string();
        let own = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| ident == word);
        if !own && !is_known(ty) && !seen.contains(&text) {
            seen.push(text);
            types.push(ty);
        }
    }
    types
}

/// Whether a type is known to be written and read, or is one of these.
pub(crate) fn is_vouched_for(ty: &Type, types: &[&Type]) -> bool {
    is_known(ty) || types.iter().any(|other| other.to_token_stream().to_string() == ty.to_token_stream().to_string())
}

/// What an `EntitySet` is of.
fn entity(ty: &Type) -> Option<&Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == "EntitySet")?;
    type_arguments(segment).into_iter().next()
}

/// Whether serde is known to write and read a type. Who names a type of their own like one of these gets serde's own words about it.
fn is_known(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let (None, 1, Some(segment)) = (&path.qself, path.path.segments.len(), path.path.segments.first()) else { return false };
    match &segment.arguments {
        PathArguments::None => KNOWN.iter().any(|name| segment.ident == name),
        PathArguments::AngleBracketed(of) => {
            KNOWN_OF.iter().any(|name| segment.ident == name)
                && of.args.iter().all(|argument| matches!(argument, GenericArgument::Type(ty) if is_known(ty)))
        }
        PathArguments::Parenthesized(_) => false,
    }
}

/// The attributes for serde.
pub(crate) fn attrs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| is_attr(attr))
}

/// Whether an attribute is for serde.
pub(crate) fn is_attr(attr: &Attribute) -> bool {
    attr.path().is_ident("serde")
}

/// Whether something may be said to serde that is not seen here: by `cfg_attr`, or by another macro, such as `serde_as`.
pub(crate) fn hides(attrs: &[Attribute]) -> bool {
    let mentions = |attr: &Attribute| attr.meta.to_token_stream().to_string().contains("serde");
    attrs.iter().any(|attr| !is_attr(attr) && !attr.path().is_ident("doc") && mentions(attr))
}

/// Whether serde is told nothing of a field but its names, and that it may be missing: what is written of it is what its type is.
pub(crate) fn is_written_plainly(all: &[Attribute]) -> bool {
    const NAMES: &[&str] = &["rename", "alias", "default", "skip_serializing_if"];
    let mut is_plain = !hides(all);
    for attr in attrs(all) {
        let read = attr.parse_nested_meta(|meta| {
            is_plain &= NAMES.iter().any(|name| meta.path.is_ident(name));
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
        is_plain &= read.is_ok();
    }
    is_plain
}

/// The name that `#[serde(rename = "…")]` gives a field.
pub(crate) fn renamed(all: &[Attribute]) -> Option<String> {
    let mut name = None;
    for attr in attrs(all) {
        // What is not understood here is for serde to refuse.
        let _ = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") && meta.input.peek(syn::Token![=]) {
                name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    name
}
