//! A client asks for an allocation or a deallocation: the money is held and the partner is to be
//! asked, or the record is released at once with the reason.

use ledger::{Account, Amount, Currency, Entry, EntryId, Hold, HoldId, Posting, Timestamp};

use super::{Route, Step, add_to_open_total, refused_by_the_books, unknown_currency};
use crate::{
    AllocationId, Command, Draft, EnterpriseId, Keys, Reason, Refusal, Signed, UserId, View,
    deliver::due_message,
    planted::{Fault, is_planted},
    record::{
        Allocation, AllocationKind, AllocationState, Answering, Claim, ClaimKey, Client,
        Connection, CurrencyKey, MessageCall, NetworkCurrency, OpenTotal, Partner,
        PartnerConfiguration,
    },
    suspend::{connection_suspended, obstacle_of_client},
};

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
        let has_to_be_active = match self.kind {
            AllocationKind::Allocation => !is_planted(Fault::StoppedAllocates),
            AllocationKind::Deallocation => is_planted(Fault::StoppedKeepsMoney),
        };
        if has_to_be_active && let Some(reason) = stopped(client, connection, partner) {
            return Some(reason);
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

/// Who keeps a client from allocating, if anybody does.
fn stopped(client: &Client, connection: &Connection, partner: &Partner) -> Option<Reason> {
    if let Some(reason) = obstacle_of_client(client) {
        return Some(reason);
    }
    if connection.suspended.is_some() {
        return Some(connection_suspended());
    }
    if !connection.active {
        let message = "the connection is inactive; activate it to allocate over it";
        return Some(Reason::new("connection_inactive", message));
    }
    (!partner.active).then(|| {
        let message = "the partner takes no allocations at present";
        Reason::new("partner_inactive", message)
    })
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
        draft.add(allocation.clone());
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
        draft.add(Hold {
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
        draft.add(message);
        Ok(())
    }
}
