//! The tables and functions, and how they came to be.

use super::{connection::Session, errors::Place, keys};
use crate::store::{StoreError, StoreResult};
use tokio_postgres::Client;

/// The migrations, in order. What is released is never changed; new ones go to the end. Functions carry a version in their names: nodes that were
/// started before a migration go on calling the ones that they know, and go on inserting into `events` by themselves: its columns, its index of versions,
/// the sequence of positions and the lock of the fence stay as they are. What takes and answers the same may replace the one of its name.
const MIGRATIONS: &[(&str, &str)] = &[
    ("events, outbox, inbox, checkpoints, dead letters and leases", include_str!("migrations/1.sql")),
    ("the service to which all this belongs", include_str!("migrations/2.sql")),
    ("executions in their traces, and by age", include_str!("migrations/3.sql")),
    ("steps that wait for how their saga ends", include_str!("migrations/4.sql")),
    ("documents, unique values, snapshots and keys of subjects", include_str!("migrations/5.sql")),
    ("documents that are written as fast as there are many", include_str!("migrations/6.sql")),
];
const CLAIM: &str =
    "INSERT INTO {s}.minos_service (name) SELECT $1 WHERE NOT EXISTS (SELECT FROM {s}.minos_service) ON CONFLICT DO NOTHING";
const OWNER: &str = "SELECT name FROM {s}.minos_service";

/// Brings the schema up to date, in one transaction: all of it, or an error and nothing. Nodes that start at once take turns.
pub(super) async fn prepare(session: &Session, schema: &str, place: &Place) -> StoreResult<()> {
    let client = session.client();
    if known(client, schema, place).await? == MIGRATIONS.len() {
        return Ok(());
    }
    let migrated = migrate(client, schema, place).await;
    if migrated.is_err() {
        // If even this fails, the connection is gone, and the transaction with it.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    migrated
}

async fn migrate(client: &Client, schema: &str, place: &Place) -> StoreResult<()> {
    let run = async |what: &str, sql: &str| {
        client.batch_execute(sql).await.map_err(|error| match place.error(&error) {
            // What is wrong with the connection or its rights is told as that.
            StoreError::Unavailable(reason) if error.code().is_none_or(|code| code.code().starts_with("42501")) => {
                StoreError::Unavailable(reason)
            }
            StoreError::Full(reason) => StoreError::Full(reason),
            reason => StoreError::Migration(format!("{what}: {reason}")),
        })
    };
    let lock = keys::of(schema, "migration", &[]);
    run("the others that start at the same time", &format!("BEGIN; SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock({lock})"))
        .await?;
    // Somebody else may have done it meanwhile.
    let version = known(client, schema, place).await?;
    if version == 0 {
        let there = client.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema]).await;
        if there.map_err(|error| place.error(&error))?.is_none() {
            run("the schema", &format!("CREATE SCHEMA {schema}")).await?;
        }
        let table = format!(
            "CREATE TABLE {schema}.minos_schema (version int PRIMARY KEY, what text NOT NULL, at timestamptz NOT NULL DEFAULT now())"
        );
        run("the table of versions", &table).await?;
    }
    for (n, (what, sql)) in MIGRATIONS.iter().enumerate().skip(version) {
        run(what, &keys::within(schema, sql)).await?;
        run(what, &format!("INSERT INTO {schema}.minos_schema (version, what) VALUES ({}, '{what}')", n + 1)).await?;
    }
    run("the commit", "COMMIT").await
}

/// Claims the schema for the service, unless it is another one's.
pub(super) async fn claim(session: &Session, service: &str, place: &Place) -> StoreResult<()> {
    let failed = |error: tokio_postgres::Error| place.error(&error);
    session.query(CLAIM, &[&service]).await.map_err(failed)?;
    let rows = session.query(OWNER, &[]).await.map_err(failed)?;
    let owner: Option<String> = rows.first().map(|row| row.try_get(0)).transpose().map_err(failed)?;
    match owner {
        Some(owner) if owner != service => Err(StoreError::Taken(format!(
            "{} belongs to the service `{owner}`: name another schema with `schema=` in MINOS_STORE_URL, or, if it was renamed, change `minos_service`",
            place.name()
        ))),
        _ => Ok(()),
    }
}

/// How many migrations there are.
pub(super) fn latest() -> usize {
    MIGRATIONS.len()
}

/// The version of the schema, and the service to which it belongs.
pub(super) async fn inspect(session: &Session, schema: &str, place: &Place) -> StoreResult<(usize, Option<String>)> {
    let version = known(session.client(), schema, place).await?;
    // The second migration makes its table.
    if version < 2 {
        return Ok((version, None));
    }
    let failed = |error: tokio_postgres::Error| place.error(&error);
    let rows = session.query(OWNER, &[]).await.map_err(failed)?;
    Ok((version, rows.first().map(|row| row.try_get(0)).transpose().map_err(failed)?))
}

/// The version of the schema; 0 for a new or empty one.
async fn known(client: &Client, schema: &str, place: &Place) -> StoreResult<usize> {
    let failed = |error: tokio_postgres::Error| place.error(&error);
    let tables = "SELECT count(*), count(*) FILTER (WHERE c.relname = 'minos_schema')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')";
    let row = client.query_one(tables, &[&schema]).await.map_err(failed)?;
    let (all, ours): (i64, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if ours == 0 {
        return if all == 0 {
            Ok(0)
        } else {
            Err(StoreError::Corrupt(format!(
                "{} has tables of something else, and was left as it is: name another schema with `schema=` in MINOS_STORE_URL",
                place.name()
            )))
        };
    }
    let row = client.query_one(&format!("SELECT coalesce(max(version), 0) FROM {schema}.minos_schema"), &[]).await.map_err(failed)?;
    let version: i32 = row.try_get(0).map_err(failed)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(StoreError::Migration(format!(
            "{} was written by a newer version of Minos (schema {version}, this one knows {}): use that version, or restore a backup",
            place.name(),
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}
