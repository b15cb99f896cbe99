//! Questions for documents as SQL. What they mean is said in Rust (`find`), and every expression here says the same.
//!
//! Names and paths stand in the text, for an index is only used where they do; they are quoted. Values are parameters.

use super::{Direction, Field, FieldPath, Filter, Find, Kind, Op, Order, find::Scalar};
use serde_json::Value as Json;
use std::fmt::Write as _;
use uuid::Uuid;

/// What the databases write differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// A value that is bound. SQLite gets lists as JSON text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parameter {
    Text(String),
    #[cfg(feature = "postgres")]
    List(Vec<String>),
}

/// SQL with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
}

/// Where a value is.
enum Place<'p> {
    Body(&'p FieldPath),
    /// The item of a list.
    Item,
}

impl Dialect {
    /// Text between quotes.
    fn quoted(self, text: &str) -> String {
        let text = text.replace('\'', "''");
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => format!("'{text}'"),
            // Whatever a backslash means to the server.
            #[cfg(feature = "postgres")]
            Dialect::Postgres if text.contains('\\') => format!(" E'{}'", text.replace('\\', "\\\\")),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("'{text}'"),
        }
    }

    /// Of what type a value is, and, unless it is an object or a list, itself as text or as what SQLite makes of it.
    fn parts(self, place: &Place<'_>) -> (String, String) {
        match (self, place) {
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Place::Body(path)) => {
                let path = self.path(path);
                (format!("json_type(body, {path})"), format!("json_extract(body, {path})"))
            }
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Place::Item) => ("item.type".to_owned(), "item.value".to_owned()),
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Place::Body(path)) => {
                let (last, outer) = path.split_last().map_or(("", &[][..]), |(last, outer)| (&**last, outer));
                let outer = outer.iter().fold("body".to_owned(), |json, name| format!("{json} -> {}", self.quoted(name)));
                (format!("json_typeof({outer} -> {})", self.quoted(last)), format!("({outer} ->> {})", self.quoted(last)))
            }
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Place::Item) => ("json_typeof(item.value)".to_owned(), "(item.value #>> '{}')".to_owned()),
        }
    }

    /// A path as SQLite reads it: its names are JSON.
    #[cfg(feature = "sqlite")]
    fn path(self, path: &FieldPath) -> String {
        let names = path.iter().fold("$".to_owned(), |path, name| format!("{path}.{}", Json::from(&**name)));
        self.quoted(&names)
    }

    /// What is compared; null if it is of another kind.
    fn field(self, kind: Kind, place: &Place<'_>) -> String {
        let (is, value) = self.parts(place);
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => match kind {
                Kind::Text => format!("(CASE {is} WHEN 'text' THEN {value} END)"),
                Kind::Time => format!("(CASE {is} WHEN 'text' THEN rtrim({value}, 'Z') END)"),
                Kind::Number => format!("(CASE WHEN {is} IN ('integer', 'real') THEN {value} END)"),
                Kind::Bool => format!("(CASE {is} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"),
            },
            #[cfg(feature = "postgres")]
            Dialect::Postgres => match kind {
                Kind::Text => format!("((CASE WHEN {is} = 'string' THEN {value} END) COLLATE \"C\")"),
                Kind::Time => format!("((CASE WHEN {is} = 'string' THEN rtrim({value}, 'Z') END) COLLATE \"C\")"),
                Kind::Number => format!("(CASE WHEN {is} = 'number' THEN {value}::numeric END)"),
                Kind::Bool => format!("(CASE WHEN {is} = 'boolean' THEN {value}::boolean END)"),
            },
        }
    }

    /// The statement that makes an index of a field, in the schema of this prefix. Its name says all of it, so another index has another name.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables))]
    pub(super) fn index(self, schema: &str, collection: &str, field: &Field) -> (String, String) {
        let expression = self.field(field.kind, &Place::Body(&field.path));
        let on = match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => format!("documents ({expression}, key)"),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("{schema}.documents ({expression} NULLS FIRST, key)"),
        };
        let rest = format!("{on} WHERE collection = {}", self.quoted(collection));
        let name = format!("documents_by_{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, rest.as_bytes()).simple());
        let made = match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => format!("CREATE INDEX IF NOT EXISTS {name} ON {rest}"),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {rest}"),
        };
        (name, made)
    }

    /// The questions whose answers, one behind the other, are the documents that are looked for: up to the limit, which each of them has.
    pub(super) fn find(self, table: &str, find: &Find) -> Vec<Query> {
        (0..ranges(find)).map(|range| self.find_in(table, find, range)).collect()
    }

    fn find_in(self, table: &str, find: &Find, range: usize) -> Query {
        let mut text = Text::new(self);
        let filter = text.filter(&find.filter);
        let behind = text.behind(find, range);
        let mut order = String::new();
        for Order { field, direction } in &find.order {
            let (way, nulls) = match direction {
                Direction::Ascending => ("ASC", "NULLS FIRST"),
                Direction::Descending => ("DESC", "NULLS LAST"),
            };
            // That cannot fail.
            let _ = write!(order, "{} {way} {nulls}, ", self.field(field.kind, &Place::Body(&field.path)));
        }
        let way = if find.of_keys() == Direction::Ascending { "ASC" } else { "DESC" };
        let (body, limit) = (self.body(), i64::try_from(find.limit).unwrap_or(i64::MAX));
        let sql = format!(
            "SELECT key, version, {body} FROM {table} WHERE collection = {} AND {filter} AND {behind} ORDER BY {order}key {way} LIMIT {limit}",
            self.quoted(&find.collection)
        );
        Query { sql, parameters: text.parameters }
    }

    /// The question how many documents there are.
    pub(super) fn count(self, table: &str, collection: &str, filter: &Filter) -> Query {
        let mut text = Text::new(self);
        let filter = text.filter(filter);
        let sql = format!("SELECT count(*) FROM {table} WHERE collection = {} AND {filter}", self.quoted(collection));
        Query { sql, parameters: text.parameters }
    }

    fn body(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "body",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "body::text",
        }
    }
}

/// A condition that is being written.
struct Text {
    dialect: Dialect,
    parameters: Vec<Parameter>,
}

impl Text {
    fn new(dialect: Dialect) -> Self {
        Text { dialect, parameters: Vec::new() }
    }

    fn bind(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        let n = self.parameters.len();
        match self.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => format!("?{n}"),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("${n}"),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let bound = self.bind(Parameter::Text(text.to_owned()));
        match self.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => bound,
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("{bound}::text"),
        }
    }

    /// A value; `None` if it is null as this kind.
    fn value(&mut self, kind: Kind, value: &Json) -> Option<String> {
        let text = written(kind, value)?;
        let bound = self.text(&text);
        Some(match self.dialect {
            // Numbers are read from JSON as those of the documents are.
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite if matches!(kind, Kind::Number | Kind::Bool) => format!("json_extract({bound}, '$')"),
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => bound,
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("{bound}{}", cast(kind)),
        })
    }

    /// Whether an expression is among these.
    fn among(&mut self, kind: Kind, field: &str, values: &[Json]) -> String {
        let texts = values.iter().filter_map(|value| written(kind, value));
        match self.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                let items: Vec<_> =
                    texts.map(|text| if matches!(kind, Kind::Number | Kind::Bool) { text } else { Json::from(text).to_string() }).collect();
                let list = self.bind(Parameter::Text(format!("[{}]", items.join(","))));
                format!("({field} IN (SELECT value FROM json_each({list})))")
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let list = self.bind(Parameter::List(texts.collect()));
                let cast = match kind {
                    Kind::Text | Kind::Time => "",
                    Kind::Number => "::numeric[]",
                    Kind::Bool => "::boolean[]",
                };
                format!("({field} = ANY ({list}::text[]{cast}))")
            }
        }
    }

    /// A condition that is true where the filter is; elsewhere it is false or null.
    fn filter(&mut self, filter: &Filter) -> String {
        let (dialect, field_of) = (self.dialect, |field: &Field| self.dialect.field(field.kind, &Place::Body(&field.path)));
        match filter {
            Filter::All(all) => self.joined(all, " AND ", "TRUE"),
            Filter::Any(any) => self.joined(any, " OR ", "FALSE"),
            Filter::Not(filter) => format!("({} IS NOT TRUE)", self.filter(filter)),
            Filter::Compare { field, op, value } => {
                let expression = field_of(field);
                let Some(value) = self.value(field.kind, value) else {
                    return if *op == Op::Ne { "TRUE" } else { "FALSE" }.to_owned();
                };
                match op {
                    Op::Eq => format!("({expression} = {value})"),
                    Op::Ne => format!("(({expression} = {value}) IS NOT TRUE)"),
                    Op::Lt => format!("({expression} < {value})"),
                    Op::Le => format!("({expression} <= {value})"),
                    Op::Gt => format!("({expression} > {value})"),
                    Op::Ge => format!("({expression} >= {value})"),
                }
            }
            Filter::In { field, values } => {
                let expression = field_of(field);
                self.among(field.kind, &expression, values)
            }
            Filter::IsNull(path) => format!("(coalesce({}, 'null') = 'null')", dialect.parts(&Place::Body(path)).0),
            Filter::StartsWith { path, prefix } => {
                let expression = dialect.field(Kind::Text, &Place::Body(path));
                let from = self.text(prefix);
                match behind_prefix(prefix) {
                    Some(to) => format!("({expression} >= {from} AND {expression} < {})", self.text(&to)),
                    None => format!("({expression} >= {from})"),
                }
            }
            Filter::Contains { path, part } => {
                let (expression, part) = (dialect.field(Kind::Text, &Place::Body(path)), self.text(part));
                match dialect {
                    #[cfg(feature = "sqlite")]
                    Dialect::Sqlite => format!("(instr({expression}, {part}) > 0)"),
                    #[cfg(feature = "postgres")]
                    Dialect::Postgres => format!("(strpos({expression}, {part}) > 0)"),
                }
            }
            Filter::Has { field, item } => {
                let Some(value) = self.value(field.kind, item) else { return "FALSE".to_owned() };
                let one = dialect.field(field.kind, &Place::Item);
                self.has(&field.path, &format!("{one} = {value}"))
            }
        }
    }

    /// Whether a list has an item of which this is true.
    fn has(&self, path: &FieldPath, condition: &str) -> String {
        let (is, value) = self.dialect.parts(&Place::Body(path));
        match self.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                let _ = value;
                let path = self.dialect.path(path);
                format!("({is} = 'array' AND EXISTS (SELECT 1 FROM json_each(body, {path}) AS item WHERE {condition}))")
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let list = format!("CASE WHEN {is} = 'array' THEN {value}::json ELSE '[]' END");
                format!("EXISTS (SELECT FROM json_array_elements({list}) AS item(value) WHERE {condition})")
            }
        }
    }

    fn joined(&mut self, filters: &[Filter], by: &str, none: &str) -> String {
        if filters.is_empty() {
            return none.to_owned();
        }
        let all: Vec<_> = filters.iter().map(|filter| self.filter(filter)).collect();
        format!("({})", all.join(by))
    }

    /// A condition that is true behind the cursor, of one [range](ranges) of the first field.
    fn behind(&mut self, find: &Find, range: usize) -> String {
        let Some(after) = &find.after else { return "TRUE".to_owned() };
        let dialect = self.dialect;
        let expression = |field: &Field| dialect.field(field.kind, &Place::Body(&field.path));
        if range > 0 {
            return match find.order.first() {
                Some(Order { field, direction: Direction::Ascending }) => format!("({} IS NOT NULL)", expression(field)),
                Some(Order { field, direction: Direction::Descending }) => format!("({} IS NULL)", expression(field)),
                None => "FALSE".to_owned(),
            };
        }
        let compared = find.order.iter().zip(&after.values);
        let terms: Vec<_> =
            compared.map(|(Order { field, direction }, value)| (expression(field), *direction, self.value(field.kind, value))).collect();
        let than = if find.of_keys() == Direction::Ascending { ">" } else { "<" };
        let key = format!("(key {than} {})", self.text(&after.key));
        let rest = terms.iter().skip(1).rev().fold(key, |rest, (field, direction, value)| match (direction, value) {
            (Direction::Ascending, None) => format!("({field} IS NOT NULL OR {rest})"),
            (Direction::Descending, None) => format!("({field} IS NULL AND {rest})"),
            (Direction::Ascending, Some(value)) => format!("({field} > {value} OR ({field} = {value} AND {rest}))"),
            (Direction::Descending, Some(value)) => {
                format!("({field} < {value} OR {field} IS NULL OR ({field} = {value} AND {rest}))")
            }
        });
        match terms.first() {
            None => rest,
            Some((field, _, None)) => format!("({field} IS NULL AND {rest})"),
            Some((field, Direction::Ascending, Some(value))) => format!("({field} >= {value} AND ({field} > {value} OR {rest}))"),
            Some((field, Direction::Descending, Some(value))) => format!("({field} <= {value} AND ({field} < {value} OR {rest}))"),
        }
    }
}

/// How many ranges of the first field are behind the cursor, one behind the other: with one question for each an index is read from where the last page
/// ended. The second one are the nulls, or all but them.
fn ranges(find: &Find) -> usize {
    let first = find.order.first().zip(find.after.as_ref().and_then(|after| after.values.first()));
    let is_two =
        |(Order { field, direction }, value): (&Order, &Json)| field.kind.scalar(value).is_none() == (*direction == Direction::Ascending);
    1 + usize::from(first.is_some_and(is_two))
}

/// A value as it is bound.
fn written(kind: Kind, value: &Json) -> Option<String> {
    match kind.scalar(value)? {
        Scalar::Text(text) => Some(text.to_owned()),
        Scalar::Whole(_) | Scalar::Float(_) | Scalar::Bool(_) => Some(value.to_string()),
    }
}

#[cfg(feature = "postgres")]
fn cast(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Time => "",
        Kind::Number => "::numeric",
        Kind::Bool => "::boolean",
    }
}

/// The lowest text above all that begin so; `None` if there is none.
fn behind_prefix(prefix: &str) -> Option<String> {
    let mut text: Vec<char> = prefix.chars().collect();
    while let Some(last) = text.pop() {
        // The next character: there are none from U+D800 to U+DFFF.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some(text.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_is_below_what_is_behind_it() {
        assert_eq!(behind_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(behind_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!((behind_prefix(""), behind_prefix("\u{10ffff}")), (None, None));
    }
}
