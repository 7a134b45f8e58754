//! The schemas of members that take one of a few spellings. The spellings are those of the rules;
//! the types here stand for them in the OpenAPI document and have no values.

use network::TokenKind;
use rules::record;
use store::ProposalFilter;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr,
        schema::{Schema, Type},
    },
};

/// The kinds of tokens that can be asked for.
pub(super) const TOKEN_KINDS: &[(&str, TokenKind)] =
    &[("plain", TokenKind::Plain), ("v2x", TokenKind::V2x)];

/// What may have become of a proposal.
pub(super) const PROPOSAL_STATUSES: &[(&str, ProposalFilter)] = &[
    ("open", ProposalFilter::Open),
    ("expired", ProposalFilter::Expired),
    ("approved", ProposalFilter::Approved),
    ("rejected", ProposalFilter::Rejected),
];

macro_rules! spellings {
    ($($(#[$doc:meta])* $name:ident = $all:expr;)+) => {$(
        $(#[$doc])*
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some($all.iter().map(|(spelling, _)| *spelling)))
                    .into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

spellings! {
    /// What a user may do to the installation as a whole.
    InstallationRole = record::InstallationRole::ALL;
    /// What a user is in an enterprise.
    EnterpriseRole = record::EnterpriseRole::ALL;
    /// What a token may be used for.
    Scope = record::Scope::ALL;
    /// Whether a token can also prove itself by request HMACs.
    AccessTokenKind = TOKEN_KINDS;
    /// What has become of a proposal.
    ProposalStatus = PROPOSAL_STATUSES;
    /// How far a withdrawal has come.
    WithdrawalStatus = record::WithdrawalState::ALL;
    /// What a partner has to be asked or told.
    MessageCall = record::MessageCall::ALL;
    /// How a partner answers when it is asked.
    Answering = record::Answering::ALL;
    /// How a partner writes amounts.
    AmountFormat = record::AmountFormat::ALL;
    /// When a new partner becomes active.
    Activation = record::Activation::ALL;
}
