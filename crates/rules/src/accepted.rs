//! Which commands were accepted, so that the simulator can show that it knows all of them.
//!
//! As with [`crate::planted`], nothing of this is left in builds without the feature
//! `planted-faults`; with it, each thread remembers its own.

#[cfg(feature = "planted-faults")]
thread_local! {
    static ACCEPTED: std::cell::RefCell<std::collections::BTreeSet<&'static str>> =
        const { std::cell::RefCell::new(std::collections::BTreeSet::new()) };
}

/// A command of this type was accepted.
#[cfg(feature = "planted-faults")]
pub(crate) fn note<C>() {
    ACCEPTED.with_borrow_mut(|accepted| accepted.insert(std::any::type_name::<C>()));
}

/// A command of this type was accepted, which nobody wants to know.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn note<C>() {}

/// The full names of the types of all commands that this thread has accepted since it was asked
/// last.
#[cfg(feature = "planted-faults")]
pub fn take() -> std::collections::BTreeSet<&'static str> {
    ACCEPTED.take()
}
