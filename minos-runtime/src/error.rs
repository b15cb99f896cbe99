//! The error of handlers and of the framework: what happened, how a client sees it, and whether trying again can help.

use std::{any::Any, borrow::Cow, error::Error as StdError, fmt};

/// The result of handlers and of most functions of Minos.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// What a panic is told with.
const PANICKED: &str = " panicked: ";

/// Whether the message of an error tells of a panic of the user's code.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn tells_a_panic(message: &str) -> bool {
    message.contains(PANICKED)
}

/// What went wrong, as a class. It decides the HTTP status, and whether a message is tried again.
///
/// Errors are *permanent* (the same input fails again) or *transient* (it may succeed later); see
/// [`ErrorKind::is_transient`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input could not be read at all, such as malformed JSON (400).
    Malformed,
    /// There is no verified caller, and one is needed (401).
    Unauthenticated,
    /// The caller may not do this (403).
    Forbidden,
    /// What was asked for does not exist (404).
    NotFound,
    /// The request contradicts the current state, such as a version that has moved on (409).
    Conflict,
    /// What was sent is larger than allowed (413).
    TooLarge,
    /// The input is of the wrong form: a wrong type, a missing or an unknown field (422).
    Invalid,
    /// A rule of the domain says no; see [`ensure!`](crate::ensure) (422).
    Rejected,
    /// Something that is needed is down or full; trying later may succeed (503).
    Unavailable,
    /// It took too long (504).
    Timeout,
    /// An error that the service did not expect (500). Clients see no detail.
    Internal,
}

impl ErrorKind {
    /// The HTTP status that clients get.
    pub fn status(self) -> http::StatusCode {
        use http::StatusCode;
        match self {
            ErrorKind::Malformed => StatusCode::BAD_REQUEST,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Invalid | ErrorKind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the same work may succeed when it is tried again. A message whose handler fails with a transient
    /// error is retried; a permanent error puts it among the dead letters at once.
    pub fn is_transient(self) -> bool {
        matches!(self, ErrorKind::Conflict | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Internal)
    }

    /// A short name in words, for logs and problem documents.
    pub fn title(self) -> &'static str {
        match self {
            ErrorKind::Malformed => "malformed request",
            ErrorKind::Unauthenticated => "not authenticated",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::NotFound => "not found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::TooLarge => "too large",
            ErrorKind::Invalid => "invalid input",
            ErrorKind::Rejected => "rejected",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Timeout => "timed out",
            ErrorKind::Internal => "internal error",
        }
    }
}

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// An error of a handler or of the framework.
///
/// Any [`std::error::Error`] becomes one with `?`, as [`ErrorKind::Internal`] unless its type says otherwise with
/// `#[derive(Problem)]`. For an error of your own domain without a type, use [`ensure!`](crate::ensure),
/// [`bail!`](crate::bail), or one of the constructors.
///
/// ```
/// use minos_runtime::{Error, ErrorKind, Result, ensure};
///
/// fn withdraw(balance: u64, amount: u64) -> Result<u64> {
///     ensure!(balance >= amount, "insufficient funds: {balance} of {amount}");
///     Ok(balance - amount)
/// }
/// let error = withdraw(1, 2).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Rejected);
/// assert_eq!(error.to_string(), "insufficient funds: 1 of 2");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    status: Option<http::StatusCode>,
    message: Cow<'static, str>,
    context: Vec<Cow<'static, str>>,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind. The message is shown to clients, but for the kinds of the 500s.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner { kind, status: None, message: message.into(), context: Vec::new(), source: None }))
    }

    /// [`ErrorKind::Rejected`]: a rule of the domain says no.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Rejected, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::Invalid`]: the input is of the wrong form.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Invalid, message)
    }

    /// [`ErrorKind::Internal`]: something that should not happen. Clients see no detail.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// [`ErrorKind::Unavailable`]: may succeed later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Unavailable, message)
    }

    /// The error that another service answered with this status.
    pub(crate) fn of_status(status: http::StatusCode, message: String) -> Self {
        Error::new(kind_of_status(status), message).with_status(status)
    }

    /// The same for whoever reads it; its causes are only text.
    pub(crate) fn copied(&self) -> Self {
        let copy = Error::new(self.kind(), self.to_string()).with_status(self.status());
        let causes: Vec<_> = self.causes().map(ToString::to_string).collect();
        if causes.is_empty() { copy } else { copy.caused_by(causes.join(": ")) }
    }

    /// What a panic of the user's code becomes.
    pub(crate) fn panicked(what: impl fmt::Display, panic: &(dyn Any + Send)) -> Self {
        let words =
            panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        Error::internal(format!("{what}{PANICKED}{words}"))
    }

    /// The same error, told with what was being done: `context: error`.
    #[must_use]
    pub fn context(mut self, context: impl Into<Cow<'static, str>>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// The same error with what caused it. Clients do not see the cause, logs do.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, answered to HTTP clients with this status in place of its kind's.
    #[must_use]
    pub fn with_status(mut self, status: http::StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// What went wrong, as a class.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status that clients get.
    pub fn status(&self) -> http::StatusCode {
        self.0.status.unwrap_or_else(|| self.0.kind.status())
    }

    /// Whether trying again may succeed.
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// The error of another type that this one wraps, if it is of type `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.as_deref().and_then(|source| source.downcast_ref::<E>())
    }

    /// The chain of causes, without this error itself.
    pub fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let first = self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static));
        std::iter::successors(first, |error: &&'_ (dyn StdError + 'static)| StdError::source(*error))
    }

    /// The message with the chain of causes, on one line, for the operator.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            let cause = cause.to_string();
            // A wrapped error is its own message; saying it twice helps nobody.
            if !text.ends_with(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        text.replace('\n', " ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.chain(), self.0.kind.title())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        let (kind, status) = classify(&source);
        let message = source.to_string();
        Error(Box::new(Inner { kind, status, message: message.into(), context: Vec::new(), source: Some(Box::new(source)) }))
    }
}

/// How the errors of a type are answered; registered by `#[derive(Problem)]`.
#[doc(hidden)]
pub struct ProblemDef {
    /// The status for this error, if it is of the type that was registered.
    pub status: fn(&(dyn StdError + 'static)) -> Option<u16>,
    /// All that it may say.
    pub all: &'static [u16],
}

inventory::collect!(ProblemDef);

/// An error of the user's own that says with which HTTP status it is answered. Written by `#[derive(Problem)]`.
///
/// The message of an error below 500 is shown to clients.
pub trait Problem: StdError + Send + Sync + 'static {
    /// The status, from 400 to 599.
    fn status(&self) -> u16;
}

impl ProblemDef {
    /// The registration of a type.
    pub const fn of<E: Problem>(all: &'static [u16]) -> Self {
        ProblemDef { status: |error| error.downcast_ref::<E>().map(E::status), all }
    }
}

fn classify(error: &(dyn StdError + 'static)) -> (ErrorKind, Option<http::StatusCode>) {
    let status = inventory::iter::<ProblemDef>
        .into_iter()
        .find_map(|def| (def.status)(error))
        .and_then(|status| http::StatusCode::from_u16(status).ok());
    (status.map_or(ErrorKind::Internal, kind_of_status), status)
}

fn kind_of_status(status: http::StatusCode) -> ErrorKind {
    match status.as_u16() {
        400 => ErrorKind::Malformed,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 | 410 => ErrorKind::NotFound,
        413 => ErrorKind::TooLarge,
        408 | 504 => ErrorKind::Timeout,
        429 | 503 => ErrorKind::Unavailable,
        500..=599 => ErrorKind::Internal,
        // A 409 of the user's own is a rule of the domain: the framework's own conflicts are the ones that are retried.
        _ => ErrorKind::Rejected,
    }
}

/// `.context("…")` on results, as on [`Error::context`].
pub trait ResultExt<T> {
    /// Says what was being done when this failed.
    fn context(self, context: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    fn context(self, context: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|error| error.into().context(context))
    }
}

/// Returns an [`ErrorKind::Rejected`] error unless the condition holds: the shortest way to write a rule of the domain.
#[macro_export]
macro_rules! ensure {
    ($condition:expr $(,)?) => {
        if !$condition {
            return ::core::result::Result::Err($crate::Error::rejected(::core::concat!("not so: ", ::core::stringify!($condition))));
        }
    };
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return ::core::result::Result::Err($crate::Error::rejected($crate::__private::format!($($message)+)));
        }
    };
}

/// Returns an [`ErrorKind::Rejected`] error.
#[macro_export]
macro_rules! bail {
    ($($message:tt)+) => {
        return ::core::result::Result::Err($crate::Error::rejected($crate::__private::format!($($message)+)))
    };
}
