//! `tidelock operator`: the operator API as commands, one module per noun. A command becomes one
//! request, and its answer is printed as JSON; nothing is decided here. [`apply`] is the exception:
//! it makes many requests out of a network that is described in a file.

mod act;
pub(crate) mod apply;
mod client;
mod clock;
mod connection;
mod currency;
mod deposit;
mod dispute;
mod enterprise;
mod go_account;
mod hold;
mod installation;
mod key;
mod member;
mod on_chain;
mod partner;
mod partner_configuration;
mod proposal;
mod request;
mod settlement;
mod token;
mod user;
mod withdrawal;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use ::client::network_file::{NetworkFile, NetworkFileError};
use anyhow::Context;
use clap::{Args, Subcommand};

use apply::apply;
use request::Request;

/// Acts as operator of a running network. Lists are told one page at a time.
#[derive(Args)]
pub(crate) struct OperatorCommand {
    /// Where the network answers
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_URL",
        default_value = "http://127.0.0.1:7311"
    )]
    url: String,

    /// An operator's access token; the environment keeps it out of the list of processes
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_OPERATOR_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,

    #[command(subcommand)]
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Enterprises and their licences
    #[command(subcommand)]
    Enterprise(enterprise::Verb),
    /// Accounts in custody
    #[command(subcommand)]
    GoAccount(go_account::Verb),
    /// Keys that sign for Go Accounts
    #[command(subcommand)]
    Key(key::Verb),
    /// People and machines
    #[command(subcommand)]
    User(user::Verb),
    /// Places of users in enterprises
    #[command(subcommand)]
    Member(member::Verb),
    /// Access tokens
    #[command(subcommand)]
    Token(token::Verb),
    /// Currencies of the network
    #[command(subcommand)]
    Currency(currency::Verb),
    /// What was agreed with partners
    #[command(subcommand)]
    PartnerConfiguration(partner_configuration::Verb),
    /// Clients that have joined
    #[command(subcommand)]
    Client(client::Verb),
    /// Links between clients and partners
    #[command(subcommand)]
    Connection(connection::Verb),
    /// Partners that have joined
    #[command(subcommand)]
    Partner(partner::Verb),
    /// Money that custody has received
    #[command(subcommand)]
    Deposit(deposit::Verb),
    /// Money that leaves custody: asked for, then paid or cancelled
    #[command(subcommand)]
    Withdrawal(withdrawal::Verb),
    /// Allocations and deallocations that wait for a partner
    #[command(subcommand)]
    Hold(hold::Verb),
    /// Acts on money that wait for a second operator, where one is required
    #[command(subcommand)]
    Proposal(proposal::Verb),
    /// What holds for the installation as a whole
    #[command(subcommand)]
    Installation(installation::Verb),
    /// What operators did
    #[command(subcommand)]
    Act(act::Verb),
    /// Clients' objections to settlements: how they end, and its review
    #[command(subcommand)]
    Dispute(dispute::Verb),
    /// Staged settlements that have failed
    #[command(subcommand)]
    Settlement(settlement::Verb),
    /// Settlement over the chain: what was seen there, and giving up what will not come
    #[command(subcommand)]
    OnChain(on_chain::Verb),
    /// Business time, and the test clock of an installation that has one
    #[command(subcommand)]
    Clock(clock::Verb),
    /// Make the network be as a file describes it; applying it again changes nothing
    Apply {
        /// The description, in TOML
        file: PathBuf,
    },
}

impl OperatorCommand {
    /// Does what was asked for and prints what came of it.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let token = self
            .token
            .context("an operator's token is needed: set TIDELOCK_OPERATOR_TOKEN")?;
        let client = ::client::OperatorClient::new(&self.url, &token)?;
        let request = match self.noun {
            Noun::Enterprise(verb) => verb.request(),
            Noun::GoAccount(verb) => verb.request(),
            Noun::Key(verb) => verb.request(),
            Noun::User(verb) => verb.request(),
            Noun::Member(verb) => verb.request(),
            Noun::Token(verb) => verb.request(),
            Noun::Currency(verb) => verb.request(),
            Noun::PartnerConfiguration(verb) => verb.request()?,
            Noun::Client(verb) => verb.request(),
            Noun::Connection(verb) => verb.request(),
            Noun::Partner(verb) => verb.request(),
            Noun::Deposit(verb) => verb.request(),
            Noun::Withdrawal(verb) => verb.request(),
            Noun::Hold(verb) => verb.request(),
            Noun::Proposal(verb) => verb.request(),
            Noun::Installation(verb) => verb.request(),
            Noun::Act(verb) => verb.request(),
            Noun::Dispute(verb) => verb.request(),
            Noun::Settlement(verb) => verb.request(),
            Noun::OnChain(verb) => verb.request(),
            Noun::Clock(verb) => verb.request(),
            Noun::Apply { file } => {
                let file = read(&file, NetworkFile::parse)?;
                for line in apply(&client, &file).await? {
                    print(&line)?;
                }
                return Ok(());
            }
        };
        let answer = match request {
            Request::Get(path) => client.get(&path).await?,
            Request::Put(path, body) => client.put(&path, &body).await?,
            Request::Post(path, body) => client.post(&path, &body).await?,
            Request::Delete(path) => client.delete(&path).await?,
        };
        Ok(print(&serde_json::to_string_pretty(&answer)?)?)
    }
}

/// Prints a line; a reader that has seen enough, such as `head`, is no failure.
/// What a file describes.
fn read<T>(file: &Path, parse: fn(&str) -> Result<T, NetworkFileError>) -> anyhow::Result<T> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    parse(&text).with_context(|| name.to_string())
}

fn print(line: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        operator: OperatorCommand,
    }

    fn request(words: &[&str]) -> Request {
        let all = ["tidelock"].iter().chain(words);
        match CommandLine::try_parse_from(all).unwrap().operator.noun {
            Noun::Enterprise(verb) => verb.request(),
            Noun::Token(verb) => verb.request(),
            Noun::Partner(verb) => verb.request(),
            Noun::Deposit(verb) => verb.request(),
            Noun::Dispute(verb) => verb.request(),
            Noun::OnChain(verb) => verb.request(),
            Noun::Clock(verb) => verb.request(),
            _ => panic!("the test does not know this noun"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn commands_become_requests() {
        let words = "enterprise put northwind --name N --trust-org T --licensed false";
        let words: Vec<&str> = words.split(' ').collect();
        let body = serde_json::json!({"name": "N", "trustOrg": "T", "licensed": false});
        let put = Request::Put("/enterprises/northwind".to_owned(), body);
        assert_eq!(request(&words), put);

        let listed = request(&["deposit", "list", "--go-account", "a b", "--page-size", "5"]);
        let path = "/deposits?goAccountId=a+b&pageSize=5";
        assert_eq!(listed, Request::Get(path.to_owned()));

        let revoked = request(&["token", "revoke", "a/b"]);
        assert_eq!(revoked, Request::Delete("/tokens/a%2Fb".to_owned()));

        let seen = request(&["on-chain", "losses-seen", "s", "ofcbtc", "--tx", "b1"]);
        let path = "/onChainSettlements/s/losses/ofcbtc/seen";
        let body = serde_json::json!({"onChainTxId": "b1"});
        assert_eq!(seen, Request::Post(path.to_owned(), body));

        let words = "dispute close d --notes n --adjustment ofcbtc=-5 --adjustment ofcusdt=7@c";
        let words: Vec<&str> = words.split(' ').collect();
        let body = serde_json::json!({"notes": "n", "adjustments": [
            {"currency": "ofcbtc", "quantity": "-5", "counterpartyConnectionId": null},
            {"currency": "ofcusdt", "quantity": "7", "counterpartyConnectionId": "c"},
        ]});
        let closed = Request::Post("/disputes/d/closures".to_owned(), body);
        assert_eq!(request(&words), closed);

        let advanced = request(&["clock", "advance", "--seconds", "60"]);
        let body = serde_json::json!({"seconds": 60, "to": null});
        assert_eq!(advanced, Request::Post("/clock/advance".to_owned(), body));

        let updated = request(&["partner", "update", "p", "--active", "false"]);
        let body = serde_json::json!({"active": false, "stable": null});
        assert_eq!(updated, Request::Put("/partners/p".to_owned(), body));
    }
}
