//! `tidelock backup` and `tidelock restore`: a database on SQLite as one file, and back.
//!
//! A file appears under its name only when it is whole, flushed and verified, and never in the
//! place of another.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use store::Location;
use tempfile::NamedTempFile;

use crate::{
    installation::Installation,
    verify::{describe, verify},
};

/// Exits with 0 if the backup is there and its books are sound, with 2 if they are not, with 1 if
/// it could not be made.
#[derive(clap::Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    installation: Installation,

    /// File to write; it must not exist
    #[arg(long)]
    to: PathBuf,
}

impl Backup {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let location = self.installation.location()?;
        if self.to.exists() {
            bail!("{} exists already: name another file", self.to.display());
        }
        let copy = new_file_beside(&self.to)?;
        store::copy(&location, copy.path().to_owned())
            .await
            .with_context(|| format!("the database {location} cannot be copied"))?;
        if !is_sound(copy.path()).await? {
            println!("Nothing was written: the copy is not sound, and so neither is the database.");
            return Ok(ExitCode::from(2));
        }
        put(copy, &self.to)?;
        println!("The backup is {}.", self.to.display());
        println!(
            "Not in it: the master key (master.key or TIDELOCK_MASTER_KEY), without which the \
             secrets in it stay sealed, and the keys in partner-calls, by which partners know us. \
             Keep those apart."
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// Exits with 0 if the database is there and its books are sound, with 2 if those of the backup
/// are not, with 1 if it could not be restored.
#[derive(clap::Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    installation: Installation,

    /// Backup to restore from
    #[arg(long)]
    from: PathBuf,
}

impl Restore {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let location = self.installation.location()?;
        let Location::Sqlite(path) = &location else {
            bail!("a database on PostgreSQL is restored by the means of PostgreSQL");
        };
        // The rest of another database beside it would be taken for a part of this one.
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            let file = PathBuf::from(file);
            if file.exists() {
                bail!(
                    "{} exists already: nothing is overwritten. Move it away first",
                    file.display()
                );
            }
        }
        let mut backup = File::open(&self.from)
            .with_context(|| format!("{} cannot be read", self.from.display()))?;
        let folder = folder_of(path);
        fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let mut copy = new_file_beside(path)?;
        std::io::copy(&mut backup, &mut copy)
            .with_context(|| format!("{} cannot be copied", self.from.display()))?;
        if !is_sound(copy.path()).await? {
            println!("Nothing was restored: the backup is not sound.");
            return Ok(ExitCode::from(2));
        }
        put(copy, path)?;
        println!("The database {location} is restored.");
        if let Err(missing) = self.installation.read_master_key() {
            println!("Before the network can start it needs its master key: {missing:#}");
        }
        println!(
            "What was acknowledged after the backup began may be missing: compare with partners \
             and custody before the network is started."
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// An empty file that nobody else may read, in the folder of another; gone unless it is put
/// somewhere.
fn new_file_beside(file: &Path) -> anyhow::Result<NamedTempFile> {
    let folder = folder_of(file);
    let made = tempfile::Builder::new()
        .prefix(".tidelock-")
        .suffix(".partial")
        .tempfile_in(folder);
    made.with_context(|| format!("nothing can be written in {}", folder.display()))
}

/// Verifies a file and says what was found.
async fn is_sound(file: &Path) -> anyhow::Result<bool> {
    let report = verify(&Location::Sqlite(file.to_owned())).await?;
    describe(&report).iter().for_each(|line| println!("{line}"));
    // The lock that keeps others from writing to it meanwhile.
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let _ = fs::remove_file(lock);
    Ok(report.is_sound())
}

/// Flushes a file and gives it its name.
fn put(file: NamedTempFile, name: &Path) -> anyhow::Result<()> {
    let put = || -> anyhow::Result<()> {
        file.as_file().sync_all()?;
        file.persist_noclobber(name)?;
        Ok(File::open(folder_of(name))?.sync_all()?)
    };
    put().with_context(|| format!("{} cannot be written", name.display()))
}
