//! Latencies in microseconds, each of them kept: percentiles are exact.

use std::time::Duration;

/// Latencies as they come.
#[derive(Default)]
pub(crate) struct Latencies(Vec<u32>);

/// Latencies in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorted(Vec<u32>);

impl Latencies {
    pub(crate) fn note(&mut self, latency: Duration) {
        self.0
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sorted(mut self) -> Sorted {
        self.0.sort_unstable();
        Sorted(self.0)
    }
}

impl Sorted {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that so many of a hundred do not exceed, in microseconds; 0 if there is none.
    pub(crate) fn percentile(&self, percent: f64) -> u32 {
        let share = |index: usize| (index + 1) as f64 * 100.0 >= percent * self.0.len() as f64;
        let (mut low, mut high) = (0, self.0.len());
        while low < high {
            let middle = low.midpoint(high);
            match share(middle) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        let last = self.0.last().copied();
        self.0.get(low).copied().or(last).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_occurred() {
        let mut latencies = Latencies::default();
        for us in (1..=1_000).rev() {
            latencies.note(Duration::from_micros(us));
        }
        let sorted = latencies.sorted();
        let found = [50.0, 99.0, 99.9, 100.0].map(|percent| sorted.percentile(percent));
        assert_eq!(found, [500, 990, 999, 1_000]);
        assert_eq!(Sorted::default().percentile(99.0), 0);
        assert_eq!(Sorted(vec![7]).percentile(50.0), 7);
    }
}
