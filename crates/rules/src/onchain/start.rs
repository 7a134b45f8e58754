//! A partner settles over the chain (P16): what its clients lose is held until it has left.

use std::collections::BTreeMap;

use ledger::{
    BookError, Currency, Entry, EntryId, GoAccountId, Hold, HoldPurpose, Posting, Timestamp,
};

use crate::{
    Class, Command, Draft, EnterpriseId, Keys, PartnerId, Refusal, SettlementId, Signed, UserId,
    View,
    planted::{Fault, is_planted},
    record::{
        Claim, ClaimKey, ClaimKind, Direction, LegKey, LegState, OnChain, OnChainLeg, OnChainPart,
        Partner, PartnerConfiguration, Settlement, SettlementForm, SettlementState, TimerKind,
        Transfer, TransferParty,
    },
    settle::{SettlementLine, check_active, out_of_bounds, participations, shortage},
};

/// A partner posts a settlement over the chain (P16).
#[derive(Clone, Debug)]
pub struct StartOnChain {
    /// The identifier that the settlement gets, unless its deposits were announced under another.
    pub id: SettlementId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Who posts it.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The institution identifier of the partner, which finds its configuration.
    pub institution_identifier: String,
    /// The partner's Go Account.
    pub go_account_id: GoAccountId,
    /// The partner's own name for it.
    pub external_id: String,
    /// Its amounts in party form, in an order that follows from their content alone.
    pub lines: Vec<SettlementLine>,
    /// Digest of the amounts, unlike that of the same amounts settled in the books.
    pub content_digest: [u8; 32],
    /// What the partner writes beside it.
    pub notes: Option<String>,
    /// Who asks.
    pub initiated_by: UserId,
    /// The signed request.
    pub signed: Signed,
}

/// The name under which a settlement's identifier waits for it while only its deposits are known.
pub(super) fn announced_claim(enterprise: &EnterpriseId, external_id: &str) -> ClaimKey {
    ClaimKey::new(
        enterprise.as_str(),
        ClaimKind::AnnouncedSettlement,
        external_id,
    )
}

/// The name of a settlement.
pub(super) fn settlement_claim(enterprise: &EnterpriseId, external_id: &str) -> ClaimKey {
    ClaimKey::new(enterprise.as_str(), ClaimKind::Settlement, external_id)
}

/// What was agreed with a partner that may settle over the chain.
pub(super) fn check_enabled(
    configuration: Option<&PartnerConfiguration>,
) -> Result<&PartnerConfiguration, Refusal> {
    configuration.filter(|agreed| agreed.on_chain).ok_or_else(|| {
        Refusal::new(
            Class::NotPermitted,
            "on_chain_not_enabled",
            "settlement over the chain is not enabled for this partner; ask the operator of the network",
        )
    })
}

impl StartOnChain {
    /// The identifier that the settlement has or gets.
    fn settlement_id(&self, claim: impl Fn(&ClaimKey) -> Option<SettlementId>) -> SettlementId {
        claim(&settlement_claim(&self.enterprise_id, &self.external_id))
            .or_else(|| claim(&announced_claim(&self.enterprise_id, &self.external_id)))
            .unwrap_or(self.id)
    }

    fn direction(line: &SettlementLine) -> Direction {
        match line.amount.is_gain() {
            true => Direction::Gains,
            false => Direction::Losses,
        }
    }

    /// The legs: how much and how many transfers.
    fn legs(&self, id: SettlementId) -> Result<BTreeMap<LegKey, (i128, i64)>, Refusal> {
        let mut legs: BTreeMap<LegKey, (i128, i64)> = BTreeMap::new();
        for line in &self.lines {
            let (total, count) = legs.entry(self.leg_key(id, line)).or_default();
            *total = total
                .checked_add(line.amount.magnitude().units())
                .filter(|total| *total <= ledger::Amount::MAX.units())
                .ok_or_else(out_of_bounds)?;
            *count += 1;
        }
        Ok(legs)
    }

    fn leg_key(&self, settlement_id: SettlementId, line: &SettlementLine) -> LegKey {
        LegKey {
            settlement_id,
            direction: StartOnChain::direction(line),
            currency: line.currency.clone(),
        }
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

    /// How long each direction may take, in seconds, if the partner may settle like this.
    fn check_rules(&self, draft: &Draft<'_>, partner: &Partner) -> Result<i64, Refusal> {
        check_active(partner)?;
        let configuration = (
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        );
        let agreed = check_enabled(draft.find::<PartnerConfiguration>(&configuration))?;
        let late_after_s = agreed.on_chain_late_after_s;
        if partner.broker {
            return Err(Refusal::new(
                Class::Invalid,
                "on_chain_is_for_exchanges",
                "a broker has no position of its own that could be settled over the chain",
            ));
        }
        Ok(late_after_s)
    }

    fn settlement(&self, id: SettlementId, now: Timestamp) -> Settlement {
        Settlement {
            id,
            partner_id: self.partner_id,
            partner_enterprise_id: self.enterprise_id.clone(),
            external_id: self.external_id.clone(),
            form: SettlementForm::Party,
            content_digest: self.content_digest,
            notes: self.notes.clone(),
            initiated_by: self.initiated_by,
            signed_request: self.signed.request.id,
            transfer_count: i64::try_from(self.lines.len()).unwrap_or(i64::MAX),
            state: SettlementState::Pending,
            staging: None,
            created_at: now,
            updated_at: now,
        }
    }

    fn losses(&self) -> impl Iterator<Item = (u32, &SettlementLine)> + Clone {
        let lines = (0_u32..).zip(&self.lines);
        lines.filter(|(_, line)| !line.amount.is_gain())
    }

    /// Holds what connections are to lose: all of it, or the reason why not.
    fn hold(&self, draft: &mut Draft<'_>, settlement: &mut Settlement) -> Result<bool, Refusal> {
        let hold = |(_, line): (u32, &SettlementLine)| {
            let account = line.destination.account(&line.currency);
            Posting {
                from: account.available(),
                to: account.held(),
                amount: line.amount.magnitude(),
            }
        };
        let postings: Vec<Posting> = self.losses().map(hold).collect();
        if postings.is_empty() {
            return Ok(true);
        }
        let entry = Entry {
            id: self.entry_id,
            cause: "on_chain_started".into(),
            subject: settlement.id.0,
            signed_request: Some(self.signed.request.id),
            postings,
        };
        match draft.post(entry) {
            Ok(()) => Ok(true),
            Err(BookError::Short(short)) => {
                let reason = shortage(&short, self.parties());
                settlement.state = SettlementState::Failed { reason };
                Ok(false)
            }
            Err(BookError::OutOfBounds(_) | BookError::MixedCurrencies(_)) => Err(out_of_bounds()),
        }
    }

    fn parties(&self) -> impl Iterator<Item = (&TransferParty, &Currency)> + Clone {
        self.lines
            .iter()
            .flat_map(|line| [&line.source, &line.destination].map(|party| (party, &line.currency)))
    }

    /// Begins the settlement or says why it cannot be begun, and writes everything as it then
    /// stands. Each direction is late after so many seconds.
    fn begin(
        &self,
        draft: &mut Draft<'_>,
        mut settlement: Settlement,
        late_after_s: i64,
        now: Timestamp,
    ) -> Result<(Settlement, OnChain), Refusal> {
        let legs = self.legs(settlement.id)?;
        let started = self.hold(draft, &mut settlement)?;
        settlement.updated_at = now;
        let mut on_chain = OnChain {
            settlement_id: settlement.id,
            started,
            gains: OnChainPart::default(),
            losses: OnChainPart::default(),
            completed: 0,
            failed: 0,
        };
        if started {
            settlement.state = SettlementState::Pending;
        }
        let mut transfers = Vec::with_capacity(self.lines.len());
        for (position, line) in (0_u32..).zip(&self.lines) {
            transfers.push(Transfer {
                status: match started {
                    true => LegState::Waiting.transfer_status(),
                    false => LegState::NotStarted.transfer_status(),
                },
                ..line.transfer(&settlement, position)
            });
        }
        let mut expected = false;
        for (key, (total_units, transfer_count)) in legs {
            on_chain.part_mut(key.direction).unfinished += 1;
            // Of an identifier that was drawn in this very batch nothing else is stored.
            let announced = draft.find_if_known::<OnChainLeg>(&key).cloned();
            let leg = OnChainLeg {
                state: match started {
                    true => LegState::Waiting,
                    false => LegState::NotStarted,
                },
                total_units,
                transfer_count,
                updated_at: now,
                ..announced.unwrap_or_else(|| empty_leg(key, now))
            };
            expected |= leg.announced > 0;
            draft.put(leg);
        }
        if started {
            for (position, line) in self.losses() {
                draft.put(Hold {
                    id: ledger::HoldId(crate::TransferId::of(settlement.id, position).0),
                    account: line.destination.account(&line.currency),
                    amount: line.amount.magnitude(),
                    purpose: HoldPurpose::SettlementTransfer,
                    open: true,
                });
            }
            for direction in [Direction::Gains, Direction::Losses] {
                if on_chain.part(direction).unfinished > 0 {
                    let late_at = now.plus_seconds(late_after_s);
                    draft.set_timer(direction.timer(), settlement.id.0, late_at);
                }
            }
            if expected {
                draft.set_timer(TimerKind::OnChainGains, settlement.id.0, now);
            }
        }
        for participation in participations(&settlement, &transfers) {
            draft.put(participation);
        }
        for transfer in transfers {
            draft.put(transfer);
        }
        draft.put(on_chain.clone());
        draft.put(settlement.clone());
        Ok((settlement, on_chain))
    }
}

/// A leg of which nothing is known but that there is something to be said of it.
pub(super) fn empty_leg(key: LegKey, now: Timestamp) -> OnChainLeg {
    OnChainLeg {
        key,
        state: LegState::Announced,
        total_units: 0,
        transfer_count: 0,
        announced: 0,
        received_units: 0,
        tx_ids: Vec::new(),
        updated_at: now,
    }
}

impl Command for StartOnChain {
    type Outcome = (Settlement, OnChain);

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.partners.insert(self.partner_id);
        keys.configurations.insert((
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        ));
        let (enterprise, external_id) = (&self.enterprise_id, &self.external_id);
        keys.claims
            .insert(settlement_claim(enterprise, external_id));
        keys.claims.insert(announced_claim(enterprise, external_id));
        keys.signed_requests.insert(self.signed.request.id);
        for (_, line) in self.losses() {
            let account = line.destination.account(&line.currency);
            keys.balances.insert(account);
        }
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let subject = |key: &ClaimKey| view.claims.get(key).map(|c| SettlementId(c.subject));
        let id = self.settlement_id(subject);
        let mut keys = Keys::default();
        keys.settlements.insert(id);
        keys.on_chain.insert(id);
        let legs = self.lines.iter().map(|line| self.leg_key(id, line));
        keys.on_chain_legs.extend(legs);
        keys
    }

    fn weight(&self) -> usize {
        self.lines.len().max(1)
    }

    fn decide(
        &self,
        draft: &mut Draft<'_>,
        now: Timestamp,
    ) -> Result<(Settlement, OnChain), Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let partner = draft
            .find::<Partner>(&self.partner_id)
            .filter(|partner| partner.enterprise_id == self.enterprise_id)
            .cloned()
            .ok_or_else(|| Refusal::not_found("partner"))?;
        let subject = |key: &ClaimKey| draft.find::<Claim>(key).map(|c| SettlementId(c.subject));
        let claim = settlement_claim(&self.enterprise_id, &self.external_id);
        let is_known = subject(&claim).is_some();
        let id = self.settlement_id(subject);
        let known = match is_known {
            true => draft.find::<Settlement>(&id).cloned(),
            false => None,
        };
        if let Some(known) = &known {
            self.check_content(known)?;
            self.signed.take_nonce(draft, known.id.0)?;
            if let Some(on_chain) = draft.find::<OnChain>(&id).cloned()
                && (on_chain.started || !known.is_open())
                && (on_chain.started || !is_planted(Fault::RejectedBegins))
            {
                return Ok((known.clone(), on_chain));
            }
        }
        let late_after_s = self.check_rules(draft, &partner)?;
        let settlement = match known {
            Some(known) => known,
            None => {
                self.signed.take_nonce(draft, id.0)?;
                draft.claim(claim, id.0);
                self.settlement(id, now)
            }
        };
        self.signed.keep(draft, now);
        self.begin(draft, settlement, late_after_s, now)
    }
}
