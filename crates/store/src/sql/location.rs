//! Where a database is, as the configuration says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::config::Host;

/// Where a database is. Printing it never shows the password.
#[derive(Clone)]
pub enum Location {
    /// A file of SQLite, written `sqlite:path`.
    Sqlite(PathBuf),
    /// A server of PostgreSQL, written `postgres://user:password@host:port/database`; or a
    /// primary and those that may take its place, `postgres://user@host:port,host:port/database`.
    Postgres(Box<tokio_postgres::Config>),
}

/// The text is not a [`Location`]. It is not repeated, for it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLocation {
    /// It begins with neither scheme.
    #[error("a database is written sqlite:path or postgres://user:password@host:port/database")]
    Scheme,
    /// The path is empty or names a database in memory, which keeps nothing.
    #[error("sqlite: needs the path of a file")]
    Path,
    /// The parts of a PostgreSQL URL are wrong.
    #[error("the postgres:// URL is invalid")]
    Url(#[source] tokio_postgres::Error),
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return match path {
                "" | ":memory:" => Err(InvalidLocation::Path),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match text.parse() {
                Ok(config) => Ok(Self::Postgres(Box::new(config))),
                Err(error) => Err(InvalidLocation::Url(error)),
            };
        }
        Err(InvalidLocation::Scheme)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = match self {
            Self::Sqlite(path) => return write!(formatter, "sqlite:{}", path.display()),
            Self::Postgres(config) => config,
        };
        formatter.write_str("postgres://")?;
        if let Some(user) = config.get_user() {
            write!(formatter, "{user}@")?;
        }
        for (index, host) in config.get_hosts().iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(formatter, "{comma}{name}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(formatter, "{comma}{}", path.display())?,
            }
            if let Some(port) = config.get_ports().get(index).or(config.get_ports().first()) {
                write!(formatter, ":{port}")?;
            }
        }
        write!(formatter, "/{}", config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_hides_the_password() {
        let location: Location = "postgres://teller:hunter2@db.example:5433,other:5434/tide"
            .parse()
            .unwrap();
        assert_eq!(
            location.to_string(),
            "postgres://teller@db.example:5433,other:5434/tide"
        );
        assert_eq!(format!("{location:?}"), location.to_string());
        let location: Location = "sqlite:/var/lib/tide.db".parse().unwrap();
        assert_eq!(location.to_string(), "sqlite:/var/lib/tide.db");
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        for text in [
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
            "sqlite:",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
        }
    }
}
