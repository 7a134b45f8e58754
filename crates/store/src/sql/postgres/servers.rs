//! The servers of one database: a primary and those that may take its place.
//!
//! The URL names them all; of these the one that accepts writes is looked for. A server that was
//! connected and then said nothing, or whose history is behind, is passed over the next time: it
//! may be an old primary that does not know yet that another one has taken its place.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

/// The servers, shared by the connection that writes and those that read.
pub(crate) struct Servers {
    /// How to connect to each, in the order of the URL. At least one.
    each: Vec<Config>,
    /// The one that comes first: where writes were last accepted, or the one after a server that
    /// was passed over.
    first: AtomicUsize,
}

impl Servers {
    /// The servers that a URL names, each asked for the same kind of session.
    pub(crate) fn of(config: &Config, session: TargetSessionAttrs) -> Self {
        let count = config.get_hosts().len().max(config.get_hostaddrs().len());
        // A URL without any is for the client library to refuse.
        let mut each: Vec<_> = (0..count).map(|index| only(config, index)).collect();
        if each.is_empty() {
            each.push(config.clone());
        }
        for config in &mut each {
            config.target_session_attrs(session);
        }
        Self {
            each,
            first: AtomicUsize::new(0),
        }
    }

    /// How many there are, at least 1.
    pub(crate) fn count(&self) -> usize {
        self.each.len()
    }

    /// All of them, each with its number, in the order in which they are to be tried.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = (usize, &Config)> {
        let first = self.first.load(Ordering::Relaxed);
        (first..first + self.each.len()).map(|turn| {
            let number = turn % self.each.len();
            (number, &self.each[number])
        })
    }

    /// Writes are accepted there: it comes first from now on.
    pub(crate) fn accepts_writes(&self, number: usize) {
        self.first.store(number, Ordering::Relaxed);
    }

    /// The one after it comes first from now on.
    pub(crate) fn pass_over(&self, number: usize) {
        self.first
            .store((number + 1) % self.each.len(), Ordering::Relaxed);
    }
}

/// The configuration with one of its hosts alone.
fn only(config: &Config, index: usize) -> Config {
    let mut only = Config::new();
    match config.get_hosts().get(index) {
        Some(Host::Tcp(name)) => {
            only.host(name);
        }
        #[cfg(unix)]
        Some(Host::Unix(path)) => {
            only.host_path(path);
        }
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(index) {
        only.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(index).or(config.get_ports().first()) {
        only.port(*port);
    }
    if let Some(user) = config.get_user() {
        only.user(user);
    }
    if let Some(password) = config.get_password() {
        only.password(password);
    }
    if let Some(name) = config.get_dbname() {
        only.dbname(name);
    }
    if let Some(options) = config.get_options() {
        only.options(options);
    }
    if let Some(name) = config.get_application_name() {
        only.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        only.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        only.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        only.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        only.keepalives_retries(retries);
    }
    only.keepalives(config.get_keepalives());
    only.keepalives_idle(config.get_keepalives_idle());
    only.ssl_mode(config.get_ssl_mode());
    only.ssl_negotiation(config.get_ssl_negotiation());
    only.channel_binding(config.get_channel_binding());
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(servers: &Servers) -> Vec<usize> {
        servers.in_turn().map(|(number, _)| number).collect()
    }

    #[test]
    fn the_one_that_accepts_writes_comes_first_until_it_is_passed_over() {
        let url = "postgres://teller:hunter2@a:5433,b,c:5435/tide?keepalives_retries=3";
        let servers = Servers::of(&url.parse().unwrap(), TargetSessionAttrs::ReadWrite);
        assert_eq!(order(&servers), [0, 1, 2]);
        servers.accepts_writes(1);
        assert_eq!(order(&servers), [1, 2, 0]);
        servers.pass_over(1);
        assert_eq!(order(&servers), [2, 0, 1]);
        servers.pass_over(2);
        assert_eq!(order(&servers), [0, 1, 2]);
    }

    #[test]
    fn each_has_all_that_the_url_says_but_one_host() {
        let url = "postgres://teller:hunter2@a:5433,b:5434/tide?connect_timeout=7&options=-c%20x%3D1\
                   &keepalives=0&keepalives_retries=3&channel_binding=disable&sslmode=disable";
        let config: Config = url.parse().unwrap();
        let servers = Servers::of(&config, TargetSessionAttrs::Any);
        let each: Vec<_> = servers.in_turn().map(|(_, config)| config).collect();
        for (config, (host, port)) in each.into_iter().zip([("a", 5433), ("b", 5434)]) {
            let mut expected: Config = url.replace("a:5433,b:5434", host).parse().unwrap();
            expected.port(port);
            // Without a port in its text the URL has the default one.
            let expected = format!("{expected:?}").replace("[5432, ", "[");
            assert_eq!(format!("{config:?}"), expected);
        }
    }
}
