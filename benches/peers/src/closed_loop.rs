//! Many clients, each waiting for its own operation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How long the load runs before its figures count.
const WARM_UP: Duration = Duration::from_secs(2);

/// Runs `operation`, which says how many transfers it made, from so many clients at once.
///
/// # Errors
/// The first error of an operation: figures of a run that failed would mean nothing.
pub(crate) async fn run<F, T>(clients: u32, time: Duration, operation: F) -> anyhow::Result<Value>
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = anyhow::Result<usize>> + Send,
{
    let operation = Arc::new(operation);
    let from = Instant::now() + WARM_UP;
    let until = from + time;
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let operation = Arc::clone(&operation);
        tasks.spawn(async move {
            let (mut transfers, mut times) = (0, Vec::new());
            loop {
                let start = Instant::now();
                if start >= until {
                    return anyhow::Ok((transfers, times));
                }
                let made = operation().await?;
                let end = Instant::now();
                if start >= from && end <= until {
                    transfers += made;
                    times.push(end - start);
                }
            }
        });
    }
    let (mut transfers, mut times) = (0, Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (own, mut own_times) = ended??;
        transfers += own;
        times.append(&mut own_times);
    }
    let per_second = transfers as f64 / time.as_secs_f64();
    Ok(figures(per_second, times))
}

/// What one line of the table needs.
pub(crate) fn figures(per_second: f64, mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let percentile = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        let time = times.get(place).copied().unwrap_or_default();
        (time.as_secs_f64() * 100_000.0).round() / 100.0
    };
    json!({
        "perSecond": per_second.round() as u64,
        "p50Ms": percentile(50),
        "p99Ms": percentile(99),
    })
}
