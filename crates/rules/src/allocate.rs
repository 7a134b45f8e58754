//! Allocations and deallocations: reserved, answered, cleared or released (OES wire §3.3, §3.4).
//!
//! Both are one state machine run in two directions. An allocation holds money of the Go Account
//! until the partner has answered and then moves it to the connection; a deallocation does the
//! same the other way round.

use ledger::{
    Account, Amount, BookError, Currency, Entry, EntryId, GoAccountId, Hold, HoldId, HoldPurpose,
    NetworkAccountId, Owner, Posting, Timestamp,
};

use crate::{
    AllocationId, Class, ClientId, Command, ConnectionId, Draft, EnterpriseId, Keys, PartnerId,
    Reason, Refusal, Signed, UserId, View,
    deliver::due_message,
    operate::Act,
    planted::{Fault, is_planted},
    record::{
        Allocation, AllocationKind, AllocationState, Answering, Claim, ClaimKey, ClaimKind, Client,
        Connection, CurrencyKey, Message, MessageCall, NetworkCurrency, OpenTotal, Partner,
        PartnerConfiguration,
    },
    refusal::differing,
    suspend::{connection_suspended, obstacle_of_client},
};

/// The parties and accounts of an allocation. They never change once a connection exists, so
/// that they can be looked up before a command is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Over which connection.
    pub connection_id: ConnectionId,
    /// Whose.
    pub client_id: ClientId,
    /// The client's enterprise.
    pub client_enterprise_id: EnterpriseId,
    /// The client's Go Account.
    pub go_account_id: GoAccountId,
    /// The connection's account.
    pub network_account_id: NetworkAccountId,
    /// At whom.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// The name under which the partner is configured.
    pub institution_identifier: String,
}

impl AllocationKind {
    /// Where the money is held, and where it goes when it is cleared.
    fn accounts(
        self,
        go: GoAccountId,
        net: NetworkAccountId,
        currency: &Currency,
    ) -> (Account, Account) {
        let go = Account::new(Owner::Go(go), currency);
        let net = Account::new(Owner::Net(net), currency);
        match self {
            AllocationKind::Allocation => (go, net),
            AllocationKind::Deallocation => (net, go),
        }
    }

    fn claim_kind(self) -> ClaimKind {
        match self {
            AllocationKind::Allocation => ClaimKind::Allocation,
            AllocationKind::Deallocation => ClaimKind::Deallocation,
        }
    }

    fn purpose(self) -> HoldPurpose {
        match self {
            AllocationKind::Allocation => HoldPurpose::Allocation,
            AllocationKind::Deallocation => HoldPurpose::Deallocation,
        }
    }

    fn cause(self, step: Step) -> &'static str {
        match (self, step) {
            (AllocationKind::Allocation, Step::Reserved) => "allocation_reserved",
            (AllocationKind::Allocation, Step::Cleared) => "allocation_cleared",
            (AllocationKind::Allocation, Step::Released) => "allocation_released",
            (AllocationKind::Deallocation, Step::Reserved) => "deallocation_reserved",
            (AllocationKind::Deallocation, Step::Cleared) => "deallocation_cleared",
            (AllocationKind::Deallocation, Step::Released) => "deallocation_released",
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Reserved,
    Cleared,
    Released,
}

/// A client wants money allocated or deallocated (C10, C12).
#[derive(Clone, Debug)]
pub struct Reserve {
    /// The identifier that the record gets.
    pub id: AllocationId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Which way.
    pub kind: AllocationKind,
    /// Between whom.
    pub route: Route,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// The client's own name for it.
    pub client_external_id: String,
    /// What the client writes beside it.
    pub notes: Option<String>,
    /// Who asks.
    pub initiated_by: UserId,
    /// The signed request.
    pub signed: Signed,
    /// How long the request itself works on the message to a synchronous partner, in
    /// milliseconds.
    pub lease_ms: i64,
}

/// What came of asking for an allocation or a deallocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The record as it stands.
    pub allocation: Allocation,
    /// Whether this request made it, rather than met it.
    pub fresh: bool,
}

impl Reserve {
    fn claim(&self) -> ClaimKey {
        let scope = self.route.client_enterprise_id.as_str();
        ClaimKey::new(scope, self.kind.claim_kind(), &self.client_external_id)
    }

    fn accounts(&self) -> (Account, Account) {
        let Route {
            go_account_id,
            network_account_id,
            ..
        } = self.route;
        self.kind
            .accounts(go_account_id, network_account_id, &self.currency)
    }

    fn open_total_key(&self) -> CurrencyKey {
        CurrencyKey {
            partner_id: self.route.partner_id,
            currency: self.currency.clone(),
        }
    }

    fn configuration_key(&self) -> (EnterpriseId, String) {
        (
            self.route.partner_enterprise_id.clone(),
            self.route.institution_identifier.clone(),
        )
    }

    fn repeat(&self, draft: &mut Draft<'_>, id: AllocationId) -> Result<Placed, Refusal> {
        let allocation = draft.find::<Allocation>(&id).cloned();
        let what = self.kind.as_str();
        let allocation = allocation.ok_or_else(|| Refusal::not_found(what))?;
        let members = [
            (
                "connectionId",
                self.route.connection_id != allocation.connection_id,
            ),
            ("amount.currency", self.currency != allocation.currency),
            ("amount.quantity", self.amount != allocation.amount),
            ("notes", self.notes != allocation.notes),
        ];
        if !is_planted(Fault::OtherContentAccepted) {
            Refusal::unless_same(what, &self.client_external_id, &members)?;
        }
        self.signed.take_nonce(draft, id.0)?;
        let fresh = false;
        Ok(Placed { allocation, fresh })
    }

    /// What speaks against reserving, if anything does, in the order in which it is told.
    fn obstacle(
        &self,
        draft: &Draft<'_>,
        (client, connection): (&Client, &Connection),
        partner: &Partner,
        configuration: Option<&PartnerConfiguration>,
    ) -> Option<Reason> {
        let allocates = self.kind == AllocationKind::Allocation;
        if connection.partners_ids().is_none() {
            let message = "the partner has not accepted this connection yet";
            return Some(Reason::new("connection_not_initialized", message));
        }
        // A client gets its money back when it, its connection or the partner is stopped.
        if let Some(reason) = obstacle_of_client(client).filter(|_| allocates) {
            return Some(reason);
        }
        if allocates && connection.suspended.is_some() {
            return Some(connection_suspended());
        }
        if allocates && !connection.active {
            let message = "the connection is inactive; activate it to allocate over it";
            return Some(Reason::new("connection_inactive", message));
        }
        if allocates && !partner.active {
            let message = "the partner takes no allocations at present";
            return Some(Reason::new("partner_inactive", message));
        }
        let known = configuration.and_then(|c| c.currency(&self.currency));
        if allocates {
            let Some(limits) = known else {
                let message = format!("the partner does not support {}", self.currency);
                return Some(Reason::new("currency_not_supported", message));
            };
            let units = self.amount.units();
            if let Some(minimum) = limits.minimum.filter(|m| self.amount < *m) {
                let message = format!("the partner takes no less than {minimum} at a time");
                return Some(Reason::new("below_minimum", message));
            }
            if let Some(maximum) = limits.maximum.filter(|m| self.amount > *m) {
                let message = format!("the partner takes no more than {maximum} at a time");
                return Some(Reason::new("above_maximum", message));
            }
            let open = draft.find::<OpenTotal>(&self.open_total_key());
            let open = open.map_or(0, |total| total.units);
            if let Some(most) = limits.open_total.filter(|m| units > m.units() - open) {
                let message = format!(
                    "{open} of {most} {} are reserved at the partner and unanswered; wait for answers",
                    self.currency
                );
                return Some(Reason::new("open_total_exceeded", message));
            }
        }
        let (source, _) = self.accounts();
        let available = draft.balance(&source).available;
        if available < self.amount.units() {
            let message = format!(
                "{} {} are required and {available} available",
                self.amount, self.currency
            );
            let name = if allocates {
                "insufficient_available"
            } else {
                "insufficient_allocated"
            };
            return Some(Reason::new(name, message));
        }
        None
    }
}

impl Command for Reserve {
    type Outcome = Placed;

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.clients.insert(self.route.client_id);
        keys.connections.insert(self.route.connection_id);
        keys.partners.insert(self.route.partner_id);
        keys.configurations.insert(self.configuration_key());
        keys.currencies.insert(self.currency.clone());
        keys.claims.insert(self.claim());
        keys.open_totals.insert(self.open_total_key());
        let (source, target) = self.accounts();
        keys.balances.extend([source, target]);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Some(claim) = view.claims.get(&self.claim()) {
            keys.allocations.insert(AllocationId(claim.subject));
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Placed, Refusal> {
        let route = &self.route;
        self.signed.check_authority(draft, route.go_account_id)?;
        let connection = draft
            .find::<Connection>(&route.connection_id)
            .filter(|c| c.client_enterprise_id == route.client_enterprise_id)
            .cloned()
            .ok_or_else(|| Refusal::not_found("connection"))?;
        let client = draft.find::<Client>(&route.client_id).cloned();
        let client = client.ok_or_else(|| Refusal::not_found("client"))?;
        let partner = draft.find::<Partner>(&route.partner_id).cloned();
        let partner = partner.ok_or_else(|| Refusal::not_found("partner"))?;
        if let Some(claim) = draft.find::<Claim>(&self.claim()) {
            let id = AllocationId(claim.subject);
            return self.repeat(draft, id);
        }
        self.signed.take_nonce(draft, self.id.0)?;
        if draft.find::<NetworkCurrency>(&self.currency).is_none() {
            return Err(unknown_currency(&self.currency));
        }
        let configuration = draft.find::<PartnerConfiguration>(&self.configuration_key());
        let obstacle = self.obstacle(draft, (&client, &connection), &partner, configuration);
        let answering = configuration.map_or(Answering::Synchronous, |c| match self.kind {
            AllocationKind::Allocation => c.allocations,
            AllocationKind::Deallocation => c.deallocations,
        });
        let partner_currency = configuration
            .and_then(|c| c.currency(&self.currency))
            .map_or(self.currency.as_str(), |c| c.partner_name())
            .to_owned();
        let state = match obstacle {
            Some(reason) => AllocationState::Released { reason },
            None => AllocationState::Reserved {
                retriable: false,
                reason: Reason::new("waiting_for_partner", "the partner has been asked"),
            },
        };
        let allocation = Allocation {
            id: self.id,
            kind: self.kind,
            connection_id: route.connection_id,
            client_id: route.client_id,
            client_enterprise_id: route.client_enterprise_id.clone(),
            partner_id: route.partner_id,
            partner_enterprise_id: route.partner_enterprise_id.clone(),
            go_account_id: route.go_account_id,
            network_account_id: route.network_account_id,
            currency: self.currency.clone(),
            partner_currency,
            amount: self.amount,
            client_external_id: self.client_external_id.clone(),
            partner_external_id: None,
            notes: self.notes.clone(),
            initiated_by: self.initiated_by,
            signed_request: self.signed.request.id,
            answering,
            state,
            created_at: now,
            updated_at: now,
        };
        if allocation.is_reserved() {
            self.hold(draft, &allocation, now)?;
        }
        draft.put(allocation.clone());
        if !is_planted(Fault::ExternalIdNotClaimed) {
            draft.claim(self.claim(), self.id.0);
        }
        self.signed.keep(draft, now);
        let fresh = true;
        Ok(Placed { allocation, fresh })
    }
}

impl Reserve {
    fn hold(
        &self,
        draft: &mut Draft<'_>,
        allocation: &Allocation,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (source, _) = self.accounts();
        let posting = Posting {
            from: source.available(),
            to: source.held(),
            amount: self.amount,
        };
        let entry = Entry {
            id: self.entry_id,
            cause: self.kind.cause(Step::Reserved).into(),
            subject: self.id.0,
            signed_request: Some(self.signed.request.id),
            postings: vec![posting],
        };
        draft.post(entry).map_err(refused_by_the_books)?;
        draft.put(Hold {
            id: HoldId(self.id.0),
            account: source,
            amount: self.amount,
            purpose: self.kind.purpose(),
            open: true,
        });
        if self.kind == AllocationKind::Allocation {
            add_to_open_total(draft, self.open_total_key(), self.amount.units());
        }
        let partner = allocation.partner_id;
        let real = draft.real_time(now);
        let mut message = due_message(self.id.0, partner, MessageCall::Reserve, real);
        if allocation.answering == Answering::Synchronous {
            message.lease(real, self.lease_ms);
        }
        draft.put(message);
        Ok(())
    }
}

pub(crate) fn unknown_currency(currency: &Currency) -> Refusal {
    Refusal::new(
        Class::Invalid,
        "unknown_currency",
        format!("the network has no currency {currency}"),
    )
}

/// The books refuse what a rule had let pass: told as a business rule, with the figures.
pub(crate) fn refused_by_the_books(error: BookError) -> Refusal {
    Refusal::new(
        Class::Unprocessable,
        "refused_by_the_books",
        error.to_string(),
    )
}

fn add_to_open_total(draft: &mut Draft<'_>, key: CurrencyKey, units: i128) {
    let now = draft.find::<OpenTotal>(&key).map_or(0, |total| total.units);
    let units = now.saturating_add(units).max(0);
    draft.put(OpenTotal { key, units });
}

/// How a reserved record ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The partner has accepted: the money moves.
    Cleared {
        /// The partner's name for the record, where it told one.
        partner_external_id: Option<String>,
    },
    /// The money goes back.
    Released {
        /// Why.
        reason: Reason,
        /// Whether the partner has to be told, because it may have reserved something.
        tell_partner: bool,
    },
}

/// What came of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// The record as it stands.
    pub allocation: Allocation,
    /// Whether this answer brought it there; false if it had ended before.
    pub changed: bool,
}

/// The keys that [`conclude`] reads, once the record is known.
fn conclusion_keys(allocation: Option<&Allocation>) -> Keys {
    let mut keys = Keys::default();
    if let Some(record) = allocation {
        let (source, target) = record.accounts();
        keys.balances.extend([source, target]);
        keys.open_totals.insert(record.open_total_key());
        keys.holds.insert(HoldId(record.id.0));
        keys.messages.insert(record.id.0);
    }
    keys
}

impl Allocation {
    fn accounts(&self) -> (Account, Account) {
        self.kind
            .accounts(self.go_account_id, self.network_account_id, &self.currency)
    }
}

/// Ends a reserved record; one that has ended stays as it is.
fn conclude(
    draft: &mut Draft<'_>,
    mut record: Allocation,
    verdict: Verdict,
    entry_id: EntryId,
    signed_request: Option<uuid::Uuid>,
    now: Timestamp,
) -> Result<Concluded, Refusal> {
    let undoes = is_planted(Fault::ReleaseAfterClear)
        && record.state == AllocationState::Cleared
        && matches!(verdict, Verdict::Released { .. });
    if !record.is_reserved() && !is_planted(Fault::EndsTwice) && !undoes {
        return Ok(Concluded {
            allocation: record,
            changed: false,
        });
    }
    let (source, target) = record.accounts();
    let hold_id = HoldId(record.id.0);
    let counts = |hold: &&Hold| hold.open || is_planted(Fault::EndsTwice) || undoes;
    let hold = draft.find::<Hold>(&hold_id).filter(counts);
    let mut hold = hold.cloned().ok_or_else(|| Refusal::not_found("hold"))?;
    let (step, to) = match verdict {
        Verdict::Cleared { .. } => (Step::Cleared, target.available()),
        Verdict::Released { .. } => (Step::Released, source.available()),
    };
    let too_many = is_planted(Fault::DeallocatesTooMuch)
        && record.kind == AllocationKind::Deallocation
        && matches!(verdict, Verdict::Cleared { .. });
    let entry = Entry {
        id: entry_id,
        cause: record.kind.cause(step).into(),
        subject: record.id.0,
        signed_request,
        postings: vec![Posting {
            from: if undoes {
                target.available()
            } else {
                source.held()
            },
            to,
            amount: match too_many {
                true => Amount::new(hold.amount.units() + 1).unwrap_or(hold.amount),
                false => hold.amount,
            },
        }],
    };
    let keeps_hold = is_planted(Fault::RejectionKeepsHold)
        && matches!(
            verdict,
            Verdict::Released {
                tell_partner: false,
                ..
            }
        );
    if !keeps_hold {
        draft.post(entry).map_err(refused_by_the_books)?;
        hold.open = false;
        draft.put(hold);
    }
    if record.kind == AllocationKind::Allocation && !is_planted(Fault::OpenTotalNotDecremented) {
        add_to_open_total(draft, record.open_total_key(), -record.amount.units());
    }
    let say = match verdict {
        Verdict::Cleared {
            partner_external_id,
        } => {
            record.state = AllocationState::Cleared;
            record.partner_external_id = partner_external_id.or(record.partner_external_id);
            (!is_planted(Fault::ClearNotTold)).then_some(MessageCall::Clear)
        }
        Verdict::Released {
            reason,
            tell_partner,
        } => {
            record.state = AllocationState::Released { reason };
            let tell_partner = tell_partner && !is_planted(Fault::ReleaseNotTold);
            tell_partner.then_some(MessageCall::Release)
        }
    };
    let real = draft.real_time(now);
    let known = draft.find::<Message>(&record.id.0).cloned();
    let mut message = known
        .unwrap_or_else(|| due_message(record.id.0, record.partner_id, MessageCall::Clear, real));
    match say {
        Some(call) => message.say(call, real),
        None => message.finish(real),
    }
    draft.put(message);
    record.updated_at = now;
    draft.put(record.clone());
    Ok(Concluded {
        allocation: record,
        changed: true,
    })
}

/// The partner has answered, or the network has stopped waiting for it.
#[derive(Clone, Debug)]
pub struct Conclude {
    /// Which record.
    pub id: AllocationId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// How it ends.
    pub verdict: Verdict,
    /// The operator who says so, where it was one.
    pub operator: Option<Act>,
}

impl Command for Conclude {
    type Outcome = Concluded;

    fn keys(&self) -> Keys {
        Keys {
            allocations: [self.id].into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        conclusion_keys(view.allocations.get(&self.id))
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Concluded, Refusal> {
        let record = draft.find::<Allocation>(&self.id).cloned();
        let record = record.ok_or_else(|| Refusal::not_found("allocation"))?;
        let before = record.state.clone();
        let (verdict, entry) = (self.verdict.clone(), self.entry_id);
        let concluded = conclude(draft, record, verdict, entry, None, now)?;
        if let Some(act) = self.operator.as_ref().filter(|_| concluded.changed) {
            let what = match &self.verdict {
                Verdict::Cleared { .. } => "clear_hold",
                Verdict::Released { .. } => "release_hold",
            };
            let change = (Some(&before), &concluded.allocation.state);
            act.record_change(draft, what, self.id.to_string(), change, now);
        }
        Ok(concluded)
    }
}

/// Whether a record has waited long enough for the network to release it by itself
/// (decisions §5, Q18).
pub fn may_release_unanswered(
    record: &Allocation,
    configuration: &PartnerConfiguration,
    now: Timestamp,
) -> bool {
    let patience = configuration.release_unanswered_after_s;
    record.is_reserved() && now >= record.created_at.plus_seconds(patience)
}

/// Nobody knows what the partner made of the question: the record stays reserved, and another
/// attempt is due later or when the client sends the request again.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// Which record.
    pub id: AllocationId,
    /// What went wrong, for the operator.
    pub error: String,
}

/// The partner has taken the question and will answer by itself (P6, P7).
#[derive(Clone, Debug)]
pub struct Awaited {
    /// Which record.
    pub id: AllocationId,
    /// The partner's name for it, where it told one.
    pub partner_external_id: Option<String>,
}

/// Somebody wants the partner asked again now.
#[derive(Clone, Debug)]
pub struct AskAgain {
    /// Which record.
    pub id: AllocationId,
    /// The operator who says so.
    pub operator: Act,
}

fn record_and_message(id: AllocationId) -> Keys {
    Keys {
        allocations: [id].into(),
        messages: [id.0].into(),
        ..Keys::default()
    }
}

fn waiting(draft: &Draft<'_>, id: AllocationId) -> Result<(Allocation, Option<Message>), Refusal> {
    let record = draft.find::<Allocation>(&id).cloned();
    let record = record.ok_or_else(|| Refusal::not_found("allocation"))?;
    let message = draft.find::<Message>(&id.0).cloned();
    Ok((record, message))
}

impl Command for Unanswered {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        record_and_message(self.id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let (mut record, message) = waiting(draft, self.id)?;
        let Some(mut message) = message.filter(|_| record.is_reserved()) else {
            return Ok(record);
        };
        message.postpone(&self.error, draft.real_time(now));
        draft.put(message);
        if record.answering == Answering::Synchronous {
            record.state = AllocationState::Reserved {
                retriable: true,
                reason: Reason::new(
                    "partner_unanswered",
                    "the partner did not answer; the amount stays reserved. Send the same request again, or wait: the network keeps asking",
                ),
            };
            record.updated_at = now;
            draft.put(record.clone());
        }
        Ok(record)
    }
}

impl Command for Awaited {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        record_and_message(self.id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let (mut record, message) = waiting(draft, self.id)?;
        let Some(mut message) = message.filter(|_| record.is_reserved()) else {
            return Ok(record);
        };
        let real = draft.real_time(now);
        if message.call == Some(MessageCall::Reserve) {
            message.say(MessageCall::Await, real);
            message.attempts = 1;
        }
        message.due_at = real.plus_seconds(AWAIT_INTERVAL_S);
        message.leased_until = Timestamp(0);
        message.updated_at = real;
        draft.put(message);
        record.state = AllocationState::Reserved {
            retriable: false,
            reason: Reason::new(
                "waiting_for_partner",
                "the partner has taken the request and will answer it later",
            ),
        };
        record.partner_external_id = self
            .partner_external_id
            .clone()
            .or(record.partner_external_id);
        record.updated_at = now;
        draft.put(record.clone());
        Ok(record)
    }
}

/// How often a partner that answers later is asked for the status all the same, in seconds.
const AWAIT_INTERVAL_S: i64 = 60;

impl Command for AskAgain {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        record_and_message(self.id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let (record, message) = waiting(draft, self.id)?;
        match message {
            Some(mut message) if message.call.is_some() => {
                let before = message.clone();
                let real = draft.real_time(now);
                if message.leased_until <= real {
                    message.due_at = real;
                    message.updated_at = real;
                    draft.put(message.clone());
                }
                let change = (Some(&before), &message);
                let subject = self.id.to_string();
                self.operator
                    .record_change(draft, "ask_again", subject, change, now);
                Ok(record)
            }
            _ => Err(Refusal::new(
                Class::Unprocessable,
                "nothing_to_ask",
                "nothing remains to be asked or told about this record",
            )),
        }
    }
}

/// A partner that answers later says how a record ends (P6, P7).
#[derive(Clone, Debug)]
pub struct PartnerAnswer {
    /// Which record.
    pub id: AllocationId,
    /// Which kind the endpoint is for.
    pub kind: AllocationKind,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The partner's Go Account, whose keys sign.
    pub go_account_id: GoAccountId,
    /// The currency, by the partner's own name for it and as the network knows it.
    pub currency: Option<Currency>,
    /// How much.
    pub amount: Amount,
    /// The client as the partner sees it.
    pub client_id: ClientId,
    /// The connection as the partner sees it.
    pub connection_id: ConnectionId,
    /// The partner's name for the client.
    pub partners_client_id: String,
    /// The partner's name for the connection.
    pub partners_connection_id: String,
    /// The partner's name for the record.
    pub partner_external_id: String,
    /// Why it is released; none: it is cleared.
    pub reject_reason: Option<String>,
    /// The signed request.
    pub signed: Signed,
}

impl Command for PartnerAnswer {
    type Outcome = Concluded;

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.allocations.insert(self.id);
        keys.connections.insert(self.connection_id);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        conclusion_keys(view.allocations.get(&self.id))
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Concluded, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let record = draft
            .find::<Allocation>(&self.id)
            .filter(|record| record.partner_enterprise_id == self.enterprise_id)
            .filter(|record| record.kind == self.kind)
            .cloned()
            .ok_or_else(|| Refusal::not_found(self.kind.as_str()))?;
        let holder = self.signed.nonce_holder(draft)?;
        if holder.is_some_and(|holder| holder != self.id.0) {
            return Err(Refusal::nonce_taken());
        }
        if record.answering == Answering::Synchronous {
            return Err(Refusal::new(
                Class::NotPermitted,
                "partner_is_synchronous",
                format!(
                    "{}s are configured to be answered in the call itself",
                    self.kind
                ),
            ));
        }
        let cleared = self.reject_reason.is_none();
        match &record.state {
            AllocationState::Cleared if cleared => {}
            AllocationState::Released { .. } if !cleared => {}
            AllocationState::Reserved { .. } => {}
            AllocationState::Cleared => return Err(self.ended("cleared")),
            AllocationState::Released { .. } => return Err(self.ended("released")),
        }
        if !is_planted(Fault::AnswerNotCompared) {
            self.check_content(draft, &record)?;
        }
        self.signed.take_nonce(draft, self.id.0)?;
        let verdict = match &self.reject_reason {
            None => Verdict::Cleared {
                partner_external_id: Some(self.partner_external_id.clone()),
            },
            Some(reason) => Verdict::Released {
                reason: Reason::new("rejected_by_partner", reason.as_str()),
                tell_partner: false,
            },
        };
        let evidence = Some(self.signed.request.id);
        let concluded = conclude(draft, record, verdict, self.entry_id, evidence, now)?;
        if concluded.changed {
            self.signed.keep(draft, now);
        }
        Ok(concluded)
    }
}

impl PartnerAnswer {
    fn ended(&self, how: &str) -> Refusal {
        Refusal::new(
            Class::Conflict,
            "already_final",
            format!("the {} has been {how} and stays so", self.kind),
        )
    }

    fn check_content(&self, draft: &Draft<'_>, record: &Allocation) -> Result<(), Refusal> {
        let connection = draft.find::<Connection>(&self.connection_id);
        let partners = connection
            .filter(|c| c.id == record.connection_id)
            .and_then(|c| c.partners_ids());
        let (partners_connection, partners_client) = partners.unwrap_or_default();
        let members = [
            (
                "amount.currency",
                self.currency.as_ref() != Some(&record.currency),
            ),
            ("amount.quantity", self.amount != record.amount),
            ("clientId", self.client_id != record.client_id),
            ("connectionId", self.connection_id != record.connection_id),
            (
                "partnersClientId",
                self.partners_client_id != partners_client,
            ),
            (
                "partnersConnectionId",
                self.partners_connection_id != partners_connection,
            ),
            (
                match self.kind {
                    AllocationKind::Allocation => "partnersAllocationId",
                    AllocationKind::Deallocation => "partnersDeallocationId",
                },
                record
                    .partner_external_id
                    .as_ref()
                    .is_some_and(|known| *known != self.partner_external_id),
            ),
        ];
        let different = differing(&members);
        if different.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Class::Unprocessable,
            "answer_differs_from_record",
            format!(
                "the answer does not fit the {}; different: {}",
                self.kind,
                different.join(", ")
            ),
        ))
    }
}
