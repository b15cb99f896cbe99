//! The ids under which a request is found again: in the logs, and in a trace.

use http::{HeaderMap, HeaderName, HeaderValue};
use minos_runtime::Trace;
use uuid::{NoContext, Uuid};

pub(in crate::gateway) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a request is called.
pub(in crate::gateway) struct Ids {
    pub(in crate::gateway) correlation: Uuid,
    pub(in crate::gateway) text: HeaderValue,
    trace: Option<Trace>,
}

impl Ids {
    /// Those that the caller gives, or new ones: as a service would.
    pub(in crate::gateway) fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let given = text(CORRELATION).and_then(|text| Uuid::try_parse(text).ok());
        let trace = text(TRACEPARENT).and_then(Trace::parse);
        let known = given.or_else(|| trace.map(Trace::id)).filter(|id| !id.is_nil());
        let correlation = known.unwrap_or_else(|| Uuid::new_v7(uuid::Timestamp::now(NoContext)));
        let mut buffer = [0; 36];
        let text = correlation.hyphenated().encode_lower(&mut buffer);
        // A uuid has nothing that a header could not say.
        let text = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"));
        Ids { correlation, text, trace }
    }

    /// Tells the instance. A trace that is malformed begins anew.
    pub(in crate::gateway) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(CORRELATION, self.text.clone());
        if self.trace.is_some() {
            return;
        }
        headers.remove(TRACESTATE);
        // Of each request: without the machinery of `format!`.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
        self.correlation.simple().encode_lower(&mut text[3..35]);
        let mut span = [0; 32];
        Uuid::from_u64_pair(fastrand::u64(1..), 0).simple().encode_lower(&mut span);
        text[36..52].copy_from_slice(&span[..16]);
        if let Ok(value) = HeaderValue::from_bytes(&text) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_passed_on_or_made() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let told = |given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, HeaderValue::from_str(value).unwrap());
            }
            Ids::of(&headers.clone()).tell(&mut headers);
            let text = |name: HeaderName| headers[name].to_str().unwrap().to_owned();
            (text(CORRELATION), text(TRACEPARENT))
        };
        let (correlation, traceparent) = told(&[]);
        assert_eq!(traceparent.split('-').nth(1).unwrap(), correlation.replace('-', ""), "one id for both");
        assert!(Trace::parse(&traceparent).is_some());
        assert_eq!(told(&[("traceparent", trace)]), ("0af76519-16cd-43dd-8448-eb211c80319c".to_owned(), trace.to_owned()));
        let uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
        let (correlation, traceparent) = told(&[("x-correlation-id", uuid), ("traceparent", "00-zz")]);
        assert_eq!(correlation, uuid);
        assert!(traceparent.contains(&uuid.replace('-', "")), "what is malformed goes no further");
        assert_ne!(told(&[("x-correlation-id", "<script>")]).0, "<script>");
    }
}
