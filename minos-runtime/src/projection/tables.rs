//! The names of a projection's tables, which stand in braces: those of the live view, or of one that is rebuilt beside it.

use crate::{
    error::{Error, Result},
    store::Statement,
};
use std::{borrow::Cow, collections::BTreeSet};

/// The tables of a projection, as it says how they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tables {
    /// What makes them, one statement each.
    made_by: Vec<String>,
    /// Their names, without braces.
    names: BTreeSet<String>,
}

/// Which of them are meant: the live ones, or those of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    Live,
    /// The one of this number.
    Built(u64),
}

impl Generation {
    /// The name of a table, or of a collection of documents, in this generation.
    pub(super) fn name(self, plain: &str) -> Cow<'_, str> {
        match self {
            Generation::Live => Cow::Borrowed(plain),
            Generation::Built(number) => Cow::Owned(format!("{plain}__{number}")),
        }
    }
}

impl Tables {
    /// Reads how tables are made; the error is a sentence for the developer.
    pub(super) fn of(sql: &str) -> std::result::Result<Self, String> {
        let made_by: Vec<String> = statements(sql);
        let mut names = BTreeSet::new();
        for statement in &made_by {
            for part in parts(statement) {
                if let Part::Name(name) = part {
                    names.insert(name.to_owned());
                }
            }
        }
        if names.is_empty() {
            return Err("`TABLES` names no table in braces: write `CREATE TABLE {balances} (…)`".to_owned());
        }
        Ok(Tables { made_by, names })
    }

    /// A statement with the names of this generation.
    ///
    /// # Errors
    /// If it names a table that `TABLES` does not make.
    pub(super) fn named(&self, sql: &str, generation: Generation) -> Result<String> {
        let mut text = String::with_capacity(sql.len() + 8);
        for part in parts(sql) {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Name(name) if self.names.contains(name) => text.push_str(&generation.name(name)),
                Part::Name(name) => {
                    let known: Vec<_> = self.names.iter().map(|name| format!("`{{{name}}}`")).collect();
                    return Err(Error::internal(format!("`TABLES` makes no table `{{{name}}}`, only {}: {sql}", known.join(", "))));
                }
            }
        }
        Ok(text)
    }

    /// What makes those of a generation.
    pub(super) fn make(&self, generation: Generation) -> Result<Vec<Statement>> {
        self.made_by.iter().map(|sql| Ok(plain(self.named(sql, generation)?))).collect()
    }

    /// What removes those of a generation, if they are there.
    pub(super) fn remove(&self, generation: Generation) -> Vec<Statement> {
        self.names.iter().map(|name| plain(format!("DROP TABLE IF EXISTS {}", generation.name(name)))).collect()
    }

    /// What makes those of a generation the live ones.
    pub(super) fn promote(&self, generation: Generation) -> Vec<Statement> {
        let rename = |name: &String| plain(format!("ALTER TABLE {} RENAME TO {name}", generation.name(name)));
        self.remove(Generation::Live).into_iter().chain(self.names.iter().map(rename)).collect()
    }

    /// All that says how they are made.
    pub(super) fn text(&self) -> String {
        self.made_by.join(";")
    }
}

fn plain(sql: String) -> Statement {
    Statement { sql, parameters: Vec::new() }
}

enum Part<'s> {
    Text(&'s str),
    /// A name that stood in braces.
    Name(&'s str),
}

/// The parts of a statement. What stands between quotes, or in braces that hold no name, is text.
fn parts(sql: &str) -> Vec<Part<'_>> {
    let (mut parts, mut begin, mut quote) = (Vec::new(), 0, None);
    let mut letters = sql.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '{') => {
                let rest = &sql[at + 1..];
                let Some(end) = rest.find('}').filter(|end| is_name(&rest[..*end])) else { continue };
                parts.push(Part::Text(&sql[begin..at]));
                parts.push(Part::Name(&rest[..end]));
                begin = at + end + 2;
                while letters.peek().is_some_and(|(next, _)| *next < begin) {
                    letters.next();
                }
            }
            _ => {}
        }
    }
    parts.push(Part::Text(&sql[begin..]));
    parts
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The statements of a text, which are parted by semicolons that do not stand between quotes.
fn statements(sql: &str) -> Vec<String> {
    let (mut statements, mut begin, mut quote) = (Vec::new(), 0, None);
    for (at, letter) in sql.char_indices() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ';') => {
                statements.push(&sql[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    statements.push(&sql[begin..]);
    statements.into_iter().map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "CREATE TABLE {balances} (account TEXT PRIMARY KEY, note TEXT DEFAULT '{a};');
        CREATE INDEX {balances}_by_note ON {balances} (note);";

    fn sql(statements: Vec<Statement>) -> Vec<String> {
        statements.into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn each_generation_has_names_of_its_own() {
        let tables = Tables::of(SQL).unwrap();
        let made = sql(tables.make(Generation::Built(3)).unwrap());
        assert_eq!(made[0], "CREATE TABLE balances__3 (account TEXT PRIMARY KEY, note TEXT DEFAULT '{a};')");
        assert_eq!(made[1], "CREATE INDEX balances__3_by_note ON balances__3 (note)");
        assert_eq!(made.len(), 2);
        assert_eq!(
            sql(tables.promote(Generation::Built(3))),
            ["DROP TABLE IF EXISTS balances", "ALTER TABLE balances__3 RENAME TO balances"]
        );
        assert_eq!(tables.named("UPDATE {balances} SET note = '{x}'", Generation::Live).unwrap(), "UPDATE balances SET note = '{x}'");
    }

    #[test]
    fn a_table_that_is_not_made_is_named() {
        let error = Tables::of(SQL).unwrap().named("DELETE FROM {balance}", Generation::Live).unwrap_err();
        assert_eq!(error.to_string(), "`TABLES` makes no table `{balance}`, only `{balances}`: DELETE FROM {balance}");
        assert!(Tables::of("CREATE TABLE balances (a TEXT)").is_err());
    }

    #[test]
    fn braces_that_hold_no_name_are_text() {
        let tables = Tables::of("CREATE TABLE {t} (a TEXT)").unwrap();
        for text in ["SELECT '{t}'", "SELECT {}", "SELECT { t }", "SELECT {", "SELECT {é}", "SELECT \"{t}\""] {
            assert_eq!(tables.named(text, Generation::Built(1)).unwrap(), text);
        }
        assert_eq!(tables.named("{t}{t}x", Generation::Built(1)).unwrap(), "t__1t__1x");
    }
}
