//! Takes passwords out of texts: errors may quote a line of a configuration, or an address.

/// Words in the names of keys whose values are nobody's business.
const SECRET: &[&str] = &["secret", "password", "passwd", "token", "master_key", "credential"];

/// The text without the passwords of addresses, and without what is given to keys that are secret.
pub(super) fn redact(text: &str) -> String {
    let text = addresses(text);
    let is_secret = |line: &str| {
        let line = line.to_lowercase();
        line.contains('=') && SECRET.iter().any(|word| line.contains(word))
    };
    // What stands behind the sign, up to the end of what is quoted; or what is quoted, right behind the sign.
    let (mut parts, mut is_next) = (Vec::new(), false);
    for part in text.split('`') {
        parts.push(match part.split_once('=') {
            _ if is_next => "***".to_owned(),
            Some((_, "")) => part.to_owned(),
            Some((key, _)) if is_secret(part) => format!("{key}= ***"),
            _ => part.to_owned(),
        });
        is_next = part.ends_with('=') && is_secret(part);
    }
    parts.join("`")
}

/// `postgres://ada:secret@host` as `postgres://ada:***@host`.
fn addresses(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += "://";
        let end = part.find(|c: char| c.is_whitespace() || matches!(c, '"' | '`' | '\'' | '/' | ',')).unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        // A password may have what ends an address elsewhere: everything up to the last `@` of the word is its.
        let word = part.find(|c: char| c.is_whitespace() || matches!(c, '"' | '`')).unwrap_or(part.len());
        match (authority.rfind('@'), part[..word].rfind('@')) {
            (Some(at), _) => out += &format!("{}{}{rest}", user(&authority[..at]), &authority[at..]),
            (None, Some(at)) => out += &format!("{}{}", user(&part[..at]), &part[at..]),
            (None, None) => out += part,
        }
    }
    out
}

fn user(userinfo: &str) -> String {
    userinfo.split_once(':').map_or_else(|| userinfo.to_owned(), |(user, _)| format!("{user}:***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_told_nobody() {
        for (text, told) in [
            ("postgres://ada:secret@host:5/db", "postgres://ada:***@host:5/db"),
            ("in `url = \"postgres://ada:se/c,ret@host/db` x", "in `url = \"postgres://ada:***@host/db` x"),
            ("http://host/a@b and kafka://h:9092,i:9092", "http://host/a@b and kafka://h:9092,i:9092"),
            ("minos.toml:4: nonsense in `master_key = \"0f0f\"` there", "minos.toml:4: nonsense in `master_key = ***` there"),
            ("MINOS_AUTH_SECRET=`hush`: no", "MINOS_AUTH_SECRET=`***`: no"),
            ("nothing to see", "nothing to see"),
        ] {
            assert_eq!(redact(text), told);
        }
    }
}
