//! The library that stands between the server and its disk, and how it is told what to do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tempfile::TempDir;
use testkit::TestDatabase;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/disk/disk.c");

/// The disk of one database. Clones share it.
#[derive(Clone)]
pub(crate) struct Disk {
    folder: Arc<TempDir>,
    database: PathBuf,
    logs: bool,
}

impl Disk {
    /// A disk without faults, under the file of a database.
    pub(crate) fn under(database: &TestDatabase) -> Disk {
        let folder = tempfile::tempdir().expect("a folder");
        let path = database.url.strip_prefix("sqlite:").expect("a file");
        let disk = Disk {
            folder: Arc::new(folder),
            database: Path::new(path).to_owned(),
            logs: false,
        };
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(disk.file("disk.so"))
            .args([SOURCE, "-ldl", "-lpthread"])
            .output()
            .unwrap_or_else(|error| panic!("the C compiler {compiler} does not run: {error}"));
        assert!(compiled.status.success(), "{compiled:?}");
        disk.fails("none 0");
        disk
    }

    /// The same disk, which remembers all that reaches it.
    pub(crate) fn with_log(mut self) -> Disk {
        self.logs = true;
        fs::write(self.file("log"), b"").expect("the log");
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the server needs in its environment.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("LD_PRELOAD", self.file("disk.so")),
            ("TIDELOCK_DISK_DATABASE", self.database.clone()),
            ("TIDELOCK_DISK_FAULT", self.file("fault")),
        ];
        if self.logs {
            files.push(("TIDELOCK_DISK_LOG", self.file("log")));
        }
        let texts = files.into_iter();
        texts
            .map(|(name, file)| (name.to_owned(), file.display().to_string()))
            .collect()
    }

    /// From now on it fails like this; see `disk.c`.
    pub(crate) fn fails(&self, fault: &str) {
        let new = self.file("fault.new");
        fs::write(&new, format!("{fault}\n")).expect("the fault");
        fs::rename(new, self.file("fault")).expect("the fault");
    }

    /// How long the log is, in bytes.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(self.file("log")).map_or(0, |log| log.len())
    }

    /// The log as it is now.
    pub(crate) fn log(&self) -> Vec<u8> {
        fs::read(self.file("log")).expect("the log")
    }
}
