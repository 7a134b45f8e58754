//! What it runs on: processor, memory, and how long a flush of the disk takes.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Serialize;

use crate::load::Latencies;

/// How much is appended before each flush: one page.
const APPENDED: [u8; 4096] = [0x5a; 4096];

/// How long the disk is measured at the most.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// The machine.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) system: String,
    pub(crate) folder: String,
    pub(crate) flush: Flush,
}

/// How long it takes until an append of one page is on the disk.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Flush {
    pub(crate) count: usize,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
}

impl Machine {
    /// Looks at the machine, and measures the disk below `folder` for `span`.
    pub(crate) fn look(folder: &Path, span: Duration) -> anyhow::Result<Machine> {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let named = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map(|(_, value)| value.trim().to_owned())
        };
        let memory = named(&text("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kibibytes = memory.trim_end_matches("kB").trim().parse().unwrap_or(0);
        let system = text("/proc/sys/kernel/osrelease");
        Ok(Machine {
            processor: named(&text("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: kibibytes / 1024,
            system: format!("{} {}", std::env::consts::OS, system.trim()),
            folder: folder.display().to_string(),
            flush: flush(folder, span)?,
        })
    }

    pub(crate) fn print(&self) {
        println!(
            "machine   {}, {} cores, {} MiB, {}",
            self.processor, self.cores, self.memory_mib, self.system
        );
        println!(
            "flush     append of 4 KiB and fdatasync below {}: p50 {} µs, p99 {} µs ({} flushes)",
            self.folder, self.flush.p50_us, self.flush.p99_us, self.flush.count
        );
    }
}

/// Appends and flushes again and again.
pub(crate) fn flush(folder: &Path, span: Duration) -> anyhow::Result<Flush> {
    let file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("{} cannot be written", folder.display()))?;
    let mut latencies = Latencies::default();
    let mut appended: &File = file.as_file();
    let begin = Instant::now();
    while begin.elapsed() < span || latencies.count() < 10 {
        let began = Instant::now();
        appended.write_all(&APPENDED)?;
        appended.sync_data()?;
        latencies.note(began.elapsed());
    }
    let sorted = latencies.sorted();
    Ok(Flush {
        count: sorted.count(),
        p50_us: sorted.percentile(50.0),
        p99_us: sorted.percentile(99.0),
    })
}
