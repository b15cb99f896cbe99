//! Every word of the macros' language, once.

/// The HTTP methods of routes.
pub(crate) const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Parameters that are read from elsewhere than the content.
pub(crate) const EXTRACTORS: &[&str] = &["Path", "Query", "Headers", "User"];

/// Of a handler: that anybody may call it.
pub(crate) const PUBLIC: &str = "public";

/// Of a handler: the roles of which a caller has one.
pub(crate) const ROLES: &str = "roles";

/// Of a handler: what a caller's token has to be for.
pub(crate) const SCOPES: &str = "scopes";

/// What can be said of who may call a handler.
pub(crate) const ACCESS: &[&str] = &[PUBLIC, ROLES, SCOPES];

/// What every aggregate has by itself.
pub(crate) const RESERVED_FIELDS: &[&str] = &["uuid", "version", "created_at", "updated_at"];

/// The endings of the events that every aggregate has.
pub(crate) const OWN_EVENTS: &[&str] = &["Created", "Updated", "Deleted"];

/// What can happen to a set.
pub(crate) const SET_CHANGES: &[&str] = &["create", "update", "delete"];

/// The types of fields whose changes are stored one by one.
pub(crate) const SETS: &[&str] = &["EntitySet", "ValueSet"];

/// The type of fields that are data of a person.
pub(crate) const SENSITIVE: &str = "Sensitive";

/// The attribute with the rules of a field.
pub(crate) const VALIDATE: &str = "validate";

/// What it can say.
pub(crate) const RULES: &[&str] = &["not_empty", "length", "range", "email", "url", "one_of", "with", "nested"];

/// What can be said of an aggregate.
pub(crate) const AGGREGATE_KEYS: &[&str] = &["name", "version", "upcast", "crate"];

/// What can be said of an aggregate in one word.
pub(crate) const AGGREGATE_FLAGS: &[&str] = &["queryable", "resolvable"];

/// What can be said of the snapshots of an aggregate.
pub(crate) const SNAPSHOT_KEYS: &[&str] = &["every", "age", "schema"];

/// Functions whose answer is another one each time: replay would get another state.
pub(crate) const IMPURE: &[&str] =
    &["now", "now_utc", "now_local", "now_v1", "now_v6", "now_v7", "new_v4", "elapsed", "random", "thread_rng", "rng"];

/// Crates of which every function's answer is another one each time.
pub(crate) const DICE: &[&str] = &["rand", "fastrand", "getrandom", "nanorand", "oorandom"];

/// What a saga is made of.
pub(crate) const NODES: &[&str] = &["remote", "local", "pivot", "retriable", "when", "parallel"];

/// What can be said of a step that another service does.
pub(crate) const REMOTE_KEYS: &[&str] = &["on_execute", "on_success", "on_error", "on_failure", "timeout", "retry"];

/// What can be said of a step that is done here.
pub(crate) const LOCAL_KEYS: &[&str] = &["on_execute", "on_failure", "timeout", "retry"];

/// What can be said of trying again.
pub(crate) const RETRY_KEYS: &[&str] = &["attempts", "first_pause", "longest_pause"];

/// What can be said of a saga's matrix.
pub(crate) const MATRIX_KEYS: &[&str] = &["input", "answers", "lives"];

/// Before a saga of which nothing is seen before all is done.
pub(crate) const ISOLATED: &str = "isolated";

/// Names that `saga!` derives itself.
pub(crate) const SAGA_DERIVES: &[&str] = &["Debug", "Clone", "Serialize", "Deserialize"];

/// What can be said of a projection.
pub(crate) const PROJECTION_KEYS: &[&str] = &["inline", "version"];

/// Of a command: the read models that show it before it is answered.
pub(crate) const CONSISTENCY: &str = "consistency";
