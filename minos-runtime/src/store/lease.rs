//! Leases: who of several replicas does what only one may do.

/// A lease that was acquired.
///
/// It may have passed to somebody else at any time. What must not happen then is committed with it as [`Unit::fence`](super::Unit::fence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Rises with each change of owner: a lower one is not held any more.
    pub epoch: u64,
}
