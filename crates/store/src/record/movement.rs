//! Rows of money on its way and of what is promised, claimed and said about it.

use ledger::{
    EntryId, EntryNumber, GoAccountId, Hold, HoldId, HoldPurpose, NetworkAccountId, Owner,
};
use rules::{
    AllocationId, ClientId, ConnectionId, DepositId, DisputeClosureId, PartnerId, SettlementId,
    TransferId, UserId, WithdrawalId,
    record::{
        Allocation, AllocationKind, AllocationState, Answering, Claim, ClaimKey, ClaimKind,
        CurrencyKey, Deposit, Message, MessageCall, OpenTotal, Participation, Settlement,
        SettlementForm, SettlementState, SignedRequest, Staging, Transfer, TransferParty,
        TransferStatus, Withdrawal, WithdrawalState,
    },
};
use uuid::Uuid;

use super::{Columns, CommitFacts, Stored, optional_time, reason_values, table, time};
use crate::sql::{StoreError, Table, Value, WriteMode};

/// The values of an owner's two columns.
pub(crate) fn owner_columns(owner: Owner) -> [Value; 2] {
    match owner {
        Owner::Custody => [0_i64.into(), Uuid::nil().into()],
        Owner::Go(id) => [1_i64.into(), id.0.into()],
        Owner::Net(id) => [2_i64.into(), id.0.into()],
    }
}

impl Stored for Allocation {
    const TABLE: &'static Table = table!("allocations", ["id"],
        id Uuid, kind Text, connection_id Uuid, client_id Uuid, client_enterprise_id Text,
        partner_id Uuid, partner_enterprise_id Text, go_account_id Uuid, network_account_id Uuid,
        currency Text, partner_currency Text, amount Amount, client_external_id Text,
        partner_external_id Text, notes Text, initiated_by Uuid, signed_request Uuid,
        answering Text, state Text, retriable Bool, reason_name Text, reason_message Text,
        created_at Int, updated_at Int);

    fn key_values(key: &AllocationId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let (state, retriable, reason) = match &self.state {
            AllocationState::Reserved { retriable, reason } => {
                ("reserved", *retriable, Some(reason))
            }
            AllocationState::Cleared => ("cleared", false, None),
            AllocationState::Released { reason } => ("released", false, Some(reason)),
        };
        let [reason_name, reason_message] = reason_values(reason);
        vec![
            self.id.0.into(),
            self.kind.as_str().into(),
            self.connection_id.0.into(),
            self.client_id.0.into(),
            self.client_enterprise_id.as_str().into(),
            self.partner_id.0.into(),
            self.partner_enterprise_id.as_str().into(),
            self.go_account_id.0.into(),
            self.network_account_id.0.into(),
            self.currency.as_str().into(),
            self.partner_currency.as_str().into(),
            self.amount.units().into(),
            self.client_external_id.as_str().into(),
            self.partner_external_id.as_deref().into(),
            self.notes.as_deref().into(),
            self.initiated_by.0.into(),
            self.signed_request.into(),
            self.answering.as_str().into(),
            state.into(),
            retriable.into(),
            reason_name,
            reason_message,
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Allocation {
            id: AllocationId(columns.uuid()?),
            kind: columns.spelled(AllocationKind::from_spelling)?,
            connection_id: ConnectionId(columns.uuid()?),
            client_id: ClientId(columns.uuid()?),
            client_enterprise_id: columns.parsed()?,
            partner_id: PartnerId(columns.uuid()?),
            partner_enterprise_id: columns.parsed()?,
            go_account_id: GoAccountId(columns.uuid()?),
            network_account_id: NetworkAccountId(columns.uuid()?),
            currency: columns.parsed()?,
            partner_currency: columns.text()?,
            amount: columns.amount()?,
            client_external_id: columns.text()?,
            partner_external_id: columns.optional_text()?,
            notes: columns.optional_text()?,
            initiated_by: UserId(columns.uuid()?),
            signed_request: columns.uuid()?,
            answering: columns.spelled(Answering::from_spelling)?,
            state: allocation_state(columns)?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

fn allocation_state(columns: &mut Columns) -> Result<AllocationState, StoreError> {
    let state = columns.text()?;
    let retriable = columns.boolean()?;
    let reason = columns.reason()?;
    match (state.as_str(), reason) {
        ("reserved", Some(reason)) => Ok(AllocationState::Reserved { retriable, reason }),
        ("cleared", _) => Ok(AllocationState::Cleared),
        ("released", Some(reason)) => Ok(AllocationState::Released { reason }),
        _ => Err(columns.corrupt(&state)),
    }
}

impl Stored for Settlement {
    const TABLE: &'static Table = table!("settlements", ["id"],
        id Uuid, partner_id Uuid, partner_enterprise_id Text, external_id Text, form Text,
        content_digest Bytes, notes Text, initiated_by Uuid, signed_request Uuid,
        transfer_count Int, state Text, reason_name Text, reason_message Text, finalized_at Int,
        entry Uuid, created_at Int, updated_at Int, cutoff_at Int, dispute_window_ends_at Int,
        top_up_window_ends_at Int, amounts_fixed Bool, standing_disputes Int, found_short_at Int);

    fn key_values(key: &SettlementId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let (state, reason, finalized_at, entry) = match &self.state {
            SettlementState::Pending => ("pending", None, None, None),
            SettlementState::Completed {
                finalized_at,
                entry,
            } => ("completed", None, Some(*finalized_at), Some(entry.0)),
            SettlementState::Failed { reason } => ("failed", Some(reason), None, None),
            SettlementState::Rejected {
                reason,
                finalized_at,
            } => ("rejected", Some(reason), Some(*finalized_at), None),
        };
        let [reason_name, reason_message] = reason_values(reason);
        let staging = self.staging.as_ref();
        let found_short_at = staging.and_then(|staging| staging.found_short_at);
        vec![
            self.id.0.into(),
            self.partner_id.0.into(),
            self.partner_enterprise_id.as_str().into(),
            self.external_id.as_str().into(),
            self.form.as_str().into(),
            self.content_digest.as_slice().into(),
            self.notes.as_deref().into(),
            self.initiated_by.0.into(),
            self.signed_request.into(),
            self.transfer_count.into(),
            state.into(),
            reason_name,
            reason_message,
            optional_time(finalized_at),
            entry.into(),
            time(self.created_at),
            time(self.updated_at),
            optional_time(staging.map(|staging| staging.cutoff_at)),
            optional_time(staging.map(|staging| staging.dispute_window_ends_at)),
            optional_time(staging.map(|staging| staging.top_up_window_ends_at)),
            staging.map(|staging| staging.amounts_fixed).into(),
            staging.map(|staging| staging.standing_disputes).into(),
            found_short_at.map(|entry| entry.0).into(),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Settlement {
            id: SettlementId(columns.uuid()?),
            partner_id: PartnerId(columns.uuid()?),
            partner_enterprise_id: columns.parsed()?,
            external_id: columns.text()?,
            form: columns.spelled(SettlementForm::from_spelling)?,
            content_digest: columns.array()?,
            notes: columns.optional_text()?,
            initiated_by: UserId(columns.uuid()?),
            signed_request: columns.uuid()?,
            transfer_count: columns.int()?,
            state: settlement_state(columns)?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            staging: staging(columns)?,
        })
    }
}

fn staging(columns: &mut Columns) -> Result<Option<Staging>, StoreError> {
    let cutoff_at = columns.optional_time()?;
    let windows = columns.optional_time()?.zip(columns.optional_time()?);
    let progress = columns.optional_boolean()?.zip(columns.optional_int()?);
    let found_short_at = columns.optional_int()?.map(EntryNumber);
    let Some(cutoff_at) = cutoff_at else {
        return Ok(None);
    };
    let Some(((dispute_window_ends_at, top_up_window_ends_at), progress)) = windows.zip(progress)
    else {
        return Err(columns.corrupt("a staged settlement without windows"));
    };
    let (amounts_fixed, standing_disputes) = progress;
    Ok(Some(Staging {
        cutoff_at,
        dispute_window_ends_at,
        top_up_window_ends_at,
        amounts_fixed,
        standing_disputes,
        found_short_at,
    }))
}

fn settlement_state(columns: &mut Columns) -> Result<SettlementState, StoreError> {
    let state = columns.text()?;
    let reason = columns.reason()?;
    let finalized_at = columns.optional_time()?;
    let entry = columns.optional_uuid()?.map(EntryId);
    match (state.as_str(), reason, finalized_at, entry) {
        ("pending", ..) => Ok(SettlementState::Pending),
        ("completed", _, Some(finalized_at), Some(entry)) => Ok(SettlementState::Completed {
            finalized_at,
            entry,
        }),
        ("failed", Some(reason), ..) => Ok(SettlementState::Failed { reason }),
        ("rejected", Some(reason), Some(finalized_at), _) => Ok(SettlementState::Rejected {
            reason,
            finalized_at,
        }),
        _ => Err(columns.corrupt(&state)),
    }
}

fn party_values(party: &TransferParty) -> [Value; 4] {
    let (connection, account) = party.connection.unzip();
    [
        party.client_id.0.into(),
        party.go_account_id.0.into(),
        connection.map(|id| id.0).into(),
        account.map(|id| id.0).into(),
    ]
}

/// The party of a transfer that four columns hold.
pub(crate) fn party(columns: &mut Columns) -> Result<TransferParty, StoreError> {
    let client_id = ClientId(columns.uuid()?);
    let go_account_id = GoAccountId(columns.uuid()?);
    let connection = columns.optional_uuid()?.map(ConnectionId);
    let account = columns.optional_uuid()?.map(NetworkAccountId);
    Ok(TransferParty {
        client_id,
        go_account_id,
        connection: connection.zip(account),
    })
}

impl Stored for Transfer {
    const TABLE: &'static Table = table!("settlement_transfers", ["id"],
        id Uuid, partner_id Uuid, settlement_id Uuid, dispute_closure_id Uuid, position Int,
        currency Text, partner_currency Text, amount Amount, source_client_id Uuid, source_go_account_id Uuid, source_connection_id Uuid,
        source_network_account_id Uuid, destination_client_id Uuid,
        destination_go_account_id Uuid, destination_connection_id Uuid,
        destination_network_account_id Uuid, status Text, entry Uuid, created_at Int,
        updated_at Int);

    fn key_values(key: &TransferId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = vec![
            self.id.0.into(),
            self.partner_id.0.into(),
            self.settlement_id.map(|id| id.0).into(),
            self.dispute_closure_id.map(|id| id.0).into(),
            self.position.into(),
            self.currency.as_str().into(),
            self.partner_currency.as_str().into(),
            self.amount.units().into(),
        ];
        row.extend(party_values(&self.source));
        row.extend(party_values(&self.destination));
        row.extend([
            self.status.as_str().into(),
            self.entry.map(|id| id.0).into(),
            time(self.created_at),
            time(self.updated_at),
        ]);
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Transfer {
            id: TransferId(columns.uuid()?),
            partner_id: PartnerId(columns.uuid()?),
            settlement_id: columns.optional_uuid()?.map(SettlementId),
            dispute_closure_id: columns.optional_uuid()?.map(DisputeClosureId),
            position: columns.int()?,
            currency: columns.parsed()?,
            partner_currency: columns.text()?,
            amount: columns.signed_amount()?,
            source: party(columns)?,
            destination: party(columns)?,
            status: columns.spelled(TransferStatus::from_spelling)?,
            entry: columns.optional_uuid()?.map(EntryId),
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for Participation {
    const TABLE: &'static Table = table!("participations", ["settlement_id", "connection_id"],
        settlement_id Uuid, connection_id Uuid, client_id Uuid, party Bool, counterparty Bool,
        sends Bool, receives Bool, disputed Bool, created_at Int, listed Bool);

    fn key_values((settlement, connection): &(SettlementId, ConnectionId)) -> Vec<Value> {
        vec![settlement.0.into(), connection.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.settlement_id.0.into(),
            self.connection_id.0.into(),
            self.client_id.0.into(),
            self.party.into(),
            self.counterparty.into(),
            self.sends.into(),
            self.receives.into(),
            self.disputed.into(),
            time(self.created_at),
            self.listed.into(),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Participation {
            settlement_id: SettlementId(columns.uuid()?),
            connection_id: ConnectionId(columns.uuid()?),
            client_id: ClientId(columns.uuid()?),
            party: columns.boolean()?,
            counterparty: columns.boolean()?,
            sends: columns.boolean()?,
            receives: columns.boolean()?,
            disputed: columns.boolean()?,
            created_at: columns.time()?,
            listed: columns.boolean()?,
        })
    }
}

impl Stored for Deposit {
    const TABLE: &'static Table = table!("deposits", ["id"],
        id Uuid, go_account_id Uuid, currency Text, amount Amount, custody_source Text,
        external_reference Text, created_at Int);

    fn key_values(key: &DepositId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.go_account_id.0.into(),
            self.currency.as_str().into(),
            self.amount.units().into(),
            self.custody_source.as_str().into(),
            self.external_reference.as_str().into(),
            time(self.created_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Deposit {
            id: DepositId(columns.uuid()?),
            go_account_id: GoAccountId(columns.uuid()?),
            currency: columns.parsed()?,
            amount: columns.amount()?,
            custody_source: columns.text()?,
            external_reference: columns.text()?,
            created_at: columns.time()?,
        })
    }
}

impl Stored for Withdrawal {
    const TABLE: &'static Table = table!("withdrawals", ["id"],
        id Uuid, go_account_id Uuid, currency Text, amount Amount, custody_source Text,
        external_reference Text, state Text, created_at Int, updated_at Int);

    fn key_values(key: &WithdrawalId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.go_account_id.0.into(),
            self.currency.as_str().into(),
            self.amount.units().into(),
            self.custody_source.as_str().into(),
            self.external_reference.as_str().into(),
            self.state.as_str().into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Withdrawal {
            id: WithdrawalId(columns.uuid()?),
            go_account_id: GoAccountId(columns.uuid()?),
            currency: columns.parsed()?,
            amount: columns.amount()?,
            custody_source: columns.text()?,
            external_reference: columns.text()?,
            state: columns.spelled(WithdrawalState::from_spelling)?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for Claim {
    const TABLE: &'static Table = table!("claims", ["scope", "kind", "name"],
        scope Text, kind Text, name Text, subject Uuid, digest Bytes);
    const MODE: WriteMode = WriteMode::Insert;

    fn key_values(key: &ClaimKey) -> Vec<Value> {
        vec![
            key.scope.as_str().into(),
            key.kind.as_str().into(),
            key.name.as_str().into(),
        ]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = Claim::key_values(&self.key);
        row.push(self.subject.into());
        row.push(self.digest.as_ref().map(|d| d.as_slice()).into());
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Claim {
            key: ClaimKey {
                scope: columns.text()?,
                kind: columns.spelled(ClaimKind::from_spelling)?,
                name: columns.text()?,
            },
            subject: columns.uuid()?,
            digest: match columns.optional_bytes()? {
                None => None,
                Some(digest) => Some(
                    digest
                        .try_into()
                        .map_err(|_| columns.corrupt("a digest of another length"))?,
                ),
            },
        })
    }
}

impl Stored for SignedRequest {
    const TABLE: &'static Table = table!("signed_requests", ["id"],
        id Uuid, commit_sequence Int, enterprise_id Text, public_key Bytes, payload Bytes,
        sealed Bool, digest Bytes, signature Text, received_at Int);
    const MODE: WriteMode = WriteMode::Insert;

    fn key_values(key: &Uuid) -> Vec<Value> {
        vec![(*key).into()]
    }

    fn to_row(&self, facts: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.into(),
            facts.sequence.into(),
            self.enterprise_id.as_str().into(),
            self.public_key.as_slice().into(),
            self.payload.as_ref().into(),
            self.sealed.into(),
            self.digest.as_slice().into(),
            self.signature.as_str().into(),
            time(self.received_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        let id = columns.uuid()?;
        let _commit_sequence = columns.int()?;
        Ok(SignedRequest {
            id,
            enterprise_id: columns.parsed()?,
            public_key: columns.array()?,
            payload: columns.bytes()?.into(),
            sealed: columns.boolean()?,
            digest: columns.array()?,
            signature: columns.text()?,
            received_at: columns.time()?,
        })
    }
}

impl Stored for Message {
    const TABLE: &'static Table = table!("outbox", ["subject"],
        subject Uuid, partner_id Uuid, call Text, attempts Int, due_at Int, leased_until Int,
        last_error Text, created_at Int, updated_at Int);

    fn key_values(key: &Uuid) -> Vec<Value> {
        vec![(*key).into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.subject.into(),
            self.partner_id.0.into(),
            self.call.map(MessageCall::as_str).into(),
            self.attempts.into(),
            time(self.due_at),
            time(self.leased_until),
            self.last_error.as_deref().into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Message {
            subject: columns.uuid()?,
            partner_id: PartnerId(columns.uuid()?),
            call: match columns.optional_text()? {
                None => None,
                Some(call) => {
                    let known = MessageCall::from_spelling(&call);
                    Some(known.ok_or_else(|| columns.corrupt(&call))?)
                }
            },
            attempts: columns.int()?,
            due_at: columns.time()?,
            leased_until: columns.time()?,
            last_error: columns.optional_text()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for OpenTotal {
    const TABLE: &'static Table = table!("open_totals", ["partner_id", "currency"],
        partner_id Uuid, currency Text, units Amount);

    fn key_values(key: &CurrencyKey) -> Vec<Value> {
        vec![key.partner_id.0.into(), key.currency.as_str().into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = OpenTotal::key_values(&self.key);
        row.push(self.units.into());
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(OpenTotal {
            key: CurrencyKey {
                partner_id: PartnerId(columns.uuid()?),
                currency: columns.parsed()?,
            },
            units: columns.units()?,
        })
    }
}

fn purpose_text(purpose: HoldPurpose) -> &'static str {
    match purpose {
        HoldPurpose::Allocation => "allocation",
        HoldPurpose::Deallocation => "deallocation",
        HoldPurpose::Withdrawal => "withdrawal",
        HoldPurpose::SettlementTransfer => "settlement_transfer",
        HoldPurpose::Dispute => "dispute",
    }
}

fn purpose(text: &str) -> Option<HoldPurpose> {
    match text {
        "allocation" => Some(HoldPurpose::Allocation),
        "deallocation" => Some(HoldPurpose::Deallocation),
        "withdrawal" => Some(HoldPurpose::Withdrawal),
        "settlement_transfer" => Some(HoldPurpose::SettlementTransfer),
        "dispute" => Some(HoldPurpose::Dispute),
        _ => None,
    }
}

impl Stored for Hold {
    const TABLE: &'static Table = table!("holds", ["id"],
        id Uuid, owner_kind Int, owner Uuid, currency Text, amount Amount, purpose Text,
        is_open Bool);

    fn key_values(key: &HoldId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let [kind, owner] = owner_columns(self.account.owner);
        vec![
            self.id.0.into(),
            kind,
            owner,
            self.account.currency.as_str().into(),
            self.amount.units().into(),
            purpose_text(self.purpose).into(),
            self.open.into(),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Hold {
            id: HoldId(columns.uuid()?),
            account: columns.account()?,
            amount: columns.amount()?,
            purpose: columns.spelled(purpose)?,
            open: columns.boolean()?,
        })
    }
}
