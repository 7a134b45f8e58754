//! A small network on a fresh database, built by the commands of operators and parties.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use futures_util::future::join_all;
use ledger::{
    Account, Amount, Currency, EntryId, GoAccountId, NetworkAccountId, Owner, SignedAmount,
    Timestamp,
};
use rules::allocate::{Conclude, Reserve, Route, Verdict};
use rules::connect::{AnswerConnection, ConnectionVerdict, OpenConnection};
use rules::fund::{BookDeposit, FinishWithdrawal, RequestWithdrawal, WithdrawalEnding};
use rules::onboard::{BecomeClient, CreatePartner};
use rules::operate::{
    Act, AddSigningKey, OpenGoAccount, PutCurrency, PutEnterprise, PutPartnerConfiguration,
};
use rules::record::{
    AccountBalance, Activation, AllocationKind, AmountFormat, Answering, KeySchema,
    PartnerConfiguration, PartnerCurrency, PartnerRoutes, SettlementForm, SignedRequest,
    TransferParty,
};
use rules::settle::{Settle, SettlementLine};
use rules::{
    AllocationId, ClientId, Command, ConnectionId, DepositId, Draft, EnterpriseId, Keys, PartnerId,
    Reason, Record, Refusal, SettlementId, Signed, SigningKeyId, UserId, WithdrawalId,
};
use store::{Clock, Location, Opening, Page, Report, Store, SubmitError};
use testkit::TestDatabase;
use uuid::Uuid;

/// When every network begins.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// A page that holds every list of these tests.
pub(crate) const ALL: Page = Page {
    number: 0,
    size: 10_000,
};

/// The enterprises of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A client.
    Alpha,
    /// Another client.
    Beta,
    /// An exchange that answers in the call itself.
    Exchange,
    /// An exchange that answers later.
    Later,
    /// A broker.
    Broker,
}

pub(crate) use Who::{Alpha, Beta, Broker, Exchange, Later};

const CLIENTS: [Who; 2] = [Alpha, Beta];
const PARTNERS: [Who; 3] = [Exchange, Later, Broker];
const EVERYBODY: [Who; 5] = [Alpha, Beta, Exchange, Later, Broker];

/// The connections of the network, all accepted.
pub(crate) const LINKS: [Link; 5] = [
    Link(Alpha, Exchange),
    Link(Beta, Exchange),
    Link(Alpha, Later),
    Link(Alpha, Broker),
    Link(Beta, Broker),
];

/// An identifier that follows from what it is for and a number. The low bits stay free, because
/// those of a settlement become those of its transfers.
pub(crate) fn identifier(space: u8, number: u64) -> Uuid {
    Uuid::from_u128((u128::from(space) << 120) | (u128::from(number) << 40))
}

/// A number as a place in a list.
pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).expect("a place")
}

pub(crate) fn btc() -> Currency {
    "ofcbtc".parse().expect("a ticker")
}

pub(crate) fn eth() -> Currency {
    "ofceth".parse().expect("a ticker")
}

pub(crate) fn amount(units: i128) -> Amount {
    Amount::new(units).expect("an amount")
}

impl Who {
    fn number(self) -> u64 {
        self as u64 + 1
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Alpha => "alpha",
            Beta => "beta",
            Exchange => "exchange",
            Later => "later",
            Broker => "broker",
        }
    }

    pub(crate) fn enterprise(self) -> EnterpriseId {
        self.name().parse().expect("an enterprise id")
    }

    pub(crate) fn go_account(self) -> GoAccountId {
        GoAccountId(identifier(1, self.number()))
    }

    pub(crate) fn key(self) -> SigningKeyId {
        SigningKeyId(identifier(2, self.number()))
    }

    pub(crate) fn client(self) -> ClientId {
        ClientId(identifier(4, self.number()))
    }

    pub(crate) fn partner(self) -> PartnerId {
        PartnerId(identifier(5, self.number()))
    }

    pub(crate) fn user(self) -> UserId {
        UserId(identifier(6, self.number()))
    }

    pub(crate) fn go(self, currency: &Currency) -> Account {
        Account::new(Owner::Go(self.go_account()), currency)
    }

    /// It as the party of a settlement that is the partner itself.
    pub(crate) fn party(self) -> TransferParty {
        TransferParty {
            client_id: self.client(),
            go_account_id: self.go_account(),
            connection: None,
        }
    }
}

/// The connection of a client to a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(pub(crate) Who, pub(crate) Who);

impl Link {
    fn number(self) -> u64 {
        self.0.number() * 100 + self.1.number()
    }

    pub(crate) fn connection(self) -> ConnectionId {
        ConnectionId(identifier(7, self.number()))
    }

    pub(crate) fn network_account(self) -> NetworkAccountId {
        NetworkAccountId(identifier(8, self.number()))
    }

    pub(crate) fn net(self, currency: &Currency) -> Account {
        Account::new(Owner::Net(self.network_account()), currency)
    }

    pub(crate) fn party(self) -> TransferParty {
        TransferParty {
            client_id: self.0.client(),
            go_account_id: self.0.go_account(),
            connection: Some((self.connection(), self.network_account())),
        }
    }

    fn route(self) -> Route {
        let Link(client, partner) = self;
        Route {
            connection_id: self.connection(),
            client_id: client.client(),
            client_enterprise_id: client.enterprise(),
            go_account_id: client.go_account(),
            network_account_id: self.network_account(),
            partner_id: partner.partner(),
            partner_enterprise_id: partner.enterprise(),
            institution_identifier: partner.name().to_owned(),
        }
    }

    /// The partner accepts the connection.
    pub(crate) fn accepted(self) -> AnswerConnection {
        AnswerConnection {
            id: self.connection(),
            verdict: ConnectionVerdict::Accepted {
                partners_connection_id: format!("{}-{}", self.1.name(), self.0.name()),
                partners_client_id: format!("client-{}", self.0.name()),
            },
        }
    }
}

/// The process clock of a test.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub(crate) fn at(at: Timestamp) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(at.0)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.set(self.now().plus_seconds(seconds));
    }

    pub(crate) fn handle(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

pub(crate) fn location(url: &str) -> Location {
    url.parse().expect("a location")
}

/// Opens a store on the database at `url`.
pub(crate) async fn open(url: &str, clock: &ManualClock) -> Store {
    let opening = Opening::default();
    let opened = Store::open(&location(url), opening, clock.handle()).await;
    opened.expect("an open store")
}

/// Polls every future once, in their order, so that all have queued their command.
pub(crate) async fn queued<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<Pin<Box<F>>> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        for future in &mut futures {
            assert!(
                future.as_mut().poll(context).is_pending(),
                "answered already"
            );
        }
        std::task::Poll::Ready(())
    })
    .await;
    futures
}

/// A command made of what it reads and what it does.
pub(crate) struct Scripted<F> {
    keys: Keys,
    decide: F,
}

pub(crate) fn scripted<T, F>(keys: Keys, decide: F) -> Scripted<F>
where
    F: Fn(&mut Draft<'_>) -> Result<T, Refusal>,
{
    Scripted { keys, decide }
}

impl<T, F> Command for Scripted<F>
where
    T: Send + 'static,
    F: Fn(&mut Draft<'_>) -> Result<T, Refusal> + Send + Sync + 'static,
{
    type Outcome = T;

    fn keys(&self) -> Keys {
        self.keys.clone()
    }

    fn decide(&self, draft: &mut Draft<'_>, _: Timestamp) -> Result<T, Refusal> {
        (self.decide)(draft)
    }
}

/// Writes a record as it is: for states that no command reaches yet.
pub(crate) fn put<R: Record + Send + Sync>(record: R) -> impl Command<Outcome = ()> {
    scripted(Keys::default(), move |draft: &mut Draft<'_>| {
        draft.put(record.clone());
        Ok(())
    })
}

/// A store with its database and its clock.
pub(crate) struct Network {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) database: TestDatabase,
    serial: AtomicU64,
}

impl Network {
    /// A store in which nothing is yet.
    pub(crate) async fn bare(database: TestDatabase) -> Network {
        let clock = ManualClock::at(START);
        let store = open(&database.url, &clock).await;
        Network {
            serial: AtomicU64::new(1_000),
            ..Network::reopened(store, clock, database)
        }
    }

    /// What another store has left on `database`, opened again.
    pub(crate) fn reopened(store: Store, clock: ManualClock, database: TestDatabase) -> Network {
        Network {
            store,
            clock,
            database,
            serial: AtomicU64::new(1_000_000),
        }
    }

    /// Everybody in their roles, connected by [`LINKS`]; no money yet.
    pub(crate) async fn ready(database: TestDatabase) -> Network {
        let network = Network::bare(database).await;
        let n = &network;
        n.all_done([btc(), eth()].map(|ticker| n.put_currency(ticker)))
            .await;
        n.all_done(EVERYBODY.map(|who| n.put_enterprise(who))).await;
        n.all_done(EVERYBODY.map(|who| n.open_go_account(who)))
            .await;
        n.all_done(EVERYBODY.map(|who| n.add_key(who))).await;
        n.all_done(PARTNERS.map(|who| n.put_configuration(who)))
            .await;
        n.all_done(PARTNERS.map(create_partner)).await;
        n.all_done(CLIENTS.map(become_client)).await;
        n.all_done(LINKS.map(|link| n.open_connection(link))).await;
        n.all_done(LINKS.map(Link::accepted)).await;
        network
    }

    /// A number that was not given before.
    pub(crate) fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::SeqCst)
    }

    /// Submits a command that has to be accepted.
    pub(crate) async fn done<C: Command>(&self, command: C) -> C::Outcome {
        match self.store.submit(command).await {
            Ok(outcome) => outcome,
            Err(error) => panic!("{}: {error:?}", std::any::type_name::<C>()),
        }
    }

    /// Submits commands at once, all of which have to be accepted.
    pub(crate) async fn all_done<C: Command>(
        &self,
        commands: impl IntoIterator<Item = C>,
    ) -> Vec<C::Outcome> {
        join_all(commands.into_iter().map(|command| self.done(command))).await
    }

    /// Submits a command that has to be refused, and tells the name of the refusal.
    pub(crate) async fn refused<C: Command>(&self, command: C) -> String {
        refusal_of(self.store.submit(command).await)
    }

    /// What a record is by the next command that reads it.
    pub(crate) async fn look<R>(&self, keys: Keys, key: R::Key) -> Option<R>
    where
        R: Record + Send + Sync,
        R::Key: Send + Sync,
    {
        let look = scripted(keys, move |draft: &mut Draft<'_>| {
            Ok(draft.find::<R>(&key).cloned())
        });
        self.done(look).await
    }

    pub(crate) async fn balance(&self, account: &Account) -> ledger::Balance {
        let records = self
            .store
            .balances(&[account.owner])
            .await
            .expect("balances");
        let known = records
            .into_iter()
            .find(|record: &AccountBalance| record.account == *account);
        known.map(|record| record.balance).unwrap_or_default()
    }

    pub(crate) async fn verify(&self) -> Report {
        store::verify(&location(&self.database.url))
            .await
            .expect("a report")
    }

    /// Checks that the books are sound.
    pub(crate) async fn is_sound(&self) {
        let report = self.verify().await;
        assert_eq!(report.faults, [""; 0]);
    }

    pub(crate) fn act(&self) -> Act {
        Act {
            id: identifier(13, self.next()),
            user_id: Some(Alpha.user()),
        }
    }

    pub(crate) fn entry_id(&self) -> EntryId {
        EntryId(identifier(11, self.next()))
    }

    /// A request of `who` over content of its own.
    pub(crate) fn signed(&self, who: Who) -> Signed {
        let number = self.next();
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Signed {
            request: SignedRequest {
                id: identifier(14, number),
                enterprise_id: who.enterprise(),
                public_key: [2; 33],
                payload: format!("payload {number}").as_bytes().into(),
                sealed: false,
                digest,
                signature: format!("signature {number}"),
                received_at: Timestamp(0),
            },
            key_id: who.key(),
            nonce: format!("nonce {number}"),
        }
    }

    pub(crate) fn put_currency(&self, ticker: Currency) -> PutCurrency {
        PutCurrency {
            backing: ticker.as_str().trim_start_matches("ofc").to_owned(),
            decimals: 8,
            custody_source: "vault".to_owned(),
            ticker,
            operator: self.act(),
        }
    }

    pub(crate) fn put_enterprise(&self, who: Who) -> PutEnterprise {
        PutEnterprise {
            id: who.enterprise(),
            name: who.name().to_owned(),
            trust_org: "Tidelock Trust".to_owned(),
            licensed: true,
            operator: self.act(),
        }
    }

    pub(crate) fn open_go_account(&self, who: Who) -> OpenGoAccount {
        OpenGoAccount {
            id: who.go_account(),
            enterprise_id: who.enterprise(),
            label: who.name().to_owned(),
            operator: self.act(),
        }
    }

    pub(crate) fn add_key(&self, who: Who) -> AddSigningKey {
        AddSigningKey {
            id: who.key(),
            go_account_id: who.go_account(),
            public_key: [2; 33],
            given_as: "02".repeat(33),
            label: "user key".to_owned(),
            operator: self.act(),
        }
    }

    pub(crate) fn put_configuration(&self, partner: Who) -> PutPartnerConfiguration {
        PutPartnerConfiguration {
            configuration: configuration(partner),
            operator: self.act(),
        }
    }

    pub(crate) fn open_connection(&self, link: Link) -> OpenConnection {
        let Link(client, partner) = link;
        OpenConnection {
            id: link.connection(),
            network_account_id: link.network_account(),
            client_id: client.client(),
            partner_id: partner.partner(),
            configuration: (partner.enterprise(), partner.name().to_owned()),
            name: format!("{} at {}", client.name(), partner.name()),
            key_schema: KeySchema::Token,
            key_is_sealed_for_partner: false,
            sealed_key: vec![1, 2, 3],
            proof: "proof".to_owned(),
            signed: self.signed(client),
            lease_ms: 10_000,
        }
    }

    pub(crate) fn deposit(&self, who: Who, currency: &Currency, units: i128) -> BookDeposit {
        let number = self.next();
        BookDeposit {
            id: DepositId(identifier(16, number)),
            entry_id: self.entry_id(),
            go_account_id: who.go_account(),
            currency: currency.clone(),
            amount: amount(units),
            custody_source: "vault".to_owned(),
            external_reference: format!("deposit {number}"),
            operator: self.act(),
        }
    }

    pub(crate) fn withdraw(&self, who: Who, currency: &Currency, units: i128) -> RequestWithdrawal {
        let number = self.next();
        RequestWithdrawal {
            id: WithdrawalId(identifier(12, number)),
            entry_id: self.entry_id(),
            go_account_id: who.go_account(),
            currency: currency.clone(),
            amount: amount(units),
            custody_source: "vault".to_owned(),
            external_reference: format!("withdrawal {number}"),
            operator: self.act(),
        }
    }

    pub(crate) fn finish(&self, id: WithdrawalId, ending: WithdrawalEnding) -> FinishWithdrawal {
        FinishWithdrawal {
            id,
            entry_id: self.entry_id(),
            ending,
            operator: self.act(),
        }
    }

    pub(crate) fn reserve(
        &self,
        kind: AllocationKind,
        link: Link,
        currency: &Currency,
        units: i128,
    ) -> Reserve {
        let number = self.next();
        Reserve {
            id: AllocationId(identifier(10, number)),
            entry_id: self.entry_id(),
            kind,
            route: link.route(),
            currency: currency.clone(),
            amount: amount(units),
            client_external_id: format!("request {number}"),
            notes: None,
            initiated_by: link.0.user(),
            signed: self.signed(link.0),
            lease_ms: 10_000,
        }
    }

    pub(crate) fn allocate(&self, link: Link, units: i128) -> Reserve {
        self.reserve(AllocationKind::Allocation, link, &btc(), units)
    }

    pub(crate) fn deallocate(&self, link: Link, units: i128) -> Reserve {
        self.reserve(AllocationKind::Deallocation, link, &btc(), units)
    }

    /// The same request as it arrives once more: other identifiers, same name and content.
    pub(crate) fn again(&self, request: &Reserve) -> Reserve {
        let number = self.next();
        let mut again = request.clone();
        again.id = AllocationId(identifier(10, number));
        again.entry_id = self.entry_id();
        again.signed.request.id = identifier(14, number);
        again
    }

    /// The partner has accepted.
    pub(crate) fn clear(&self, id: AllocationId) -> Conclude {
        Conclude {
            id,
            entry_id: self.entry_id(),
            verdict: Verdict::Cleared {
                partner_external_id: Some(format!("partner's {id}")),
            },
            operator: None,
        }
    }

    /// The money goes back, and the partner is told.
    pub(crate) fn release(&self, id: AllocationId) -> Conclude {
        Conclude {
            id,
            entry_id: self.entry_id(),
            verdict: Verdict::Released {
                reason: Reason::new("rejected_by_partner", "the account is closed"),
                tell_partner: true,
            },
            operator: Some(self.act()),
        }
    }

    /// Deposits `units` and has all of them allocated over `link`.
    pub(crate) async fn funded(&self, link: Link, currency: &Currency, units: i128) {
        self.done(self.deposit(link.0, currency, units)).await;
        let request = self.reserve(AllocationKind::Allocation, link, currency, units);
        let placed = self.done(request).await;
        self.done(self.clear(placed.allocation.id)).await;
    }

    pub(crate) fn settle(
        &self,
        partner: Who,
        form: SettlementForm,
        lines: Vec<SettlementLine>,
    ) -> Settle {
        let number = self.next();
        let signed = self.signed(partner);
        Settle {
            id: SettlementId(identifier(15, number)),
            entry_id: self.entry_id(),
            partner_id: partner.partner(),
            enterprise_id: partner.enterprise(),
            go_account_id: partner.go_account(),
            external_id: format!("settlement {number}"),
            form,
            lines,
            content_digest: signed.request.digest,
            notes: None,
            initiated_by: partner.user(),
            signed,
        }
    }
}

/// The name of the refusal.
pub(crate) fn refusal_of<T>(answer: Result<T, SubmitError>) -> String {
    match answer {
        Err(SubmitError::Refused(refusal)) => refusal.reason.name,
        Err(error) => panic!("no refusal but {error:?}"),
        Ok(_) => panic!("accepted"),
    }
}

/// A gain (above zero) or loss of `link` against its partner.
pub(crate) fn party_line(link: Link, currency: &Currency, units: i128) -> SettlementLine {
    SettlementLine {
        currency: currency.clone(),
        partner_currency: currency.as_str().to_uppercase(),
        amount: SignedAmount::new(units).expect("an amount"),
        source: link.1.party(),
        destination: link.party(),
    }
}

/// What moves from one connection to another.
pub(crate) fn pair_line(from: Link, to: Link, currency: &Currency, units: i128) -> SettlementLine {
    SettlementLine {
        source: from.party(),
        ..party_line(to, currency, units)
    }
}

pub(crate) fn become_client(who: Who) -> BecomeClient {
    BecomeClient {
        enterprise_id: who.enterprise(),
        client_id: who.client(),
    }
}

pub(crate) fn create_partner(who: Who) -> CreatePartner {
    CreatePartner {
        enterprise_id: who.enterprise(),
        partner_id: who.partner(),
        client_id: who.client(),
        name: who.name().to_owned(),
        broker: who == Broker,
        institution_id: None,
        institution_identifier: who.name().to_owned(),
        key_schema: KeySchema::Token,
        dispute_window_minutes: None,
        top_up_window_minutes: None,
        allocation_policies_enabled: false,
    }
}

pub(crate) fn configuration(partner: Who) -> PartnerConfiguration {
    let answering = match partner {
        Later => Answering::Asynchronous,
        _ => Answering::Synchronous,
    };
    let currency = |ticker: Currency, name: &str| PartnerCurrency {
        ticker,
        partner_names: vec![name.to_owned()],
        minimum: None,
        maximum: None,
        open_total: None,
    };
    PartnerConfiguration {
        enterprise_id: partner.enterprise(),
        institution_identifier: partner.name().to_owned(),
        version: 0,
        base_url: "https://partner.example".to_owned(),
        routes: PartnerRoutes::default(),
        signature_header: "X-BitGo-Signature".to_owned(),
        jwt_key_id: "key".to_owned(),
        call_timeout_ms: 10_000,
        allowed_networks: Vec::new(),
        allocations: answering,
        deallocations: answering,
        amount_format: AmountFormat::BaseUnits,
        currencies: vec![currency(btc(), "OFCBTC"), currency(eth(), "OFCETH")],
        public_key: None,
        on_chain: false,
        activation: Activation::Immediate,
        release_unanswered_after_s: 86_400,
        on_chain_late_after_s: 86_400,
        updated_at: Timestamp(0),
    }
}
