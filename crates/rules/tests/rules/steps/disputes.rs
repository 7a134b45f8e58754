//! Steps of staged settlements and of disputes. What the network looks up before it asks is worked
//! out here from the steps alone: which transfers there may be, and whose accounts they may move.

use std::collections::BTreeMap;

use ledger::{Account, Timestamp};
use rules::dispute::{AdjustedLine, Disputed};
use rules::record::{Adjustment, TransferParty};
use rules::settle::{Carried, KnownTransfers, SettlementLine};
use rules::{ConnectionId, DisputeClosureId, DisputeId, PartnerId, TransferId};

use super::*;

/// The transfers that a closure may have made.
pub(super) struct Closed {
    partner_id: PartnerId,
    closure_id: DisputeClosureId,
    lines: Vec<SettlementLine>,
}

fn accounts(line: &SettlementLine) -> [Account; 2] {
    [&line.source, &line.destination].map(|side| side.account(&line.currency))
}

/// One of the last few: what has happened long ago has mostly ended.
fn pick_recent<T>(from: &[T], n: u8) -> Option<&T> {
    pick(&from[from.len().saturating_sub(3)..], n)
}

fn connection_of(party: &TransferParty) -> Option<ConnectionId> {
    party.connection.map(|(id, _)| id)
}

/// The link that a connection belongs to.
fn link_of(connection: ConnectionId) -> Link {
    let links = CLIENTS
        .into_iter()
        .flat_map(|client| PARTNERS.map(|partner| link(client, partner)));
    let mut links = links.filter(|link| link.connection() == connection);
    links.next().expect("a link")
}

impl Maker {
    /// Whether it was a step of staging or disputing.
    pub(super) fn take_dispute(&mut self, step: &Step, number: u128) -> bool {
        match *step {
            Step::Stage {
                partner,
                form,
                ref lines,
                name,
                signing,
            } => {
                let partner =
                    [Who::Staged, Who::Staged, Who::Broker, Who::Sync][usize::from(partner)];
                let mut posted = random_settle(number, partner, form, lines, name, signing);
                posted.external_id = format!("staged {name}");
                let carried = self.carried(partner, number);
                self.push(Stage {
                    posted,
                    cutoff_at: Timestamp(i64::from(name)),
                    carried,
                });
            }
            Step::Advance { of } => {
                if let Some((id, transfers)) = self.settlement(of) {
                    self.push(AdvanceSettlement {
                        id,
                        transfers,
                        entry_id: entry_id(number),
                    });
                }
            }
            Step::RejectSettlement { of } => {
                if let Some((id, transfers)) = self.settlement(of) {
                    self.push(RejectSettlement {
                        id,
                        transfers,
                        reason: "it will not be funded".to_owned(),
                        entry_id: entry_id(number),
                        operator: act(number),
                    });
                }
            }
            Step::Dispute {
                of,
                line,
                destination,
            } => self.dispute(number, of, line, destination),
            Step::UpdateDispute { of, retracted } => {
                if let Some(of) = pick_recent(&self.disputes, of).cloned() {
                    let who = link_of(of.disputed.connection_id).client;
                    self.push(UpdateDispute {
                        id: of.id,
                        disputed: of.disputed,
                        enterprise_id: of.enterprise_id,
                        go_account_id: of.go_account_id,
                        user_id: of.user_id,
                        retracted,
                        reason: None,
                        expected: None,
                        signed: signed(number, who, &format!("update {number}"), retracted),
                    });
                }
            }
            Step::CloseDispute { of } => {
                if let Some(of) = pick_recent(&self.disputes, of).cloned() {
                    let who = link_of(of.disputed.connection_id).client;
                    let closure_id = DisputeClosureId(identifier(32, number));
                    let lines = self.lines_of(&of);
                    self.closed.push(Closed {
                        partner_id: of.partner_id,
                        closure_id,
                        lines,
                    });
                    self.push(CloseDispute {
                        closure_id,
                        dispute_id: of.id,
                        disputed: of.disputed,
                        enterprise_id: of.enterprise_id,
                        go_account_id: of.go_account_id,
                        user_id: of.user_id,
                        notes: "it is right".to_owned(),
                        entry_id: entry_id(number),
                        signed: signed(number, who, &format!("close {number}"), of.id),
                    });
                }
            }
            Step::ProposeClosure { of, units } => {
                if let Some(of) = pick_recent(&self.disputes, of) {
                    let adjustment =
                        SignedAmount::new(units.into())
                            .ok()
                            .map(|amount| Adjustment {
                                counterparty: of.disputed.counterparties.first().copied(),
                                currency: btc(),
                                amount,
                            });
                    let (dispute_id, user_id) = (of.id, Who::Alpha.user());
                    self.push(ProposeClosure {
                        closure_id: DisputeClosureId(identifier(32, number)),
                        dispute_id,
                        adjustments: adjustment.into_iter().collect(),
                        notes: "as traded".to_owned(),
                        user_id,
                        operator: act(number),
                    });
                }
            }
            Step::ReviewClosure {
                of,
                approve,
                by_another,
            } => self.review(number, of, approve, by_another),
            Step::StageBroker => self.push(SetWindows {
                partner: Who::Broker,
                dispute: 1,
                top_up: None,
            }),
            _ => return false,
        }
        true
    }

    /// What may wait for a settlement of the partner.
    fn carried(&self, partner: Who, number: u128) -> Vec<Carried> {
        let mut carried = Vec::new();
        let own = |closed: &&Closed| closed.partner_id == partner.partner();
        for closed in self.closed.iter().filter(own) {
            let lines = u32::try_from(closed.lines.len()).expect("few");
            for index in 0..2 * lines {
                // Which line it is depends on what was left of the others: all may be meant.
                for line in &closed.lines {
                    carried.push((
                        TransferId::of_closure(closed.closure_id, index),
                        accounts(line),
                    ));
                }
            }
        }
        // Parts that rode on a settlement which was rejected.
        let stages = self.stages.iter();
        let own = stages.filter(|stage| stage.posted.partner_id == partner.partner());
        for part in own.flat_map(|stage| &stage.carried) {
            carried.push((part.part_id, part.accounts.clone()));
        }
        let mut parts: BTreeMap<TransferId, TransferId> = BTreeMap::new();
        let carried = carried.into_iter().map(|(transfer_id, accounts)| {
            let next = parts.len() as u128;
            let part_id = parts.entry(transfer_id);
            let part_id =
                part_id.or_insert_with(|| TransferId(identifier(30, number * 10_000 + next)));
            Carried {
                transfer_id,
                accounts,
                part_id: *part_id,
            }
        });
        carried.collect()
    }

    /// All transfers that a settlement may have.
    fn settlement(&self, of: u8) -> Option<(rules::SettlementId, KnownTransfers)> {
        let stage = pick_recent(&self.stages, of)?;
        let id = stage.posted.id;
        let mut transfers = KnownTransfers::default();
        for (position, line) in (0..).zip(&stage.posted.lines) {
            transfers.ids.push(TransferId::of(id, position));
            transfers.accounts.extend(accounts(line));
        }
        let mut ids = std::collections::BTreeSet::new();
        for carried in &stage.carried {
            ids.extend([carried.transfer_id, carried.part_id]);
            transfers.accounts.extend(carried.accounts.iter().cloned());
        }
        transfers.ids.extend(ids);
        Some((id, transfers))
    }

    fn dispute(&mut self, number: u128, of: u8, line: u8, destination: bool) {
        let Some(stage) = pick_recent(&self.stages, of) else {
            return;
        };
        let Some(chosen) = pick(&stage.posted.lines, line) else {
            return;
        };
        let side = match destination {
            true => &chosen.destination,
            false => &chosen.source,
        };
        let Some(connection_id) = connection_of(side).or(connection_of(&chosen.destination)) else {
            return;
        };
        let settlement_id = stage.posted.id;
        let mut transfers = KnownTransfers::default();
        let mut counterparties = std::collections::BTreeSet::new();
        for (position, line) in (0..).zip(&stage.posted.lines) {
            let sides = [&line.source, &line.destination].map(connection_of);
            if sides.contains(&Some(connection_id)) {
                transfers.ids.push(TransferId::of(settlement_id, position));
                transfers.accounts.extend(accounts(line));
                let others = sides.into_iter().flatten();
                counterparties.extend(others.filter(|other| *other != connection_id));
            }
        }
        let link = link_of(connection_id);
        self.push(OpenDispute {
            id: DisputeId(identifier(31, number)),
            disputed: Disputed {
                settlement_id,
                connection_id,
                transfers,
                counterparties: counterparties.into_iter().collect(),
            },
            client_id: link.client.client(),
            enterprise_id: link.client.enterprise(),
            go_account_id: link.client.go_account(),
            partner_id: link.partner.partner(),
            partner_enterprise_id: link.partner.enterprise(),
            user_id: link.client.user(),
            expected: BTreeMap::new(),
            reason: None,
            signed: signed(
                number,
                link.client,
                &format!("dispute {number}"),
                connection_id,
            ),
        });
    }

    /// What was posted for the connection of a dispute.
    fn lines_of(&self, dispute: &OpenDispute) -> Vec<SettlementLine> {
        let disputed = &dispute.disputed;
        let stages = self.stages.iter();
        let mut own = stages.filter(|stage| stage.posted.id == disputed.settlement_id);
        let lines = own.next().map_or(&[][..], |stage| &stage.posted.lines);
        let is_own = |line: &&SettlementLine| {
            [&line.source, &line.destination]
                .map(connection_of)
                .contains(&Some(disputed.connection_id))
        };
        lines.iter().filter(is_own).cloned().collect()
    }

    fn review(&mut self, number: u128, of: u8, approve: bool, by_another: bool) {
        let Some(proposal) = pick_recent(&self.proposals, of).cloned() else {
            return;
        };
        let disputes = self.disputes.iter();
        let mut disputes = disputes.filter(|dispute| dispute.id == proposal.dispute_id);
        let Some(dispute) = disputes.next().cloned() else {
            return;
        };
        let link = link_of(dispute.disputed.connection_id);
        let lines = proposal
            .adjustments
            .iter()
            .map(|adjustment| SettlementLine {
                currency: adjustment.currency.clone(),
                partner_currency: "BTC".to_owned(),
                amount: adjustment.amount,
                source: match adjustment.counterparty {
                    Some(other) => link_of(other).party(),
                    None => link.partner.party(),
                },
                destination: link.party(),
            });
        let lines: Vec<SettlementLine> = lines.collect();
        self.closed.push(Closed {
            partner_id: dispute.partner_id,
            closure_id: proposal.closure_id,
            lines: lines.clone(),
        });
        let lines = lines.into_iter().map(|line| AdjustedLine {
            currency: line.currency,
            partner_currency: line.partner_currency,
            amount: line.amount,
            source: line.source,
            destination: line.destination,
        });
        self.push(ReviewClosure {
            closure_id: proposal.closure_id,
            dispute_id: dispute.id,
            disputed: dispute.disputed,
            lines: lines.collect(),
            approve,
            notes: None,
            user_id: match by_another {
                true => Who::Beta.user(),
                false => Who::Alpha.user(),
            },
            entry_id: entry_id(number),
            operator: act(number),
        });
    }
}
