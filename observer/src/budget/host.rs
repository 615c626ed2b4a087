//! What the host's processors have left.

use std::fs;
use std::time::Duration;

/// Ticks a second that `/proc/stat` counts in (`USER_HZ`, 100 wherever the probes run).
const TICKS: u64 = 100;

/// The host's processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Time that nobody used so far, added up over all of them.
    pub idle: Duration,
    /// How many there are.
    pub cpus: u32,
}

impl Host {
    /// As it is now; nothing of what can't be read.
    #[must_use]
    pub fn now() -> Self {
        fs::read_to_string("/proc/stat").map_or_else(|_| Self::default(), |text| Self::parse(&text))
    }

    /// proc_pid_stat(5): `cpu user nice system idle iowait …`, then a line for each processor.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().take_while(|line| line.starts_with("cpu"));
        let all = lines.next().unwrap_or_default();
        let ticks = all.split_whitespace().skip(4).take(2);
        let idle: u64 = ticks.filter_map(|n| n.parse::<u64>().ok()).sum();
        Self {
            idle: Duration::from_millis(idle.saturating_mul(1_000 / TICKS)),
            cpus: u32::try_from(lines.count()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_nobody_used_is_read() {
        let text = "cpu  100 2 30 4000 50 0 7 0 0 0\ncpu0 50 1 15 2000 25 0 3 0 0 0\ncpu1 50 1 15 2000 25 0 4 0 0 0\nintr 5\n";
        let host = Host::parse(text);
        assert_eq!(
            host,
            Host {
                idle: Duration::from_millis(40_500),
                cpus: 2
            }
        );
        assert_eq!(Host::parse("x"), Host::default());
        assert!(Host::now().cpus > 0);
    }
}
