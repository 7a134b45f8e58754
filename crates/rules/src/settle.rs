//! Settlements that are booked at once (v1; OES wire §3.5).

use std::collections::BTreeMap;

use ledger::{
    Account, BookError, Currency, Entry, EntryId, GoAccountId, Owner, Posting, Shortage,
    SignedAmount, Timestamp,
};

use crate::{
    Class, Command, ConnectionId, Draft, EnterpriseId, Keys, PartnerId, Reason, Refusal,
    SettlementId, Signed, TransferId, UserId, View,
    planted::{Fault, is_planted},
    record::{
        Claim, ClaimKey, ClaimKind, Participation, Partner, Settlement, SettlementForm,
        SettlementState, Transfer, TransferParty, TransferStatus,
    },
};

/// One amount of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementLine {
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency.
    pub partner_currency: String,
    /// How much; above zero from source to destination, below zero the other way.
    pub amount: SignedAmount,
    /// One side: the partner itself in party form.
    pub source: TransferParty,
    /// The other.
    pub destination: TransferParty,
}

/// A partner posts a settlement that is booked at once or fails as a whole (P10).
#[derive(Clone, Debug)]
pub struct Settle {
    /// The identifier that the settlement gets.
    pub id: SettlementId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Who posts it.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The partner's Go Account.
    pub go_account_id: GoAccountId,
    /// The partner's own name for it.
    pub external_id: String,
    /// Which parties its amounts name.
    pub form: SettlementForm,
    /// Its amounts, in an order that follows from their content alone.
    pub lines: Vec<SettlementLine>,
    /// Digest of form and amounts.
    pub content_digest: [u8; 32],
    /// What the partner writes beside it.
    pub notes: Option<String>,
    /// Who asks.
    pub initiated_by: UserId,
    /// The signed request.
    pub signed: Signed,
}

impl TransferParty {
    fn account(&self, currency: &Currency) -> Account {
        let owner = match self.connection {
            Some((_, network_account)) => Owner::Net(network_account),
            None => Owner::Go(self.go_account_id),
        };
        Account::new(owner, currency)
    }
}

impl SettlementLine {
    fn posting(&self) -> Posting {
        let source = self.source.account(&self.currency).available();
        let destination = self.destination.account(&self.currency).available();
        let (from, to) = if self.amount.is_gain() {
            (source, destination)
        } else {
            (destination, source)
        };
        Posting {
            from,
            to,
            amount: self.amount.magnitude(),
        }
    }
}

impl Settle {
    fn claim(&self) -> ClaimKey {
        let scope = self.enterprise_id.as_str();
        ClaimKey::new(scope, ClaimKind::Settlement, &self.external_id)
    }

    fn check_content(&self, known: &Settlement) -> Result<(), Refusal> {
        let members = [
            (
                "settlementAmounts",
                self.content_digest != known.content_digest || self.partner_id != known.partner_id,
            ),
            ("notes", self.notes != known.notes),
        ];
        Refusal::unless_same("settlement", &self.external_id, &members)
    }

    fn check_rules(&self, partner: &Partner) -> Result<(), Refusal> {
        if !partner.active {
            return Err(Refusal::new(
                Class::NotPermitted,
                "partner_inactive",
                "the partner is inactive; ask the operator of the network",
            ));
        }
        if partner.has_disputes() {
            return Err(Refusal::new(
                Class::NotPermitted,
                "disputes_need_v2",
                "the partner's clients may dispute settlements: post it to version 2 of this endpoint",
            ));
        }
        if self.form == SettlementForm::Pair && !partner.broker {
            return Err(Refusal::new(
                Class::Invalid,
                "pair_form_is_for_brokers",
                "amounts between two connections are for brokers; name connections against the partner itself",
            ));
        }
        if self.form == SettlementForm::Party && partner.broker {
            return self.check_balanced();
        }
        Ok(())
    }

    /// A broker has no position of its own: per currency its clients' gains and losses cancel.
    fn check_balanced(&self) -> Result<(), Refusal> {
        let mut sums: BTreeMap<&Currency, i128> = BTreeMap::new();
        for line in &self.lines {
            let sum = sums.entry(&line.currency).or_default();
            *sum = sum
                .checked_add(line.amount.units())
                .ok_or_else(out_of_bounds)?;
        }
        let unbalanced: Vec<String> = sums
            .into_iter()
            .filter(|(_, sum)| *sum != 0)
            .map(|(currency, sum)| format!("{currency} by {sum}"))
            .collect();
        if unbalanced.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Class::Invalid,
            "broker_settlement_unbalanced",
            format!(
                "a broker's amounts have to cancel out per currency; off are {}",
                unbalanced.join(", ")
            ),
        ))
    }

    fn settlement(&self, now: Timestamp) -> Settlement {
        Settlement {
            id: self.id,
            partner_id: self.partner_id,
            partner_enterprise_id: self.enterprise_id.clone(),
            external_id: self.external_id.clone(),
            form: self.form,
            content_digest: self.content_digest,
            notes: self.notes.clone(),
            initiated_by: self.initiated_by,
            signed_request: self.signed.request.id,
            transfer_count: i64::try_from(self.lines.len()).unwrap_or(i64::MAX),
            state: SettlementState::Pending,
            created_at: now,
            updated_at: now,
        }
    }

    /// Books everything or nothing, and writes settlement and transfers as they then stand.
    fn book(
        &self,
        draft: &mut Draft<'_>,
        mut settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settlement, Refusal> {
        let entry = Entry {
            id: self.entry_id,
            cause: "settlement_completed".into(),
            subject: settlement.id.0,
            signed_request: Some(self.signed.request.id),
            postings: self.lines.iter().map(SettlementLine::posting).collect(),
        };
        let (status, entry) = match draft.post(entry) {
            Ok(()) => {
                settlement.state = SettlementState::Completed {
                    finalized_at: now,
                    entry: self.entry_id,
                };
                (TransferStatus::Completed, Some(self.entry_id))
            }
            Err(BookError::Short(short)) => {
                if is_planted(Fault::GainsWithoutLosses) {
                    self.book_gains(draft);
                }
                settlement.state = SettlementState::Failed {
                    reason: self.shortage(&short),
                };
                (TransferStatus::Failed, None)
            }
            Err(BookError::OutOfBounds(_) | BookError::MixedCurrencies(_)) => {
                return Err(out_of_bounds());
            }
        };
        settlement.updated_at = now;
        for (position, line) in (0_u32..).zip(&self.lines) {
            draft.put(Transfer {
                id: TransferId::of(settlement.id, position),
                settlement_id: settlement.id,
                position: i64::from(position),
                currency: line.currency.clone(),
                partner_currency: line.partner_currency.clone(),
                amount: line.amount,
                source: line.source.clone(),
                destination: line.destination.clone(),
                status,
                entry,
                created_at: settlement.created_at,
                updated_at: now,
            });
        }
        for participation in self.participations(settlement.id) {
            draft.put(participation);
        }
        draft.put(settlement.clone());
        Ok(settlement)
    }

    /// What [`Fault::GainsWithoutLosses`] does.
    fn book_gains(&self, draft: &mut Draft<'_>) {
        let gains = self.lines.iter().filter(|line| line.amount.is_gain());
        let entry = Entry {
            id: self.entry_id,
            cause: "settlement_completed".into(),
            subject: self.id.0,
            signed_request: Some(self.signed.request.id),
            postings: gains.take(1).map(SettlementLine::posting).collect(),
        };
        let _ = draft.post(entry);
    }

    fn participations(&self, settlement_id: SettlementId) -> Vec<Participation> {
        let mut parts: BTreeMap<ConnectionId, Participation> = BTreeMap::new();
        for line in &self.lines {
            let gain = line.amount.is_gain();
            for (side, is_destination) in [(&line.source, false), (&line.destination, true)] {
                let Some((connection_id, _)) = side.connection else {
                    continue;
                };
                let part = parts.entry(connection_id).or_insert(Participation {
                    settlement_id,
                    connection_id,
                    client_id: side.client_id,
                    party: false,
                    counterparty: false,
                    sends: false,
                    receives: false,
                });
                part.party |= is_destination;
                part.counterparty |= !is_destination;
                part.receives |= gain == is_destination;
                part.sends |= gain != is_destination;
            }
        }
        parts.into_values().collect()
    }

    /// Why the books are short, told to the partner: who lacks what.
    fn shortage(&self, short: &[Shortage]) -> Reason {
        const TOLD_AT_MOST: usize = 20;
        let connection_of = |account: &Account| {
            self.lines
                .iter()
                .flat_map(|line| [&line.source, &line.destination])
                .find(|party| party.account(&account.currency) == *account)
                .and_then(|party| party.connection)
        };
        let mut told: Vec<String> = short
            .iter()
            .take(TOLD_AT_MOST)
            .map(|shortage| {
                let account = &shortage.holding.account;
                let whose = match connection_of(account) {
                    Some((connection, _)) => format!("connection {connection}"),
                    None => "the partner's Go Account".to_owned(),
                };
                format!(
                    "{whose} needs {} {} and has {}",
                    shortage.required(),
                    account.currency,
                    shortage.present
                )
            })
            .collect();
        if short.len() > TOLD_AT_MOST {
            told.push(format!("and {} more", short.len() - TOLD_AT_MOST));
        }
        Reason::new(
            "insufficient_balance",
            format!(
                "nothing was booked: {}. Fund what is short and send the same request again",
                told.join("; ")
            ),
        )
    }
}

fn out_of_bounds() -> Refusal {
    Refusal::new(
        Class::Invalid,
        "amounts_out_of_bounds",
        "the amounts add up to more than the books can hold",
    )
}

impl Command for Settle {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.partners.insert(self.partner_id);
        keys.claims.insert(self.claim());
        // A failed settlement is booked anew by the very same command: its evidence may be there.
        keys.signed_requests.insert(self.signed.request.id);
        for line in &self.lines {
            keys.balances.insert(line.source.account(&line.currency));
            keys.balances
                .insert(line.destination.account(&line.currency));
        }
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Some(claim) = view.claims.get(&self.claim()) {
            keys.settlements.insert(SettlementId(claim.subject));
        }
        keys
    }

    fn weight(&self) -> usize {
        self.lines.len().max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let partner = draft
            .find::<Partner>(&self.partner_id)
            .filter(|partner| partner.enterprise_id == self.enterprise_id)
            .cloned()
            .ok_or_else(|| Refusal::not_found("partner"))?;
        let known = match draft.find::<Claim>(&self.claim()) {
            None => None,
            Some(claim) => draft
                .find::<Settlement>(&SettlementId(claim.subject))
                .cloned(),
        };
        if let Some(known) = &known {
            self.check_content(known)?;
            self.signed.take_nonce(draft, known.id.0)?;
            let is_final = !matches!(known.state, SettlementState::Failed { .. });
            if is_final && !is_planted(Fault::SettlesAgain) {
                return Ok(known.clone());
            }
        }
        self.check_rules(&partner)?;
        let settlement = match known {
            Some(known) => known,
            None => {
                let settlement = self.settlement(now);
                self.signed.take_nonce(draft, settlement.id.0)?;
                draft.claim(self.claim(), settlement.id.0);
                settlement
            }
        };
        self.signed.keep(draft, now);
        self.book(draft, settlement, now)
    }
}
