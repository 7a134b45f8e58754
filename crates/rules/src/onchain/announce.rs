//! A partner names the deposits that bring what clients gain (P18), before or after it posts the
//! settlement.

use ledger::{Currency, GoAccountId, Timestamp};

use super::{
    conflict,
    start::{announced_claim, check_enabled, empty_leg, settlement_claim},
};
use crate::{
    Class, Command, Draft, EnterpriseId, Keys, OnChainDepositId, PartnerId, Refusal, SettlementId,
    Signed, View,
    planted::{Fault, is_planted},
    record::{
        Claim, ClaimKey, ClaimKind, Direction, LegKey, LegState, OnChain, OnChainDeposit,
        OnChainLeg, Partner, PartnerConfiguration, TimerKind,
    },
};

/// The most deposits that one leg may have.
const DEPOSITS_MAX: i64 = 1_000;

/// One deposit as it is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedDeposit {
    /// The identifier that it gets.
    pub id: OnChainDepositId,
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency.
    pub partner_currency: String,
    /// The transaction on its chain.
    pub on_chain_tx_id: String,
}

/// A partner announces deposits for a settlement (P18). Announcing one again changes nothing.
#[derive(Clone, Debug)]
pub struct AnnounceDeposits {
    /// Who announces them.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The institution identifier of the partner, which finds its configuration.
    pub institution_identifier: String,
    /// The partner's Go Account.
    pub go_account_id: GoAccountId,
    /// The partner's own name for the settlement.
    pub external_settlement_id: String,
    /// The settlement, if the partner names it.
    pub settlement_id: Option<SettlementId>,
    /// The identifier that the settlement will get if nothing is known of it.
    pub new_settlement_id: SettlementId,
    /// The deposits.
    pub deposits: Vec<AnnouncedDeposit>,
    /// The signed request; it has no nonce.
    pub signed: Signed,
}

impl AnnounceDeposits {
    /// A transaction is one deposit of an enterprise in one currency.
    fn claim(&self, deposit: &AnnouncedDeposit) -> ClaimKey {
        let name = format!("{}/{}", deposit.currency, deposit.on_chain_tx_id);
        ClaimKey::new(
            self.enterprise_id.as_str(),
            ClaimKind::OnChainDeposit,
            &name,
        )
    }

    fn settlement_id(&self, claim: impl Fn(&ClaimKey) -> Option<SettlementId>) -> SettlementId {
        let (enterprise, external_id) = (&self.enterprise_id, &self.external_settlement_id);
        claim(&settlement_claim(enterprise, external_id))
            .or_else(|| claim(&announced_claim(enterprise, external_id)))
            .unwrap_or(self.new_settlement_id)
    }

    fn leg_key(&self, settlement_id: SettlementId, deposit: &AnnouncedDeposit) -> LegKey {
        LegKey {
            settlement_id,
            direction: Direction::Gains,
            currency: deposit.currency.clone(),
        }
    }

    fn check_partner(&self, draft: &Draft<'_>) -> Result<(), Refusal> {
        let partner = draft.find::<Partner>(&self.partner_id);
        let own = partner.filter(|p| p.enterprise_id == self.enterprise_id);
        if !own.is_some_and(|p| p.active || is_planted(Fault::InactiveAnnounces)) {
            return Err(Refusal::new(
                Class::NotFound,
                "partner_not_found",
                "there is no active partner for these deposits; ask the operator of the network",
            ));
        }
        let configuration = (
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        );
        check_enabled(draft.find::<PartnerConfiguration>(&configuration)).map(|_| ())
    }

    /// The settlement that the deposits are for, or will be for: its identifier is taken now.
    fn settlement(&self, draft: &mut Draft<'_>) -> Result<SettlementId, Refusal> {
        let (enterprise, external_id) = (&self.enterprise_id, &self.external_settlement_id);
        let posted = settlement_claim(enterprise, external_id);
        let announced = announced_claim(enterprise, external_id);
        let subject = |key: &ClaimKey| draft.find::<Claim>(key).map(|c| SettlementId(c.subject));
        let is_posted = subject(&posted).is_some();
        let is_known = is_posted || subject(&announced).is_some();
        let id = self.settlement_id(subject);
        let is_meant = self
            .settlement_id
            .is_none_or(|named| is_known && named == id);
        // What was taken in this very batch was not there to be declared, and nothing else of it is
        // stored: unknown is absent.
        let is_on_chain = !is_posted || draft.find_if_known::<OnChain>(&id).is_some();
        if !is_meant || !is_on_chain {
            return Err(Refusal::not_found("on-chain settlement"));
        }
        if !is_known {
            draft.claim(announced, id.0);
        }
        Ok(id)
    }

    fn announce(
        &self,
        draft: &mut Draft<'_>,
        settlement_id: SettlementId,
        wanted: &AnnouncedDeposit,
        now: Timestamp,
    ) -> Result<OnChainDeposit, Refusal> {
        let claim = self.claim(wanted);
        if let Some(known) = draft.find::<Claim>(&claim) {
            let known = OnChainDepositId(known.subject);
            let known = draft.find::<OnChainDeposit>(&known).cloned();
            let known = known.ok_or_else(|| Refusal::not_found("deposit"))?;
            if known.settlement_id != settlement_id {
                return Err(conflict(
                    "deposit_of_another_settlement",
                    format!(
                        "the transaction {:?} was announced in {} for another settlement, {:?}",
                        wanted.on_chain_tx_id,
                        wanted.partner_currency,
                        known.external_settlement_id
                    ),
                ));
            }
            return Ok(known);
        }
        let key = self.leg_key(settlement_id, wanted);
        let mut leg = draft
            .find_if_known::<OnChainLeg>(&key)
            .cloned()
            .unwrap_or_else(|| empty_leg(key, now));
        if leg.announced >= DEPOSITS_MAX {
            return Err(Refusal::new(
                Class::Invalid,
                "too_many_deposits",
                format!("a settlement has at most {DEPOSITS_MAX} deposits in one currency"),
            ));
        }
        leg.announced += 1;
        leg.updated_at = now;
        if leg.state == LegState::Waiting {
            draft.set_timer(TimerKind::OnChainGains, settlement_id.0, now);
        }
        draft.put(leg);
        let deposit = OnChainDeposit {
            id: wanted.id,
            settlement_id,
            partner_id: self.partner_id,
            partner_enterprise_id: self.enterprise_id.clone(),
            go_account_id: self.go_account_id,
            external_settlement_id: self.external_settlement_id.clone(),
            currency: wanted.currency.clone(),
            partner_currency: wanted.partner_currency.clone(),
            on_chain_tx_id: wanted.on_chain_tx_id.clone(),
            seen: None,
            signed_request: self.signed.request.id,
            created_at: now,
            updated_at: now,
        };
        draft.claim(claim, deposit.id.0);
        draft.put(deposit.clone());
        Ok(deposit)
    }
}

impl Command for AnnounceDeposits {
    /// The deposits as they are now, in the order in which they were given.
    type Outcome = Vec<OnChainDeposit>;

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.partners.insert(self.partner_id);
        keys.configurations.insert((
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        ));
        let (enterprise, external_id) = (&self.enterprise_id, &self.external_settlement_id);
        keys.claims
            .insert(settlement_claim(enterprise, external_id));
        keys.claims.insert(announced_claim(enterprise, external_id));
        keys.claims
            .extend(self.deposits.iter().map(|deposit| self.claim(deposit)));
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let subject = |key: &ClaimKey| view.claims.get(key).map(|claim| claim.subject);
        let id = self.settlement_id(|key| subject(key).map(SettlementId));
        let mut keys = Keys::default();
        keys.on_chain.insert(id);
        for deposit in &self.deposits {
            keys.on_chain_legs.insert(self.leg_key(id, deposit));
            let known = subject(&self.claim(deposit)).map(OnChainDepositId);
            keys.on_chain_deposits.extend(known);
        }
        keys
    }

    fn decide(
        &self,
        draft: &mut Draft<'_>,
        now: Timestamp,
    ) -> Result<Vec<OnChainDeposit>, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        self.check_partner(draft)?;
        let settlement_id = self.settlement(draft)?;
        let mut announced = Vec::with_capacity(self.deposits.len());
        for deposit in &self.deposits {
            announced.push(self.announce(draft, settlement_id, deposit, now)?);
        }
        let id = self.signed.request.id;
        if announced.iter().any(|deposit| deposit.signed_request == id) {
            self.signed.keep(draft, now);
        }
        Ok(announced)
    }
}
