//! What load needs: a partner, clients with Go Accounts, keys and tokens, connections between
//! them, and money. It is set up over HTTP, as operators and enterprises would.

use std::sync::Arc;

use anyhow::{Context, ensure};
use client::{Client, OperatorClient};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    api::{
        allocations::NewAllocation, connections::NewConnection, partners::NewPartner,
        quantity::ClientAmount, settlements::NewSettlement,
    },
    connection_key::{ConnectionKey, ConnectionKeySchema},
    signature::{ExtendedKey, SigningKey},
};

use crate::{exchange::Exchange, installation::Installation, load::Maker};

/// How much is deposited at a time: enough for whatever is measured.
const DEPOSIT: &str = "1000000000000000000000000";

/// How much one allocation moves.
const AMOUNT: &str = "1000000";

/// How many requests are under way while the stage is set up.
const AT_ONCE: usize = 32;

/// The enterprise of the partner.
const PARTNER: &str = "partner";

/// What the partner calls itself.
const INSTITUTION: &str = "bench";

/// What is to be set up.
pub(crate) struct Plan<'a> {
    /// Where the partner answers.
    pub(crate) partner_url: &'a str,
    /// The simulated exchange, if that is the partner; otherwise whoever takes every connection.
    pub(crate) exchange: Option<&'a Exchange>,
    /// Whether it answers allocations later.
    pub(crate) asynchronous: bool,
    /// How many clients, each with a Go Account.
    pub(crate) clients: usize,
    /// How many connections each client has to the partner.
    pub(crate) connections_each: usize,
    /// How many currencies there are. The partner has money in all.
    pub(crate) currencies: usize,
    /// How long clients may dispute the partner's settlements; none: they are booked at once.
    pub(crate) dispute_window_minutes: Option<u16>,
    /// In how many of them, the first ones, clients have money.
    pub(crate) client_currencies: usize,
}

impl<'a> Plan<'a> {
    /// One client with one connection to a partner that answers at once.
    pub(crate) fn with(partner_url: &'a str) -> Plan<'a> {
        Plan {
            partner_url,
            exchange: None,
            asynchronous: false,
            clients: 1,
            connections_each: 1,
            currencies: 1,
            dispute_window_minutes: None,
            client_currencies: 1,
        }
    }
}

/// What was set up.
pub(crate) struct Stage {
    pub(crate) partner: Party,
    pub(crate) clients: Vec<Party>,
}

/// An enterprise that acts.
pub(crate) struct Party {
    pub(crate) client: Client,
    key: Arc<SigningKey>,
    token: String,
    /// The connections of a client, in the order in which they were made.
    pub(crate) connections: Vec<Uuid>,
}

/// The ticker of a currency.
pub(crate) fn ticker(number: usize) -> String {
    format!("coin{number:03}")
}

impl Stage {
    pub(crate) async fn set_up(
        installation: &Installation<'_>,
        plan: &Plan<'_>,
    ) -> anyhow::Result<Stage> {
        let url = installation.url();
        let operator = Client::operator(url, &installation.operator_token)?;
        for number in 0..plan.currencies {
            let currency = json!({"backing": "coin", "decimals": 6, "custodySource": "vault"});
            let path = format!("/currencies/{}", ticker(number));
            operator.put(&path, &currency).await?;
        }
        let base = Client::new(url, PARTNER, "none")?;
        let partner_key = ExtendedKey::generate();
        let partner_xprv = partner_key.xprv();
        let partner = enterprise(&operator, &base, PARTNER, partner_key.key).await?;
        agree(&operator, plan).await?;
        let created = partner
            .party
            .client
            .register_partner(&NewPartner {
                name: "Bench".to_owned(),
                broker: false,
                institution_id: None,
                institution_identifier: INSTITUTION.to_owned(),
                connection_key_schema: ConnectionKeySchema::Token,
                client_dispute_window_minutes: plan.dispute_window_minutes,
                top_up_window_minutes: plan.dispute_window_minutes,
                allocation_policies_enabled: false,
            })
            .await?;
        let partner_id = created.partner.id;
        if let Some(exchange) = plan.exchange {
            let membership = json!({
                "enterpriseId": PARTNER,
                "token": partner.party.token,
                "signingKey": partner_xprv.as_str(),
                "networkUrl": url,
            });
            exchange.join(partner_id, membership).await?;
        }
        stream::iter(0..plan.currencies)
            .map(|number| deposit(&operator, &partner.go_account, ticker(number)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        let clients = stream::iter(0..plan.clients)
            .map(|number| {
                let (operator, base) = (&operator, &base);
                async move {
                    let name = format!("client-{number}");
                    let key = SigningKey::generate();
                    let made = enterprise(operator, base, &name, key).await?;
                    made.party.client.become_client().await?;
                    for currency in 0..plan.client_currencies {
                        deposit(operator, &made.go_account, ticker(currency)).await?;
                    }
                    let mut party = made.party;
                    for _ in 0..plan.connections_each {
                        let token = match plan.exchange {
                            Some(exchange) => exchange.open_account().await?,
                            None => client::fresh_nonce(),
                        };
                        let connection = connect(&party.client, partner_id, token).await?;
                        party.connections.push(connection);
                    }
                    Ok::<_, anyhow::Error>(party)
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Stage {
            partner: partner.party,
            clients,
        })
    }

    /// The same at another address of the network.
    pub(crate) fn at(self, url: &str) -> anyhow::Result<Stage> {
        let base = Client::new(url, PARTNER, "none")?;
        let again = |party: Party| -> anyhow::Result<Party> {
            let client = base.acting_for(party.client.enterprise_id(), &party.token)?;
            Ok(Party {
                client: client.with_shared_signing_key(Arc::clone(&party.key)),
                ..party
            })
        };
        Ok(Stage {
            partner: again(self.partner)?,
            clients: self
                .clients
                .into_iter()
                .map(again)
                .collect::<anyhow::Result<_>>()?,
        })
    }

    /// Makes allocations of all clients in turn. The prefix names a series: external ids are taken
    /// for ever.
    pub(crate) fn reservations(&self, prefix: &str) -> impl Maker + use<'_> {
        let prefix = prefix.to_owned();
        move |number: usize, into: &mut Vec<u8>| {
            let party = &self.clients[number % self.clients.len()];
            party.allocation(party.connections[0], format!("{prefix}-{number}"), into)
        }
    }
}

/// An enterprise that was just made.
struct Made {
    party: Party,
    go_account: String,
}

async fn enterprise(
    operator: &OperatorClient,
    base: &Client,
    name: &str,
    key: SigningKey,
) -> anyhow::Result<Made> {
    let (user, go_account) = (new_id(), new_id());
    operator
        .put(&format!("/users/{user}"), &json!({"name": name}))
        .await?;
    let enterprise = json!({"name": name, "trustOrg": "Bench Trust", "licensed": true});
    operator
        .put(&format!("/enterprises/{name}"), &enterprise)
        .await?;
    let path = format!("/enterprises/{name}/goAccounts/{go_account}");
    operator.put(&path, &json!({"label": "trading"})).await?;
    let path = format!("/goAccounts/{go_account}/keys");
    let public_key = key.public_key().to_hex();
    operator
        .post(&path, &json!({"publicKey": public_key, "label": "key"}))
        .await?;
    let path = format!("/enterprises/{name}/members/{user}");
    operator.put(&path, &json!({"role": "admin"})).await?;
    let scopes = ["settlement_network_read", "settlement_network_write"];
    let wanted = json!({"label": "bench", "scopes": scopes});
    let issued = operator
        .post(&format!("/users/{user}/tokens"), &wanted)
        .await?;
    let token = issued["token"]
        .as_str()
        .context("no token was issued")?
        .to_owned();
    let key = Arc::new(key);
    Ok(Made {
        party: Party {
            client: base
                .acting_for(name, &token)?
                .with_shared_signing_key(Arc::clone(&key)),
            key,
            token,
            connections: Vec::new(),
        },
        go_account,
    })
}

async fn agree(operator: &OperatorClient, plan: &Plan<'_>) -> anyhow::Result<()> {
    let currencies: Vec<Value> = (0..plan.currencies)
        .map(|number| json!({"ticker": ticker(number), "partnerNames": [ticker(number)]}))
        .collect();
    let configuration = json!({
        "baseUrl": plan.partner_url,
        "allowedNetworks": ["127.0.0.0/8"],
        "callTimeoutMs": 12_000,
        "allocations": match plan.asynchronous {
            true => "async",
            false => "sync",
        },
        "currencies": currencies,
    });
    let path = format!("/enterprises/{PARTNER}/partnerConfigurations/{INSTITUTION}");
    operator.put(&path, &configuration).await?;
    Ok(())
}

async fn deposit(
    operator: &OperatorClient,
    go_account: &str,
    currency: String,
) -> anyhow::Result<()> {
    let deposit = json!({
        "goAccountId": go_account,
        "currency": currency,
        "amount": DEPOSIT,
        "externalReference": format!("{go_account} {currency}"),
    });
    operator.post("/deposits", &deposit).await?;
    Ok(())
}

async fn connect(
    client: &Client,
    partner_id: Uuid,
    connection_token: String,
) -> anyhow::Result<Uuid> {
    let connection_key = ConnectionKey::Token { connection_token };
    let wanted = NewConnection {
        partner_id,
        name: "bench".to_owned(),
        connection_key,
        nonce: String::new(),
    };
    let connection = client.connect(wanted).await?.connection;
    ensure!(
        connection.initialized,
        "the partner did not accept a connection"
    );
    Ok(connection.id)
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

impl Party {
    /// A signed allocation over a connection, its own or another's, as the bytes of a request.
    pub(crate) fn allocation(
        &self,
        connection: Uuid,
        external_id: String,
        into: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let content = NewAllocation {
            amount: ClientAmount {
                currency: ticker(0).parse()?,
                quantity: AMOUNT.parse()?,
            },
            client_external_id: external_id,
            nonce: String::new(),
            notes: None,
        };
        let prepared = self.client.prepare_allocation(connection, content)?;
        self.request("POST", prepared.path(), prepared.body(), into);
        Ok(())
    }

    /// A signed settlement as the bytes of a request.
    pub(crate) fn settlement(
        &self,
        content: NewSettlement,
        into: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let prepared = self.client.prepare_settlement(content)?;
        self.request("POST", prepared.path(), prepared.body(), into);
        Ok(())
    }

    /// A signed settlement that is staged (P11), as the bytes of a request.
    pub(crate) fn staged_settlement(&self, mut content: Value, into: &mut Vec<u8>) {
        let payload = content.to_string();
        content["signature"] = self.key.sign(&payload).into();
        content["payload"] = payload.into();
        let id = self.client.enterprise_id();
        let path = format!("/api/network/v2/enterprises/{id}/partners/settlements");
        self.request("POST", &path, content.to_string().as_bytes(), into);
    }

    /// A question about the enterprise, by the path below it.
    pub(crate) fn read(&self, path: &str, into: &mut Vec<u8>) {
        let id = self.client.enterprise_id();
        self.request(
            "GET",
            &format!("/api/network/v1/enterprises/{id}{path}"),
            &[],
            into,
        );
    }

    /// A request of the party as bytes.
    pub(crate) fn request(&self, method: &str, path: &str, body: &[u8], into: &mut Vec<u8>) {
        request(&self.token, method, path, body, into);
    }
}

/// A request with a token as bytes.
pub(crate) fn request(token: &str, method: &str, path: &str, body: &[u8], into: &mut Vec<u8>) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: tidelock\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    into.extend_from_slice(head.as_bytes());
    into.extend_from_slice(body);
}
