//! The records of the network: what is known of tenants, parties, money on its way and messages.
//!
//! Records are plain data; what may happen to them is decided by the commands beside this module.

mod approval;
mod claim;
mod configuration;
mod dispute;
mod movement;
mod onchain;
mod parties;
mod tenancy;
mod timer;

pub use approval::{
    ApprovalPolicy, LatestProposal, Proposal, ProposalState, ProposedAct, ProposedMovement,
};
pub use claim::{Claim, ClaimKey, ClaimKind, SignedRequest};
pub use configuration::{
    Activation, AmountFormat, Answering, PartnerConfiguration, PartnerCurrency, PartnerRoutes,
};
pub use dispute::{
    Adjustment, ClosedBy, ClosureStatus, Dispute, DisputeClosure, Retraction, Review,
};
pub use movement::{
    Allocation, AllocationKind, AllocationState, CurrencyKey, Deposit, Message, MessageCall,
    OpenTotal, Participation, Settlement, SettlementForm, SettlementState, Staging, Transfer,
    TransferParty, TransferStatus, Withdrawal, WithdrawalState,
};
pub use onchain::{
    Direction, LegKey, LegState, OnChain, OnChainDeposit, OnChainLeg, OnChainPart, SeenDeposit,
};
pub use parties::{Client, Connection, ConnectionState, KeySchema, Partner, Suspended};
pub use tenancy::{
    AccessToken, AccountBalance, Enterprise, EnterpriseRole, GoAccount, InstallationRole,
    Membership, NetworkCurrency, OperatorAct, Scope, SigningKey, TokenSecret, TokenUse, User,
};
pub use timer::{Timer, TimerKind};

/// Declares an enumeration whose members have a fixed spelling, in storage and on the wire.
macro_rules! spelled {
    ($($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$member_doc])* #[serde(rename = $text)] $member,)+
        }

        impl $name {
            /// All members with their spelling.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($text, $name::$member),)+];

            /// The spelling.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$member => $text,)+
                }
            }

            /// The member with this spelling.
            pub fn from_spelling(text: &str) -> Option<$name> {
                $name::ALL.iter().find(|(spelling, _)| *spelling == text).map(|(_, member)| *member)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.as_str().fmt(f)
            }
        }
    )+};
}
pub(crate) use spelled;
