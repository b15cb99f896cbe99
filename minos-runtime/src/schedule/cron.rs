//! Schedules in the five fields of cron, in UTC.

use jiff::Timestamp;

/// When something runs: `minute hour day month weekday`, in UTC.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: &'static str,
    cron: cronexpr::Crontab,
}

impl Schedule {
    /// Reads a schedule such as `0 * * * *`, every full hour.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &'static str) -> Result<Self, String> {
        let cron = cronexpr::parse_crontab(&format!("{text} UTC")).map_err(|error| error.to_string().replace('\n', " "))?;
        Ok(Schedule { text, cron })
    }

    /// The schedule as it was written.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The first point after this time; `None` if there is none, as for a 31st of February.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.cron.find_next(time).ok().map(|zoned| zoned.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &'static str, after: &str) -> String {
        Schedule::parse(schedule).unwrap().next_after(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_next_point_is_after_the_time() {
        assert_eq!(next("0 * * * *", "2026-11-23T10:00:00Z"), "2026-11-23T11:00:00Z");
        assert_eq!(next("*/15 * * * *", "2026-11-23T10:14:59Z"), "2026-11-23T10:15:00Z");
        assert_eq!(next("30 6 1 1 *", "2026-11-23T10:00:00Z"), "2027-01-01T06:30:00Z");
        assert_eq!(next("0 0 * * MON", "2026-11-23T10:00:00Z"), "2026-11-30T00:00:00Z");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert!(Schedule::parse("61 * * * *").is_err());
        assert!(Schedule::parse("* * * *").is_err());
    }
}
