//! Where an installation keeps its keys and its database.
//!
//! The folder holds `master.key` (seals secrets at rest), `partner-calls/NAME.pem` (sign our calls
//! to partners; `NAME.pub.pem` is what partners get) and, unless a database is named,
//! `tidelock.db`. The master key may come from the environment instead and is never in the
//! database.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use ledger::Timestamp;
use network::MasterKey;
use partner::PartnerCaller;
use store::{Clock, Location, Opening, Store};
use wire::partner_jwt::JwtSigner;

/// The key that signs calls to partners unless their configuration names another.
pub(crate) const DEFAULT_CALL_KEY: &str = "default";

/// Where the installation is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Installation {
    /// Folder with the keys and, unless --database is given, the database
    #[arg(long, env = "TIDELOCK_DATA", default_value = "tidelock-data")]
    pub(crate) data: PathBuf,

    /// Database: sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME; with standbys
    /// postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME
    #[arg(long, env = "TIDELOCK_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,

    /// Master key, 64 hexadecimal digits, instead of the file master.key in the folder
    #[arg(long, env = "TIDELOCK_MASTER_KEY", hide_env_values = true, hide = true)]
    pub(crate) master_key: Option<String>,
}

impl Installation {
    /// An installation in a folder, with everything in it.
    pub(crate) fn in_folder(data: &Path) -> Installation {
        Installation {
            data: data.to_owned(),
            database: None,
            master_key: None,
        }
    }

    /// Where the database is.
    pub(crate) fn location(&self) -> anyhow::Result<Location> {
        match &self.database {
            Some(database) => Ok(database.parse()?),
            None => Ok(Location::Sqlite(self.data.join("tidelock.db"))),
        }
    }

    fn master_key_file(&self) -> PathBuf {
        self.data.join("master.key")
    }

    fn call_key_folder(&self) -> PathBuf {
        self.data.join("partner-calls")
    }

    /// Makes the folder and whatever keys it lacks. Keys that exist are kept.
    pub(crate) fn make_keys(&self) -> anyhow::Result<()> {
        let calls = self.call_key_folder();
        fs::create_dir_all(&calls)
            .with_context(|| format!("the folder {} cannot be made", calls.display()))?;
        let master = self.master_key_file();
        if self.master_key.is_none() && !master.exists() {
            write_secret(&master, &MasterKey::generate_hex())?;
        }
        let key = calls.join(format!("{DEFAULT_CALL_KEY}.pem"));
        if !key.exists() {
            let signer = JwtSigner::generate()?;
            write_secret(&key, &signer.private_key_pem()?)?;
            let public = calls.join(format!("{DEFAULT_CALL_KEY}.pub.pem"));
            fs::write(&public, signer.public_key_pem())
                .with_context(|| format!("{} cannot be written", public.display()))?;
        }
        Ok(())
    }

    pub(crate) fn read_master_key(&self) -> anyhow::Result<MasterKey> {
        let text = match &self.master_key {
            Some(text) => text.clone(),
            None => {
                let file = self.master_key_file();
                fs::read_to_string(&file).with_context(|| {
                    format!(
                        "there is no master key in {}; make an installation with `tidelock init` first",
                        file.display()
                    )
                })?
            }
        };
        Ok(MasterKey::from_hex(&text)?)
    }

    /// The public key by which partners know our calls.
    pub(crate) fn call_public_key(&self) -> anyhow::Result<String> {
        let file = self
            .call_key_folder()
            .join(format!("{DEFAULT_CALL_KEY}.pub.pem"));
        fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
    }

    /// Whoever calls partners, with all keys of the folder.
    pub(crate) fn partner_caller(&self) -> anyhow::Result<PartnerCaller> {
        let folder = self.call_key_folder();
        let mut signers = HashMap::new();
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("the folder {} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(id) = name.and_then(|name| name.strip_suffix(".pem")) else {
                continue;
            };
            if id.ends_with(".pub") {
                continue;
            }
            let pem = fs::read_to_string(&path)?;
            let signer = JwtSigner::from_pem(&pem)
                .with_context(|| format!("{} is no RSA key", path.display()))?;
            signers.insert(id.to_owned(), signer);
        }
        if signers.is_empty() {
            bail!(
                "there is no key to sign calls to partners in {}",
                folder.display()
            );
        }
        Ok(PartnerCaller::new(signers, now))
    }

    /// Opens the database and starts the thread that commits.
    pub(crate) async fn open_store(&self, create: bool) -> anyhow::Result<Store> {
        let opening = Opening {
            create,
            ..Opening::default()
        };
        self.open_store_as(opening).await
    }

    /// Opens the database in a way of the caller's and starts the thread that commits.
    pub(crate) async fn open_store_as(&self, opening: Opening) -> anyhow::Result<Store> {
        let location = self.location()?;
        let clock: Clock = Arc::new(now);
        Store::open(&location, opening, clock)
            .await
            .with_context(|| format!("the database {location} cannot be opened"))
    }
}

/// The clock of the process.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// Writes a file that only its owner may read: whole or not at all, and never over another.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let write = || -> anyhow::Result<()> {
        // Temporary files are readable by their owner only, and stay so under their new name.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        Ok(fs::File::open(folder)?.sync_all()?)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
