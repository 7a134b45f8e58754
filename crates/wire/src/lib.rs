//! The wire protocol of the settlement network, without any transport: what bytes mean, how they
//! are signed, and how what a client or partner sends is decoded. No sockets, no clock, no
//! storage: every function here is a pure computation over its arguments (and the random source,
//! where a key or a token is made).

pub mod api;
pub mod body;
pub mod connection_key;
pub mod filters;
pub mod json;
pub mod partner_call;
pub mod partner_jwt;
pub mod payload;
mod pem;
pub mod request_hmac;
pub mod signature;
