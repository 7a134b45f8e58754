//! The disk by itself.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::closed_loop::figures;

/// Writes and flushes 8 KiB over and over in a file of a megabyte, as a database's log does.
pub(crate) fn measure(folder: &Path, time: Duration) -> anyhow::Result<Value> {
    let path = folder.join("flush");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; 1 << 20])?;
    file.sync_all()?;
    let page = [1; 8_192];
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < time {
        file.seek(SeekFrom::Start((times.len() as u64 % 128) * 8_192))?;
        let begun = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(figures(times.len() as f64 / time.as_secs_f64(), times))
}
