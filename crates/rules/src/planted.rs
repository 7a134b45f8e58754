//! Deliberate faults, to show that the simulator finds what it should.
//!
//! They exist only in builds with the feature `planted-faults`, which the simulator asks for and
//! nothing that is shipped does; everywhere else [`is_planted`] is a constant `false`, and what it
//! guards disappears. In such a build a fault is planted for one thread, at run time.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A deliberate fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: [Fault; [$(stringify!($name)),+].len()] = [$(Fault::$name),+];
        }
    };
}

faults! {
    /// What a partner rejects ends, but its money stays held.
    RejectionKeepsHold,
    /// A record that has ended is ended again by whoever comes later.
    EndsTwice,
    /// An operator's release gives back what was cleared already.
    ReleaseAfterClear,
    /// The external id of an allocation is not taken.
    ExternalIdNotClaimed,
    /// The same external id with another amount is taken for a repetition.
    OtherContentAccepted,
    /// A nonce is looked at but not taken.
    NonceNotTaken,
    /// What is cleared is not told to the partner.
    ClearNotTold,
    /// What the network releases by itself is not told to the partner.
    ReleaseNotTold,
    /// A message that could not be delivered is dropped.
    UndeliveredDropped,
    /// A message is taken although somebody works on it.
    LeaseIgnored,
    /// A lease never ends.
    LeaseForEver,
    /// What was reserved at a partner is counted for ever.
    OpenTotalNotDecremented,
    /// Of a settlement whose losses are not covered the gains are booked all the same.
    GainsWithoutLosses,
    /// A completed settlement that is posted again is booked again.
    SettlesAgain,
    /// The end of the dispute window is not told to the partner.
    FinalAmountsNotTold,
    /// What is disputed when the window ends is executed all the same.
    DisputedIsExecuted,
    /// A closure counts although whoever proposed it is the only one who has looked at it.
    ReviewedAlone,
    /// What is held for disputed transfers stays held beside what a closure holds.
    ClosureKeepsHold,
    /// Of what a closure says nothing moves that a connection loses.
    ClosureMovesGainsOnly,
    /// What deposits over the chain bring beyond what is gained is nobody's.
    SurplusNotReturned,
    /// A transaction over the chain is not taken when it is seen.
    SeenNotTaken,
    /// What was to leave over the chain and did not is gone.
    FailedWithdrawalLeaves,
    /// Clearing a deallocation moves one unit too many.
    DeallocatesTooMuch,
    /// A late answer counts whatever amount it names.
    AnswerNotCompared,
    /// The reference of a deposit is not taken.
    DepositNotClaimed,
    /// A cancelled withdrawal gives the money back and stays open.
    CancelledStaysOpen,
    /// A status that a partner does not tell is taken for a rejection.
    UnknownIsRejected,
    /// A partner that does not know a record is taken to have rejected it.
    NotKnownIsRejected,
    /// A call that got no answer is taken for a rejection.
    SilenceIsRejection,
    /// A partner that has merely taken a question is taken to have accepted.
    PendingIsAccepted,
    /// What operators have stopped allocates all the same.
    StoppedAllocates,
    /// Over a connection that is stopped nothing comes back.
    StoppedKeepsMoney,
    /// A suspended client, or one to an inactive partner, is connected all the same.
    StoppedConnects,
    /// An inactive partner settles all the same.
    InactiveSettles,
    /// An inactive partner announces deposits all the same.
    InactiveAnnounces,
    /// A settlement over a suspended connection is refused.
    SuspendedIsNotSettled,
    /// A client activates what the operator has suspended.
    SuspendedIsActivated,
    /// A connection that is reactivated is active whatever its client wanted.
    ReactivatedIsActive,
    /// An inactive partner is neither asked nor told anything.
    InactiveIsNotCalled,
    /// A staged settlement of an inactive partner waits for the partner.
    InactiveIsNotExecuted,
    /// What was to be booked at once and failed is rejected like what was staged.
    UnstagedIsRejected,
    /// What was rejected before it began over the chain begins when it is posted again.
    RejectedBegins,
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault for what this thread does from now on, or takes it away.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether this fault is planted.
#[cfg(feature = "planted-faults")]
pub fn is_planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether this fault is planted: never, in a build without the feature.
#[cfg(not(feature = "planted-faults"))]
pub const fn is_planted(_: Fault) -> bool {
    false
}
