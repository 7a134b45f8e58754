//! Every comparison of records that a verification makes finds what it is for: each is provoked by
//! one statement behind the store's back, told, and undone.
//!
//! Which comparisons there are is read from their source: one that no statement provokes is a fault.

use std::collections::BTreeSet;

use rules::{
    DisputeClosureId, DisputeId, OnChainDepositId, ProposalId, SettlementId, TransferId,
    dispute::{CloseDispute, Disputed, OpenDispute},
    fund::WithdrawalEnding,
    onchain::{AnnounceDeposits, AnnouncedDeposit, SeeDeposit, StartOnChain},
    record::{
        LatestProposal, Partner, Proposal, ProposalState, ProposedAct, Settlement, SettlementForm,
        Transfer,
    },
    settle::{AdvanceSettlement, Carried, KnownTransfers, Settle, SettlementLine, Stage},
    suspend::{SuspendClient, SuspendConnection},
};
use testkit::TestDatabase;

use crate::{
    books::Books,
    fixture::{
        Alpha, Beta, Broker, Exchange, Link, Network, START, amount, btc, eth, identifier,
        pair_line, party_line, put,
    },
};

on_both! {
    every_disagreement_of_records_is_found
}

const ALPHA: Link = Link(Alpha, Exchange);
const BETA: Link = Link(Beta, Exchange);
const HOUR_S: i64 = 3_600;

const COMPARISONS: &str = include_str!("../../src/verify/records.rs");

/// Where else a verification tells of faults.
const FAULTS: [&str; 3] = [
    include_str!("../../src/verify.rs"),
    include_str!("../../src/verify/acts.rs"),
    include_str!("../../src/verify/statements.rs"),
];

/// The tests that provoke them.
const TESTS: [&str; 4] = [
    include_str!("acts.rs"),
    include_str!("damage.rs"),
    include_str!("tampering.rs"),
    include_str!("verifying.rs"),
];

/// What is not among the comparisons, for it takes more than a query.
const OF_SUSPENSIONS: [&str; 2] = [
    "is suspended, and no operator has suspended it",
    "an operator has suspended",
];

impl Network {
    fn posted(&self, lines: Vec<SettlementLine>) -> Settle {
        self.settle(Exchange, SettlementForm::Party, lines)
    }

    async fn transfers_of(&self, settlement: SettlementId) -> Vec<Transfer> {
        let transfers = self.store.transfers_of(settlement).await;
        transfers.expect("a list")
    }

    async fn stage(&self, lines: Vec<SettlementLine>) -> Settlement {
        let waiting = self.store.waiting_transfers(Exchange.partner(), 10).await;
        let waiting = waiting.expect("a list");
        let carried = waiting.iter().map(|transfer| Carried {
            transfer_id: transfer.id,
            accounts: [&transfer.source, &transfer.destination]
                .map(|side| side.account(&transfer.currency)),
            part_id: TransferId(identifier(17, self.next())),
        });
        let carried = carried.collect();
        self.done(Stage {
            posted: self.posted(lines),
            cutoff_at: START,
            carried,
        })
        .await
    }

    async fn disputed(&self, settlement: SettlementId, link: Link) -> Disputed {
        let posted = self.store.posted_transfers(settlement, link.connection());
        Disputed {
            settlement_id: settlement,
            connection_id: link.connection(),
            transfers: KnownTransfers::of(&posted.await.expect("a list")),
            counterparties: Vec::new(),
        }
    }

    async fn dispute(&self, settlement: SettlementId, link: Link) -> DisputeId {
        let dispute = OpenDispute {
            id: DisputeId(identifier(31, self.next())),
            disputed: self.disputed(settlement, link).await,
            client_id: link.0.client(),
            enterprise_id: link.0.enterprise(),
            go_account_id: link.0.go_account(),
            partner_id: Exchange.partner(),
            partner_enterprise_id: Exchange.enterprise(),
            user_id: link.0.user(),
            expected: [].into(),
            reason: None,
            signed: self.signed(link.0),
        };
        self.done(dispute).await.id
    }

    async fn concede(&self, dispute: DisputeId, settlement: SettlementId, link: Link) {
        let close = CloseDispute {
            closure_id: DisputeClosureId(identifier(32, self.next())),
            dispute_id: dispute,
            disputed: self.disputed(settlement, link).await,
            enterprise_id: link.0.enterprise(),
            go_account_id: link.0.go_account(),
            user_id: link.0.user(),
            notes: "it is right".to_owned(),
            entry_id: self.entry_id(),
            signed: self.signed(link.0),
        };
        self.done(close).await;
    }

    /// A settlement over the chain whose gains were announced and are here in part.
    async fn over_the_chain(&self) -> SettlementId {
        let lines = vec![
            party_line(ALPHA, &btc(), -10),
            party_line(ALPHA, &eth(), 20),
        ];
        let posted = self.posted(lines);
        let (settlement, _) = self
            .done(StartOnChain {
                id: posted.id,
                entry_id: posted.entry_id,
                partner_id: posted.partner_id,
                enterprise_id: posted.enterprise_id.clone(),
                institution_identifier: Exchange.name().to_owned(),
                go_account_id: posted.go_account_id,
                external_id: posted.external_id.clone(),
                lines: posted.lines.clone(),
                content_digest: posted.content_digest,
                notes: None,
                initiated_by: posted.initiated_by,
                signed: posted.signed,
            })
            .await;
        let id = OnChainDepositId(identifier(41, self.next()));
        self.done(AnnounceDeposits {
            partner_id: posted.partner_id,
            enterprise_id: posted.enterprise_id,
            institution_identifier: Exchange.name().to_owned(),
            go_account_id: posted.go_account_id,
            external_settlement_id: posted.external_id,
            settlement_id: Some(settlement.id),
            new_settlement_id: settlement.id,
            deposits: vec![AnnouncedDeposit {
                id,
                currency: eth(),
                partner_currency: "OFCETH".to_owned(),
                on_chain_tx_id: "tx".to_owned(),
            }],
            signed: self.signed(Exchange),
        })
        .await;
        let deposit = self.store.on_chain_deposit(id).await.expect("a look-up");
        self.done(SeeDeposit {
            deposit: deposit.expect("the deposit"),
            amount: amount(5),
            transfer_id: "received".to_owned(),
            custody_source: "vault".to_owned(),
            entry_id: self.entry_id(),
            operator: self.act(),
        })
        .await;
        settlement.id
    }

    async fn proposals(&self) {
        for (number, state) in [(1, ProposalState::Pending), (2, ProposalState::Approved)] {
            let decided = state != ProposalState::Pending;
            let proposal = Proposal {
                id: ProposalId(identifier(42, number)),
                act: ProposedAct::ReleaseHold {
                    id: rules::AllocationId(identifier(10, number)),
                    reason: "nobody answers".to_owned(),
                },
                proposed_by: Alpha.user(),
                state,
                decided_by: decided.then_some(Beta.user()),
                notes: None,
                decided_at: decided.then_some(START),
                created_at: START,
                expires_at: START.plus_seconds(HOUR_S),
            };
            self.done(put(proposal.clone())).await;
            let subject = format!("subject {number}");
            let proposal_id = proposal.id;
            self.done(put(LatestProposal {
                subject,
                proposal_id,
            }))
            .await;
        }
    }
}

/// What there is to tamper with, all of it sound.
async fn with_everything(database: TestDatabase) -> Network {
    let network = Network::ready(database).await;
    let n = &network;
    let mut terms = n.put_configuration(Exchange);
    terms.configuration.on_chain = true;
    n.done(terms).await;
    let partner = n.store.partner(Exchange.partner()).await;
    n.done(put(Partner {
        dispute_window_minutes: Some(60),
        top_up_window_minutes: Some(30),
        ..partner.expect("a look-up").expect("the partner")
    }))
    .await;
    n.done(n.deposit(Exchange, &btc(), 1_000)).await;
    for link in [ALPHA, BETA, Link(Alpha, Broker)] {
        n.funded(link, &btc(), 500).await;
    }
    n.done(n.deposit(Alpha, &btc(), 100)).await;
    let released = n.allocate(ALPHA, 3);
    n.done(released.clone()).await;
    n.done(n.release(released.id)).await;
    n.done(n.allocate(ALPHA, 4)).await;
    for ending in [
        None,
        Some(WithdrawalEnding::Paid),
        Some(WithdrawalEnding::Cancelled),
    ] {
        let withdrawal = n.done(n.withdraw(Alpha, &btc(), 5)).await;
        if let Some(ending) = ending {
            n.done(n.finish(withdrawal.id, ending)).await;
        }
    }
    let (from, to) = (Link(Alpha, Broker), Link(Beta, Broker));
    let lines = vec![pair_line(from, to, &btc(), 6)];
    n.done(n.settle(Broker, SettlementForm::Pair, lines)).await;

    let lines = vec![party_line(ALPHA, &btc(), -40), party_line(BETA, &btc(), 25)];
    let first = n.stage(lines).await.id;
    let dispute = n.dispute(first, ALPHA).await;
    n.clock.pass_seconds(HOUR_S);
    let transfers = n.transfers_of(first).await;
    n.done(AdvanceSettlement {
        id: first,
        transfers: KnownTransfers::of(&transfers),
        entry_id: n.entry_id(),
    })
    .await;
    n.concede(dispute, first, ALPHA).await;
    // The second is under way; what Alpha has conceded rides on it, and Beta disputes its part.
    let second = n.stage(vec![party_line(BETA, &btc(), -7)]).await.id;
    n.dispute(second, BETA).await;
    n.over_the_chain().await;
    n.proposals().await;
    for suspended in [true, false, true] {
        n.done(SuspendConnection {
            id: to.connection(),
            suspended,
            operator: n.act(),
        })
        .await;
    }
    n.done(SuspendClient {
        id: Beta.client(),
        suspended: true,
        operator: n.act(),
    })
    .await;
    n.is_sound().await;
    network
}

/// What a verification says, in which table, and the statement that makes it so.
type Tampering = (&'static str, &'static str, String);

fn tamperings(books: &Books) -> Vec<Tampering> {
    let (yes, no) = (books.boolean(true), books.boolean(false));
    let units = |units| books.amount(units);
    let nobody = books.uuid(identifier(200, 1));
    let one = |table: &str, condition: &str| format!("(SELECT id FROM {table} WHERE {condition})");
    let moved = units(1);
    let of_alpha = books.uuid(ALPHA.connection().0);
    let of_beta = books.uuid(BETA.connection().0);
    vec![
        (
            "an allocation does not fit its hold",
            "allocations",
            format!("UPDATE allocations SET amount = {moved} WHERE state = 'reserved'"),
        ),
        (
            "an allocation has ended otherwise in the journal",
            "allocations",
            format!(
                "UPDATE allocations SET state = 'cleared' WHERE state = 'released' AND amount = {}",
                units(3)
            ),
        ),
        (
            "what is reserved at a partner is not what its allocations add up to",
            "open_totals",
            format!(
                "UPDATE open_totals SET units = {} WHERE units = {}",
                units(5),
                units(4)
            ),
        ),
        (
            "a withdrawal does not fit its hold",
            "withdrawals",
            format!("UPDATE withdrawals SET amount = {moved} WHERE state = 'requested'"),
        ),
        (
            "a withdrawal has ended otherwise in the journal",
            "withdrawals",
            "UPDATE withdrawals SET state = 'cancelled' WHERE state = 'paid'".to_owned(),
        ),
        (
            "a deposit does not fit the journal",
            "deposits",
            format!(
                "UPDATE deposits SET amount = {moved} WHERE amount = {}",
                units(100)
            ),
        ),
        (
            "a deposit does not fit the journal",
            "deposits",
            format!("DELETE FROM deposits WHERE amount = {}", units(100)),
        ),
        (
            "the journal does not tell of a deposit",
            "deposits",
            format!(
                "UPDATE deposits SET id = {nobody} WHERE amount = {}",
                units(100)
            ),
        ),
        (
            "a hold does not fit the journal",
            "holds",
            format!(
                "UPDATE holds SET amount = {moved} WHERE id = {}",
                one("allocations", "state = 'reserved'")
            ),
        ),
        (
            "a statement has a line of an entry that is not there",
            "account_entries",
            "UPDATE account_entries SET entry = 1000 WHERE owner_kind = 1 AND entry = 1".to_owned(),
        ),
        (
            "a hold is for a settlement transfer that is not there",
            "holds",
            format!(
                "UPDATE holds SET id = {nobody} WHERE amount = {} AND purpose = 'settlement_transfer'",
                units(7)
            ),
        ),
        (
            "a settlement transfer does not fit its hold",
            "settlement_transfers",
            format!(
                "UPDATE settlement_transfers SET amount = {} WHERE amount = {}",
                units(-8),
                units(-7)
            ),
        ),
        (
            "nothing is held for what a staged settlement takes from a connection",
            "holds",
            format!(
                "DELETE FROM holds WHERE amount = {} AND purpose = 'settlement_transfer'",
                units(7)
            ),
        ),
        (
            "a staged settlement does not have the transfers that it counts",
            "settlements",
            "UPDATE settlements SET transfer_count = transfer_count + 1
                WHERE cutoff_at IS NOT NULL AND state = 'pending'"
                .to_owned(),
        ),
        (
            "a staged settlement has transfers in a state that it is not in",
            "settlement_transfers",
            "UPDATE settlement_transfers SET status = 'completed'
                WHERE dispute_closure_id IS NOT NULL"
                .to_owned(),
        ),
        (
            "the journal does not tell what a settlement has executed",
            "settlements",
            format!("UPDATE settlements SET entry = {nobody} WHERE form = 'pair'"),
        ),
        (
            "the journal does not tell what a settlement has executed",
            "settlement_transfers",
            format!(
                "DELETE FROM settlement_transfers WHERE amount = {}",
                units(25)
            ),
        ),
        (
            "a settlement transfer is booked under an entry that is not there",
            "settlement_transfers",
            format!(
                "UPDATE settlement_transfers SET entry = {nobody} WHERE amount = {}",
                units(25)
            ),
        ),
        (
            "a settlement transfer waits for a settlement and has one, or has none and does not wait",
            "settlement_transfers",
            format!(
                "UPDATE settlement_transfers SET settlement_id = NULL WHERE amount = {}",
                units(25)
            ),
        ),
        (
            "a dispute has not the end that it names",
            "disputes",
            "UPDATE disputes SET closed_at = NULL WHERE closed_at IS NOT NULL".to_owned(),
        ),
        (
            "a dispute has not the end that it names",
            "dispute_closures",
            format!("UPDATE dispute_closures SET dispute_id = {nobody}"),
        ),
        (
            "a settlement does not count the disputes that stand",
            "settlements",
            "UPDATE settlements SET standing_disputes = 0
                WHERE cutoff_at IS NOT NULL AND state = 'pending'"
                .to_owned(),
        ),
        (
            "a connection is not said to dispute what it disputes, or is and does not",
            "participations",
            format!(
                "UPDATE participations SET disputed = {no}
                    WHERE disputed = {yes} AND connection_id = {of_alpha}"
            ),
        ),
        (
            "a settlement transfer is left out as disputed and nobody disputes it",
            "disputes",
            format!("DELETE FROM disputes WHERE connection_id = {of_beta}"),
        ),
        (
            "a disputed settlement transfer was executed",
            "settlement_transfers",
            format!(
                "UPDATE settlement_transfers SET status = 'completed'
                    WHERE status = 'disputed' AND destination_connection_id = {of_alpha}"
            ),
        ),
        (
            "a settlement transfer comes of an end of a dispute that does not count",
            "dispute_closures",
            "UPDATE dispute_closures SET status = 'rejected'".to_owned(),
        ),
        (
            "nothing is held for what a settlement over the chain takes from a connection",
            "holds",
            format!(
                "DELETE FROM holds WHERE amount = {} AND purpose = 'settlement_transfer'",
                units(10)
            ),
        ),
        (
            "a transfer over the chain is not where its leg is",
            "on_chain_legs",
            "UPDATE on_chain_legs SET state = 'initiated' WHERE direction = 'losses'".to_owned(),
        ),
        (
            "a settlement over the chain does not count its legs",
            "on_chain_settlements",
            "UPDATE on_chain_settlements SET completed = 1".to_owned(),
        ),
        (
            "a settlement over the chain does not count its legs",
            "on_chain_settlements",
            "UPDATE on_chain_settlements SET losses_unfinished = 0".to_owned(),
        ),
        (
            "a leg over the chain does not count its transfers",
            "on_chain_legs",
            format!("UPDATE on_chain_legs SET total_units = {moved} WHERE direction = 'gains'"),
        ),
        (
            "a leg over the chain does not count its transfers",
            "on_chain_legs",
            format!("UPDATE on_chain_legs SET total_units = {moved} WHERE direction = 'losses'"),
        ),
        (
            "a leg over the chain does not count its transfers",
            "on_chain_legs",
            "UPDATE on_chain_legs SET transfer_count = 2 WHERE direction = 'losses'".to_owned(),
        ),
        (
            "a leg over the chain does not count the deposits that were announced for it",
            "on_chain_legs",
            "UPDATE on_chain_legs SET announced = 2 WHERE direction = 'gains'".to_owned(),
        ),
        (
            "a leg over the chain received more than its deposits brought",
            "on_chain_legs",
            format!(
                "UPDATE on_chain_legs SET received_units = {} WHERE direction = 'gains'",
                units(6)
            ),
        ),
        (
            "a leg over the chain received more than its deposits brought",
            "on_chain_deposits",
            "UPDATE on_chain_deposits SET transfer_id = NULL".to_owned(),
        ),
        (
            "a deposit over the chain has no leg that it is for",
            "on_chain_deposits",
            "UPDATE on_chain_deposits SET currency = 'ofcbtc'".to_owned(),
        ),
        (
            "no timer waits for the end of a staged settlement's window",
            "timers",
            "UPDATE timers SET due_at = due_at + 1
                WHERE kind = 'settlement_window' AND due_at IS NOT NULL"
                .to_owned(),
        ),
        (
            "no timer waits for the end of a staged settlement's window",
            "timers",
            "DELETE FROM timers WHERE kind = 'settlement_window' AND due_at IS NOT NULL".to_owned(),
        ),
        (
            "no timer waits until gains over the chain are late, or one does for what is known",
            "timers",
            "DELETE FROM timers WHERE kind = 'on_chain_gains_late'".to_owned(),
        ),
        (
            "no timer waits until losses over the chain are late, or one does for what is known",
            "on_chain_settlements",
            format!("UPDATE on_chain_settlements SET losses_alerted = {yes}"),
        ),
        (
            "a timer waits for a settlement that is not there",
            "timers",
            format!("UPDATE timers SET subject = {nobody} WHERE kind = 'on_chain_losses_late'"),
        ),
        (
            "an event bears another time than its commit",
            "events",
            "UPDATE events SET at = at + 1
                WHERE kind = 'settlement.completed' AND audience = 'exchange'"
                .to_owned(),
        ),
        (
            "an event bears another time than its commit",
            "events",
            "UPDATE events SET commit_sequence = 1000
                WHERE kind = 'settlement.completed' AND audience = 'exchange'"
                .to_owned(),
        ),
        (
            "an event tells of a record that is not there",
            "events",
            format!(
                "UPDATE events SET subject = {nobody}
                    WHERE kind = 'settlement.completed' AND audience = 'exchange'"
            ),
        ),
        (
            "a proposal is not decided as it says, or by who proposed it",
            "proposals",
            "UPDATE proposals SET state = 'approved' WHERE state = 'pending'".to_owned(),
        ),
        (
            "a proposal is not decided as it says, or by who proposed it",
            "proposals",
            "UPDATE proposals SET decided_by = proposed_by WHERE state = 'approved'".to_owned(),
        ),
        (
            "the latest proposal about something is not there",
            "proposals",
            "DELETE FROM proposals WHERE state = 'pending'".to_owned(),
        ),
        (
            "a suspended connection is active",
            "connections",
            format!("UPDATE connections SET active = {yes} WHERE wanted_active IS NOT NULL"),
        ),
        (
            OF_SUSPENSIONS[0],
            "clients",
            format!(
                "UPDATE clients SET suspended_at = 1 WHERE id = {}",
                books.uuid(Alpha.client().0)
            ),
        ),
        (
            OF_SUSPENSIONS[1],
            "clients",
            "UPDATE clients SET suspended_at = NULL WHERE suspended_at IS NOT NULL".to_owned(),
        ),
        (
            OF_SUSPENSIONS[1],
            "connections",
            "UPDATE connections SET wanted_active = NULL WHERE wanted_active IS NOT NULL"
                .to_owned(),
        ),
    ]
}

async fn every_disagreement_of_records_is_found(database: TestDatabase) {
    let network = with_everything(database).await;
    let books = Books::of(&network.database).await;
    let mut provoked = BTreeSet::new();
    for (fault, table, sql) in tamperings(&books) {
        books
            .run(&format!("CREATE TABLE as_it_was AS SELECT * FROM {table}"))
            .await;
        books.change(&sql).await;
        let report = network.verify().await;
        let told = report.faults.iter().any(|told| told.contains(fault));
        assert!(told, "{fault}: {sql}\n{:#?}", report.faults);
        books
            .run(&format!(
                "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM as_it_was;
                DROP TABLE as_it_was"
            ))
            .await;
        provoked.insert(fault);
    }
    network.is_sound().await;
    let compared = COMPARISONS.split("fault: \"").skip(1);
    let compared = compared.filter_map(|rest| rest.split('"').next());
    let all: BTreeSet<&str> = compared.chain(OF_SUSPENSIONS).collect();
    assert_eq!(provoked, all);
}

/// What a fault says beside what it fills in: the longest piece of its text.
fn said(fault: &str) -> Option<&str> {
    let text = fault.split(";\n").next()?.split('"').nth(1)?;
    let pieces = text.split('{').enumerate();
    let pieces = pieces.filter_map(|(number, piece)| match number {
        0 => Some(piece),
        _ => piece.split_once('}').map(|(_, piece)| piece),
    });
    let pieces = pieces.map(|piece| piece.trim_matches(|c: char| !c.is_alphanumeric()));
    pieces.max_by_key(|piece| piece.len())
}

#[test]
fn every_other_fault_is_looked_for_by_a_test() {
    let faults = FAULTS
        .iter()
        .flat_map(|source| source.split(".fault(").skip(1));
    let said: BTreeSet<&str> = faults.filter_map(said).collect();
    assert!(said.len() > 15, "{said:?}");
    let unprovoked: Vec<_> = said
        .iter()
        .filter(|said| !TESTS.iter().any(|test| test.contains(*said)))
        .collect();
    assert!(unprovoked.is_empty(), "{unprovoked:?}");
}
