//! Settlement over the chain (OES wire §3.8): gains reach custody as deposits of the partner, losses
//! leave it as withdrawals to the partner.

mod lateness;

pub use lateness::NoteLate;
