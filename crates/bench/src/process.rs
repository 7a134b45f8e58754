//! Processes that are started and watched: the time on the processor and the memory they take.
//!
//! Linux tells both under `/proc`; elsewhere they are not told.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

/// Linux counts time on the processor in hundredths of a second, on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// A process that listens; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it listens, as it told itself.
    pub(crate) url: String,
    /// Open as long as the process, which may write to it.
    _output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this very program with other arguments and waits until it listens. What it logs goes
    /// to `log`.
    pub(crate) async fn start(arguments: &[&str], log: &Path) -> anyhow::Result<Process> {
        let what = arguments.first().copied().unwrap_or_default();
        let log_file = fs::File::create(log)
            .with_context(|| format!("{} cannot be written", log.display()))?;
        let mut child = this_program()?
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("`tidelock {what}` cannot be started"))?;
        let output = child.stdout.take().context("the process has no output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).await?;
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            let told = fs::read_to_string(log).unwrap_or_default();
            bail!("`tidelock {what}` did not start: {line}{told}");
        };
        Ok(Process {
            child,
            url: url.to_owned(),
            _output: output,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Ends it at once and waits for its end.
    pub(crate) async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }
}

/// This very program, without anything of its environment that would lead it elsewhere.
pub(crate) fn this_program() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    for variable in [
        "TIDELOCK_DATA",
        "TIDELOCK_DATABASE",
        "TIDELOCK_MASTER_KEY",
        "TIDELOCK_LOG",
    ] {
        command.env_remove(variable);
    }
    Ok(command)
}

/// The time that a process has been on the processor; its ended children count if wanted.
pub(crate) fn time_of(process: u32, with_ended_children: bool) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    time_in(&stat, with_ended_children)
}

/// The time that this thread has been on the processor.
pub(crate) fn time_of_this_thread() -> Option<Duration> {
    time_in(&fs::read_to_string("/proc/thread-self/stat").ok()?, false)
}

fn time_in(stat: &str, with_ended_children: bool) -> Option<Duration> {
    // The name in parentheses may hold anything, spaces and parentheses too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let counted = if with_ended_children { 11..15 } else { 11..13 };
    let ticks: Option<u32> = fields
        .get(counted)?
        .iter()
        .map(|t| t.parse::<u32>().ok())
        .sum();
    Some(TICK * ticks?)
}

/// The time that a process and its children have been on the processor, those of PostgreSQL for
/// instance.
pub(crate) fn time_of_family(parent: u32) -> Option<Duration> {
    let mut total = time_of(parent, true)?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if parent_of(id) == Some(parent) {
            total += time_of(id, false).unwrap_or_default();
        }
    }
    Some(total)
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// The most memory that a process has had, in bytes.
pub(crate) fn peak_memory(process: u32) -> Option<u64> {
    memory(process, "VmHWM:")
}

/// The memory that a process has, in bytes.
pub(crate) fn memory_of(process: u32) -> Option<u64> {
    memory(process, "VmRSS:")
}

fn memory(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
