//! Settlements that are booked at once or fail (v1; OES wire §3.5).

use ledger::{BookError, Currency, Entry, EntryId, GoAccountId, Timestamp};

use super::{SettlementLine, check_active, out_of_bounds, participations, shortage};
use crate::{
    Class, Command, Draft, EnterpriseId, Keys, PartnerId, Refusal, SettlementId, Signed, UserId,
    View,
    planted::{Fault, is_planted},
    record::{
        Claim, Partner, Settlement, SettlementForm, SettlementState, Transfer, TransferParty,
        TransferStatus,
    },
};

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

impl Settle {
    fn check_rules(&self, partner: &Partner) -> Result<(), Refusal> {
        check_active(partner)?;
        if partner.has_disputes() {
            return Err(Refusal::new(
                Class::NotPermitted,
                "disputes_need_v2",
                "the partner's clients may dispute settlements: post it to version 2 of this endpoint",
            ));
        }
        self.check_form(partner)
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
                    reason: shortage(&short, self.parties()),
                };
                (TransferStatus::Failed, None)
            }
            Err(BookError::OutOfBounds(_) | BookError::MixedCurrencies(_)) => {
                return Err(out_of_bounds());
            }
        };
        settlement.updated_at = now;
        let is_new = draft.find_if_known::<Settlement>(&settlement.id).is_none();
        let transfers = (0_u32..).zip(&self.lines);
        let transfers: Vec<Transfer> = transfers
            .map(|(position, line)| Transfer {
                status,
                entry,
                ..line.transfer(&settlement, position)
            })
            .collect();
        for participation in participations(&settlement, &transfers) {
            match is_new {
                true => draft.add(participation),
                false => draft.put(participation),
            }
        }
        for transfer in transfers {
            match is_new {
                true => draft.add(transfer),
                false => draft.put(transfer),
            }
        }
        draft.put(settlement.clone());
        Ok(settlement)
    }

    fn parties(&self) -> impl Iterator<Item = (&TransferParty, &Currency)> + Clone {
        self.lines
            .iter()
            .flat_map(|line| [&line.source, &line.destination].map(|party| (party, &line.currency)))
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
            self.check_content(known, None)?;
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
