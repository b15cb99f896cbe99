//! Paths that could mean something else to who gets them.
//!
//! A path is compared with the routes as it was sent, and sent on as it is. So what is refused here is only what an instance might take for another path.

use percent_encoding::percent_decode;

/// What is wrong with a path. `%2F` is a slash of a parameter and none of the path, as long as nobody could walk with it.
pub(in crate::gateway) fn wrong(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("it does not begin with `/`");
    }
    let is_plain = !path.bytes().any(|byte| matches!(byte, b'%' | b'\\' | b'.'));
    if is_plain {
        return None;
    }
    // Twice: who decodes once more than it should finds nothing either.
    let mut text = path.as_bytes().to_vec();
    for _ in 0..3 {
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Some("it has a control character");
        }
        let is_step = |part: &[u8]| part == b"." || part == b"..";
        // `..;x` is a step to those who take away what stands behind `;`.
        if text.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| is_step(part.split(|byte| *byte == b';').next().unwrap_or_default()))
        {
            return Some("it has a part that is `.` or `..`");
        }
        // As bytes: what is no text after the first time can still be decoded by others.
        let decoded = percent_decode(&text).collect::<Vec<u8>>();
        if decoded == text {
            break;
        }
        text = decoded;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_walk_is_refused() {
        for path in [
            "/foos/..",
            "/foos/../admin",
            "/./foos",
            "/foos/%2e%2e/admin",
            "/foos/%2E./admin",
            "/foos/..%2fadmin",
            "/foos/%2e%2e%2fadmin",
            "/foos/%252e%252e/admin",
            "/foos/%ff/%252e%252e/admin",
            "/foos/%ff%250a",
            "/foos/..%5cadmin",
            "/foos/..\\admin",
            "/foos/..;/admin",
            "/foos/%00",
            "/foos/a%0d%0ab",
            "/foos/%7f",
            "foos",
            "*",
            "",
        ] {
            assert!(wrong(path).is_some(), "{path}");
        }
    }

    #[test]
    fn what_is_only_odd_is_a_parameter() {
        for path in [
            "/",
            "/foos/1",
            "/foos/a.b",
            "/foos/...",
            "/foos/.hidden",
            "/foos/a%2Fb",
            "/foos/%C3%BC",
            "/foos/100%25",
            "/foos//1",
            "/foos/a;v=1",
            "/foos/%zz",
        ] {
            assert_eq!(wrong(path), None, "{path}");
        }
    }
}
