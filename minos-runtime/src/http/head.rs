//! How much the head of a request may be.
//!
//! Hyper looks between two reads how much has come, so what comes at once may be more than it lets in otherwise. What it has read is counted here.

use http::{HeaderMap, Uri};

/// What stands in a head and does not count: what separates names and values of as many headers as there may be (100), and the other words of the first line.
pub const BETWEEN: usize = 8 * 1024;

/// How many bytes a head has: in its target, and in the names and values of its headers.
pub fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    target + authority + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn all_that_a_client_chooses_counts() {
        let of = |target: &str, headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
            head_size(&target.parse().unwrap(), &headers)
        };
        assert_eq!(of("/", &[]), 1);
        assert_eq!(of("/foos?a=b", &[("host", "x")]), 14);
        assert_eq!(of("http://shop/foos", &[("a", "1"), ("a", "22")]), 14, "each value has its name");
    }
}
