//! Statements of the user's own. They stay inside their transaction.

use super::{connection::Session, errors};
use crate::store::{Statement, StoreError};
use futures_util::future::try_join_all;
use serde_json::Value as Json;
use std::error::Error as StdError;
use tokio_postgres::{
    Error,
    types::{Format, IsNull, Kind, ToSql, Type, private::BytesMut, to_sql_checked},
};

/// What a statement may begin with. The others would end the transaction, outlive it, or talk to the connection itself.
const WORDS: &[&str] = &[
    "alter", "analyze", "call", "comment", "create", "delete", "drop", "explain", "grant", "insert", "merge", "refresh", "revoke",
    "select", "table", "truncate", "update", "values", "with",
];

/// Why statements were not run.
pub(super) enum Failure {
    /// This one failed, or is refused.
    Refused(StoreError),
    /// It concerns all, and not only this one.
    OfAll(Error),
    /// The connection is gone.
    Lost(Error),
}

/// Whether a statement can be part of a unit.
pub(super) fn check(statement: &Statement) -> Result<(), StoreError> {
    let word = first_word(&statement.sql).to_ascii_lowercase();
    if WORDS.contains(&word.as_str()) {
        return Ok(());
    }
    let reason = format!("a statement of a service may not begin with `{word}`: it may not end its transaction or change its connection");
    Err(StoreError::Statement { sql: statement.sql.clone(), reason })
}

/// The first word, behind spaces, comments and parentheses.
fn first_word(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = behind_comment(comment);
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            return &rest[..end];
        }
    }
}

/// What comes behind a comment that has begun. Comments nest.
fn behind_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (1, text);
    while depth > 0 {
        match (rest.find("/*"), rest.find("*/")) {
            (Some(opens), Some(closes)) if opens < closes => (depth, rest) = (depth + 1, &rest[opens + 2..]),
            (_, Some(closes)) => (depth, rest) = (depth - 1, &rest[closes + 2..]),
            (_, None) => return "",
        }
    }
    rest
}

/// Runs statements in the open transaction, in order. Those that are prepared already share a round trip.
pub(super) async fn execute(session: &Session, statements: impl Iterator<Item = &Statement>) -> Result<(), Failure> {
    let run = async |statement: &Statement, prepared: tokio_postgres::Statement| {
        let parameters: Vec<_> = statement.parameters.iter().map(Parameter).collect();
        let parameters: Vec<_> = parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect();
        checked(statement, session.client().execute(&prepared, &parameters).await).map(|_| ())
    };
    let mut running = Vec::new();
    for statement in statements {
        let prepared = match session.prepared(&statement.sql) {
            Some(prepared) => prepared,
            None => {
                // What comes before may create the table that this one needs.
                try_join_all(running.drain(..)).await?;
                checked(statement, session.prepare(&statement.sql, &statement.sql).await)?
            }
        };
        running.push(run(statement, prepared));
    }
    try_join_all(running).await.map(|_| ())
}

/// Runs a statement that reads; each row becomes an object.
pub(super) async fn select(session: &Session, statement: &Statement) -> Result<Vec<Json>, Failure> {
    let prepared = match session.prepared(&statement.sql) {
        Some(prepared) => prepared,
        None => {
            let sql = statement.sql.trim_end().trim_end_matches(';');
            let sql = format!("SELECT row_to_json(minos_rows)::text FROM (\n{sql}\n) AS minos_rows");
            checked(statement, session.prepare(&statement.sql, &sql).await)?
        }
    };
    let parameters: Vec<_> = statement.parameters.iter().map(Parameter).collect();
    let parameters: Vec<_> = parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect();
    let rows = checked(statement, session.client().query(&prepared, &parameters).await)?;
    rows.iter()
        .map(|row| {
            let text: &str = checked(statement, row.try_get(0))?;
            serde_json::from_str(text).map_err(|error| Failure::Refused(failed(statement, error.to_string())))
        })
        .collect()
}

fn failed(statement: &Statement, reason: String) -> StoreError {
    StoreError::Statement { sql: statement.sql.clone(), reason }
}

fn checked<T>(statement: &Statement, result: Result<T, Error>) -> Result<T, Failure> {
    result.map_err(|error| match error.as_db_error() {
        _ if errors::is_of_all_beside_a_statement(&error) && !errors::is_loss(&error) => Failure::OfAll(error),
        Some(database) if !errors::is_loss(&error) => {
            let hint = database.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            Failure::Refused(failed(statement, format!("{}{hint}", database.message())))
        }
        // Numbers of parameters, and the like: found before anything was sent.
        None if errors::is_of_the_client(&error) => {
            Failure::Refused(failed(statement, error.source().map_or_else(|| error.to_string(), ToString::to_string)))
        }
        _ => Failure::Lost(error),
    })
}

/// A value, sent as text: the server reads it as the type that the statement wants.
#[derive(Debug)]
struct Parameter<'v>(&'v Json);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let text = match (self.0, ty.kind()) {
            (Json::Null, _) => return Ok(IsNull::Yes),
            (Json::Array(items), Kind::Array(_)) => array(items),
            (Json::String(text), _) if !matches!(*ty, Type::JSON | Type::JSONB) => text.clone(),
            (value, _) => value.to_string(),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// An array as PostgreSQL writes it.
fn array(items: &[Json]) -> String {
    let item = |item: &Json| match item {
        Json::Null => "NULL".to_owned(),
        Json::Array(items) => array(items),
        Json::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    };
    format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_word_is_found() {
        for (sql, word) in [
            ("INSERT INTO x", "INSERT"),
            ("  -- a comment\n\tcommit", "commit"),
            ("/* a /* nested */ one */ ((SELECT 1))", "SELECT"),
            ("/* open", ""),
            (";;END;", "END"),
            ("", ""),
        ] {
            assert_eq!(first_word(sql), word, "{sql}");
        }
    }

    #[test]
    fn arrays_are_written_for_postgres() {
        assert_eq!(
            array(&[json!(1), json!(null), json!("a\"b\\c,d"), json!([true, {"x": 1}])]),
            r#"{"1",NULL,"a\"b\\c,d",{"true","{\"x\":1}"}}"#
        );
    }
}
