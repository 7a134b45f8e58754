//! Allocations of memory, counted. Only with the feature `count-allocations`: counting costs. It
//! counts those of the system's allocator, for how many there are does not depend on who serves them.
//!
//! A server writes what it has counted to the file `allocations` in its data folder, ten times a
//! second, where `tidelock bench` finds it.

use std::{alloc::System, path::PathBuf, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tells what was counted until the process ends.
pub(crate) async fn tell(data: PathBuf) {
    let file = data.join("allocations");
    loop {
        let counted = ALLOCATOR.stats();
        let allocations = counted.allocations + counted.reallocations;
        let text = format!("{allocations} {}\n", counted.bytes_allocated);
        if let Err(error) = tokio::fs::write(&file, text).await {
            tracing::warn!(%error, "counted allocations cannot be told");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
