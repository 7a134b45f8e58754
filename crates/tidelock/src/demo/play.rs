//! The play: who does what, in order.

use anyhow::{Context, bail, ensure};
use client::{Client, OperatorClient, network_file::NetworkFile};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    api::{
        allocations::{AcceptedAllocation, NewAllocation},
        balances::{ClientBalancesFilter, ClientBalancesResponse, PartnerBalancesFilter},
        connections::NewConnection,
        currencies::SupportedCurrenciesFilter,
        partners::{NewPartner, PartnersFilter},
        quantity::ClientAmount,
        settlements::ClientSettlementsFilter,
    },
    connection_key::{ConnectionKey, ConnectionKeySchema},
    signature::ExtendedKey,
};

use super::stage::{Cast, Stage, does, figures, heard, human};
use crate::{operator::apply::apply, verify};

const CLIENT: &str = "northwind";
const EXCHANGE: &str = "harbour";
const INSTITUTION: &str = "harbour-exchange";
const CLIENT_ACCOUNT: &str = "c1000000000000000000000000000001";
const EXCHANGE_ACCOUNT: &str = "e1000000000000000000000000000001";
const CLIENT_USER: &str = "c0000000000000000000000000000001";
const EXCHANGE_USER: &str = "e0000000000000000000000000000001";

/// The network of the demo, as an operator would describe it in a file.
fn network_file(exchange_url: &str, client_key: &str, exchange_key: &str) -> String {
    format!(
        r#"
[[currency]]
ticker = "ofcbtc"
backing = "btc"
decimals = 8
custody_source = "vault-1"

[[currency]]
ticker = "ofceth"
backing = "eth"
decimals = 18
custody_source = "vault-1"

[[currency]]
ticker = "ofcusdt"
backing = "usdt"
decimals = 6
custody_source = "vault-1"

[[user]]
id = "{CLIENT_USER}"
name = "Nora at Northwind"

[[user]]
id = "{EXCHANGE_USER}"
name = "Harry at Harbour"

[[enterprise]]
id = "{CLIENT}"
name = "Northwind Trading"
trust_org = "Meridian Custody"
licensed = true
members = [{{ user_id = "{CLIENT_USER}", role = "admin" }}]

[[enterprise.go_account]]
id = "{CLIENT_ACCOUNT}"
label = "trading"
keys = [{{ public_key = "{client_key}", label = "user key" }}]

[[enterprise]]
id = "{EXCHANGE}"
name = "Harbour Exchange"
trust_org = "Meridian Custody"
licensed = true
members = [{{ user_id = "{EXCHANGE_USER}", role = "admin" }}]

[[enterprise.go_account]]
id = "{EXCHANGE_ACCOUNT}"
label = "settlement"
keys = [{{ public_key = "{exchange_key}", label = "user key" }}]

[[partner_configuration]]
enterprise_id = "{EXCHANGE}"
institution_identifier = "{INSTITUTION}"
base_url = "{exchange_url}"
allowed_networks = ["127.0.0.0/8"]

[[partner_configuration.currency]]
ticker = "ofcbtc"
partner_names = ["BTC"]

[[partner_configuration.currency]]
ticker = "ofceth"
partner_names = ["ETH"]

[[partner_configuration.currency]]
ticker = "ofcusdt"
partner_names = ["USDT"]

[[deposit]]
go_account = "{CLIENT_ACCOUNT}"
currency = "ofcbtc"
amount = "1000000000"
reference = "demo-1"

[[deposit]]
go_account = "{CLIENT_ACCOUNT}"
currency = "ofceth"
amount = "50000000000000000000"
reference = "demo-2"

[[deposit]]
go_account = "{CLIENT_ACCOUNT}"
currency = "ofcusdt"
amount = "250000000000"
reference = "demo-3"

[[deposit]]
go_account = "{EXCHANGE_ACCOUNT}"
currency = "ofceth"
amount = "100000000000000000000"
reference = "demo-4"

[[deposit]]
go_account = "{EXCHANGE_ACCOUNT}"
currency = "ofcusdt"
amount = "1000000000000"
reference = "demo-5"
"#
    )
}

/// Plays the main job to its end; an error says which step did not hold.
pub(super) async fn play(stage: &Stage) -> anyhow::Result<Cast> {
    let client_key = ExtendedKey::generate();
    let exchange_key = ExtendedKey::generate();
    let (client_token, exchange_token) = set_up(stage, &client_key, &exchange_key).await?;
    let exchange = Client::new(&stage.network_url, EXCHANGE, &exchange_token)?;
    let partner_id = create_partner(&exchange).await?;
    let membership = json!({
        "partnerId": partner_id.to_string(),
        "enterpriseId": EXCHANGE,
        "token": exchange_token,
        "signingKey": exchange_key.xprv().as_str(),
        "networkUrl": stage.network_url,
        "jwtPublicKey": stage.call_public_key,
    });
    stage.control(Method::PUT, "partner", &membership).await?;

    let client = Client::new(&stage.network_url, CLIENT, &client_token)?;
    let client_xprv = client_key.xprv().to_string();
    let client = client.with_signing_key(client_key.key);
    let (connection, account) = connect(stage, &client, partner_id).await?;
    allocate(&client, connection).await?;
    trade_and_settle(stage, &account).await?;
    see_the_settlement(&client).await?;
    deallocate(&client, connection).await?;
    close(stage, &client, &exchange, connection, &account).await?;
    Ok(Cast {
        exchange_enterprise: EXCHANGE,
        exchange_token,
        client_enterprise: CLIENT,
        client_token,
        institution: INSTITUTION,
        exchange_xprv: exchange_key.xprv().to_string(),
        client_xprv,
    })
}

async fn set_up(
    stage: &Stage,
    client_key: &ExtendedKey,
    exchange_key: &ExtendedKey,
) -> anyhow::Result<(String, String)> {
    let operator = Client::operator(&stage.network_url, &stage.operator_token)?;
    does(
        "operator",
        "sets up two enterprises with Go Accounts and keys, three currencies, a partner configuration and deposits",
    );
    let file = network_file(
        &stage.exchange_url,
        &client_key.xpub(),
        &exchange_key.xpub(),
    );
    for line in apply(&operator, &NetworkFile::parse(&file)?).await? {
        heard(&line);
    }
    does("operator", "issues an access token for each side");
    let client_token = issue_token(&operator, CLIENT_USER).await?;
    let exchange_token = issue_token(&operator, EXCHANGE_USER).await?;
    heard("two tokens, each shown once");
    Ok((client_token, exchange_token))
}

async fn issue_token(operator: &OperatorClient, user: &str) -> anyhow::Result<String> {
    let wanted = json!({
        "label": "demo",
        "scopes": ["settlement_network_read", "settlement_network_write"],
    });
    let issued = operator
        .post(&format!("/users/{user}/tokens"), &wanted)
        .await?;
    let token = issued["token"].as_str().context("no token was issued")?;
    Ok(token.to_owned())
}

async fn create_partner(exchange: &Client) -> anyhow::Result<Uuid> {
    does(
        "exchange",
        "calls Create Partner: it takes connections of schema \"token\"",
    );
    let created = exchange
        .register_partner(&NewPartner {
            name: "Harbour Exchange".to_owned(),
            broker: false,
            institution_id: None,
            institution_identifier: INSTITUTION.to_owned(),
            connection_key_schema: ConnectionKeySchema::Token,
            client_dispute_window_minutes: None,
            top_up_window_minutes: None,
            allocation_policies_enabled: false,
        })
        .await?;
    let partner = created.partner;
    heard(&format!(
        "partner {} is active: {}",
        partner.id, partner.active
    ));
    ensure!(partner.active, "the new partner is not active");
    Ok(partner.id)
}

async fn connect(
    stage: &Stage,
    client: &Client,
    partner_id: Uuid,
) -> anyhow::Result<(Uuid, String)> {
    does("client", "becomes a client of the network");
    let own = client.become_client().await?.client;
    heard(&format!(
        "client {} on Go Account {}",
        own.id, own.wallet_id
    ));

    does("client", "looks for partners and their currencies");
    let partners = client.partners(&PartnersFilter::default()).await?.partners;
    let names: Vec<&str> = partners
        .iter()
        .map(|partner| partner.name.as_str())
        .collect();
    heard(&names.join(", "));
    let filter = SupportedCurrenciesFilter {
        partner_ids: vec![partner_id],
    };
    let supported = client.supported_currencies(&filter).await?;
    let currencies = supported.supported_currencies.get(&partner_id);
    let currencies = currencies.context("the partner's currencies are missing")?;
    let names = currencies
        .iter()
        .map(|c| format!("{} is {} there", c.ofc_currency, c.partner_names.join("/")));
    heard(&names.collect::<Vec<_>>().join(", "));

    does(
        "client",
        "opens an account at the exchange and gets a connection token",
    );
    let account = stage
        .control(Method::POST, "accounts", &json!({ "name": "Northwind" }))
        .await?;
    let account_id = text(&account, "accountId")?;
    let connection_token = text(&account, "connectionToken")?;
    heard(&format!("account {account_id}"));

    does(
        "client",
        "connects to the exchange, signed with its Go Account's key",
    );
    let connection = client
        .connect(NewConnection {
            partner_id,
            name: "Harbour main".to_owned(),
            connection_key: ConnectionKey::Token { connection_token },
            nonce: client::fresh_nonce(),
        })
        .await?
        .connection;
    heard(&format!(
        "connection {}, accepted by the exchange: {}",
        connection.id, connection.initialized
    ));
    ensure!(
        connection.initialized,
        "the exchange did not accept the connection"
    );
    Ok((connection.id, account_id))
}

fn text(value: &Value, member: &str) -> anyhow::Result<String> {
    let text = value[member].as_str();
    Ok(text
        .with_context(|| format!("the exchange told no {member}"))?
        .to_owned())
}

fn amount(currency: &str, quantity: &str) -> anyhow::Result<ClientAmount> {
    Ok(ClientAmount {
        currency: currency.parse()?,
        quantity: quantity.parse()?,
    })
}

fn request(currency: &str, quantity: &str, id: &str) -> anyhow::Result<NewAllocation> {
    Ok(NewAllocation {
        amount: amount(currency, quantity)?,
        client_external_id: id.to_owned(),
        nonce: client::fresh_nonce(),
        notes: None,
    })
}

fn ensure_cleared(outcome: &AcceptedAllocation) -> anyhow::Result<()> {
    match outcome {
        AcceptedAllocation::Cleared(record) => {
            heard(&format!("{} cleared", record.record.id));
            Ok(())
        }
        AcceptedAllocation::Reserved(record) => bail!("not cleared: {}", record.reason),
    }
}

async fn balances(client: &Client) -> anyhow::Result<ClientBalancesResponse> {
    let balances = client
        .client_balances(&ClientBalancesFilter::default())
        .await?;
    println!("          │   in custody  {}", figures(&balances.balances));
    for connection in balances.network_balances.values() {
        println!(
            "          │   allocated   {}",
            figures(&connection.balances)
        );
    }
    Ok(balances)
}

async fn allocate(client: &Client, connection: Uuid) -> anyhow::Result<()> {
    let wanted = [
        ("ofcbtc", "200000000"),
        ("ofceth", "10000000000000000000"),
        ("ofcusdt", "100000000000"),
    ];
    for (currency, quantity) in wanted {
        let shown = human(currency, quantity);
        does("client", &format!("allocates {shown} {currency}, signed"));
        let content = request(currency, quantity, &format!("allocate-{currency}"))?;
        let outcome = client.allocate(connection, content).await?;
        ensure_cleared(&outcome.allocation)?;
    }
    balances(client).await?;
    Ok(())
}

async fn trade_and_settle(stage: &Stage, account: &str) -> anyhow::Result<()> {
    does(
        "client",
        "trades at the exchange: sells 0.5 BTC at 60 000, buys 5 ETH at 2 400",
    );
    let leg = |currency: &str, quantity: &str| json!({"currency": currency, "quantity": quantity});
    for (base, quote) in [
        (leg("BTC", "-50000000"), leg("USDT", "30000000000")),
        (
            leg("ETH", "5000000000000000000"),
            leg("USDT", "-12000000000"),
        ),
    ] {
        let trade = json!({"accountId": account, "base": base, "quote": quote});
        stage.trade(&trade).await?;
    }
    heard("two trades; nothing has moved in custody");

    does(
        "exchange",
        "posts the netted gains and losses as a signed settlement",
    );
    let answer = stage
        .control(Method::POST, "settlements", &json!({}))
        .await?;
    let status = answer["network"]["body"]["settlement"]["status"].as_str();
    heard(&format!("settlement {}", status.unwrap_or("unknown")));
    ensure!(
        status == Some("completed"),
        "the settlement did not complete: {answer}"
    );
    Ok(())
}

async fn see_the_settlement(client: &Client) -> anyhow::Result<()> {
    does("client", "looks at its settlements");
    let filter = ClientSettlementsFilter::default();
    let settlements = client.client_settlements(&filter).await?.settlements;
    ensure!(settlements.len() == 1, "one settlement was expected");
    let transfers = client
        .client_settlement_transfers(&Default::default())
        .await?
        .settlement_transfers;
    ensure!(transfers.len() == 3, "three transfers were expected");
    for transfer in &transfers {
        let shown = human(&transfer.currency, &transfer.quantity);
        heard(&format!(
            "{shown} {} {}",
            transfer.currency,
            transfer.status.as_str()
        ));
    }
    balances(client).await?;
    Ok(())
}

async fn deallocate(client: &Client, connection: Uuid) -> anyhow::Result<()> {
    let wanted = [
        ("ofcbtc", "150000000"),
        ("ofceth", "15000000000000000000"),
        ("ofcusdt", "118000000000"),
    ];
    for (currency, quantity) in wanted {
        let shown = human(currency, quantity);
        does("client", &format!("deallocates {shown} {currency}, signed"));
        let content = request(currency, quantity, &format!("deallocate-{currency}"))?;
        let outcome = client.deallocate(connection, content).await?;
        ensure_cleared(&outcome.deallocation)?;
    }
    Ok(())
}

async fn close(
    stage: &Stage,
    client: &Client,
    exchange: &Client,
    connection: Uuid,
    account: &str,
) -> anyhow::Result<()> {
    does("client", "closing balances");
    let closing = balances(client).await?;
    let available = |currency: &str| {
        let balance = closing.balances.get(currency);
        balance.map(|balance| balance.available.clone())
    };
    for (currency, units) in [
        ("ofcbtc", "950000000"),
        ("ofceth", "55000000000000000000"),
        ("ofcusdt", "268000000000"),
    ] {
        let found = available(currency);
        ensure!(
            found.as_deref() == Some(units),
            "{currency}: {found:?}, not {units}"
        );
    }
    let left = closing.network_balances.get(&connection);
    let nothing_left = left.is_some_and(|left| {
        let empty = |b: &wire::api::balances::Balance| b.available == "0" && b.held == "0";
        left.balances.values().all(empty)
    });
    ensure!(nothing_left, "something is still allocated: {left:?}");

    does("exchange", "closing balances of its own Go Account");
    let own = exchange
        .partner_balances(&PartnerBalancesFilter::default())
        .await?;
    heard(&figures(&own.balances.unwrap_or_default()));
    does("exchange", "its own books of the client's account");
    let books = stage.emptied_account(account).await?;
    heard(&books);

    does(
        "auditor",
        "tidelock verify recomputes every balance from the journal",
    );
    let report = verify::verify(&stage.location).await?;
    for line in verify::describe(&report) {
        heard(&line);
    }
    ensure!(report.is_sound(), "the books do not agree");
    Ok(())
}
