//! What is proposed comes back as it was, whatever it is about.

use rules::fund::WithdrawalEnding;
use rules::onchain::Withdrawn;
use rules::record::{
    ApprovalPolicy, LatestProposal, Proposal, ProposalState, ProposedAct, ProposedMovement,
};
use rules::{AllocationId, Keys, OnChainDepositId, ProposalId, SettlementId, WithdrawalId};
use store::ProposalFilter::{All, Approved, Expired, Open, Rejected};
use testkit::TestDatabase;

use crate::fixture::{ALL, Alpha, Beta, Network, START, amount, btc, identifier, put};
use crate::records::TEXT;

on_both! {
    the_approval_policy
    proposals
}

async fn the_approval_policy(database: TestDatabase) {
    let network = Network::bare(database).await;
    let known = async || network.store.approval_policy().await.expect("a policy");
    assert_eq!(known().await, ApprovalPolicy::default());
    for second_operator_required in [true, false] {
        let policy = ApprovalPolicy {
            second_operator_required,
            proposals_expire_after_s: 60,
            updated_at: START,
        };
        network.done(put(policy.clone())).await;
        assert_eq!(known().await, policy);
        let keys = Keys {
            approval_policy: [()].into(),
            ..Keys::default()
        };
        assert_eq!(network.look(keys, ()).await, Some(policy));
    }
}

async fn proposals(database: TestDatabase) {
    let network = Network::bare(database).await;
    let movement = ProposedMovement {
        go_account_id: Alpha.go_account(),
        currency: btc(),
        amount: amount(10_i128.pow(38) - 1),
        custody_source: TEXT.to_owned(),
        external_reference: TEXT.to_owned(),
    };
    let finish = |ending| ProposedAct::FinishWithdrawal {
        id: WithdrawalId(identifier(30, 1)),
        ending,
    };
    let settlement_id = SettlementId(identifier(30, 4));
    let losses = |withdrawn| ProposedAct::MoveLosses {
        settlement_id,
        currency: btc(),
        withdrawn,
    };
    let acts = [
        ProposedAct::BookDeposit(movement.clone()),
        ProposedAct::RequestWithdrawal(movement),
        finish(WithdrawalEnding::Paid),
        finish(WithdrawalEnding::Cancelled),
        ProposedAct::ReleaseHold {
            id: AllocationId(identifier(30, 2)),
            reason: TEXT.to_owned(),
        },
        ProposedAct::SeeDeposit {
            id: OnChainDepositId(identifier(30, 3)),
            amount: amount(10_i128.pow(38) - 1),
            transfer_id: TEXT.to_owned(),
        },
        losses(Withdrawn::Started { tx_id: None }),
        losses(Withdrawn::Started {
            tx_id: Some(TEXT.to_owned()),
        }),
        losses(Withdrawn::Seen {
            tx_id: TEXT.to_owned(),
        }),
        losses(Withdrawn::Failed {
            reason: TEXT.to_owned(),
        }),
        ProposedAct::FailGains {
            settlement_id,
            currency: btc(),
            reason: TEXT.to_owned(),
        },
        ProposedAct::ReturnReceived {
            settlement_id,
            currency: btc(),
        },
        ProposedAct::RejectOnChain {
            settlement_id,
            reason: TEXT.to_owned(),
        },
        ProposedAct::RejectSettlement {
            settlement_id,
            reason: TEXT.to_owned(),
        },
        ProposedAct::SetApprovalPolicy {
            second_operator_required: true,
            proposals_expire_after_s: i64::MAX,
        },
    ];
    let states = [
        ProposalState::Pending,
        ProposalState::Approved,
        ProposalState::Rejected,
    ];
    let mut made = Vec::new();
    for (number, act) in (1..).zip(acts) {
        let state = states[crate::fixture::index(number % 3)];
        let is_decided = state != ProposalState::Pending;
        let seconds = i64::try_from(number).expect("seconds");
        let proposal = Proposal {
            id: ProposalId(identifier(31, number)),
            act,
            proposed_by: Alpha.user(),
            state,
            decided_by: is_decided.then_some(Beta.user()),
            notes: is_decided.then(|| TEXT.to_owned()),
            decided_at: is_decided.then_some(START),
            created_at: START.plus_seconds(seconds),
            expires_at: START.plus_seconds(seconds * 100),
        };
        let latest = LatestProposal {
            subject: proposal.act.subject(),
            proposal_id: proposal.id,
        };
        network.done(put(proposal.clone())).await;
        network.done(put(latest.clone())).await;
        let found = network.store.proposal(proposal.id).await;
        assert_eq!(found.expect("a look-up").as_ref(), Some(&proposal));
        let keys = Keys {
            latest_proposals: [latest.subject.clone()].into(),
            ..Keys::default()
        };
        let subject = latest.subject.clone();
        assert_eq!(network.look(keys, subject).await, Some(latest));
        made.insert(0, proposal);
    }
    let listed = async |filter, now| {
        let listed = network.store.proposals(filter, now, ALL).await;
        listed.expect("a list")
    };
    assert_eq!(listed(All, START).await, made);
    // Every third is pending; the first of them expires first, at the very moment.
    for seconds in [299, 300, 600] {
        let now = START.plus_seconds(seconds);
        for (filter, wanted) in [
            (Open, made.iter().filter(|p| p.is_open(now)).collect()),
            (Expired, made.iter().filter(|p| p.is_expired(now)).collect()),
        ] {
            let wanted: Vec<&Proposal> = wanted;
            let found = listed(filter, now).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{seconds}");
        }
    }
    for (filter, state) in [(Approved, states[1]), (Rejected, states[2])] {
        let found = listed(filter, START).await;
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|proposal| proposal.state == state));
    }
}
