//! JSON as far as contracts have it: small enough that macros need no crate for it.

use std::collections::BTreeMap;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a text, or says what is wrong with it and at which line.
    pub(super) fn parse(text: &str) -> Result<Json, String> {
        let mut reader = Reader { rest: text, depth: 0 };
        let value = reader.value();
        let value = value.and_then(|value| if reader.peek().is_none() { Ok(value) } else { Err("something comes behind its end") });
        value.map_err(|why| {
            let read = text.get(..text.len() - reader.rest.len()).unwrap_or(text);
            format!("{why}, at line {}", 1 + read.matches('\n').count())
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> &[Json] {
        match self {
            Json::List(list) => list,
            _ => &[],
        }
    }

    /// The fields of an object.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&String, &Json)> {
        match self {
            Json::Object(fields) => Some(fields),
            _ => None,
        }
        .into_iter()
        .flatten()
    }
}

/// Deeper than any contract.
const DEEPEST: usize = 128;

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn takes(&mut self, word: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<Json, &'static str> {
        match self.peek() {
            Some('{') => self.inside(Self::object),
            Some('[') => self.inside(Self::list),
            Some('"') => self.string().map(Json::Text),
            Some('-' | '0'..='9') => {
                let length = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(self.rest.len());
                let (number, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
                self.rest = rest;
                Ok(Json::Number(number.to_owned()))
            }
            Some(_) if self.takes("null") => Ok(Json::Null),
            Some(_) if self.takes("true") => Ok(Json::Bool(true)),
            Some(_) if self.takes("false") => Ok(Json::Bool(false)),
            Some(_) => Err("it is no JSON"),
            None => Err("it is cut off"),
        }
    }

    fn inside(&mut self, read: fn(&mut Self) -> Result<Json, &'static str>) -> Result<Json, &'static str> {
        if self.depth >= DEEPEST {
            return Err("it is too deep");
        }
        self.depth += 1;
        self.next();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Json, &'static str> {
        let mut fields = BTreeMap::new();
        if self.takes("}") {
            return Ok(Json::Object(fields));
        }
        loop {
            if self.peek() != Some('"') {
                return Err("a name in quotes is missing");
            }
            let name = self.string()?;
            if !self.takes(":") {
                return Err("a `:` is missing");
            }
            let value = self.value()?;
            fields.insert(name, value);
            if self.takes("}") {
                return Ok(Json::Object(fields));
            }
            if !self.takes(",") {
                return Err("a `,` or `}` is missing");
            }
        }
    }

    fn list(&mut self) -> Result<Json, &'static str> {
        let mut list = Vec::new();
        if self.takes("]") {
            return Ok(Json::List(list));
        }
        loop {
            list.push(self.value()?);
            if self.takes("]") {
                return Ok(Json::List(list));
            }
            if !self.takes(",") {
                return Err("a `,` or `]` is missing");
            }
        }
    }

    fn string(&mut self) -> Result<String, &'static str> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next().ok_or("it is cut off")? {
                '"' => return Ok(text),
                '\\' => {
                    let escaped = self.next().ok_or("it is cut off")?;
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'u' => self.code()?,
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
    }

    fn code(&mut self) -> Result<char, &'static str> {
        let mut unit = || {
            let digits = self.rest.get(..4).ok_or("it is cut off")?;
            let unit = u32::from_str_radix(digits, 16).map_err(|_| "a `\\u` needs four digits")?;
            self.rest = self.rest.get(4..).unwrap_or_default();
            Ok::<_, &'static str>(unit)
        };
        let first = unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or("half of a character");
        }
        if self.rest.get(..2) != Some("\\u") {
            return Err("half of a character");
        }
        self.rest = self.rest.get(2..).unwrap_or_default();
        let digits = self.rest.get(..4).ok_or("it is cut off")?;
        let second = u32::from_str_radix(digits, 16).map_err(|_| "a `\\u` needs four digits")?;
        self.rest = self.rest.get(4..).unwrap_or_default();
        let low = second.checked_sub(0xDC00).ok_or("half of a character")?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + low).ok_or("half of a character")
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn json_is_read() {
        let value = Json::parse(r#" {"a": [1, -2.5e3, true, null, "x\"\u00fc\ud83d\ude00\n"], "b": {}} "#).unwrap();
        let a = value.get("a").unwrap().list();
        assert_eq!(a[0], Json::Number("1".into()));
        assert_eq!(a[1], Json::Number("-2.5e3".into()));
        assert_eq!((&a[2], &a[3]), (&Json::Bool(true), &Json::Null));
        assert_eq!(a[4].text(), Some("x\"ü😀\n"));
        for (text, why) in [
            ("", "it is cut off, at line 1"),
            ("{\n\"a\" 1}", "a `:` is missing, at line 2"),
            ("[1 2]", "a `,` or `]` is missing, at line 1"),
            ("{} {}", "something comes behind its end, at line 1"),
            ("nope", "it is no JSON, at line 1"),
            ("\"\\ud800\"", "half of a character, at line 1"),
        ] {
            assert_eq!(Json::parse(text).unwrap_err(), why, "{text}");
        }
        assert!(Json::parse(&"[".repeat(1000)).unwrap_err().starts_with("it is too deep"));
    }
}
