//! Which steps there are, and how often each is drawn.

use super::*;

fn signing() -> impl Strategy<Value = Signing> {
    prop_oneof![
        20 => Just(Signing::Fresh),
        4 => (0..3_u8).prop_map(Signing::WornNonce),
        1 => Just(Signing::RevokedKey),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![3 => Just(Form::Party), 2 => Just(Form::Balanced), 2 => Just(Form::Pair)]
}

fn yes(percent: u8) -> impl Strategy<Value = bool> {
    (0..100_u8).prop_map(move |n| n < percent)
}

/// Sequences of about `length` steps.
pub(crate) fn sequences(length: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), length / 2..=length * 3 / 2)
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    let units = || 1..=250_u8;
    let maybe = || proptest::option::of(yes(70));
    let steps: Vec<(u32, BoxedStrategy<Step>)> = vec![
        (
            24,
            (yes(35), n(), 0..12_u8, units(), 0..10_u8, signing())
                .prop_map(
                    |(out, link, currency, units, name, signing)| Step::Reserve {
                        out,
                        link,
                        currency,
                        units,
                        name,
                        signing,
                    },
                )
                .boxed(),
        ),
        (
            12,
            (n(), yes(60), yes(50), yes(20))
                .prop_map(|(of, cleared, told, operator)| Step::Conclude {
                    of,
                    cleared,
                    told,
                    operator,
                })
                .boxed(),
        ),
        (3, n().prop_map(|of| Step::Unanswered { of }).boxed()),
        (
            3,
            (n(), yes(50))
                .prop_map(|(of, named)| Step::Awaited { of, named })
                .boxed(),
        ),
        (2, n().prop_map(|of| Step::AskAgain { of }).boxed()),
        (
            7,
            (n(), yes(60), 0..30_u8, signing())
                .prop_map(|(of, cleared, twist, signing)| Step::PartnerAnswer {
                    of,
                    cleared,
                    twist,
                    signing,
                })
                .boxed(),
        ),
        (
            9,
            (
                0..9_u8,
                form(),
                vec((n(), 0..8_u8, n().prop_map(u8::cast_signed)), 1..4),
                0..4_u8,
                signing(),
            )
                .prop_map(|(partner, form, lines, name, signing)| Step::Settle {
                    partner,
                    form,
                    lines,
                    name,
                    signing,
                })
                .boxed(),
        ),
        (
            9,
            (
                0..4_u8,
                form(),
                vec((n(), 0..8_u8, n().prop_map(u8::cast_signed)), 0..4),
                0..5_u8,
                signing(),
            )
                .prop_map(|(partner, form, lines, name, signing)| Step::Stage {
                    partner,
                    form,
                    lines,
                    name,
                    signing,
                })
                .boxed(),
        ),
        (9, n().prop_map(|of| Step::Advance { of }).boxed()),
        (5, n().prop_map(|of| Step::RejectSettlement { of }).boxed()),
        (
            6,
            (n(), n(), yes(60))
                .prop_map(|(of, line, destination)| Step::Dispute {
                    of,
                    line,
                    destination,
                })
                .boxed(),
        ),
        (
            3,
            (n(), yes(60))
                .prop_map(|(of, retracted)| Step::UpdateDispute { of, retracted })
                .boxed(),
        ),
        (3, n().prop_map(|of| Step::CloseDispute { of }).boxed()),
        (
            7,
            (n(), n().prop_map(u8::cast_signed))
                .prop_map(|(of, units)| Step::ProposeClosure { of, units })
                .boxed(),
        ),
        (
            9,
            (n(), yes(70), yes(85))
                .prop_map(|(of, approve, by_another)| Step::ReviewClosure {
                    of,
                    approve,
                    by_another,
                })
                .boxed(),
        ),
        (2, Just(Step::StageBroker).boxed()),
        (
            6,
            (0..8_u8, 0..8_u8, units(), 0..6_u8)
                .prop_map(|(who, currency, units, name)| Step::Deposit {
                    who,
                    currency,
                    units,
                    name,
                })
                .boxed(),
        ),
        (
            6,
            (0..8_u8, 0..8_u8, units(), 0..6_u8)
                .prop_map(|(who, currency, units, name)| Step::Withdraw {
                    who,
                    currency,
                    units,
                    name,
                })
                .boxed(),
        ),
        (
            5,
            (n(), yes(60))
                .prop_map(|(of, paid)| Step::Finish { of, paid })
                .boxed(),
        ),
        (
            3,
            (0..4_u8, 0..4_u8, 0..4_u8, 0..12_u8, signing())
                .prop_map(
                    |(client, partner, number, twist, signing)| Step::OpenConnection {
                        client,
                        partner,
                        number,
                        twist,
                        signing,
                    },
                )
                .boxed(),
        ),
        (
            2,
            (n(), 0..4_u8, yes(60))
                .prop_map(|(link, number, accepted)| Step::AnswerConnection {
                    link,
                    number,
                    accepted,
                })
                .boxed(),
        ),
        (
            2,
            (n(), 0..2_u8, 0..8_u8, maybe(), yes(30))
                .prop_map(
                    |(link, number, by, active, rename)| Step::UpdateConnection {
                        link,
                        number,
                        by,
                        active,
                        rename,
                    },
                )
                .boxed(),
        ),
        (
            3,
            (vec(n(), 1..4), yes(50))
                .prop_map(|(of, only_due)| Step::Lease { of, only_due })
                .boxed(),
        ),
        (
            2,
            (n(), yes(50))
                .prop_map(|(of, cleared)| Step::Delivered { of, cleared })
                .boxed(),
        ),
        (2, n().prop_map(|of| Step::Undelivered { of }).boxed()),
        (
            1,
            (0..8_u8).prop_map(|who| Step::BecomeClient { who }).boxed(),
        ),
        (
            1,
            (0..8_u8, 0..4_u8)
                .prop_map(|(who, twist)| Step::CreatePartner { who, twist })
                .boxed(),
        ),
        (
            1,
            (0..8_u8, yes(75), yes(20), yes(10))
                .prop_map(|(who, licensed, renamed, moved)| Step::PutEnterprise {
                    who,
                    licensed,
                    renamed,
                    moved,
                })
                .boxed(),
        ),
        (
            1,
            (0..8_u8, 0..8_u8)
                .prop_map(|(who, of)| Step::OpenGoAccount { who, of })
                .boxed(),
        ),
        (
            1,
            (0..8_u8, 0..8_u8)
                .prop_map(|(who, of)| Step::AddSigningKey { who, of })
                .boxed(),
        ),
        (
            1,
            (0..80_u8)
                .prop_map(|who| Step::RevokeSigningKey { who })
                .boxed(),
        ),
        (
            1,
            (0..9_u8, yes(50))
                .prop_map(|(who, operator)| Step::PutUser { who, operator })
                .boxed(),
        ),
        (
            1,
            (0..9_u8, 0..9_u8, 0..3_u8)
                .prop_map(|(who, at, role)| Step::PutMembership { who, at, role })
                .boxed(),
        ),
        (
            1,
            (0..9_u8).prop_map(|who| Step::IssueToken { who }).boxed(),
        ),
        (1, n().prop_map(|of| Step::RevokeToken { of }).boxed()),
        (
            1,
            (0..3_u8, 0..8_u8)
                .prop_map(|(currency, twist)| Step::PutCurrency { currency, twist })
                .boxed(),
        ),
        (
            1,
            (0..4_u8, 0..8_u8)
                .prop_map(|(partner, twist)| Step::PutPartnerConfiguration { partner, twist })
                .boxed(),
        ),
        (
            1,
            (0..5_u8, maybe(), maybe())
                .prop_map(|(partner, active, stable)| Step::UpdatePartner {
                    partner,
                    active,
                    stable,
                })
                .boxed(),
        ),
        (10, n().prop_map(|of| Step::Again { of }).boxed()),
        (
            8,
            (n(), 0..6_u8)
                .prop_map(|(of, twist)| Step::Rebuilt { of, twist })
                .boxed(),
        ),
    ];
    Union::new_weighted(steps)
}
