//! `[telemetry]`: where traces go.

use serde::{Deserialize, Deserializer, de::Error};

/// `[telemetry]`: where it is told who did what, for how long, and on whose behalf. It takes the feature `otel`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// The collector that takes traces, by OTLP over HTTP: `"http://127.0.0.1:4318"`. Absent: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, or none.
    pub otlp: String,
    /// The part of new traces that is kept, from `0` to `1`. Who asks from outside decides for its own. Default `1.0`, or what `OTEL_TRACES_SAMPLER` says.
    #[serde(deserialize_with = "part")]
    pub sample: Option<f64>,
    /// Whether the standard variables of OpenTelemetry count: not where a test says all.
    #[serde(skip)]
    pub(crate) from_environment: bool,
}

/// A number, or its text: the environment knows only text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(f64),
    Text(String),
}

fn part<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let part = match Scalar::deserialize(deserializer)? {
        Scalar::Number(number) => Some(number),
        Scalar::Text(text) => text.trim().parse().ok(),
    };
    let part = part.filter(|part| (0.0..=1.0).contains(part));
    part.map(Some).ok_or_else(|| D::Error::custom("it is a part of all traces: a number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn read(line: &str) -> Result<Option<f64>, String> {
        let text = format!("[service]\nname = \"foo\"\n[telemetry]\n{line}");
        Config::parse(&text).map(|config| config.telemetry.sample).map_err(|error| error.to_string())
    }

    #[test]
    fn a_part_is_from_none_to_all() {
        assert_eq!((read(""), read("sample = 0.25"), read("sample = 1")), (Ok(None), Ok(Some(0.25)), Ok(Some(1.0))));
        assert_eq!(read("sample = \"0.5\""), Ok(Some(0.5)));
        for wrong in ["sample = 1.5", "sample = -0.1", "sample = \"all\"", "sample = nan"] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("a number from 0 to 1") && error.contains(":4: "), "{wrong}: {error}");
        }
    }
}
