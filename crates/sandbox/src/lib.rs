//! A simulated exchange: a real HTTP server that behaves as a correct partner of the network
//! should (OES wire §2.3), with customers, balances, trades and settlements, and a control API
//! that makes it act and fail on demand. For trying the network out, for demonstrations and for
//! tests; there is no real money and nothing is kept on disk.
//!
//! It knows only the wire: it is to the network what any partner is.

pub mod books;
mod control;
mod exchange;
mod faults;
mod gate;
mod hang_up;
mod hosted;
mod name;
mod network;
mod settings;

pub use exchange::{Exchange, RunningExchange, StartError};
pub use faults::{Action, Call, Fault};
pub use hosted::PREFIX;
pub use settings::{Membership, Mode, Settings};
