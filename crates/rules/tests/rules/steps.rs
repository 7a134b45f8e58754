//! Random sequences of all commands, over names so few that they meet: repeats, conflicts, wrong
//! parties, short balances and late answers are the rule.

mod disputes;
mod requests;
mod strategy;

pub(crate) use requests::issue_token;
use requests::{any_link, other_answering, random_settle, rebuilt, twisted_answer};
pub(crate) use strategy::sequences;

use ledger::{Currency, SignedAmount};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use rules::allocate::{AskAgain, Awaited, Conclude, PartnerAnswer, Reserve, Unanswered, Verdict};
use rules::connect::{AnswerConnection, OpenConnection, UpdateConnection};
use rules::deliver::{Delivered, Lease, Undelivered};
use rules::dispute::{CloseDispute, OpenDispute, ProposeClosure, ReviewClosure, UpdateDispute};
use rules::fund::{BookDeposit, FinishWithdrawal, RequestWithdrawal, WithdrawalEnding};
use rules::onboard::{BecomeClient, CreatePartner};
use rules::operate::{
    AddSigningKey, IssueToken, OpenGoAccount, PutCurrency, PutEnterprise, PutMembership,
    PutPartnerConfiguration, PutUser, RevokeSigningKey, RevokeToken, UpdatePartner,
};
use rules::record::{
    AccessToken, AllocationKind, Answering, EnterpriseRole, MessageCall, Scope, SettlementForm,
    TokenSecret,
};
use rules::settle::{AdvanceSettlement, RejectSettlement, Settle, Stage};
use rules::{Reason, Submission, TokenId};
use uuid::Uuid;

use crate::harness::Asked;
use crate::network::*;
use crate::staging::SetWindows;

macro_rules! all_commands {
    ($($name:ident)+) => {
        /// Any command of the crate.
        #[derive(Clone, Debug)]
        pub(crate) enum Any {
            $($name(Box<$name>),)+
        }

        impl Any {
            pub(crate) fn submission(&self) -> Box<dyn Asked> {
                match self {
                    $(Any::$name(command) => Box::new(Submission::new((**command).clone())),)+
                }
            }
        }

        $(impl From<$name> for Any {
            fn from(command: $name) -> Any {
                Any::$name(Box::new(command))
            }
        })+
    };
}

all_commands! {
    PutEnterprise OpenGoAccount AddSigningKey RevokeSigningKey PutUser PutMembership IssueToken
    RevokeToken PutCurrency PutPartnerConfiguration UpdatePartner
    BecomeClient CreatePartner
    OpenConnection AnswerConnection UpdateConnection
    Lease Delivered Undelivered
    Reserve Conclude Unanswered Awaited AskAgain PartnerAnswer
    BookDeposit RequestWithdrawal FinishWithdrawal
    Settle Stage AdvanceSettlement RejectSettlement
    OpenDispute UpdateDispute CloseDispute ProposeClosure ReviewClosure
    SetWindows
}

/// One step, told by what it takes to make its command out of the steps before it. A number
/// `of` chooses among the earlier requests of the right kind.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Reserve {
        out: bool,
        link: u8,
        currency: u8,
        units: u8,
        name: u8,
        signing: Signing,
    },
    Conclude {
        of: u8,
        cleared: bool,
        told: bool,
        operator: bool,
    },
    Unanswered {
        of: u8,
    },
    Awaited {
        of: u8,
        named: bool,
    },
    AskAgain {
        of: u8,
    },
    PartnerAnswer {
        of: u8,
        cleared: bool,
        twist: u8,
        signing: Signing,
    },
    Settle {
        partner: u8,
        form: Form,
        lines: Vec<(u8, u8, i8)>,
        name: u8,
        signing: Signing,
    },
    Stage {
        partner: u8,
        form: Form,
        lines: Vec<(u8, u8, i8)>,
        name: u8,
        signing: Signing,
    },
    Advance {
        of: u8,
    },
    RejectSettlement {
        of: u8,
    },
    Dispute {
        of: u8,
        line: u8,
        destination: bool,
    },
    UpdateDispute {
        of: u8,
        retracted: bool,
    },
    CloseDispute {
        of: u8,
    },
    ProposeClosure {
        of: u8,
        units: i8,
    },
    ReviewClosure {
        of: u8,
        approve: bool,
        by_another: bool,
    },
    /// The broker's settlements are staged from now on.
    StageBroker,
    Deposit {
        who: u8,
        currency: u8,
        units: u8,
        name: u8,
    },
    Withdraw {
        who: u8,
        currency: u8,
        units: u8,
        name: u8,
    },
    Finish {
        of: u8,
        paid: bool,
    },
    OpenConnection {
        client: u8,
        partner: u8,
        number: u8,
        twist: u8,
        signing: Signing,
    },
    AnswerConnection {
        link: u8,
        number: u8,
        accepted: bool,
    },
    UpdateConnection {
        link: u8,
        number: u8,
        by: u8,
        active: Option<bool>,
        rename: bool,
    },
    Lease {
        of: Vec<u8>,
        only_due: bool,
    },
    Delivered {
        of: u8,
        cleared: bool,
    },
    Undelivered {
        of: u8,
    },
    BecomeClient {
        who: u8,
    },
    CreatePartner {
        who: u8,
        twist: u8,
    },
    PutEnterprise {
        who: u8,
        licensed: bool,
        renamed: bool,
        moved: bool,
    },
    OpenGoAccount {
        who: u8,
        of: u8,
    },
    AddSigningKey {
        who: u8,
        of: u8,
    },
    RevokeSigningKey {
        who: u8,
    },
    PutUser {
        who: u8,
        operator: bool,
    },
    PutMembership {
        who: u8,
        at: u8,
        role: u8,
    },
    IssueToken {
        who: u8,
    },
    RevokeToken {
        of: u8,
    },
    PutCurrency {
        currency: u8,
        twist: u8,
    },
    PutPartnerConfiguration {
        partner: u8,
        twist: u8,
    },
    UpdatePartner {
        partner: u8,
        active: Option<bool>,
        stable: Option<bool>,
    },
    /// An earlier command once more, exactly as it was.
    Again {
        of: u8,
    },
    /// An earlier request under the same name, signed afresh and perhaps with other content.
    Rebuilt {
        of: u8,
        twist: u8,
    },
}

/// How a request is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signing {
    /// As it should be, with a nonce of its own.
    Fresh,
    /// With one of very few nonces.
    WornNonce(u8),
    /// By a key that was revoked.
    RevokedKey,
}

/// The forms of a settlement, the wrong ones included.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Party,
    /// In party form, with the counterpart of every amount on another connection.
    Balanced,
    Pair,
}

/// The commands of these steps, from the steps alone: whatever happens to the commands, they are
/// the same.
pub(crate) fn commands(steps: &[Step]) -> Vec<Any> {
    let mut maker = Maker::default();
    for step in steps {
        maker.take(step);
    }
    maker.made
}

#[derive(Default)]
struct Maker {
    made: Vec<Any>,
    reserves: Vec<Reserve>,
    withdrawals: Vec<RequestWithdrawal>,
    stages: Vec<Stage>,
    disputes: Vec<OpenDispute>,
    proposals: Vec<ProposeClosure>,
    /// What closures may have made: the transfers that may wait.
    closed: Vec<disputes::Closed>,
    tokens: Vec<TokenId>,
}

fn pick<T>(from: &[T], n: impl Into<usize>) -> Option<&T> {
    let n: usize = n.into();
    (!from.is_empty()).then(|| &from[n % from.len()])
}

fn somebody(n: u8) -> Who {
    EVERYBODY[usize::from(n) % 8]
}

/// Mostly bitcoin; the last two are supported by no partner and by nobody.
fn currency(n: u8) -> Currency {
    match n {
        0..6 => btc(),
        6..10 => eth(),
        10 => usd(),
        _ => doge(),
    }
}

fn some_link(n: u8) -> Link {
    let n = usize::from(n);
    let clients = [Who::Alpha, Who::Alpha, Who::Beta, Who::Beta];
    match n {
        0..10 => UNANSWERED,
        10..15 => REJECTED,
        15..20 => link(Who::Outsider, Who::Sync),
        20..40 => link(Who::Unlicensed, PARTNERS[n % 4]),
        _ => link(clients[n % 4], PARTNERS[n / 4 % 4]),
    }
}

fn nonce_of(signing: Signing, number: u128) -> String {
    match signing {
        Signing::WornNonce(n) => format!("worn {n}"),
        _ => format!("nonce {number}"),
    }
}

fn key_of(signing: Signing, who: Who) -> rules::SigningKeyId {
    match signing {
        Signing::RevokedKey => who.revoked_key(),
        _ => who.key(),
    }
}

impl Maker {
    /// An identifier for what comes of the next command.
    fn number(&self) -> u128 {
        self.made.len() as u128 + 1
    }

    fn subject(&self, of: u8) -> rules::AllocationId {
        pick(&self.reserves, of).map_or(allocation_id(0), |r| r.id)
    }

    /// What messages may be about: any allocation, and the connections that wait.
    fn message(&self, of: u8) -> Uuid {
        match of {
            0..40 => UNANSWERED.connection().0,
            40..60 => some_link(of).connection().0,
            _ => self.subject(of).0,
        }
    }

    fn push(&mut self, command: impl Into<Any>) {
        let command = command.into();
        match &command {
            Any::Reserve(c) => self.reserves.push((**c).clone()),
            Any::RequestWithdrawal(c) => self.withdrawals.push((**c).clone()),
            Any::IssueToken(c) => self.tokens.push(c.token.id),
            Any::Stage(c) => self.stages.push((**c).clone()),
            Any::OpenDispute(c) => self.disputes.push((**c).clone()),
            Any::ProposeClosure(c) => self.proposals.push((**c).clone()),
            _ => {}
        }
        self.made.push(command);
    }

    fn take(&mut self, step: &Step) {
        let number = self.number();
        match *step {
            Step::Reserve {
                out,
                link,
                currency: c,
                units,
                name,
                signing,
            } => {
                let kind = if out {
                    AllocationKind::Deallocation
                } else {
                    AllocationKind::Allocation
                };
                let link = some_link(link);
                let units = if out { units / 3 + 1 } else { units };
                let mut request = reserve(number, kind, link, currency(c), i128::from(units));
                request.client_external_id = format!("request {name}");
                request.signed.key_id = key_of(signing, link.client);
                self.push(sign_reserve(request, number, &nonce_of(signing, number)));
            }
            Step::Conclude {
                of,
                cleared,
                told,
                operator,
            } => {
                let verdict = if cleared {
                    Verdict::Cleared {
                        partner_external_id: told.then(|| format!("partner's {number}")),
                    }
                } else {
                    Verdict::Released {
                        reason: Reason::new("rejected_by_partner", "no"),
                        tell_partner: told,
                    }
                };
                let operator = operator.then(|| act(number));
                let (id, entry_id) = (self.subject(of), entry_id(number));
                self.push(Conclude {
                    id,
                    entry_id,
                    verdict,
                    operator,
                });
            }
            Step::Unanswered { of } => {
                let (id, error) = (self.subject(of), "timed out".to_owned());
                self.push(Unanswered { id, error });
            }
            Step::Awaited { of, named } => {
                let partner_external_id = named.then(|| format!("partner's {number}"));
                let id = self.subject(of);
                self.push(Awaited {
                    id,
                    partner_external_id,
                });
            }
            Step::AskAgain { of } => {
                let (id, operator) = (self.subject(of), act(number));
                self.push(AskAgain { id, operator });
            }
            Step::PartnerAnswer {
                of,
                cleared,
                twist,
                signing,
            } => {
                let candidates: Vec<&Reserve> = self
                    .reserves
                    .iter()
                    .filter(|r| {
                        // A synchronous partner that answers this way is told so, now and then.
                        twist == 6 || r.route.partner_id == Who::Async.partner()
                    })
                    .collect();
                if let Some(of) = pick(&candidates, of).map(|r| (*r).clone()) {
                    self.push(twisted_answer(number, &of, cleared, twist, signing));
                }
            }
            Step::Settle {
                partner,
                form,
                ref lines,
                name,
                signing,
            } => {
                let partner = if partner == 8 {
                    Who::Staged
                } else {
                    PARTNERS[usize::from(partner) % 3]
                };
                self.push(random_settle(number, partner, form, lines, name, signing));
            }
            Step::Deposit {
                who,
                currency: c,
                units,
                name,
            } => {
                let mut deposit = deposit(number, somebody(who), currency(c), i128::from(units));
                deposit.external_reference = format!("deposit {name}");
                self.push(deposit);
            }
            Step::Withdraw {
                who,
                currency: c,
                units,
                name,
            } => {
                let mut request = withdraw(number, somebody(who), currency(c), i128::from(units));
                request.external_reference = format!("withdrawal {name}");
                self.push(request);
            }
            Step::Finish { of, paid } => {
                let id = pick(&self.withdrawals, of).map_or(withdrawal_id(0), |w| w.id);
                let (entry_id, operator) = (entry_id(number), act(number));
                let ending = if paid {
                    WithdrawalEnding::Paid
                } else {
                    WithdrawalEnding::Cancelled
                };
                self.push(FinishWithdrawal {
                    id,
                    entry_id,
                    ending,
                    operator,
                });
            }
            Step::OpenConnection {
                client,
                partner,
                number: which,
                twist,
                signing,
            } => {
                let (client, partner) =
                    (CLIENTS[usize::from(client)], PARTNERS[usize::from(partner)]);
                // Identifiers of connections are drawn anew; only their nonce finds them again.
                let link = Link {
                    client,
                    partner,
                    number: 10 + which,
                };
                let nonce = match signing {
                    Signing::WornNonce(n) => format!("worn {n}"),
                    _ => format!("connect {client:?} {partner:?} {which}"),
                };
                let mut request = open_connection(number, link);
                request.signed = signed(number, client, &nonce, ("connect", link, twist));
                request.signed.key_id = key_of(signing, client);
                request.key_is_sealed_for_partner |= twist == 0;
                if twist == 1 {
                    request.key_schema = rules::record::KeySchema::Clearloop;
                }
                self.push(request);
            }
            Step::AnswerConnection {
                link,
                number: which,
                accepted,
            } => {
                let link = any_link(link, which);
                self.push(if accepted {
                    link.accepted()
                } else {
                    link.rejected()
                });
            }
            Step::UpdateConnection {
                link,
                number: which,
                by,
                active,
                rename,
            } => {
                let link = any_link(link, which);
                let by = if by == 0 { Who::Beta } else { link.client };
                self.push(UpdateConnection {
                    id: link.connection(),
                    enterprise_id: by.enterprise(),
                    active,
                    name: rename.then(|| format!("name {number}")),
                });
            }
            Step::Lease { ref of, only_due } => {
                let subjects = of.iter().map(|of| self.message(*of)).collect();
                self.push(Lease {
                    subjects,
                    lease_ms: 5_000,
                    only_due,
                });
            }
            Step::Delivered { of, cleared } => {
                let call = if cleared {
                    MessageCall::Clear
                } else {
                    MessageCall::Release
                };
                let subject = self.message(of);
                self.push(Delivered { subject, call });
            }
            Step::Undelivered { of } => {
                let calls = MessageCall::ALL;
                let call = calls[usize::from(of) % calls.len()].1;
                let (subject, error) = (self.message(of), "refused".to_owned());
                self.push(Undelivered {
                    subject,
                    call,
                    error,
                });
            }
            Step::Again { of } => {
                if let Some(command) = pick(&self.made, of).cloned() {
                    self.push(command);
                }
            }
            Step::Rebuilt { of, twist } => {
                if let Some(command) = pick(&self.made, of).and_then(|c| rebuilt(c, number, twist))
                {
                    self.push(command);
                }
            }
            ref other if self.take_dispute(other, number) => {}
            ref other => self.take_setup(other, number),
        }
    }

    /// Steps that need nothing of those before them, but for the tokens.
    fn take_setup(&mut self, step: &Step, number: u128) {
        match *step {
            Step::BecomeClient { who } => {
                let mut request = become_client(somebody(who));
                request.client_id = rules::ClientId(identifier(20, number));
                self.push(request);
            }
            Step::CreatePartner { who, twist } => {
                let who = somebody(who);
                let mut request = create_partner(who);
                request.partner_id = rules::PartnerId(identifier(21, number));
                request.client_id = rules::ClientId(identifier(20, number));
                match twist {
                    0 => "another".clone_into(&mut request.name),
                    1 => request.dispute_window_minutes = Some(60),
                    2 => "nobody".clone_into(&mut request.institution_identifier),
                    _ => {}
                }
                self.push(request);
            }
            Step::PutEnterprise {
                who,
                licensed,
                renamed,
                moved,
            } => {
                let mut request = put_enterprise(number, somebody(who), licensed);
                if renamed {
                    request.name = format!("name {number}");
                }
                if moved {
                    "Elsewhere".clone_into(&mut request.trust_org);
                }
                self.push(request);
            }
            Step::OpenGoAccount { who, of } => {
                let mut request = open_go_account(number, somebody(who));
                request.id = match of {
                    0..3 => ledger::GoAccountId(identifier(22, number)),
                    _ => somebody(of).go_account(),
                };
                self.push(request);
            }
            Step::AddSigningKey { who, of } => {
                let id = match of {
                    0..3 => rules::SigningKeyId(identifier(23, number)),
                    _ => somebody(of).key(),
                };
                self.push(add_key(number, somebody(who), id));
            }
            Step::RevokeSigningKey { who } => {
                // Mostly a key that is revoked already: without keys little would happen.
                let id = match who {
                    0..8 => somebody(who).key(),
                    8 => rules::SigningKeyId(identifier(23, 0)),
                    _ => somebody(who).revoked_key(),
                };
                self.push(revoke_key(number, id));
            }
            Step::PutUser { who, operator } => {
                let mut request = put_user(number, somebody(who));
                if operator {
                    request.name = format!("name {number}");
                }
                self.push(request);
            }
            Step::PutMembership { who, at, role } => {
                let user_id = match who {
                    8 => rules::UserId(identifier(6, 0)),
                    _ => somebody(who).user(),
                };
                let enterprise_id = match at {
                    8 => "nowhere".parse().expect("an enterprise id"),
                    _ => somebody(at).enterprise(),
                };
                let roles = [
                    None,
                    Some(EnterpriseRole::Admin),
                    Some(EnterpriseRole::Member),
                ];
                let role = roles[usize::from(role) % roles.len()];
                let operator = act(number);
                self.push(PutMembership {
                    user_id,
                    enterprise_id,
                    role,
                    operator,
                });
            }
            Step::IssueToken { who } => {
                let user_id = match who {
                    8 => rules::UserId(identifier(6, 0)),
                    _ => somebody(who).user(),
                };
                self.push(issue_token(number, user_id));
            }
            Step::RevokeToken { of } => {
                let id = pick(&self.tokens, of).copied();
                let id = id.unwrap_or(TokenId(identifier(24, 0)));
                let operator = act(number);
                self.push(RevokeToken { id, operator });
            }
            Step::PutCurrency { currency: c, twist } => {
                let ticker = [btc(), eth(), usd()][usize::from(c)].clone();
                let mut request = put_currency(number, ticker);
                match twist {
                    0 => request.decimals = 6,
                    1 => "cellar".clone_into(&mut request.custody_source),
                    2 => request.backing = format!("asset {number}"),
                    _ => {}
                }
                self.push(request);
            }
            Step::PutPartnerConfiguration { partner, twist } => {
                let mut request = put_configuration(number, PARTNERS[usize::from(partner)]);
                let configuration = &mut request.configuration;
                match twist {
                    0 => configuration.currencies.clear(),
                    1 => configuration
                        .currencies
                        .push(partner_currency(doge(), "DOGE")),
                    2 => configuration
                        .currencies
                        .push(partner_currency(usd(), "BTC")),
                    3 => configuration.allocations = other_answering(partner),
                    4 => configuration.currencies[0].maximum = Some(amount(50)),
                    _ => {}
                }
                self.push(request);
            }
            Step::UpdatePartner {
                partner,
                active,
                stable,
            } => {
                let id = match partner {
                    4 => rules::PartnerId(identifier(5, 0)),
                    _ => PARTNERS[usize::from(partner)].partner(),
                };
                let operator = act(number);
                self.push(UpdatePartner {
                    id,
                    active,
                    stable,
                    operator,
                });
            }
            ref other => unreachable!("{other:?} is made elsewhere"),
        }
    }
}
