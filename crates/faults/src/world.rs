//! A small world: one installation with a few servers, two partners of which one answers at once
//! and one later, and some clients, each connected to both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use client::{Client, OperatorClient, Retry};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use wire::api::allocations::NewAllocation;
use wire::api::balances::Balance;
use wire::api::connections::NewConnection;
use wire::api::partners::NewPartner;
use wire::api::quantity::ClientAmount;
use wire::connection_key::{ConnectionKey, ConnectionKeySchema};
use wire::signature::ExtendedKey;

use crate::counter::{Counter, Speaker};
use crate::partner_way::PartnerWay;
use crate::process::{Exchange, Server, ServerSettings};

/// The currencies, by their names in the network and at the exchanges.
pub const CURRENCIES: [(&str, &str); 2] = [("ofcbtc", "BTC"), ("ofcusdt", "USDT")];

/// What every account gets of every currency at the beginning.
pub const ENDOWMENT: i128 = 1_000_000_000_000;

/// What world is to be made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `tidelock` program.
    pub program: PathBuf,
    /// The database, as the configuration has it.
    pub database: String,
    /// How many servers share it.
    pub servers: usize,
    /// Seconds for which a server works on a message before another may take it.
    pub lease: u64,
    /// Whether there is a third partner, whose settlements take their time: see [`Venue`].
    pub venue: bool,
    /// How many clients there are; each has a connection to each of the two partners.
    pub clients: u8,
    /// Seconds after which a database that says nothing counts as lost.
    pub database_time_limit: u64,
    /// More of the servers' environment.
    pub environment: Vec<(String, String)>,
}

/// A partner, and the exchange that it is.
pub struct Partner {
    /// Its enterprise.
    pub enterprise: String,
    /// Its account in custody.
    pub go_account: String,
    /// Its id in the network.
    pub id: Uuid,
    /// The exchange, in a process of its own.
    pub exchange: Arc<Exchange>,
    /// The way of the servers to it.
    pub way: PartnerWay,
    token: String,
}

/// What kind of partner is to be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Trading { asynchronous: bool },
    Venue,
}

/// A partner whose settlements take their time, with windows and over the chain, and the one
/// connection of the first client to it. Nobody else moves anything there.
pub struct Venue {
    /// The partner.
    pub partner: Partner,
    /// The connection.
    pub connection: Uuid,
    reviewer: String,
}

/// The name of the allocation that brings it there.
pub const VENUE_ALLOCATION: &str = "for the venue";

/// What the venue's connection has of the first currency at the beginning.
pub const VENUE_ENDOWMENT: i128 = 1_000_000_000;

/// A connection of a client.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id.
    pub id: Uuid,
    /// Which partner it goes to.
    pub partner: usize,
    /// The account at the exchange.
    pub account: String,
}

/// A client.
pub struct Participant {
    /// Its enterprise.
    pub enterprise: String,
    /// Its account in custody.
    pub go_account: String,
    /// What it has at the partners.
    pub connections: Vec<Connection>,
    token: String,
    number: u8,
}

/// Everything that there is. Dropping it ends all processes.
pub struct World {
    /// The servers.
    pub servers: Vec<Server>,
    /// The partners: the first answers at once, the second later.
    pub partners: Vec<Partner>,
    /// The clients.
    pub clients: Vec<Participant>,
    /// The partner that stages its settlements and settles over the chain, if there is one.
    pub venue: Option<Venue>,
    /// How servers are started.
    pub settings: ServerSettings,
    operator_token: String,
    _folder: TempDir,
}

fn key(number: u8) -> anyhow::Result<ExtendedKey> {
    Ok(ExtendedKey::from_seed(&[number; 32])?)
}

/// A client that never repeats by itself: what was acknowledged has to be known exactly.
fn impatient() -> Retry {
    Retry::never()
}

impl World {
    /// Makes the world; all its servers run when this returns.
    ///
    /// # Errors
    ///
    /// When anything does not work as it should.
    pub async fn make(plan: Plan) -> anyhow::Result<World> {
        let folder = tempfile::tempdir()?;
        let settings = ServerSettings {
            program: plan.program,
            folder: folder.path().to_owned(),
            database: plan.database,
            test_clock: plan.venue,
            lease: plan.lease,
            database_time_limit: plan.database_time_limit,
            environment: plan.environment,
        };
        let operator_token = settings.init().await?;
        let mut servers = Vec::new();
        for _ in 0..plan.servers.max(1) {
            servers.push(Server::start(settings.clone()).await?);
        }
        let mut world = World {
            servers,
            partners: Vec::new(),
            clients: Vec::new(),
            venue: None,
            settings,
            operator_token,
            _folder: folder,
        };
        for (ticker, _) in CURRENCIES {
            let content = json!({"backing": ticker, "decimals": 8, "custodySource": "vault"});
            world.put(&format!("currencies/{ticker}"), content).await?;
        }
        for asynchronous in [false, true] {
            let partner = world.add_partner(Kind::Trading { asynchronous }).await?;
            world.partners.push(partner);
        }
        for number in 0..plan.clients {
            let client = world.add_client(number).await?;
            world.clients.push(client);
        }
        if plan.venue {
            world.venue = Some(world.open_venue().await?);
        }
        Ok(world)
    }

    /// Who speaks for the venue, its client and operators to one of the servers.
    ///
    /// # Errors
    ///
    /// When they cannot be put together, or there is no venue.
    pub fn counter(&self, server: usize) -> anyhow::Result<Counter> {
        let venue = self.venue.as_ref().context("a venue")?;
        let client = self.clients.first().context("there is a client")?;
        Ok(Counter {
            url: self.servers[server % self.servers.len()].url.clone(),
            connection: venue.connection,
            partner: Speaker {
                enterprise: venue.partner.enterprise.clone(),
                token: venue.partner.token.clone(),
                key: key(3)?,
            },
            client: Speaker {
                enterprise: client.enterprise.clone(),
                token: client.token.clone(),
                key: key(client.number + 10)?,
            },
            operator: self.operator_token.clone(),
            reviewer: venue.reviewer.clone(),
        })
    }

    /// A client of the operator API of one of the servers.
    ///
    /// # Errors
    ///
    /// When it cannot be put together.
    pub fn operator(&self, server: usize) -> anyhow::Result<OperatorClient> {
        let url = &self.servers[server % self.servers.len()].url;
        let operator = Client::operator(url, &self.operator_token)?;
        Ok(operator.with_retry(impatient()))
    }

    /// A participant as it reaches one of the servers, signing with its key.
    ///
    /// # Errors
    ///
    /// When it cannot be put together.
    pub fn client(&self, participant: &Participant, server: usize) -> anyhow::Result<Client> {
        let url = &self.servers[server % self.servers.len()].url;
        let client = Client::new(url, &participant.enterprise, &participant.token)?;
        let client = client.with_signing_key(key(participant.number + 10)?.key);
        Ok(client.with_retry(impatient()))
    }

    /// What a partner has in custody, by its own names of the currencies.
    ///
    /// # Errors
    ///
    /// When it is not told.
    pub async fn partner_balances(
        &self,
        partner: &Partner,
    ) -> anyhow::Result<BTreeMap<String, Balance>> {
        let client = Client::new(&self.servers[0].url, &partner.enterprise, &partner.token)?;
        let balances = client.with_retry(impatient());
        let balances = balances.partner_balances(&Default::default()).await?;
        balances.balances.context("a partner sees its own account")
    }

    async fn put(&self, path: &str, content: Value) -> anyhow::Result<Value> {
        let put = self.operator(0)?.put(&format!("/{path}"), &content).await;
        put.with_context(|| format!("PUT {path}"))
    }

    async fn post(&self, path: &str, content: Value) -> anyhow::Result<Value> {
        let posted = self.operator(0)?.post(&format!("/{path}"), &content).await;
        posted.with_context(|| format!("POST {path}"))
    }

    /// An enterprise with an account, a key, money, and a user with a token.
    async fn add_enterprise(
        &self,
        enterprise: &str,
        account: &str,
        key: &ExtendedKey,
    ) -> anyhow::Result<String> {
        let content = json!({"name": enterprise, "trustOrg": "Meridian", "licensed": true});
        self.put(&format!("enterprises/{enterprise}"), content)
            .await?;
        let path = format!("enterprises/{enterprise}/goAccounts/{account}");
        self.put(&path, json!({"label": "trading"})).await?;
        let content = json!({"publicKey": key.xpub(), "label": "user"});
        self.post(&format!("goAccounts/{account}/keys"), content)
            .await?;
        self.put(&format!("users/{account}"), json!({"name": enterprise}))
            .await?;
        let path = format!("enterprises/{enterprise}/members/{account}");
        self.put(&path, json!({"role": "admin"})).await?;
        for (ticker, _) in CURRENCIES {
            let content = json!({
                "goAccountId": account,
                "currency": ticker,
                "amount": ENDOWMENT.to_string(),
                "externalReference": format!("endowment {account} {ticker}"),
            });
            self.post("deposits", content).await?;
        }
        let scopes = ["settlement_network_read", "settlement_network_write"];
        let content = json!({"label": "test", "scopes": scopes});
        let issued = self
            .post(&format!("users/{account}/tokens"), content)
            .await?;
        text(&issued, "token")
    }

    async fn add_partner(&self, kind: Kind) -> anyhow::Result<Partner> {
        let (number, enterprise, asynchronous) = match kind {
            Kind::Trading {
                asynchronous: false,
            } => (1, "harbour", false),
            Kind::Trading { asynchronous: true } => (2, "later", true),
            Kind::Venue => (3, "venue", false),
        };
        let go_account = format!("e{number:031x}");
        let key = key(number)?;
        let token = self.add_enterprise(enterprise, &go_account, &key).await?;
        let exchange = Exchange::start(&self.settings.program, asynchronous).await?;
        let way = PartnerWay::start(&exchange.url).await?;
        let answers = if asynchronous { "async" } else { "sync" };
        let currencies =
            CURRENCIES.map(|(ticker, name)| json!({"ticker": ticker, "partnerNames": [name]}));
        let content = json!({
            "baseUrl": way.url,
            "allowedNetworks": ["127.0.0.0/8"],
            "callTimeoutMs": 400,
            "allocations": answers,
            "deallocations": answers,
            "currencies": currencies,
            "onChain": kind == Kind::Venue,
        });
        let path = format!("enterprises/{enterprise}/partnerConfigurations/{enterprise}");
        self.put(&path, content).await?;
        let network = &self.servers[0].url;
        let created = Client::new(network, enterprise, &token)?
            .register_partner(&NewPartner {
                name: enterprise.to_owned(),
                broker: false,
                institution_id: None,
                institution_identifier: enterprise.to_owned(),
                connection_key_schema: ConnectionKeySchema::Token,
                client_dispute_window_minutes: (kind == Kind::Venue).then_some(1),
                top_up_window_minutes: (kind == Kind::Venue).then_some(1),
                allocation_policies_enabled: false,
            })
            .await
            .context("Create Partner")?;
        let public_key = self.settings.folder.join("partner-calls/default.pub.pem");
        let membership = json!({
            "partnerId": created.partner.id.to_string(),
            "enterpriseId": enterprise,
            "token": token,
            "signingKey": key.xprv().as_str(),
            "networkUrl": network,
            "jwtPublicKey": std::fs::read_to_string(public_key)?,
        });
        exchange.act(Method::PUT, "partner", &membership).await?;
        Ok(Partner {
            enterprise: enterprise.to_owned(),
            go_account,
            id: created.partner.id,
            exchange: Arc::new(exchange),
            way,
            token,
        })
    }

    async fn open_venue(&self) -> anyhow::Result<Venue> {
        let partner = self.add_partner(Kind::Venue).await?;
        let participant = self.clients.first().context("there is a client")?;
        let client = self.client(participant, 0)?;
        let (connection, _) = connect(&client, &partner).await?;
        let units = VENUE_ENDOWMENT;
        let content = json!({
            "goAccountId": participant.go_account,
            "currency": "ofcbtc",
            "amount": units.to_string(),
            "externalReference": "for the venue",
        });
        self.post("deposits", content).await?;
        let allocated = client.allocate(
            connection,
            NewAllocation {
                amount: ClientAmount {
                    currency: "ofcbtc".parse()?,
                    quantity: ledger::Amount::new(units).context("an amount")?,
                },
                client_external_id: VENUE_ALLOCATION.to_owned(),
                nonce: client::fresh_nonce(),
                notes: None,
            },
        );
        allocated.await.context("the venue's endowment")?;
        let content = json!({"name": "reviewer", "role": "operator"});
        let reviewer = "d0000000000000000000000000000001";
        self.put(&format!("users/{reviewer}"), content).await?;
        let content = json!({"label": "review", "scopes": ["installation"]});
        let path = format!("users/{reviewer}/tokens");
        let issued = self.post(&path, content).await?;
        Ok(Venue {
            partner,
            connection,
            reviewer: text(&issued, "token")?,
        })
    }

    async fn add_client(&self, number: u8) -> anyhow::Result<Participant> {
        let mut participant = Participant {
            enterprise: format!("client{number}"),
            go_account: format!("c{number:031x}"),
            connections: Vec::new(),
            token: String::new(),
            number,
        };
        participant.token = self
            .add_enterprise(
                &participant.enterprise,
                &participant.go_account,
                &key(number + 10)?,
            )
            .await?;
        let client = self.client(&participant, 0)?;
        client.become_client().await?;
        for (index, partner) in self.partners.iter().enumerate() {
            let (id, account) = connect(&client, partner).await?;
            participant.connections.push(Connection {
                id,
                partner: index,
                account,
            });
        }
        Ok(participant)
    }
}

/// Connects a client with a new account at a partner: the connection, and the account.
async fn connect(client: &Client, partner: &Partner) -> anyhow::Result<(Uuid, String)> {
    let exchange = &partner.exchange;
    let account = exchange.act(Method::POST, "accounts", &json!({})).await?;
    let opened = client
        .connect(NewConnection {
            partner_id: partner.id,
            name: partner.enterprise.clone(),
            connection_key: ConnectionKey::Token {
                connection_token: text(&account, "connectionToken")?,
            },
            nonce: client::fresh_nonce(),
        })
        .await?;
    let id = opened.connection.id;
    crate::eventually("the connection is accepted", async || {
        let found = client.client_connection(id).await?;
        ensure!(found.connection.initialized, "the partner has not answered");
        Ok(())
    })
    .await?;
    Ok((id, text(&account, "accountId")?))
}

fn text(object: &Value, member: &str) -> anyhow::Result<String> {
    let text = object[member].as_str();
    Ok(text
        .with_context(|| format!("{member} is missing in {object}"))?
        .to_owned())
}

/// Builds the `tidelock` program as this program was built, if cargo runs us, and says where it is.
///
/// # Errors
///
/// When it cannot be built, or is not beside us.
pub fn build_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program is in a folder")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let mut build = std::process::Command::new(cargo);
        build.args(["build", "--bin", "tidelock", "--manifest-path"]);
        build.arg(manifest);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        ensure!(build.status()?.success(), "the server cannot be built");
    }
    let program = folder.join("tidelock");
    ensure!(
        program.exists(),
        "there is no server program {}: build it, or name it with --program",
        program.display()
    );
    Ok(program)
}
