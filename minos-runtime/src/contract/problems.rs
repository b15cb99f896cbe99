//! With which statuses a handler may be answered in place of its answer.

use super::Parts;
use crate::{
    auth::Access,
    error::ProblemDef,
    handler::{HandlerDef, Kind},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What may come of any request: it is malformed or wrong, something is not there, it is too slow, or the service cannot.
const ANY: &[u16] = &[400, 404, 408, 413, 415, 422, 500, 503, 504];
/// What has changed in the meantime, or is asked for under a key that is taken.
const CONFLICT: u16 = 409;
const CLOSED: &[u16] = &[401, 403];

/// What has to be shown to call it: the roles of which one is needed, and all the scopes that are. Nothing if it is open.
pub(super) fn security(def: &HandlerDef, parts: &Parts<'_>) -> Option<Value> {
    let Access { public, roles, scopes } = def.access;
    (parts.is_closed && !public).then(|| json!({ "roles": roles, "scopes": scopes }))
}

/// All statuses of problems, in order.
pub(super) fn of(def: &HandlerDef, parts: &Parts<'_>) -> Vec<u16> {
    let mut all: BTreeSet<u16> = ANY.iter().copied().collect();
    if def.kind == Kind::Command {
        all.insert(CONFLICT);
    }
    if security(def, parts).is_some() {
        all.extend(CLOSED);
    }
    // Those of the user's own errors: which of them a handler returns is not seen.
    all.extend(inventory::iter::<ProblemDef>.into_iter().flat_map(|def| def.all));
    all.into_iter().collect()
}

/// What a status says, in a few words.
pub(super) fn words(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed.",
        401 => "There is no valid token.",
        403 => "The caller may not do this.",
        404 => "What was asked for is not there.",
        408 => "The body did not arrive in time.",
        409 => "It contradicts the current state.",
        413 => "The body is too large.",
        415 => "The body is not JSON.",
        422 => "The input is of the wrong form, or a rule says no.",
        500 => "The service failed.",
        503 => "Something that it needs is not available; try again later.",
        504 => "It took too long.",
        other => http::StatusCode::from_u16(other).ok().and_then(|status| status.canonical_reason()).unwrap_or("A problem."),
    }
}
