//! The files of the page. A service has them, and so has the gateway, for all services.

use http::{HeaderName, header};

/// A file of the page.
pub struct PageFile {
    /// Where it is.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What is in it.
    pub content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All of them, the page itself first.
pub static FILES: [PageFile; 8] = [
    PageFile { path: "/console", kind: HTML, content: include_str!("page.html") },
    PageFile { path: "/console/elements.js", kind: SCRIPT, content: include_str!("elements.js") },
    PageFile { path: "/console/ask.js", kind: SCRIPT, content: include_str!("ask.js") },
    PageFile { path: "/console/services.js", kind: SCRIPT, content: include_str!("services.js") },
    PageFile { path: "/console/pages.js", kind: SCRIPT, content: include_str!("pages.js") },
    PageFile { path: "/console/app.js", kind: SCRIPT, content: include_str!("app.js") },
    PageFile { path: "/console/style.css", kind: "text/css; charset=utf-8", content: include_str!("style.css") },
    PageFile { path: "/console/icon.svg", kind: "image/svg+xml", content: include_str!("icon.svg") },
];

/// What stands in the page where it says whose it is.
pub struct Place {
    /// A service's.
    pub service: &'static str,
    /// A gateway's.
    pub gateway: &'static str,
}

/// The page says it itself, so that it need not ask.
pub const PLACE: Place = Place { service: "data-place=\"service\"", gateway: "data-place=\"gateway\"" };

/// The page may load its own files and ask its own service, and nothing else. Diagrams are pictures, in which no script runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is said of each file.
pub const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // The next version of the program has other files.
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_files() {
        let [page, others @ ..] = &FILES;
        assert_eq!(page.content.matches(PLACE.service).count(), 1);
        for file in others {
            let name = file.path.trim_start_matches('/');
            assert!(page.content.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
