//! Disputes from staging to their end: partner and client over the typed client, operators over the
//! command line.

use std::collections::BTreeMap;

use client::{Client, fresh_nonce};
use sandbox::{Exchange, RunningExchange};
use serde_json::{Value, json};
use testkit::{TestDatabase, each_database};
use uuid::Uuid;
use wire::{
    api::{
        allocations::{AcceptedAllocation, NewAllocation},
        connections::NewConnection,
        partners::NewPartner,
        quantity::{ClientAmount, PartnerQuantity},
        settlements::{
            ClientDisputesFilter, ClientSettlementFilter, ClosedBy, ClosureStatus,
            DisputeConcession, DisputeRecord, DisputeUpdate, NewDispute, NewSettlement,
            NewStagedSettlement, PartnerDisputesFilter, PartnerSettlementFilter, PartyAmount,
            Settlement, SettlementAmounts, SettlementRecord,
        },
    },
    connection_key::{ConnectionKey, ConnectionKeySchema},
    signature::ExtendedKey,
};

use crate::installation::{Installation, Server};

const CLIENT_USER: &str = "c0000000000000000000000000000001";
const PARTNER_USER: &str = "e0000000000000000000000000000001";
const REVIEWER: &str = "b0000000000000000000000000000001";

/// No disputes.
const NONE: [Uuid; 0] = [];

/// Both windows in seconds, and one to be sure.
const WINDOWS: &str = "121";

/// A network whose partner stages its settlements for a minute, and is given another one to pay.
fn network(exchange: &str, client_key: &str, partner_key: &str) -> String {
    let enterprise = |id: &str, user: &str, account: &str, key: &str| {
        format!(
            "[[user]]\nid = \"{user}\"\nname = \"{id}\"\n\
             [[enterprise]]\nid = \"{id}\"\nname = \"{id}\"\ntrust_org = \"Meridian\"\n\
             licensed = true\nmembers = [{{ user_id = \"{user}\", role = \"member\" }}]\n\
             [[enterprise.go_account]]\nid = \"{account}\"\nlabel = \"main\"\n\
             keys = [{{ label = \"key\", public_key = \"{key}\" }}]\n"
        )
    };
    let client = "c1000000000000000000000000000001";
    let partner = "e1000000000000000000000000000001";
    [
        "[[currency]]\nticker = \"ofcbtc\"\nbacking = \"btc\"\ndecimals = 8\n\
         custody_source = \"vault\"\n"
            .to_owned(),
        enterprise("northwind", CLIENT_USER, client, client_key),
        enterprise("harbour", PARTNER_USER, partner, partner_key),
        format!(
            "[[user]]\nid = \"{REVIEWER}\"\nname = \"reviewer\"\nrole = \"operator\"\n\
             [[partner_configuration]]\nenterprise_id = \"harbour\"\n\
             institution_identifier = \"harbour-exchange\"\nbase_url = \"{exchange}\"\n\
             allowed_networks = [\"127.0.0.0/8\"]\n\
             [[partner_configuration.currency]]\nticker = \"ofcbtc\"\n\
             partner_names = [\"BTC\"]\n\
             [[deposit]]\ngo_account = \"{client}\"\ncurrency = \"ofcbtc\"\n\
             amount = \"100000\"\nreference = \"one\"\n"
        ),
    ]
    .concat()
}

/// A network at work: a client with a connection to a partner, and two operators.
struct Stage {
    installation: Installation,
    server: Server,
    exchange: RunningExchange,
    client: Client,
    partner: Client,
    reviewer: String,
    connection: Uuid,
}

impl Stage {
    async fn on(database: TestDatabase) -> Stage {
        let installation = Installation::make_on(database, &["--test-clock"]).await;
        let server = installation.serve().await;
        let exchange = Exchange::start(sandbox::Settings {
            jwt_public_key: Some(installation.read("partner-calls/default.pub.pem")),
            ..sandbox::Settings::default()
        });
        let exchange = exchange.await.expect("an exchange");
        let exchange_url = format!("http://{}", exchange.address);
        let [client_key, partner_key] =
            [3, 4].map(|seed| ExtendedKey::from_seed(&[seed; 32]).expect("a key"));
        let file = network(&exchange_url, &client_key.xpub(), &partner_key.xpub());
        let file = installation.write("network.toml", &file);
        server.done(&["apply", &file]).await;
        let token = async |user: &str, scopes: &[&str]| {
            let mut words = vec!["token", "issue", user, "--label", "test"];
            words.extend(scopes.iter().flat_map(|scope| ["--scope", *scope]));
            let issued = server.done(&words).await.json();
            issued["token"].as_str().expect("a token").to_owned()
        };
        let both = ["settlement_network_read", "settlement_network_write"];
        let partner_token = token(PARTNER_USER, &both).await;
        let partner = Client::new(&server.url, "harbour", &partner_token).expect("a client");
        let partner = partner.with_signing_key(partner_key.key);
        let client_token = token(CLIENT_USER, &both).await;
        let client = Client::new(&server.url, "northwind", &client_token).expect("a client");
        let client = client.with_signing_key(client_key.key);
        let reviewer = token(REVIEWER, &["installation"]).await;

        let wanted = NewPartner {
            name: "Harbour".to_owned(),
            broker: false,
            institution_id: None,
            institution_identifier: "harbour-exchange".to_owned(),
            connection_key_schema: ConnectionKeySchema::Token,
            client_dispute_window_minutes: Some(1),
            top_up_window_minutes: Some(1),
            allocation_policies_enabled: false,
        };
        let created = partner.register_partner(&wanted).await;
        let partner_id = created.expect("a partner").partner.id;
        let control = |path: &str| format!("{exchange_url}/control/v1/{path}");
        let membership = json!({
            "partnerId": partner_id.to_string(),
            "enterpriseId": "harbour",
            "token": partner_token,
            "signingKey": partner_key_of(4),
            "networkUrl": server.url,
        });
        let http = reqwest::Client::new();
        let joined = http.put(control("partner")).body(membership.to_string());
        let joined = joined.header("content-type", "application/json").send();
        assert_eq!(joined.await.expect("an answer").status(), 200);
        let opened = http.post(control("accounts")).body("{\"name\": \"N\"}");
        let opened = opened.header("content-type", "application/json").send();
        let opened = opened.await.expect("an answer").text().await;
        let opened: Value = serde_json::from_str(&opened.expect("a body")).expect("JSON");
        let connection_token = opened["connectionToken"].as_str().expect("a token");

        client.become_client().await.expect("a client");
        let connected = client.connect(NewConnection {
            partner_id,
            name: "main".to_owned(),
            connection_key: ConnectionKey::Token {
                connection_token: connection_token.to_owned(),
            },
            nonce: fresh_nonce(),
        });
        let connection = connected.await.expect("a connection").connection.id;
        let allocated = client.allocate(
            connection,
            NewAllocation {
                amount: ClientAmount {
                    currency: "ofcbtc".parse().expect("a currency"),
                    quantity: "50000".parse().expect("a quantity"),
                },
                client_external_id: "one".to_owned(),
                nonce: fresh_nonce(),
                notes: None,
            },
        );
        let allocated = allocated.await.expect("an allocation").allocation;
        assert!(matches!(allocated, AcceptedAllocation::Cleared(_)));
        Stage {
            installation,
            server,
            exchange,
            client,
            partner,
            reviewer,
            connection,
        }
    }

    async fn end(self) {
        self.server.stop().await;
        self.exchange.shutdown().await;
        let verified = self.installation.run(&["verify"]).await;
        assert_eq!(verified.code, 0, "{verified}");
    }

    /// Stages that the connection loses, or gains, so much, or only what waits; which settlement. Said
    /// again after its windows, it is settled before there is an answer.
    async fn stage(&self, name: &str, quantity: &str) -> Uuid {
        let amounts = match quantity {
            "0" => Vec::new(),
            _ => vec![PartyAmount {
                connection_id: self.connection,
                currency: "BTC".to_owned(),
                quantity: PartnerQuantity::parse(quantity).expect("a quantity"),
            }],
        };
        let staged = self.partner.stage(NewStagedSettlement {
            settlement: NewSettlement {
                external_id: name.to_owned(),
                notes: None,
                settlement_amounts: SettlementAmounts::Party(amounts),
                nonce: fresh_nonce(),
            },
            cutoff_at: wire::api::DateTime(1_000_000),
        });
        let staged = staged.await.expect("a staged settlement").settlement;
        record(&staged.settlement).id
    }

    /// Disputes a settlement: the connection should lose less.
    async fn dispute(&self, settlement: Uuid) -> DisputeRecord {
        let opened = self.client.open_dispute(
            settlement,
            NewDispute {
                connection_id: self.connection,
                reason: Some("charged twice".to_owned()),
                expected_transfers: expected("-1000"),
                nonce: fresh_nonce(),
            },
        );
        opened.await.expect("a dispute").dispute.record
    }

    async fn update(&self, dispute: Uuid, retracted: bool, quantity: &str) -> DisputeRecord {
        let updated = self.client.update_dispute(
            dispute,
            DisputeUpdate {
                connection_id: self.connection,
                retracted,
                reason: None,
                expected_transfers: Some(expected(quantity)),
                nonce: fresh_nonce(),
            },
        );
        updated.await.expect("a dispute").dispute.record
    }

    async fn pass_windows(&self) {
        let words = ["clock", "advance", "--seconds", WINDOWS];
        self.server.done(&words).await;
    }

    /// A settlement as the client sees it, and how many disputes it has.
    async fn seen(&self, settlement: Uuid) -> (Settlement, usize) {
        let filter = ClientSettlementFilter::default();
        let seen = self.client.client_settlement(settlement, &filter).await;
        let seen = seen.expect("a settlement");
        (seen.settlement, seen.settlement_disputes.len())
    }

    /// The client's disputes that are closed, or are not.
    async fn of_client(&self, closed: bool) -> Vec<Uuid> {
        let filter = ClientDisputesFilter {
            closed: Some(closed),
            ..ClientDisputesFilter::default()
        };
        let listed = self.client.client_disputes(&filter).await;
        let listed = listed.expect("disputes").disputes;
        listed.iter().map(|dispute| dispute.record.id).collect()
    }

    /// The disputes that the partner sees.
    async fn of_partner(&self) -> Vec<Uuid> {
        let filter = PartnerDisputesFilter::default();
        let listed = self.partner.partner_disputes(&filter).await;
        let listed = listed.expect("disputes").disputes;
        listed.iter().map(|dispute| dispute.record.id).collect()
    }

    async fn holding(&self) -> (String, String) {
        let balances = self.client.client_balances(&Default::default()).await;
        let balances = balances.expect("balances").network_balances;
        let own = balances.values().next().expect("the connection");
        let own = &own.balances["ofcbtc"];
        (own.available.clone(), own.held.clone())
    }
}

fn partner_key_of(seed: u8) -> String {
    let key = ExtendedKey::from_seed(&[seed; 32]).expect("a key");
    key.xprv().to_string()
}

fn expected(quantity: &str) -> BTreeMap<String, String> {
    [("ofcbtc".to_owned(), quantity.to_owned())].into()
}

fn record(settlement: &Settlement) -> &SettlementRecord {
    match settlement {
        Settlement::Pending(settlement) => &settlement.record,
        Settlement::Completed(settlement) => &settlement.record,
        Settlement::Failed(settlement) => &settlement.record,
        Settlement::Rejected(settlement) => &settlement.record,
    }
}

async fn on_each_database(play: impl AsyncFn(Stage)) {
    for database in each_database().await {
        println!("on {}", database.url);
        play(Stage::on(database).await).await;
    }
}

fn ids(listed: &Value) -> Vec<&str> {
    let disputes = listed["disputes"].as_array().expect("a list");
    let ids = disputes.iter().map(|d| d["id"].as_str());
    ids.collect::<Option<_>>().expect("ids")
}

#[tokio::test]
async fn a_client_disputes_amends_takes_back_and_concedes() {
    on_each_database(async |stage: Stage| {
        let settlement = stage.stage("one", "-5000").await;
        assert_eq!(stage.seen(settlement).await.1, 0);
        let opened = stage.dispute(settlement).await;
        assert_eq!(opened.disputed_settlement_id, settlement);
        assert_eq!(opened.connection_id, stage.connection);
        assert_eq!(opened.reason.as_deref(), Some("charged twice"));
        let (seen, disputes) = stage.seen(settlement).await;
        assert_eq!((record(&seen).disputed, disputes), (Some(true), 1));

        let retracted = stage.update(opened.id, true, "-2000").await;
        assert!(retracted.retracted);
        assert!(retracted.retracted_at.is_some());
        assert_eq!(
            stage.of_partner().await,
            NONE,
            "what is taken back is not shown"
        );
        let again = stage.update(opened.id, false, "-3000").await;
        assert!(!again.retracted);
        assert_eq!(again.expected_transfers, expected("-3000"));
        assert_eq!(stage.of_partner().await, [opened.id]);
        assert_eq!(stage.of_client(false).await, [opened.id]);
        assert_eq!(stage.of_client(true).await, NONE);

        let closed = stage.client.close_dispute(
            opened.id,
            DisputeConcession {
                notes: "it is right".to_owned(),
                nonce: fresh_nonce(),
            },
        );
        let closure = closed.await.expect("a closure").dispute_closure;
        assert_eq!(closure.closed_by, ClosedBy::Client);
        assert_eq!(closure.status, ClosureStatus::Approved);
        assert_eq!(closure.adjusted_transfers, expected("-5000"));
        assert_eq!(stage.of_client(false).await, NONE);
        assert_eq!(stage.of_client(true).await, [opened.id]);

        stage.pass_windows().await;
        assert_eq!(stage.stage("one", "-5000").await, settlement);
        let (seen, _) = stage.seen(settlement).await;
        assert!(matches!(seen, Settlement::Completed(_)), "{seen:?}");
        assert_eq!(stage.holding().await, ("45000".to_owned(), "0".to_owned()));
        stage.end().await;
    })
    .await;
}

#[tokio::test]
async fn operators_close_a_dispute_with_other_amounts_and_review_it() {
    on_each_database(async |stage: Stage| {
        let server = &stage.server;
        let required = ["--second-operator-required", "true"];
        server
            .done(&[&["installation", "update"], &required[..]].concat())
            .await;
        let settlement = stage.stage("one", "-5000").await;
        let id = stage.dispute(settlement).await.id.to_string();
        let listed = server.done(&["dispute", "list"]).await.json();
        assert_eq!(ids(&listed), [id.as_str()]);
        assert_eq!(listed["disputes"][0]["clientEnterpriseId"], "northwind");
        let close = ["dispute", "close", &id, "--notes", "a fee too many"];
        let close = [&close[..], &["--adjustment", "ofcbtc=-1000"]].concat();
        let early = server.operator(&close).await;
        assert_eq!(early.code, 1, "the window is open: {early}");
        stage.pass_windows().await;
        stage.stage("one", "-5000").await;

        for (verdict, status) in [("reject", "rejected"), ("approve", "approved")] {
            let closed = server.done(&close).await.json();
            let closure = &closed["dispute"]["disputeClosure"];
            assert_eq!(closure["status"], "pending_review");
            assert_eq!(closure["adjustedTransfers"], json!({"ofcbtc": "-1000"}));
            let closure = closure["id"].as_str().expect("an id");
            let waiting = server.done(&["dispute", "closures"]).await.json();
            assert_eq!(ids(&waiting), [id.as_str()]);

            let review = [
                "dispute",
                verdict,
                closure,
                "--notes",
                "looked at the fills",
            ];
            let alone = server.operator(&review).await;
            assert_eq!(alone.code, 1, "{alone}");
            let reviewed = server.operator_with(&stage.reviewer, &review).await;
            assert_eq!(reviewed.code, 0, "{reviewed}");
            let reviewed = reviewed.json();
            let closure = &reviewed["dispute"]["disputeClosure"];
            assert_eq!(closure["status"], status);
            assert_eq!(closure["reviewNotes"], "looked at the fills");
            let waiting = server.done(&["dispute", "closures"]).await.json();
            assert_eq!(ids(&waiting), [""; 0]);
        }
        let listed = server.done(&["dispute", "list"]).await.json();
        assert_eq!(ids(&listed), [""; 0]);
        let waiting = server.done(&["dispute", "waiting-transfers"]).await.json();
        assert_eq!(waiting["transfers"][0]["quantity"], "-1000");
        let held = ("49000".to_owned(), "1000".to_owned());
        assert_eq!(stage.holding().await, held);

        let disputes = stage.client.client_disputes(&Default::default()).await;
        let disputes = disputes.expect("disputes").disputes;
        let closure = disputes[0].dispute_closure.as_ref().expect("a closure");
        assert_eq!(closure.closed_by, ClosedBy::Admin);
        assert_eq!(closure.adjusted_transfers, expected("-1000"));
        assert_eq!(closure.review_notes.as_deref(), Some("looked at the fills"));

        // It rides on the partner's next settlement, which has nothing else.
        let next = stage.stage("two", "0").await;
        let filter = ClientSettlementFilter::default();
        let carrying = stage.client.client_settlement(next, &filter).await;
        let settling = carrying.expect("a settlement").settling_disputes;
        assert_eq!(settling[0].record.id.to_string(), id);
        stage.pass_windows().await;
        assert_eq!(stage.stage("two", "0").await, next);
        assert_eq!(stage.holding().await, ("49000".to_owned(), "0".to_owned()));
        let waiting = server.done(&["dispute", "waiting-transfers"]).await.json();
        assert_eq!(waiting["transfers"], json!([]));
        stage.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_operator_gives_up_a_staged_settlement_that_has_failed() {
    on_each_database(async |stage: Stage| {
        let settlement = stage.stage("one", "700").await;
        let id = settlement.to_string();
        let reject = ["settlement", "reject", &id, "--reason", "it is not funded"];
        let early = stage.server.operator(&reject).await;
        assert_eq!(early.code, 1, "{early}");
        assert!(early.error.contains("settlement_pending"), "{early}");
        stage.pass_windows().await;
        stage.stage("one", "700").await;
        let rejected = stage.server.done(&reject).await.json();
        assert_eq!(rejected["settlement"]["status"], "rejected");
        let (seen, _) = stage.seen(settlement).await;
        assert!(matches!(seen, Settlement::Rejected(_)), "{seen:?}");
        let filter = PartnerSettlementFilter::default();
        let seen = stage.partner.partner_settlement(settlement, &filter).await;
        let Settlement::Rejected(seen) = seen.expect("a settlement").settlement else {
            panic!("it is not rejected");
        };
        assert_eq!(seen.reason, "it is not funded");
        stage.end().await;
    })
    .await;
}
