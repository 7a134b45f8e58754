//! What a simulated exchange is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::connection_key::ConnectionKeySchema;

use crate::faults::Fault;

/// Everything that an exchange is started with. Holds secrets and so has no `Debug`.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens. The default is the loopback interface and a free port.
    pub listen: SocketAddr,
    /// Bearer token of the control API; none: everyone who reaches it may control.
    pub control_token: Option<String>,
    /// The network's public key (PEM, SPKI), by which its calls are recognised. Until it is known,
    /// here or by control, every call is refused.
    pub jwt_public_key: Option<String>,
    /// The header that carries the network's signature.
    pub signature_header: String,
    /// Who the exchange is at the network; usually told later by control, when it has joined.
    pub membership: Option<Membership>,
    /// The schemas of connection keys that it takes; at least one.
    pub schemas: Vec<ConnectionKeySchema>,
    /// RSA private key (PEM, PKCS#8). If there is one, connection keys are taken sealed only.
    pub private_key: Option<String>,
    /// How it answers.
    pub mode: Mode,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            control_token: None,
            jwt_public_key: None,
            signature_header: "X-BitGo-Signature".to_owned(),
            membership: None,
            schemas: vec![ConnectionKeySchema::Token],
            private_key: None,
            mode: Mode::default(),
            faults: Vec::new(),
        }
    }
}

/// Which requests are decided later, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Mode {
    /// Allocations are answered by calling the network (P6).
    pub asynchronous_allocations: bool,
    /// Deallocations are answered by calling the network (P7).
    pub asynchronous_deallocations: bool,
    /// Asynchronous requests are answered without being told to, soon after they came.
    pub auto_answer: bool,
}

/// Who the exchange is at the network, and how it gets in. Holds secrets and so has no `Debug`.
#[derive(Clone)]
pub struct Membership {
    /// The partner, which the network's signatures name as their audience.
    pub partner_id: Uuid,
    /// The partner's enterprise.
    pub enterprise_id: String,
    /// An access token of that enterprise; secret.
    pub token: String,
    /// The user key of the partner's Go Account, as xprv or as 32 bytes in hex; secret.
    pub signing_key: String,
    /// Where the network answers, such as `http://127.0.0.1:8080`.
    pub network_url: String,
}
