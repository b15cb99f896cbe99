/// The part of another service's aggregate that this one cares about: it has the fields that are read here.
#[aggregate_ref]
pub struct {{aggregate}} {}
