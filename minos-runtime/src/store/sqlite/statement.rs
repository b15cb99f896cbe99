//! Statements of the user's own. They stay inside their transaction, and away from the tables of Minos.

use super::schema::TABLES;
use crate::{
    codec::hex,
    store::{Statement, StoreError},
};
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
    params_from_iter,
    types::{ToSqlOutput, Value, ValueRef},
};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// Runs a statement that writes.
pub(super) fn execute(connection: &mut Connection, statement: &Statement) -> Result<(), StoreError> {
    guarded(connection, |connection| {
        let mut prepared = connection.prepare(&numbered(&statement.sql))?;
        prepared.execute(params_from_iter(statement.parameters.iter().map(parameter)))
    })
    .map(|_| ())
    .map_err(|error| failed(statement, &error))
}

/// Runs a statement that reads; each row becomes an object. Bytes become hexadecimal text.
pub(super) fn select(connection: &mut Connection, statement: &Statement) -> Result<Vec<Json>, StoreError> {
    guarded(connection, |connection| {
        let mut prepared = connection.prepare(&numbered(&statement.sql))?;
        let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        let mut rows = prepared.query(params_from_iter(statement.parameters.iter().map(parameter)))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = Map::with_capacity(columns.len());
            for (n, column) in columns.iter().enumerate() {
                object.insert(column.clone(), json(row.get_ref(n)?));
            }
            all.push(Json::Object(object));
        }
        Ok(all)
    })
    .map_err(|error| failed(statement, &error))
}

/// The statement with `?1` for `$1`, as PostgreSQL writes parameters: so one text serves both.
fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    let (mut text, mut quote, mut letters) = (String::with_capacity(sql.len()), None, sql.chars().peekable());
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '$') if letters.peek().is_some_and(char::is_ascii_digit) => {
                text.push('?');
                continue;
            }
            _ => {}
        }
        text.push(letter);
    }
    Cow::Owned(text)
}

fn failed(statement: &Statement, error: &rusqlite::Error) -> StoreError {
    let reason = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => {
            "a statement of a service may not end its transaction, attach databases, or change the tables of Minos".to_owned()
        }
        _ => error.to_string(),
    };
    StoreError::Statement { sql: statement.sql.clone(), reason }
}

fn guarded<T>(connection: &mut Connection, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.authorizer(Some(authorize))?;
    let result = run(connection);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    result
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    let ours = |table: &str| TABLES.iter().any(|own| own.eq_ignore_ascii_case(table));
    let denied = match context.action {
        AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { .. } => true,
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::CreateTempTrigger { table_name, .. } => ours(table_name),
        AuthAction::Function { function_name } => function_name.eq_ignore_ascii_case("load_extension"),
        _ => false,
    };
    if denied { Authorization::Deny } else { Authorization::Allow }
}

fn parameter(value: &Json) -> ToSqlOutput<'_> {
    match value {
        Json::Null => ToSqlOutput::Owned(Value::Null),
        Json::Bool(value) => ToSqlOutput::Owned(Value::Integer((*value).into())),
        Json::Number(number) => ToSqlOutput::Owned(match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Integer(number),
            (None, Some(number)) => Value::Real(number),
            (None, None) => Value::Text(number.to_string()),
        }),
        Json::String(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        other => ToSqlOutput::Owned(Value::Text(other.to_string())),
    }
}

fn json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => hex(bytes).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn parameters_are_written_as_on_postgresql() {
        assert_eq!(
            numbered("UPDATE t SET a = $2 WHERE b = $1 AND c = '$1' AND \"$2\" = $x"),
            "UPDATE t SET a = ?2 WHERE b = ?1 AND c = '$1' AND \"$2\" = $x"
        );
        assert_eq!(numbered("SELECT ?1"), "SELECT ?1");
    }
}
