//! Names: of packages and of types. What Rust, Cargo or Minos would stumble over is refused before anything is written.

use std::str::FromStr;

/// Words of Rust, those of the future among them.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern",
    "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe", "unsized",
    "use", "virtual", "where", "while", "yield",
];
/// Crates that every service sees, or that a service has.
const CRATES: &[&str] = &[
    "alloc",
    "core",
    "proc_macro",
    "std",
    "test",
    "minos",
    "minos_cli",
    "minos_dev",
    "minos_macros",
    "minos_runtime",
    "serde",
    "serde_json",
    "tokio",
];
/// Directories in which Cargo builds.
const CARGO: &[&str] = &["build", "deps", "examples", "incremental"];
/// Names that no file has on Windows.
const WINDOWS: &[&str] = &["aux", "com1", "com2", "com3", "com4", "con", "lpt1", "lpt2", "lpt3", "lpt4", "nul", "prn"];
/// Modules that a service may have already, under names that mean something.
const MODULES: &[&str] = &["lib", "main", "mod", "tests"];
/// Types and traits that are everywhere.
const TYPES: &[&str] = &[
    "Aggregate",
    "AsMut",
    "AsRef",
    "Box",
    "Clone",
    "Config",
    "Context",
    "Copy",
    "Debug",
    "Default",
    "Deserialize",
    "Document",
    "Drop",
    "EntitySet",
    "Eq",
    "Err",
    "Error",
    "ErrorKind",
    "Event",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "Hash",
    "Headers",
    "HoldError",
    "Into",
    "IntoIterator",
    "Iterator",
    "Message",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Path",
    "Query",
    "Ref",
    "Resolved",
    "Response",
    "Result",
    "ResultExt",
    "Root",
    "Saga",
    "SagaStep",
    "Seen",
    "Self",
    "Send",
    "Sensitive",
    "Serialize",
    "Service",
    "Sized",
    "Some",
    "String",
    "SubjectForgotten",
    "Sync",
    "Timestamp",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "User",
    "Uuid",
    "Validate",
    "ValueSet",
    "Vec",
    "View",
];

/// The name of a package: of a project, or a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceName(String);

impl FromStr for ServiceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let module = name.replace('-', "_");
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) || name.ends_with(['-', '_']) {
            let better = better(name);
            let hint = if better.is_empty() { String::new() } else { format!("; write `{better}`") };
            return Err(format!("`{name}` is no name of a crate: lower-case letters, digits and `-`, with a letter in front{hint}"));
        }
        if name.len() > 64 {
            return Err(format!("`{name}` is too long for a crate: it has {} letters, and 64 are the most", name.len()));
        }
        for (words, what) in [
            (KEYWORDS, "a word of Rust"),
            (CRATES, "a crate that services use"),
            (CARGO, "a directory in which Cargo builds"),
            (WINDOWS, "no name of a file on Windows"),
        ] {
            if words.contains(&module.as_str()) {
                let dash = if name.contains('_') { '_' } else { '-' };
                return Err(format!(
                    "`{name}` is {what}, so it cannot be the name of a crate: take another one, such as `{name}{dash}service`"
                ));
            }
        }
        Ok(ServiceName(name.to_owned()))
    }
}

impl ServiceName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As code says it.
    pub(crate) fn module(&self) -> String {
        self.0.replace('-', "_")
    }

    /// An aggregate of the same name: `OrderLine` for `order-line`.
    pub(crate) fn aggregate(&self) -> TypeName {
        let words = self.0.split(['-', '_']).filter(|word| !word.is_empty());
        let name: String = words.map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect();
        name.parse().unwrap_or_else(|_| TypeName(format!("{name}Record")))
    }
}

/// What would be a name of a crate: the words of this one, with `-` between them.
fn better(name: &str) -> String {
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    let words = name.split(|c| !is_letter(c)).filter(|word| !word.is_empty()).map(|word| snake(word).replace('_', "-"));
    let better = words.collect::<Vec<_>>().join("-");
    better.trim_start_matches(|c: char| !c.is_ascii_lowercase()).to_owned()
}

/// The name of a type, such as `PlaceOrder`, and with it of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName(String);

impl FromStr for TypeName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("`{name}` is no name of a type: letters and digits, with a capital in front, such as `PlaceOrder`"));
        }
        if TYPES.contains(&name) {
            return Err(format!("`{name}` is the name of something that is everywhere: take another one, such as `{name}Record`"));
        }
        let module = snake(name);
        if [KEYWORDS, CRATES, MODULES].iter().any(|words| words.contains(&module.as_str())) {
            return Err(format!("its module would be `{module}`, which means something else: take another one, such as `{name}Record`"));
        }
        Ok(TypeName(name.to_owned()))
    }
}

impl TypeName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `place_order`
    pub(crate) fn module(&self) -> String {
        snake(&self.0)
    }

    /// `/place-order`
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.module().replace('_', "-"))
    }

    /// The path of all of them: `/categories`.
    pub(crate) fn paths(&self) -> String {
        let one = self.path();
        let before = |end: &str| one.strip_suffix(end).is_some_and(|rest| !rest.ends_with(['a', 'e', 'i', 'o', 'u']));
        if before("y") {
            return format!("{}ies", &one[..one.len() - 1]);
        }
        let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| one.ends_with(end));
        format!("{one}{}", if hisses { "es" } else { "s" })
    }
}

/// `PlaceOrder` as `place_order`, and `HTTPServer` as `http_server`.
pub(crate) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (n, letter) in letters.iter().enumerate() {
        let follows_small = n > 0 && !letters[n - 1].is_ascii_uppercase();
        let precedes_small = n > 0 && letters.get(n + 1).is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && (follows_small || precedes_small) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(name: &str) -> String {
        name.parse::<ServiceName>().unwrap_err()
    }

    #[test]
    fn what_is_no_crate_is_refused_with_what_would_be_one() {
        for (name, told) in [
            ("Order", "`Order` is no name of a crate: lower-case letters, digits and `-`, with a letter in front; write `order`"),
            ("OrderLine", "; write `order-line`"),
            ("order line!", "; write `order-line`"),
            ("2fast", "; write `fast`"),
            ("../shop", "; write `shop`"),
            ("a/b", "; write `a-b`"),
            ("shop-", "; write `shop`"),
            ("", "`` is no name of a crate"),
            ("UPPERCase", "; write `upper-case`"),
            ("HTTPServer2", "; write `http-server2`"),
            ("UPPER_CASE", "; write `upper-case`"),
            ("my_Shop", "; write `my-shop`"),
            ("-", "`-` is no name of a crate: lower-case letters, digits and `-`, with a letter in front"),
            ("é", "`é` is no name of a crate"),
            ("fn", "`fn` is a word of Rust, so it cannot be the name of a crate: take another one, such as `fn-service`"),
            ("self", "a word of Rust"),
            ("async", "a word of Rust"),
            ("test", "`test` is a crate that services use"),
            ("std", "a crate that services use"),
            (
                "proc-macro",
                "a crate that services use, so it cannot be the name of a crate: take another one, such as `proc-macro-service`",
            ),
            ("proc_macro", "such as `proc_macro_service`"),
            ("serde-json", "a crate that services use"),
            ("minos", "a crate that services use"),
            ("deps", "a directory in which Cargo builds"),
            ("nul", "no name of a file on Windows"),
        ] {
            assert!(wrong(name).contains(told), "{name}: {}", wrong(name));
        }
        assert!(wrong(&"a".repeat(65)).contains("64 are the most"));
        for name in ["order", "order-line", "order_line", "o2"] {
            assert_eq!(name.parse::<ServiceName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn types_and_modules_have_names_of_each_other() {
        for (name, module, path, paths) in [
            ("Order", "order", "/order", "/orders"),
            ("PlaceOrder", "place_order", "/place-order", "/place-orders"),
            ("Category", "category", "/category", "/categories"),
            ("Day", "day", "/day", "/days"),
            ("Address", "address", "/address", "/addresses"),
            ("HTTPServer", "http_server", "/http-server", "/http-servers"),
            ("V2Order", "v2_order", "/v2-order", "/v2-orders"),
        ] {
            let name: TypeName = name.parse().unwrap();
            assert_eq!((name.module(), name.path(), name.paths()), (module.to_owned(), path.to_owned(), paths.to_owned()));
        }
        for (name, told) in [
            ("order", "no name of a type"),
            ("Place Order", "no name of a type"),
            ("Context", "`Context` is the name of something that is everywhere"),
            ("Move", "its module would be `move`"),
            ("Tests", "its module would be `tests`"),
            ("Serde", "its module would be `serde`"),
        ] {
            let wrong = name.parse::<TypeName>().unwrap_err();
            assert!(wrong.contains(told), "{name}: {wrong}");
        }
    }

    #[test]
    fn a_service_has_an_aggregate_of_its_name() {
        let aggregate = |name: &str| name.parse::<ServiceName>().unwrap().aggregate().as_str().to_owned();
        assert_eq!([aggregate("order"), aggregate("order-line"), aggregate("user")], ["Order", "OrderLine", "UserRecord"]);
    }
}
