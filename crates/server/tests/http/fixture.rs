//! A network in a process: server, exchange, two enterprises, ready to connect.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use client::{Client, Retry};
use ledger::{GoAccountId, Timestamp};
use network::{MasterKey, Movement, Network, NewToken, TokenKind};
use partner::PartnerCaller;
use reqwest::Method;
use rules::{
    EnterpriseId, UserId,
    record::{
        Activation, AmountFormat, Answering, EnterpriseRole, InstallationRole,
        PartnerConfiguration, PartnerCurrency, PartnerRoutes, Scope,
    },
};
use sandbox::{Exchange, Mode, RunningExchange};
use serde_json::{Value, json};
use server::{RateLimit, RequestLogging};
use store::{Clock, Location, Opening, Store};
use testkit::TestDatabase;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use uuid::Uuid;
use wire::{
    api::{
        allocations::NewAllocation, connections::NewConnection, partners::NewPartner,
        quantity::ClientAmount,
    },
    connection_key::{ConnectionKey, ConnectionKeySchema},
    partner_jwt::JwtSigner,
    signature::{ExtendedKey, SigningKey},
};

pub(crate) const CLIENT: &str = "c11e0000000000000000000000000001";
pub(crate) const PARTNER: &str = "9a270000000000000000000000000001";
pub(crate) const INSTITUTION: &str = "harbour";
pub(crate) const BOTH: &[Scope] = &[Scope::Read, Scope::Write];

/// What differs between worlds.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) allocations: Answering,
    pub(crate) deallocations: Answering,
    pub(crate) auto_answer: bool,
    pub(crate) broker: bool,
    pub(crate) dispute_window_minutes: Option<u16>,
    pub(crate) top_up_window_minutes: Option<u16>,
    pub(crate) amount_format: AmountFormat,
    pub(crate) call_timeout_ms: i64,
    pub(crate) request_time_limit: Duration,
    /// Wide, where it is not what is tested.
    pub(crate) rate_limit: RateLimit,
    /// How many requests of an enterprise are kept in the log, if there is one.
    pub(crate) requests_kept: Option<u32>,
    pub(crate) network: network::Settings,
    /// Whether the installation has a test clock.
    pub(crate) test_clock: bool,
    /// Whether the partner may settle over the chain.
    pub(crate) on_chain: bool,
    /// What the client has in custody, by ticker.
    pub(crate) client_funds: Vec<(&'static str, i128)>,
    /// What the partner has in custody, by ticker.
    pub(crate) partner_funds: Vec<(&'static str, i128)>,
}

impl Default for Options {
    fn default() -> Self {
        let funds = vec![
            ("ofcbtc", 1_000_000_000),
            ("ofceth", 5_000_000_000_000),
            ("ofcusdt", 900_000_000),
        ];
        Options {
            allocations: Answering::Synchronous,
            deallocations: Answering::Synchronous,
            auto_answer: false,
            broker: false,
            dispute_window_minutes: None,
            top_up_window_minutes: None,
            amount_format: AmountFormat::BaseUnits,
            call_timeout_ms: 5_000,
            request_time_limit: Duration::from_secs(30),
            rate_limit: rate_limit(1_000_000, 1_000_000),
            requests_kept: None,
            network: network::Settings::default(),
            test_clock: false,
            on_chain: false,
            client_funds: funds.clone(),
            partner_funds: funds,
        }
    }
}

/// So many requests in a second, and so many at once.
pub(crate) fn rate_limit(per_second: u32, burst: u32) -> RateLimit {
    RateLimit {
        per_second: per_second.try_into().expect("more than 0"),
        burst: burst.try_into().expect("more than 0"),
    }
}

/// A clock that tests move.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn now(&self) -> Timestamp {
        let real = jiff::Timestamp::now().as_microsecond();
        Timestamp(real + self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a span that fits");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

/// A network with everything around it.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) url: String,
    /// Where health and figures are told.
    pub(crate) monitoring_url: String,
    pub(crate) network: Network,
    pub(crate) clock: TestClock,
    pub(crate) exchange: RunningExchange,
    /// The client's typed client, with its signing key; it never repeats by itself.
    pub(crate) client: Client,
    pub(crate) client_key: Arc<SigningKey>,
    pub(crate) client_token: String,
    pub(crate) client_account: GoAccountId,
    /// The partner's typed client, with its signing key.
    pub(crate) partner: Client,
    pub(crate) partner_key: Arc<SigningKey>,
    pub(crate) partner_token: String,
    pub(crate) partner_account: GoAccountId,
    pub(crate) partner_id: Uuid,
    pub(crate) operator: UserId,
    pub(crate) operator_token: String,
    pub(crate) location: Location,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    pub(crate) database: TestDatabase,
}

/// What is left of a world whose server was stopped.
pub(crate) struct Stopped {
    pub(crate) location: Location,
    exchange: RunningExchange,
    _database: TestDatabase,
}

impl Stopped {
    /// Verifies the books.
    pub(crate) async fn verify(self) {
        let report = store::verify(&self.location).await.expect("verify");
        assert!(report.is_sound(), "{:#?}", report.faults);
        self.exchange.shutdown().await;
    }
}

/// Runs a test in a fresh world on each database.
pub(crate) async fn on_each_database(options: Options, mut test: impl AsyncFnMut(&World)) {
    for database in testkit::each_database().await {
        let world = World::start(options.clone(), database).await;
        test(&world).await;
        world.finish().await;
    }
}

/// One RSA key for all worlds: making one takes longer than most tests.
pub(crate) fn jwt_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let signer = JwtSigner::generate().expect("an RSA key");
        signer.private_key_pem().expect("PEM").to_string()
    })
}

pub(crate) fn extended_key(seed: u8) -> ExtendedKey {
    ExtendedKey::from_seed(&[seed; 32]).expect("a key from 32 bytes")
}

impl World {
    pub(crate) async fn start(options: Options, database: TestDatabase) -> World {
        let location: Location = database.url.parse().expect("a database");
        let clock = TestClock::default();
        let store_clock: Clock = {
            let clock = clock.clone();
            Arc::new(move || clock.now())
        };
        let opening = Opening {
            test_clock: options.test_clock,
            ..Opening::default()
        };
        let store = Store::open(&location, opening, store_clock)
            .await
            .expect("the store opens");
        let signer = JwtSigner::from_pem(jwt_pem()).expect("the key");
        let jwt_public_key = signer.public_key_pem();
        let signers = HashMap::from([("default".to_owned(), signer)]);
        let caller_clock = || Timestamp(jiff::Timestamp::now().as_microsecond());
        let caller = PartnerCaller::new(signers, caller_clock);
        let master_key = MasterKey::from_hex(&MasterKey::generate_hex()).expect("a master key");
        let network = Network::start(store, caller, master_key, options.network.clone());

        let asynchronous = |answering| answering == Answering::Asynchronous;
        let exchange = Exchange::start(sandbox::Settings {
            jwt_public_key: Some(jwt_public_key),
            mode: Mode {
                asynchronous_allocations: asynchronous(options.allocations),
                asynchronous_deallocations: asynchronous(options.deallocations),
                auto_answer: options.auto_answer,
            },
            ..sandbox::Settings::default()
        })
        .await
        .expect("the exchange starts");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let monitoring = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let monitoring_url = format!("http://{}", monitoring.local_addr().expect("an address"));
        let listeners = server::Listeners {
            network: listener,
            monitoring: Some(monitoring),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let settings = server::Settings {
            request_time_limit: options.request_time_limit,
            rate_limit: options.rate_limit,
            request_log: options
                .requests_kept
                .map(|keep_per_enterprise| RequestLogging {
                    keep_per_enterprise,
                    ..RequestLogging::beside(location.clone())
                }),
        };
        let served = network.clone();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server::serve(listeners, served, &settings, stopped).await
        });

        let operator = UserId(Uuid::new_v4());
        let hand = network.installation();
        let role = Some(InstallationRole::Operator);
        hand.put_user(operator, "operator".to_owned(), role)
            .await
            .expect("an operator");
        let operator_token = issue_token(&network, operator, &[Scope::Installation]).await;

        let client_key = Arc::new(extended_key(1).key);
        let partner_key = Arc::new(extended_key(2).key);
        let client_account = GoAccountId(Uuid::from_u128(0xc1));
        let partner_account = GoAccountId(Uuid::from_u128(0xe1));
        for (ticker, backing, decimals) in [
            ("ofcbtc", "btc", 8),
            ("ofceth", "eth", 18),
            ("ofcusdt", "usdt", 6),
            ("ofcdoge", "doge", 8),
        ] {
            let ticker = ticker.parse().expect("a ticker");
            hand.put_currency(ticker, backing.to_owned(), decimals, "vault".to_owned())
                .await
                .expect("a currency");
        }
        let client_token = enterprise(
            &network,
            CLIENT,
            "Northwind",
            client_account,
            &extended_key(1),
        )
        .await;
        let partner_token = enterprise(
            &network,
            PARTNER,
            "Harbour",
            partner_account,
            &extended_key(2),
        )
        .await;
        hand.put_configuration(configuration(
            PARTNER,
            INSTITUTION,
            &format!("http://{}", exchange.address),
            &options,
        ))
        .await
        .expect("a configuration");
        for (account, funds) in [
            (client_account, &options.client_funds),
            (partner_account, &options.partner_funds),
        ] {
            for (ticker, units) in funds {
                deposit(&network, account, ticker, *units).await;
            }
        }

        let own = |enterprise, token: &str, key: &Arc<SigningKey>| {
            let client = Client::new(&url, enterprise, token).expect("a client");
            client
                .with_shared_signing_key(Arc::clone(key))
                .with_retry(Retry::never())
        };
        let client = own(CLIENT, &client_token, &client_key);
        let partner = own(PARTNER, &partner_token, &partner_key);
        let created = partner
            .register_partner(&NewPartner {
                broker: options.broker,
                client_dispute_window_minutes: options.dispute_window_minutes,
                top_up_window_minutes: options.top_up_window_minutes,
                ..new_partner()
            })
            .await
            .expect("Create Partner");
        client.become_client().await.expect("become a client");
        let world = World {
            options,
            url,
            monitoring_url,
            network,
            clock,
            exchange,
            client,
            client_key,
            client_token,
            client_account,
            partner,
            partner_key,
            partner_token,
            partner_account,
            partner_id: created.partner.id,
            operator,
            operator_token,
            location,
            stop: Some(stop),
            serving,
            database,
        };
        let membership = json!({
            "partnerId": world.partner_id.to_string(),
            "enterpriseId": PARTNER,
            "token": world.partner_token,
            "signingKey": extended_key(2).xprv().as_str(),
            "networkUrl": world.url,
        });
        world.control(Method::PUT, "partner", &membership).await;
        world
    }

    /// Stops the server as an operator would, and verifies the books.
    pub(crate) async fn finish(self) {
        self.stop().await.verify().await;
    }

    /// Stops the server as an operator would. The database and the exchange stay.
    pub(crate) async fn stop(mut self) -> Stopped {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        drop(self.network);
        self.serving.await.expect("no panic");
        Stopped {
            location: self.location,
            exchange: self.exchange,
            _database: self.database,
        }
    }

    /// Calls the exchange's control API.
    pub(crate) async fn control(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("http://{}/control/v1/{path}", self.exchange.address);
        let mut request = reqwest::Client::new().request(method, url);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.expect("the exchange answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        assert!(status.is_success(), "control {path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Scripts what goes wrong at the exchange, such as
    /// `[{"call": "allocate", "times": 1, "action": "error500"}]`.
    pub(crate) async fn script_faults(&self, faults: Value) {
        self.control(Method::PUT, "faults", &faults).await;
    }

    /// A new account at the exchange: its id and its single-use connection token.
    pub(crate) async fn exchange_account(&self) -> (String, String) {
        let account = self.control(Method::POST, "accounts", &json!({})).await;
        let text = |member: &str| account[member].as_str().expect(member).to_owned();
        (text("accountId"), text("connectionToken"))
    }

    /// Connects the client with a new account at the exchange: the connection and the account.
    pub(crate) async fn connect(&self) -> (Uuid, String) {
        let (account, connection_token) = self.exchange_account().await;
        let opened = self
            .client
            .connect(NewConnection {
                partner_id: self.partner_id,
                name: "main".to_owned(),
                connection_key: ConnectionKey::Token { connection_token },
                nonce: client::fresh_nonce(),
            })
            .await
            .expect("a connection");
        assert!(opened.connection.initialized);
        (opened.connection.id, account)
    }

    /// A request with a bearer, straight to the server: status, headers and body as JSON.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> Heard {
        let mut request = self.ask(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        hear(request).await
    }

    /// A request to the server with nothing but its method and path.
    pub(crate) fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new().request(method, format!("{}{path}", self.url))
    }

    /// A new user, who is a member of these enterprises.
    pub(crate) async fn member_of(&self, enterprises: &[&str]) -> UserId {
        let user = UserId(Uuid::new_v4());
        let hand = self.network.installation();
        hand.put_user(user, "member".to_owned(), None)
            .await
            .expect("a user");
        for id in enterprises {
            let id = id.parse().expect("an enterprise id");
            hand.put_membership(user, id, Some(EnterpriseRole::Member))
                .await
                .expect("a membership");
        }
        user
    }

    /// Issues a token and tells what it is.
    pub(crate) async fn issue(&self, wanted: NewToken) -> network::IssuedToken {
        let issued = self.network.installation().issue_token(wanted).await;
        issued.expect("a token")
    }

    /// Makes an enterprise be licensed or not; its other properties are those of every enterprise
    /// here.
    pub(crate) async fn license(&self, enterprise: &str, licensed: bool) {
        let id = enterprise.parse().expect("an enterprise id");
        let hand = self.network.installation();
        hand.put_enterprise(id, "Somebody".to_owned(), "Meridian".to_owned(), licensed)
            .await
            .expect("an enterprise");
    }

    /// What stands in the client's Go Account in a currency: available and held.
    pub(crate) async fn custody(&self, ticker: &str) -> (i128, i128) {
        let all = self.client.client_balances(&Default::default()).await;
        let all = all.expect("balances");
        all.balances.get(ticker).map_or((0, 0), figures)
    }

    /// What stands on a connection in a currency: available and held.
    pub(crate) async fn allocated(&self, connection: Uuid, ticker: &str) -> (i128, i128) {
        let all = self.client.client_balances(&Default::default()).await;
        let all = all.expect("balances");
        let of_connection = all.network_balances.get(&connection);
        let balance = of_connection.and_then(|c| c.balances.get(ticker));
        balance.map_or((0, 0), figures)
    }
}

fn figures(balance: &wire::api::balances::Balance) -> (i128, i128) {
    let units = |text: &str| text.parse().expect("base units");
    (units(&balance.available), units(&balance.held))
}

/// The partner that worlds create.
pub(crate) fn new_partner() -> NewPartner {
    NewPartner {
        name: "Harbour".to_owned(),
        broker: false,
        institution_id: None,
        institution_identifier: INSTITUTION.to_owned(),
        connection_key_schema: ConnectionKeySchema::Token,
        client_dispute_window_minutes: None,
        top_up_window_minutes: None,
        allocation_policies_enabled: false,
    }
}

/// A request to allocate or deallocate.
pub(crate) fn request(ticker: &str, units: i128, id: &str) -> NewAllocation {
    NewAllocation {
        amount: ClientAmount {
            currency: ticker.parse().expect("a ticker"),
            quantity: ledger::Amount::new(units).expect("an amount"),
        },
        client_external_id: id.to_owned(),
        nonce: client::fresh_nonce(),
        notes: None,
    }
}

pub(crate) async fn issue_token(network: &Network, user: UserId, scopes: &[Scope]) -> String {
    let issued = network
        .installation()
        .issue_token(NewToken {
            user_id: user,
            label: "test".to_owned(),
            kind: TokenKind::Plain,
            scopes: scopes.to_vec(),
            networks: Vec::new(),
            expires_at: None,
        })
        .await
        .expect("a token");
    issued.token.to_string()
}

/// Makes a licensed enterprise with a Go Account, a key and a member; the member's token.
pub(crate) async fn enterprise(
    network: &Network,
    id: &str,
    name: &str,
    account: GoAccountId,
    key: &ExtendedKey,
) -> String {
    let hand = network.installation();
    let id: EnterpriseId = id.parse().expect("an enterprise id");
    hand.put_enterprise(id.clone(), name.to_owned(), "Meridian".to_owned(), true)
        .await
        .expect("an enterprise");
    hand.open_go_account(account, id.clone(), "trading".to_owned())
        .await
        .expect("a Go Account");
    hand.add_signing_key(account, key.xpub(), "user".to_owned())
        .await
        .expect("a key");
    let user = UserId(Uuid::new_v4());
    hand.put_user(user, format!("{name} user"), None)
        .await
        .expect("a user");
    hand.put_membership(user, id, Some(EnterpriseRole::Admin))
        .await
        .expect("a membership");
    issue_token(network, user, BOTH).await
}

pub(crate) async fn deposit(network: &Network, account: GoAccountId, ticker: &str, units: i128) {
    let movement = Movement {
        go_account_id: account,
        currency: ticker.parse().expect("a ticker"),
        amount: ledger::Amount::new(units).expect("an amount"),
        external_reference: Uuid::new_v4().to_string(),
    };
    let booked = network.installation().book_deposit(movement).await;
    booked.expect("a deposit");
}

pub(crate) fn configuration(
    enterprise: &str,
    institution: &str,
    base_url: &str,
    options: &Options,
) -> PartnerConfiguration {
    let currency = |ticker: &str, name: &str| PartnerCurrency {
        ticker: ticker.parse().expect("a ticker"),
        partner_names: vec![name.to_owned()],
        minimum: None,
        maximum: None,
        open_total: None,
    };
    PartnerConfiguration {
        enterprise_id: enterprise.parse().expect("an enterprise id"),
        institution_identifier: institution.to_owned(),
        version: 0,
        base_url: base_url.to_owned(),
        routes: PartnerRoutes::default(),
        signature_header: "X-BitGo-Signature".to_owned(),
        jwt_key_id: "default".to_owned(),
        call_timeout_ms: options.call_timeout_ms,
        allowed_networks: vec!["127.0.0.0/8".to_owned()],
        allocations: options.allocations,
        deallocations: options.deallocations,
        amount_format: options.amount_format,
        currencies: vec![
            currency("ofcbtc", "BTC"),
            currency("ofceth", "ETH"),
            currency("ofcusdt", "USDT"),
        ],
        public_key: None,
        on_chain: options.on_chain,
        activation: Activation::Immediate,
        release_unanswered_after_s: 86_400,
        on_chain_late_after_s: 86_400,
        updated_at: Timestamp(0),
    }
}

/// What the server answered: status, headers and body as JSON.
pub(crate) type Heard = (u16, reqwest::header::HeaderMap, Value);

/// Sends a request and hears the answer out.
pub(crate) async fn hear(request: reqwest::RequestBuilder) -> Heard {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, headers, body)
}

/// The names of the members that an answer of 400 blames, sorted.
pub(crate) fn blamed(body: &Value) -> Vec<&str> {
    let errors = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let mut fields: Vec<&str> = errors.iter().filter_map(|e| e["field"].as_str()).collect();
    fields.sort_unstable();
    fields
}

/// A token that the tests of authority ask for.
pub(crate) fn new_token(user_id: UserId, kind: TokenKind) -> NewToken {
    NewToken {
        user_id,
        label: "test".to_owned(),
        kind,
        scopes: BOTH.to_vec(),
        networks: Vec::new(),
        expires_at: None,
    }
}
