//! Of which traces records are kept.

use crate::config::TelemetryConfig;
use uuid::Uuid;

/// The part of new traces that is kept. All services decide the same of one trace, because the id decides it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample(f64);

/// The last bits of an id that are random in a uuid of every version that Minos makes, and in what W3C Trace Context calls a random trace id. Those before
/// them count the uuids of one millisecond.
const RANDOM_BITS: u32 = 32;

impl Sample {
    pub(super) fn of(config: &TelemetryConfig) -> Self {
        let of_environment = || config.from_environment.then(|| Sample::named(|name| std::env::var(name).ok())).flatten();
        Sample(config.sample.or_else(of_environment).unwrap_or(1.0))
    }

    /// What the standard variables say. Whoever asks decides for what follows in any case, so the parent-based samplers are those without.
    fn named(var: impl Fn(&str) -> Option<String>) -> Option<f64> {
        let sampler = var("OTEL_TRACES_SAMPLER")?;
        match sampler.trim_start_matches("parentbased_") {
            "always_on" => Some(1.0),
            "always_off" => Some(0.0),
            "traceidratio" => Some(var("OTEL_TRACES_SAMPLER_ARG").and_then(|part| part.parse().ok()).unwrap_or(1.0)),
            _ => {
                tracing::warn!(sampler, "OTEL_TRACES_SAMPLER is none that Minos knows: all new traces are kept");
                None
            }
        }
    }

    pub(super) fn takes(self, id: Uuid) -> bool {
        let random = id.as_u128() & ((1 << RANDOM_BITS) - 1);
        (random as f64) < self.0 * (1_u128 << RANDOM_BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_all_ids_is_taken() {
        for (part, bounds) in [(0.0, 0..=0), (0.25, 2300..=2700), (1.0, 10_000..=10_000)] {
            let taken = (0..10_000).filter(|_| Sample(part).takes(Uuid::now_v7())).count();
            assert!(bounds.contains(&taken), "{part}: {taken}");
        }
        let id = Uuid::now_v7();
        assert!(Sample(0.9).takes(id) || !Sample(0.1).takes(id), "who takes less takes nothing that who takes more does not");
    }

    #[test]
    fn the_standard_variables_say_how_much() {
        let named = |sampler: &'static str, arg: Option<&'static str>| {
            Sample::named(move |name| if name == "OTEL_TRACES_SAMPLER" { Some(sampler.to_owned()) } else { arg.map(str::to_owned) })
        };
        assert_eq!(named("parentbased_traceidratio", Some("0.1")), Some(0.1));
        assert_eq!(named("traceidratio", Some("much")), Some(1.0));
        assert_eq!((named("always_off", None), named("parentbased_always_on", None), named("xray", None)), (Some(0.0), Some(1.0), None));
        assert_eq!(Sample::named(|_| None), None);
    }
}
