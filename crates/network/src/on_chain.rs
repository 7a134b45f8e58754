//! Settling over the chain (OES wire §3.8; P16, P18): what partners post and announce, and what is
//! seen on chains.
//!
//! What is seen comes from whoever watches a chain, and that is a [`ChainObserver`]: operators are
//! one, by hand; a program that watches chains is another.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Amount, Currency, EntryId, GoAccountId};
use rules::{
    Class, OnChainDepositId, Refusal, SettlementId,
    approve::Undertaken,
    onchain::{
        AnnounceDeposits, AnnouncedDeposit, BookGains, FailGains, MoveLosses, RejectOnChain,
        ReturnReceived, SeeDeposit, StartOnChain, Withdrawn,
    },
    operate::Act,
    record::{
        Direction, LegKey, OnChain, OnChainDeposit, OnChainLeg, Partner, Settlement, Transfer,
    },
    settle::KnownTransfers,
};
use sha2::{Digest, Sha256};
use store::Page;
use uuid::Uuid;
use wire::body::{Fault, Faults};

use crate::{
    Caller, Failure, Network, Operator, PartnerTerms, SettlementRequest, SignedText,
    signing::Keeping,
};

/// What a partner says to announce deposits (P18).
#[derive(Clone)]
pub struct DepositsRequest {
    /// The partner's own name for the settlement.
    pub external_settlement_id: String,
    /// The settlement, if the partner names it.
    pub settlement_id: Option<Uuid>,
    /// The deposits: the partner's name for the currency, and the transaction.
    pub deposits: Vec<(String, String)>,
    /// The payload and its signature; the nonce is empty, for there is none.
    pub text: SignedText,
}

/// What settlements have beyond others because they are made over the chain.
#[derive(Clone, Debug, Default)]
pub struct OnChainFacts {
    settlements: BTreeMap<SettlementId, OnChain>,
    legs: BTreeMap<LegKey, OnChainLeg>,
}

impl OnChainFacts {
    /// What this settlement has, if it is made over the chain.
    pub fn of(&self, settlement: SettlementId) -> Option<&OnChain> {
        self.settlements.get(&settlement)
    }

    /// The transactions that moved a transfer; none for one that is made in the books.
    pub fn tx_ids(&self, transfer: &Transfer) -> Option<&[String]> {
        let settlement_id = transfer.settlement_id?;
        let direction = match transfer.amount.is_gain() {
            true => Direction::Gains,
            false => Direction::Losses,
        };
        let leg = self.legs.get(&LegKey {
            settlement_id,
            direction,
            currency: transfer.currency.clone(),
        })?;
        Some(&leg.tx_ids)
    }
}

/// A settlement over the chain with all its legs, as operators see it.
#[derive(Clone, Debug)]
pub struct OnChainView {
    /// The settlement.
    pub settlement: Settlement,
    /// What it has beyond others.
    pub on_chain: OnChain,
    /// Its legs, those of which only deposits are known included.
    pub legs: Vec<OnChainLeg>,
}

/// Of a settlement over the chain the digest is unlike that of one in the books, so that a name that
/// was used for one is not taken for the other.
fn over_the_chain(digest: [u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"onchain")
        .chain_update(digest)
        .finalize()
        .into()
}

impl Network {
    /// What these settlements have beyond others, as far as they are made over the chain.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn on_chain_facts(
        &self,
        ids: impl IntoIterator<Item = SettlementId>,
    ) -> Result<OnChainFacts, Failure> {
        let ids: BTreeSet<SettlementId> = ids.into_iter().collect();
        let found = self.store().on_chain(ids.into_iter().collect()).await?;
        if found.is_empty() {
            return Ok(OnChainFacts::default());
        }
        let ids = found.iter().map(|known| known.settlement_id).collect();
        let legs = self.store().on_chain_legs(ids).await?;
        Ok(OnChainFacts {
            settlements: found.into_iter().map(|o| (o.settlement_id, o)).collect(),
            legs: legs.into_iter().map(|l| (l.key.clone(), l)).collect(),
        })
    }

    /// Begins a settlement over the chain, or answers the one that was posted under that name. One
    /// that could not be begun, because a client lacks what it loses, is tried again.
    ///
    /// # Errors
    ///
    /// See [`Failure`]. A settlement that cannot be begun is no failure but an answer.
    pub async fn settle_on_chain(
        &self,
        caller: &Caller,
        request: SettlementRequest,
    ) -> Result<(Settlement, OnChainFacts), Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move {
            let settlement = network.start_on_chain(&caller, request).await?;
            let facts = network.on_chain_facts([settlement.id]).await;
            Ok((settlement, facts.map_err(Failure::after_commit)?))
        })
        .await
    }

    async fn start_on_chain(
        &self,
        caller: &Caller,
        request: SettlementRequest,
    ) -> Result<Settlement, Failure> {
        let signed = self.verify_settlement(caller, &request).await?;
        let connections = self.settled_connections(caller, &request.amounts).await?;
        let partner = self.settling_partner(&connections).await?;
        let posted = self
            .posted(caller, request, signed, &connections, &partner)
            .await?;
        let (settlement, on_chain) = self
            .submit(StartOnChain {
                id: posted.id,
                entry_id: posted.entry_id,
                partner_id: posted.partner_id,
                enterprise_id: posted.enterprise_id,
                institution_identifier: partner.institution_identifier,
                go_account_id: posted.go_account_id,
                external_id: posted.external_id,
                lines: posted.lines,
                content_digest: over_the_chain(posted.content_digest),
                notes: posted.notes,
                initiated_by: posted.initiated_by,
                signed: posted.signed,
            })
            .await?;
        if !on_chain.started || on_chain.gains.unfinished == 0 {
            return Ok(settlement);
        }
        // Deposits may have been announced, and seen, before.
        let booked = self.book_gains(settlement.id).await;
        Ok(booked.map_err(Failure::after_commit)?.unwrap_or(settlement))
    }

    /// Announces deposits for a settlement, which may be posted later.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn announce_deposits(
        &self,
        caller: &Caller,
        request: DepositsRequest,
    ) -> Result<(Vec<OnChainDeposit>, PartnerTerms), Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.announce_to_end(&caller, request).await })
            .await
    }

    async fn announce_to_end(
        &self,
        caller: &Caller,
        request: DepositsRequest,
    ) -> Result<(Vec<OnChainDeposit>, PartnerTerms), Failure> {
        let enterprise = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let text = request.text.clone();
        let signed = self
            .verify(enterprise, account, text, Keeping::Clear)
            .await?;
        let partner = self.depositing_partner(caller, &request).await?;
        let terms = self.terms_of(&partner).await?;
        let deposits = self.announced(&request.deposits, &terms)?;
        let announced = self
            .submit(AnnounceDeposits {
                partner_id: partner.id,
                enterprise_id: enterprise.clone(),
                institution_identifier: partner.institution_identifier,
                go_account_id: partner.go_account_id,
                external_settlement_id: request.external_settlement_id,
                settlement_id: request.settlement_id.map(SettlementId),
                new_settlement_id: SettlementId(self.draw_id()),
                deposits,
                signed,
            })
            .await?;
        if let Some(first) = announced.first() {
            let booked = self.book_gains(first.settlement_id).await;
            booked.map_err(Failure::after_commit)?;
        }
        Ok((announced, terms))
    }

    fn announced(
        &self,
        deposits: &[(String, String)],
        terms: &PartnerTerms,
    ) -> Result<Vec<AnnouncedDeposit>, Failure> {
        let mut faults = Faults::default();
        let mut announced: Vec<AnnouncedDeposit> = Vec::with_capacity(deposits.len());
        for (position, (name, tx_id)) in deposits.iter().enumerate() {
            let Some(currency) = terms.currency(name) else {
                faults.note(|| Fault {
                    field: format!("deposits[{position}].currency"),
                    message: "is no currency of this partner".to_owned(),
                });
                continue;
            };
            // Two names of one currency are the same deposit twice.
            let is_known = |known: &AnnouncedDeposit| {
                known.currency == *currency && known.on_chain_tx_id == *tx_id
            };
            if announced.iter().any(is_known) {
                faults.note(|| Fault {
                    field: format!("deposits[{position}].onChainTxId"),
                    message: "is there twice in this currency".to_owned(),
                });
                continue;
            }
            announced.push(AnnouncedDeposit {
                id: OnChainDepositId(self.draw_id()),
                currency: currency.clone(),
                partner_currency: name.clone(),
                on_chain_tx_id: tx_id.clone(),
            });
        }
        faults.none().map_err(Failure::Invalid)?;
        Ok(announced)
    }

    /// The partner that the deposits are of: that of the settlement, that of deposits which were
    /// announced for it before, or the only one of the enterprise that may settle over the chain.
    async fn depositing_partner(
        &self,
        caller: &Caller,
        request: &DepositsRequest,
    ) -> Result<Partner, Failure> {
        let store = self.store();
        let own = &caller.enterprise.id;
        let name = &request.external_settlement_id;
        let posted = self.posted_as(caller, name).await?;
        let known = match posted {
            Some(settlement) => Some(settlement.partner_id),
            None => {
                let earlier = store.on_chain_deposit_for(own, name).await?;
                earlier.map(|deposit| deposit.partner_id)
            }
        };
        if let Some(id) = known {
            let partner = store.partner(id).await?;
            return partner.ok_or_else(|| Failure::not_found("partner"));
        }
        let mut able = Vec::new();
        for partner in self.partners_of(caller).await? {
            let configuration = self.configuration_of(&partner).await?;
            if configuration.is_some_and(|c| c.on_chain) {
                able.push(partner);
            }
        }
        let mut able = able.into_iter();
        match (able.next(), able.next()) {
            (Some(partner), None) => Ok(partner),
            (None, _) => Err(Refusal::new(
                Class::NotPermitted,
                "on_chain_not_enabled",
                "settlement over the chain is not enabled for a partner of this enterprise; ask the operator of the network",
            )
            .into()),
            (Some(_), Some(_)) => Err(Failure::invalid(
                "externalSettlementId",
                "must name a settlement that was posted: several partners of the enterprise may settle over the chain",
            )),
        }
    }

    /// Brings the gains of a settlement as far as its deposits allow; nothing, if it is not posted
    /// or has no gains.
    pub(crate) async fn book_gains(
        &self,
        settlement_id: SettlementId,
    ) -> Result<Option<Settlement>, Failure> {
        if self.store().on_chain(vec![settlement_id]).await?.is_empty() {
            return Ok(None);
        }
        let _in_hand = self.take_in_hand(settlement_id).await?;
        let transfers = self.store().transfers_of(settlement_id).await?;
        let gains = || transfers.iter().filter(|t| t.amount.is_gain());
        let currencies: BTreeSet<Currency> = gains().map(|t| t.currency.clone()).collect();
        let entries = currencies.into_iter();
        let book = BookGains {
            settlement_id,
            transfers: KnownTransfers::of(gains()),
            entries: entries.map(|c| (c, EntryId(self.draw_id()))).collect(),
        };
        self.submit(book).await.map(Some)
    }

    async fn own_account_of(&self, settlement: &Settlement) -> Result<GoAccountId, Failure> {
        let partner = self.store().partner(settlement.partner_id).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        Ok(partner.go_account_id)
    }

    async fn settlement_on_chain(&self, id: SettlementId) -> Result<Settlement, Failure> {
        let settlement = self.store().settlement(id).await?;
        settlement.ok_or_else(|| Failure::not_found("on-chain settlement"))
    }

    /// The transfers of one leg.
    async fn leg_transfers(
        &self,
        id: SettlementId,
        direction: Direction,
        currency: &Currency,
    ) -> Result<KnownTransfers, Failure> {
        let transfers = self.store().transfers_of(id).await?;
        let gains = direction == Direction::Gains;
        let own = |t: &&Transfer| t.currency == *currency && t.amount.is_gain() == gains;
        Ok(KnownTransfers::of(transfers.iter().filter(own)))
    }

    pub(crate) async fn seeing(
        &self,
        id: OnChainDepositId,
        amount: Amount,
        transfer_id: String,
        operator: Act,
    ) -> Result<SeeDeposit, Failure> {
        let deposit = self.store().on_chain_deposit(id).await?;
        let deposit = deposit.ok_or_else(|| Failure::not_found("on-chain deposit"))?;
        let currency = self.store().currency(&deposit.currency).await?;
        let currency = currency.ok_or_else(|| Failure::not_found("currency"))?;
        Ok(SeeDeposit {
            deposit,
            amount,
            transfer_id,
            custody_source: currency.custody_source,
            entry_id: EntryId(self.draw_id()),
            operator,
        })
    }

    pub(crate) async fn moving_losses(
        &self,
        settlement_id: SettlementId,
        currency: Currency,
        withdrawn: Withdrawn,
        operator: Act,
    ) -> Result<MoveLosses, Failure> {
        let transfers = self
            .leg_transfers(settlement_id, Direction::Losses, &currency)
            .await?;
        Ok(MoveLosses {
            settlement_id,
            currency,
            withdrawn,
            transfers,
            entry_id: EntryId(self.draw_id()),
            operator,
        })
    }

    pub(crate) async fn failing_gains(
        &self,
        settlement_id: SettlementId,
        currency: Currency,
        reason: String,
        operator: Act,
    ) -> Result<FailGains, Failure> {
        let settlement = self.settlement_on_chain(settlement_id).await?;
        let go_account_id = self.own_account_of(&settlement).await?;
        let transfers = self
            .leg_transfers(settlement_id, Direction::Gains, &currency)
            .await?;
        Ok(FailGains {
            settlement_id,
            currency,
            reason,
            go_account_id,
            transfers,
            entry_id: EntryId(self.draw_id()),
            operator,
        })
    }

    pub(crate) async fn returning(
        &self,
        settlement_id: SettlementId,
        currency: Currency,
        operator: Act,
    ) -> Result<ReturnReceived, Failure> {
        let filter = store::OnChainDepositFilter {
            settlement_id: Some(settlement_id),
            seen: Some(true),
        };
        let one = Page { number: 0, size: 1 };
        let deposit = self.store().on_chain_deposits(filter, one).await?.pop();
        let deposit = deposit.ok_or_else(|| Failure::not_found("on-chain deposit"))?;
        Ok(ReturnReceived {
            settlement_id,
            currency,
            go_account_id: deposit.go_account_id,
            entry_id: EntryId(self.draw_id()),
            operator,
        })
    }

    pub(crate) async fn rejecting_on_chain(
        &self,
        settlement_id: SettlementId,
        reason: String,
        operator: Act,
    ) -> Result<RejectOnChain, Failure> {
        let settlement = self.settlement_on_chain(settlement_id).await?;
        let go_account_id = self.own_account_of(&settlement).await?;
        let transfers = self.store().transfers_of(settlement_id).await?;
        let leg = |transfer: &Transfer| {
            let direction = match transfer.amount.is_gain() {
                true => Direction::Gains,
                false => Direction::Losses,
            };
            (direction, transfer.currency.clone())
        };
        Ok(RejectOnChain {
            settlement_id,
            reason,
            go_account_id,
            legs: transfers.iter().map(leg).collect(),
            transfers: KnownTransfers::of(&transfers),
            entry_id: EntryId(self.draw_id()),
            operator,
        })
    }
}

/// Whoever watches a chain and says what was seen there. What it says is booked: it answers for it.
pub trait ChainObserver: Sync {
    /// The network that it tells.
    fn network(&self) -> &Network;

    /// Who answers for what is said, as it is recorded with it.
    fn vouch(&self) -> Act;

    /// Custody has received an announced deposit. Gains that it covers are booked.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    fn deposit_seen(
        &self,
        id: Uuid,
        amount: Amount,
        transfer_id: String,
    ) -> impl Future<Output = Result<Undertaken<OnChainDeposit>, Failure>> + Send {
        let (network, operator, proposer) = (self.network().clone(), self.vouch(), self.vouch());
        async move {
            let id = OnChainDepositId(id);
            let command = network.seeing(id, amount, transfer_id, operator).await?;
            let seeing = network.clone();
            let seen = async move {
                let undertaken = seeing.submit(seeing.undertaking(command, proposer)).await?;
                if let Undertaken::Done { outcome, .. } = &undertaken {
                    let booked = seeing.book_gains(outcome.settlement_id).await;
                    booked.map_err(Failure::after_commit)?;
                }
                Ok(undertaken)
            };
            network.carry_through(seen).await
        }
    }

    /// The withdrawal of what clients lose in one currency was sent, was seen, or will not be made.
    /// That it was sent moves no money yet, and needs no second operator.
    fn withdrawal(
        &self,
        settlement_id: Uuid,
        currency: Currency,
        withdrawn: Withdrawn,
    ) -> impl Future<Output = Result<Undertaken<Settlement>, Failure>> + Send {
        let (network, operator, proposer) = (self.network().clone(), self.vouch(), self.vouch());
        async move {
            let settlement_id = SettlementId(settlement_id);
            let is_on_money = !matches!(withdrawn, Withdrawn::Started { .. });
            let command = network
                .moving_losses(settlement_id, currency, withdrawn, operator)
                .await?;
            if is_on_money {
                return network.submit(network.undertaking(command, proposer)).await;
            }
            let second_operator_required =
                network.approval_policy().await?.second_operator_required;
            Ok(Undertaken::Done {
                outcome: network.submit(command).await?,
                second_operator_required,
            })
        }
    }
}

impl ChainObserver for Operator<'_> {
    fn network(&self) -> &Network {
        Operator::network(self)
    }

    fn vouch(&self) -> Act {
        self.act()
    }
}

impl Operator<'_> {
    /// Settlements over the chain that have begun and not ended, the newest first.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn open_on_chain(&self, page: Page) -> Result<Vec<OnChainView>, Failure> {
        let open = self.records().open_on_chain(page).await?;
        self.on_chain_views(open).await
    }

    /// One settlement over the chain.
    pub async fn on_chain_settlement(&self, id: Uuid) -> Result<OnChainView, Failure> {
        let found = self.records().on_chain(vec![SettlementId(id)]).await?;
        let view = self.on_chain_views(found).await?.pop();
        view.ok_or_else(|| Failure::not_found("on-chain settlement"))
    }

    async fn on_chain_views(&self, found: Vec<OnChain>) -> Result<Vec<OnChainView>, Failure> {
        let ids: Vec<SettlementId> = found.iter().map(|known| known.settlement_id).collect();
        let settlements = self.records().settlements_by_id(ids.clone()).await?;
        let legs = self.records().on_chain_legs(ids).await?;
        let view = |on_chain: OnChain| {
            let id = on_chain.settlement_id;
            let settlement = settlements.iter().find(|s| s.id == id)?.clone();
            let own = legs.iter().filter(|leg| leg.key.settlement_id == id);
            Some(OnChainView {
                settlement,
                legs: own.cloned().collect(),
                on_chain,
            })
        };
        Ok(found.into_iter().filter_map(view).collect())
    }

    /// Gives up the gains of a settlement in one currency.
    pub async fn fail_gains(
        &self,
        settlement_id: Uuid,
        currency: Currency,
        reason: String,
    ) -> Result<Undertaken<Settlement>, Failure> {
        let id = SettlementId(settlement_id);
        let network = Operator::network(self);
        let command = network.failing_gains(id, currency, reason, self.act());
        self.undertake(command.await?).await
    }

    /// Gives what was received in one currency for a settlement that does not wait for it to the
    /// partner's Go Account; how much that was, in base units.
    pub async fn return_received(
        &self,
        settlement_id: Uuid,
        currency: Currency,
    ) -> Result<Undertaken<i128>, Failure> {
        let id = SettlementId(settlement_id);
        let network = Operator::network(self);
        let command = network.returning(id, currency, self.act());
        self.undertake(command.await?).await
    }

    /// Rejects a settlement over the chain of which nothing is booked yet.
    pub async fn reject_on_chain(
        &self,
        settlement_id: Uuid,
        reason: String,
    ) -> Result<Undertaken<Settlement>, Failure> {
        let id = SettlementId(settlement_id);
        let network = Operator::network(self);
        let command = network.rejecting_on_chain(id, reason, self.act());
        self.undertake(command.await?).await
    }
}
