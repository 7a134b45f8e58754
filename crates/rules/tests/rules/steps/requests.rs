//! Requests that steps make, and how they are twisted.

use super::*;

pub(super) fn other_answering(partner: u8) -> Answering {
    match PARTNERS[usize::from(partner)] {
        Who::Async => Answering::Synchronous,
        _ => Answering::Asynchronous,
    }
}

pub(crate) fn issue_token(number: u128, user_id: rules::UserId) -> IssueToken {
    IssueToken {
        token: AccessToken {
            id: TokenId(identifier(24, number)),
            user_id,
            label: "desk".to_owned(),
            hash: digest(number),
            secret: TokenSecret::Plain,
            scopes: vec![Scope::Read, Scope::Write],
            networks: Vec::new(),
            expires_at: None,
            revoked_at: None,
            created_at: ledger::Timestamp(0),
        },
        operator: act(number),
    }
}

/// One of the connections that there are from the start, or one that a step may have opened.
pub(super) fn any_link(n: u8, which: u8) -> Link {
    match which {
        0..2 => some_link(n),
        _ => Link {
            client: CLIENTS[usize::from(n) % 4],
            partner: PARTNERS[usize::from(n) / 4 % 4],
            number: 10 + which,
        },
    }
}

/// The link behind a request.
fn link_of(request: &Reserve) -> Link {
    let is_it = |link: &Link| link.connection() == request.route.connection_id;
    (0..=u8::MAX).map(some_link).find(is_it).expect("a link")
}

pub(super) fn twisted_answer(
    number: u128,
    of: &Reserve,
    cleared: bool,
    twist: u8,
    signing: Signing,
) -> PartnerAnswer {
    let link = link_of(of);
    let mut answer = partner_answer(number, of, link, cleared);
    match twist {
        0 => answer.amount = amount(of.amount.units() + 1),
        1 => answer.currency = None,
        2 => "nobody".clone_into(&mut answer.partners_client_id),
        3 => answer.kind = AllocationKind::Deallocation,
        4 => answer.client_id = Who::Outsider.client(),
        // Another partner answers.
        5 => {
            let other = if link.partner == Who::Async {
                Who::Broker
            } else {
                Who::Async
            };
            answer.enterprise_id = other.enterprise();
            answer.go_account_id = other.go_account();
            answer.signed.request.enterprise_id = other.enterprise();
            answer.signed.key_id = other.key();
            return answer;
        }
        _ => {}
    }
    answer.signed = signed(
        number,
        link.partner,
        &nonce_of(signing, number),
        (of.id, cleared, twist),
    );
    answer.signed.key_id = key_of(signing, link.partner);
    answer
}

pub(super) fn random_settle(
    number: u128,
    partner: Who,
    form: Form,
    lines: &[(u8, u8, i8)],
    name: u8,
    signing: Signing,
) -> Settle {
    let mut made = Vec::new();
    for (client, currency_number, units) in lines {
        let units = if *units == 0 { 1 } else { i128::from(*units) };
        let currency = currency((*currency_number).min(7));
        let client = CLIENTS[usize::from(*client) % 3];
        let other = if client == Who::Beta {
            Who::Alpha
        } else {
            Who::Beta
        };
        let (here, there) = (link(client, partner), link(other, partner));
        match form {
            Form::Party => made.push(party_line(here, currency, units)),
            Form::Balanced => {
                made.push(party_line(here, currency.clone(), units));
                made.push(party_line(there, currency, -units));
            }
            Form::Pair => made.push(pair_line(here, there, currency, units)),
        }
    }
    let form = match form {
        Form::Pair => SettlementForm::Pair,
        _ => SettlementForm::Party,
    };
    let mut request = settle(number, partner, form, made);
    request.external_id = format!("settlement {name}");
    let content = (request.content_digest, name);
    request.signed = signed(number, partner, &nonce_of(signing, number), content);
    request.signed.key_id = key_of(signing, partner);
    request
}

/// The request that `earlier` was, made again under its name: with a fresh signature and, unless
/// `twist` leaves it so, with other content.
pub(super) fn rebuilt(earlier: &Any, number: u128, twist: u8) -> Option<Any> {
    let nonce = format!("rebuilt {number}");
    Some(match earlier.clone() {
        Any::Reserve(mut request) => {
            request.id = allocation_id(number);
            request.entry_id = entry_id(number);
            match twist {
                0 => request.amount = amount(request.amount.units() + 1),
                1 => request.notes = Some("rebuilt".to_owned()),
                2 => request.currency = eth(),
                // The same nonce over what may be other bytes.
                3 => {
                    let nonce = request.signed.nonce.clone();
                    request.notes = Some("again".to_owned());
                    return Some(sign_reserve(*request, number, &nonce).into());
                }
                _ => {}
            }
            sign_reserve(*request, number, &nonce).into()
        }
        Any::Settle(mut request) => {
            request.id = rules::SettlementId(identifier(15, number));
            request.entry_id = entry_id(number);
            match twist {
                0 => {
                    let units = request.lines[0].amount.units() + 500;
                    request.lines[0].amount = SignedAmount::new(units).expect("an amount");
                    request.content_digest = digest((number, &request.external_id));
                }
                1 => request.notes = Some("rebuilt".to_owned()),
                _ => {}
            }
            let content = (request.content_digest, &request.notes);
            let key_id = request.signed.key_id;
            let partner = PARTNERS
                .into_iter()
                .find(|p| p.partner() == request.partner_id)?;
            request.signed = signed(number, partner, &nonce, content);
            request.signed.key_id = key_id;
            Any::Settle(request)
        }
        Any::BookDeposit(mut request) => {
            request.id = rules::DepositId(identifier(16, number));
            request.entry_id = entry_id(number);
            match twist {
                0 => request.amount = amount(request.amount.units() + 1),
                1 => request.go_account_id = Who::Alpha.go_account(),
                _ => {}
            }
            Any::BookDeposit(request)
        }
        Any::RequestWithdrawal(mut request) => {
            request.id = withdrawal_id(number);
            request.entry_id = entry_id(number);
            if twist == 0 {
                request.amount = amount(request.amount.units() + 1);
            }
            Any::RequestWithdrawal(request)
        }
        Any::Conclude(mut request) => {
            request.entry_id = entry_id(number);
            Any::Conclude(request)
        }
        Any::FinishWithdrawal(mut request) => {
            request.entry_id = entry_id(number);
            Any::FinishWithdrawal(request)
        }
        Any::PartnerAnswer(mut request) => {
            request.entry_id = entry_id(number);
            request.signed.nonce = nonce;
            request.signed.request.id = identifier(14, number);
            if twist == 0 {
                request.reject_reason = match request.reject_reason {
                    None => Some("after all".to_owned()),
                    Some(_) => None,
                };
            }
            Any::PartnerAnswer(request)
        }
        _ => return None,
    })
}
