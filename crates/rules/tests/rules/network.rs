//! A small network, built by the commands of operators and parties themselves, and the commands
//! that its parties send.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use ledger::{
    Account, Amount, Currency, EntryId, GoAccountId, NetworkAccountId, Owner, SignedAmount,
};
use rules::allocate::{Conclude, PartnerAnswer, Reserve, Route, Verdict};
use rules::connect::{AnswerConnection, ConnectionVerdict, OpenConnection};
use rules::fund::{BookDeposit, FinishWithdrawal, RequestWithdrawal, WithdrawalEnding};
use rules::onboard::{BecomeClient, CreatePartner};
use rules::operate::{
    Act, AddSigningKey, OpenGoAccount, PutCurrency, PutEnterprise, PutPartnerConfiguration,
    PutUser, RevokeSigningKey,
};
use rules::record::{
    Activation, AllocationKind, AmountFormat, Answering, InstallationRole, KeySchema,
    PartnerConfiguration, PartnerCurrency, PartnerRoutes, SettlementForm, SignedRequest,
    TransferParty,
};
use rules::settle::{Settle, SettlementLine};
use rules::{
    AllocationId, ClientId, ConnectionId, DepositId, EnterpriseId, PartnerId, Reason, SettlementId,
    Signed, SigningKeyId, UserId, WithdrawalId,
};
use uuid::Uuid;

use crate::harness::World;

/// The enterprises of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// A client.
    Alpha,
    /// Another client.
    Beta,
    /// A client that has lost its licence since it was connected and funded.
    Unlicensed,
    /// A client of another trust organisation.
    Outsider,
    /// An exchange that answers in the call itself, with limits on `ofcbtc`.
    Sync,
    /// An exchange that answers later.
    Async,
    /// A broker that answers in the call itself.
    Broker,
    /// An exchange whose clients have a dispute window of one minute, and which has another one to
    /// top up.
    Staged,
}

use Who::{Alpha, Async, Beta, Broker, Outsider, Staged, Sync, Unlicensed};

/// How it is refused that a Go Account does not exist.
pub(crate) const GO_ACCOUNT_NOT_FOUND: &str = "go_account_not_found";

pub(crate) const CLIENTS: [Who; 4] = [Alpha, Beta, Unlicensed, Outsider];
pub(crate) const PARTNERS: [Who; 4] = [Sync, Async, Broker, Staged];
pub(crate) const EVERYBODY: [Who; 8] = [
    Alpha, Beta, Unlicensed, Outsider, Sync, Async, Broker, Staged,
];

/// An identifier that follows from what it is for and a number. The low bits stay free, because
/// those of a settlement become those of its transfers.
pub(crate) fn identifier(space: u8, number: u128) -> Uuid {
    Uuid::from_u128((u128::from(space) << 120) | (number << 40))
}

pub(crate) fn allocation_id(number: u128) -> AllocationId {
    AllocationId(identifier(10, number))
}

pub(crate) fn entry_id(number: u128) -> EntryId {
    EntryId(identifier(11, number))
}

pub(crate) fn withdrawal_id(number: u128) -> WithdrawalId {
    WithdrawalId(identifier(12, number))
}

impl Who {
    pub(crate) fn number(self) -> u128 {
        self as u128 + 1
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Alpha => "alpha",
            Beta => "beta",
            Unlicensed => "unlicensed",
            Outsider => "outsider",
            Sync => "sync",
            Async => "async",
            Broker => "broker",
            Staged => "staged",
        }
    }

    pub(crate) fn is_partner(self) -> bool {
        PARTNERS.contains(&self)
    }

    pub(crate) fn trust_org(self) -> &'static str {
        if self == Outsider {
            "Other Trust"
        } else {
            "Tidelock Trust"
        }
    }

    pub(crate) fn enterprise(self) -> EnterpriseId {
        self.name().parse().expect("an enterprise id")
    }

    pub(crate) fn go_account(self) -> GoAccountId {
        GoAccountId(identifier(1, self.number()))
    }

    /// The key that signs for it.
    pub(crate) fn key(self) -> SigningKeyId {
        SigningKeyId(identifier(2, self.number()))
    }

    /// A key that signed for it once and is revoked.
    pub(crate) fn revoked_key(self) -> SigningKeyId {
        SigningKeyId(identifier(3, self.number()))
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

    /// Its Go Account in one currency.
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

/// A client's link to a partner; a client may have several to the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link {
    pub(crate) client: Who,
    pub(crate) partner: Who,
    pub(crate) number: u8,
}

pub(crate) fn link(client: Who, partner: Who) -> Link {
    Link {
        client,
        partner,
        number: 0,
    }
}

/// A connection that its partner has not answered yet.
pub(crate) const UNANSWERED: Link = Link {
    client: Alpha,
    partner: Sync,
    number: 1,
};

/// A connection that its partner has refused.
pub(crate) const REJECTED: Link = Link {
    client: Alpha,
    partner: Sync,
    number: 2,
};

impl Link {
    fn of(self, space: u8) -> Uuid {
        let Link {
            client,
            partner,
            number,
        } = self;
        identifier(
            space,
            client.number() * 10_000 + partner.number() * 100 + u128::from(number),
        )
    }

    pub(crate) fn connection(self) -> ConnectionId {
        ConnectionId(self.of(7))
    }

    pub(crate) fn network_account(self) -> NetworkAccountId {
        NetworkAccountId(self.of(8))
    }

    pub(crate) fn net(self, currency: &Currency) -> Account {
        Account::new(Owner::Net(self.network_account()), currency)
    }

    /// The partner's names for the connection and its client.
    pub(crate) fn partners_ids(self) -> (String, String) {
        let Link {
            client,
            partner,
            number,
        } = self;
        let client = client.name();
        (
            format!("{}-{client}-{number}", partner.name()),
            format!("{}-{client}", partner.name()),
        )
    }

    pub(crate) fn route(self) -> Route {
        Route {
            connection_id: self.connection(),
            client_id: self.client.client(),
            client_enterprise_id: self.client.enterprise(),
            go_account_id: self.client.go_account(),
            network_account_id: self.network_account(),
            partner_id: self.partner.partner(),
            partner_enterprise_id: self.partner.enterprise(),
            institution_identifier: self.partner.name().to_owned(),
        }
    }

    pub(crate) fn party(self) -> TransferParty {
        TransferParty {
            client_id: self.client.client(),
            go_account_id: self.client.go_account(),
            connection: Some((self.connection(), self.network_account())),
        }
    }

    pub(crate) fn accepted(self) -> AnswerConnection {
        let (partners_connection_id, partners_client_id) = self.partners_ids();
        AnswerConnection {
            id: self.connection(),
            verdict: ConnectionVerdict::Accepted {
                partners_connection_id,
                partners_client_id,
            },
        }
    }

    pub(crate) fn rejected(self) -> AnswerConnection {
        AnswerConnection {
            id: self.connection(),
            verdict: ConnectionVerdict::Rejected {
                reason: Reason::new("rejected_by_partner", "the account is not empty"),
            },
        }
    }
}

macro_rules! currencies {
    ($($name:ident = $ticker:literal,)+) => {$(
        pub(crate) fn $name() -> Currency {
            static TICKER: LazyLock<Currency> =
                LazyLock::new(|| $ticker.parse().expect("a ticker"));
            TICKER.clone()
        }
    )+};
}

currencies! {
    btc = "ofcbtc",
    eth = "ofceth",
    // Known to the network and to no partner.
    usd = "ofcusd",
    // Known to nobody.
    doge = "ofcdoge",
}

/// Where custody holds a currency.
pub(crate) fn custody_source(currency: &Currency) -> &'static str {
    if *currency == usd() { "bank" } else { "vault" }
}

pub(crate) fn custody(currency: &Currency) -> Account {
    Account::new(Owner::Custody, currency)
}

pub(crate) fn amount(units: i128) -> Amount {
    Amount::new(units).expect("an amount")
}

/// Stands in for SHA-256: other text, other digest.
pub(crate) fn digest(content: impl Hash) -> [u8; 32] {
    let mut digest = [0; 32];
    for (salt, chunk) in digest.chunks_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (salt, &content).hash(&mut hasher);
        chunk.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    digest
}

pub(crate) fn act(number: u128) -> Act {
    Act {
        id: identifier(13, number),
        user_id: Some(Alpha.user()),
    }
}

/// A request of `who` with this nonce, signed by its key over `content`.
pub(crate) fn signed(number: u128, who: Who, nonce: &str, content: impl Hash) -> Signed {
    Signed {
        request: SignedRequest {
            id: identifier(14, number),
            enterprise_id: who.enterprise(),
            public_key: [2; 33],
            payload: nonce.as_bytes().into(),
            sealed: false,
            digest: digest((nonce, content)),
            signature: format!("signature {number}"),
            received_at: ledger::Timestamp(0),
        },
        key_id: who.key(),
        nonce: nonce.to_owned(),
    }
}

/// The digest of what a client signs to move money. Nothing in the payload says which way.
fn reserve_digest(request: &Reserve) -> [u8; 32] {
    let Reserve {
        currency,
        amount,
        client_external_id,
        notes,
        ..
    } = request;
    let connection = request.route.connection_id;
    let nonce = request.signed.nonce.as_str();
    digest((
        nonce,
        connection,
        currency,
        amount,
        client_external_id,
        notes,
    ))
}

/// The request, signed as it now reads with this nonce, as evidence `number`.
pub(crate) fn sign_reserve(mut request: Reserve, number: u128, nonce: &str) -> Reserve {
    nonce.clone_into(&mut request.signed.nonce);
    request.signed.request.id = identifier(14, number);
    request.signed.request.digest = reserve_digest(&request);
    request
}

/// Request `number` for `units` over `link`, under names of its own.
pub(crate) fn reserve(
    number: u128,
    kind: AllocationKind,
    link: Link,
    currency: Currency,
    units: i128,
) -> Reserve {
    let nonce = format!("nonce {number}");
    let request = Reserve {
        id: allocation_id(number),
        entry_id: entry_id(number),
        kind,
        route: link.route(),
        currency,
        amount: amount(units),
        client_external_id: format!("request {number}"),
        notes: None,
        initiated_by: link.client.user(),
        signed: signed(number, link.client, &nonce, ()),
        lease_ms: 10_000,
    };
    sign_reserve(request, number, &nonce)
}

pub(crate) fn allocate(number: u128, link: Link, units: i128) -> Reserve {
    reserve(number, AllocationKind::Allocation, link, btc(), units)
}

pub(crate) fn deallocate(number: u128, link: Link, units: i128) -> Reserve {
    reserve(number, AllocationKind::Deallocation, link, btc(), units)
}

/// The partner has accepted what was reserved by request `of`.
pub(crate) fn clear(number: u128, of: u128) -> Conclude {
    Conclude {
        id: allocation_id(of),
        entry_id: entry_id(number),
        verdict: Verdict::Cleared {
            partner_external_id: Some(format!("partner's {of}")),
        },
        operator: None,
    }
}

/// What was reserved by request `of` is given back.
pub(crate) fn release(number: u128, of: u128) -> Conclude {
    Conclude {
        id: allocation_id(of),
        entry_id: entry_id(number),
        verdict: Verdict::Released {
            reason: Reason::new("rejected_by_partner", "no"),
            tell_partner: false,
        },
        operator: None,
    }
}

/// What a partner that answers later says of a request.
pub(crate) fn partner_answer(
    number: u128,
    of: &Reserve,
    link: Link,
    cleared: bool,
) -> PartnerAnswer {
    let (partners_connection_id, partners_client_id) = link.partners_ids();
    let nonce = format!("answer {number}");
    PartnerAnswer {
        id: of.id,
        kind: of.kind,
        entry_id: entry_id(number),
        enterprise_id: link.partner.enterprise(),
        go_account_id: link.partner.go_account(),
        currency: Some(of.currency.clone()),
        amount: of.amount,
        client_id: link.client.client(),
        connection_id: link.connection(),
        partners_client_id,
        partners_connection_id,
        partner_external_id: format!("partner's {number}"),
        reject_reason: (!cleared).then(|| "the account is closed".to_owned()),
        signed: signed(number, link.partner, &nonce, (of.id, cleared)),
    }
}

/// A gain (above zero) or loss of `link` against its partner.
pub(crate) fn party_line(link: Link, currency: Currency, units: i128) -> SettlementLine {
    SettlementLine {
        partner_currency: currency.as_str().to_owned(),
        currency,
        amount: SignedAmount::new(units).expect("an amount"),
        source: link.partner.party(),
        destination: link.party(),
    }
}

/// What moves from one connection to another.
pub(crate) fn pair_line(from: Link, to: Link, currency: Currency, units: i128) -> SettlementLine {
    SettlementLine {
        source: from.party(),
        ..party_line(to, currency, units)
    }
}

/// Settlement `number` of `partner` under names of its own.
pub(crate) fn settle(
    number: u128,
    partner: Who,
    form: SettlementForm,
    lines: Vec<SettlementLine>,
) -> Settle {
    let content = format!("{form}{lines:?}");
    Settle {
        id: SettlementId(identifier(15, number)),
        entry_id: entry_id(number),
        partner_id: partner.partner(),
        enterprise_id: partner.enterprise(),
        go_account_id: partner.go_account(),
        external_id: format!("settlement {number}"),
        form,
        lines,
        content_digest: digest(&content),
        notes: None,
        initiated_by: partner.user(),
        signed: signed(number, partner, &format!("settlement {number}"), &content),
    }
}

pub(crate) fn settle_party(number: u128, partner: Who, lines: Vec<SettlementLine>) -> Settle {
    settle(number, partner, SettlementForm::Party, lines)
}

pub(crate) fn deposit(number: u128, who: Who, currency: Currency, units: i128) -> BookDeposit {
    BookDeposit {
        id: DepositId(identifier(16, number)),
        entry_id: entry_id(number),
        go_account_id: who.go_account(),
        custody_source: custody_source(&currency).to_owned(),
        currency,
        amount: amount(units),
        external_reference: format!("deposit {number}"),
        operator: act(number),
    }
}

pub(crate) fn withdraw(
    number: u128,
    who: Who,
    currency: Currency,
    units: i128,
) -> RequestWithdrawal {
    RequestWithdrawal {
        id: withdrawal_id(number),
        entry_id: entry_id(number),
        go_account_id: who.go_account(),
        custody_source: custody_source(&currency).to_owned(),
        currency,
        amount: amount(units),
        external_reference: format!("withdrawal {number}"),
        operator: act(number),
    }
}

pub(crate) fn finish(number: u128, of: u128, ending: WithdrawalEnding) -> FinishWithdrawal {
    FinishWithdrawal {
        id: withdrawal_id(of),
        entry_id: entry_id(number),
        ending,
        operator: act(number),
    }
}

pub(crate) fn open_connection(number: u128, link: Link) -> OpenConnection {
    let Link {
        client, partner, ..
    } = link;
    let nonce = format!("connect {number}");
    OpenConnection {
        id: link.connection(),
        network_account_id: link.network_account(),
        client_id: client.client(),
        partner_id: partner.partner(),
        configuration: (partner.enterprise(), partner.name().to_owned()),
        name: format!("{} at {}", client.name(), partner.name()),
        key_schema: KeySchema::Token,
        key_is_sealed_for_partner: partner == Async,
        sealed_key: vec![1, 2, 3],
        proof: "proof".to_owned(),
        signed: signed(number, client, &nonce, ("connect", link)),
        lease_ms: 10_000,
    }
}

pub(crate) fn put_enterprise(number: u128, who: Who, licensed: bool) -> PutEnterprise {
    PutEnterprise {
        id: who.enterprise(),
        name: who.name().to_owned(),
        trust_org: who.trust_org().to_owned(),
        licensed,
        operator: act(number),
    }
}

pub(crate) fn open_go_account(number: u128, who: Who) -> OpenGoAccount {
    OpenGoAccount {
        id: who.go_account(),
        enterprise_id: who.enterprise(),
        label: who.name().to_owned(),
        operator: act(number),
    }
}

pub(crate) fn add_key(number: u128, who: Who, key: SigningKeyId) -> AddSigningKey {
    AddSigningKey {
        id: key,
        go_account_id: who.go_account(),
        public_key: [2; 33],
        given_as: "02".repeat(33),
        label: "user key".to_owned(),
        operator: act(number),
    }
}

pub(crate) fn revoke_key(number: u128, id: SigningKeyId) -> RevokeSigningKey {
    RevokeSigningKey {
        id,
        operator: act(number),
    }
}

pub(crate) fn put_currency(number: u128, ticker: Currency) -> PutCurrency {
    PutCurrency {
        backing: ticker.as_str().trim_start_matches("ofc").to_owned(),
        decimals: 8,
        custody_source: custody_source(&ticker).to_owned(),
        ticker,
        operator: act(number),
    }
}

pub(crate) fn put_user(number: u128, who: Who) -> PutUser {
    PutUser {
        id: who.user(),
        name: who.name().to_owned(),
        role: (who == Alpha).then_some(InstallationRole::Operator),
        operator: act(number),
    }
}

pub(crate) fn partner_currency(ticker: Currency, name: &str) -> PartnerCurrency {
    PartnerCurrency {
        ticker,
        partner_names: vec![name.to_owned()],
        minimum: None,
        maximum: None,
        open_total: None,
    }
}

pub(crate) fn configuration(partner: Who) -> PartnerConfiguration {
    let answering = match partner {
        Async => Answering::Asynchronous,
        _ => Answering::Synchronous,
    };
    let mut bitcoin = partner_currency(btc(), "BTC");
    if partner == Sync {
        bitcoin.minimum = Some(amount(5));
        bitcoin.maximum = Some(amount(200));
        bitcoin.open_total = Some(amount(250));
    }
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
        currencies: vec![bitcoin, partner_currency(eth(), "ETH")],
        public_key: (partner == Async).then(|| "PEM".to_owned()),
        on_chain: false,
        activation: Activation::Immediate,
        release_unanswered_after_s: 86_400,
        on_chain_late_after_s: 86_400,
        updated_at: ledger::Timestamp(0),
    }
}

pub(crate) fn put_configuration(number: u128, partner: Who) -> PutPartnerConfiguration {
    PutPartnerConfiguration {
        configuration: configuration(partner),
        operator: act(number),
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
        dispute_window_minutes: (who == Staged).then_some(1),
        top_up_window_minutes: (who == Staged).then_some(1),
        allocation_policies_enabled: false,
    }
}

/// Enterprises with users, accounts and keys, currencies and configurations; nobody is a client
/// or a partner yet.
static SET_UP: LazyLock<World> = LazyLock::new(|| {
    let mut world = World::empty();
    let mut serial = 9_000_000;
    let mut next = || {
        serial += 1;
        serial
    };
    for currency in [btc(), eth(), usd()] {
        world.done(put_currency(next(), currency));
    }
    for who in EVERYBODY {
        world.done(put_user(next(), who));
        world.done(put_enterprise(next(), who, true));
        world.done(open_go_account(next(), who));
        world.done(add_key(next(), who, who.key()));
        world.done(add_key(next(), who, who.revoked_key()));
        world.done(revoke_key(next(), who.revoked_key()));
        if who.is_partner() {
            world.done(put_configuration(next(), who));
        }
    }
    world
});

/// All of [`Who`] in their roles: connected, and with
///
/// * 800 `ofcbtc`, 300 `ofceth` and 100 `ofcusd` in every client's Go Account,
/// * 300 `ofcbtc` and 300 `ofceth` in every partner's,
/// * 100 `ofcbtc` of Alpha, Beta and Unlicensed, out of those 800, at every partner.
static READY: LazyLock<World> = LazyLock::new(|| {
    let mut world = set_up();
    let mut serial = 9_500_000;
    let mut next = || {
        serial += 1;
        serial
    };
    for who in EVERYBODY {
        let (bitcoin, ether) = if who.is_partner() {
            world.done(create_partner(who));
            (300, 300)
        } else {
            world.done(become_client(who));
            world.done(deposit(next(), who, usd(), 100));
            (800, 300)
        };
        world.done(deposit(next(), who, btc(), bitcoin));
        world.done(deposit(next(), who, eth(), ether));
    }
    for partner in PARTNERS {
        for client in [Alpha, Beta, Unlicensed] {
            let link = link(client, partner);
            world.done(open_connection(next(), link));
            world.done(link.accepted());
            let number = next();
            world.done(allocate(number, link, 100));
            world.done(clear(next(), number));
        }
    }
    world.done(open_connection(next(), UNANSWERED));
    world.done(open_connection(next(), REJECTED));
    world.done(REJECTED.rejected());
    world.done(put_enterprise(next(), Unlicensed, false));
    world.pass_seconds(3_600);
    world
});

pub(crate) fn set_up() -> World {
    SET_UP.clone()
}

pub(crate) fn ready() -> World {
    READY.clone()
}
