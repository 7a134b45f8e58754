//! Refusals: what the network says when it will not do something.

use std::fmt;

/// What kind of "no" it is; the edge maps it to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request cannot be understood or contradicts itself.
    Invalid,
    /// Whoever asks is not who they must be, or their signing key no longer counts.
    NotAuthentic,
    /// Whoever asks is known, and may not.
    NotPermitted,
    /// What is named does not exist or is not the asker's.
    NotFound,
    /// It contradicts something that stands already.
    Conflict,
    /// It is understood and allowed, and a business rule speaks against it.
    Unprocessable,
}

/// A refusal: a stable name for programs and a sentence for people.
///
/// The sentence says what is refused, why, and where it helps, what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reason.message)]
pub struct Refusal {
    /// What kind of "no".
    pub class: Class,
    /// Its name and its sentence.
    pub reason: Reason,
}

/// Why something was refused, released or failed; stored with the record it happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable code such as `insufficient_available`, listed in the API reference.
    pub name: String,
    /// A sentence for a person.
    pub message: String,
}

impl Reason {
    /// A reason from its name and its sentence.
    pub fn new(name: &str, message: impl Into<String>) -> Reason {
        Reason {
            name: name.to_owned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl Refusal {
    /// A refusal from its class, its name and its sentence.
    pub fn new(class: Class, name: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            class,
            reason: Reason::new(name, message),
        }
    }

    pub(crate) fn no_licence() -> Refusal {
        Refusal::new(
            Class::NotPermitted,
            "no_oes_licence",
            "the enterprise does not have an OES licence; ask the operator of the network for one",
        )
    }

    pub(crate) fn key_revoked() -> Refusal {
        Refusal::new(
            Class::NotAuthentic,
            "signing_key_revoked",
            "the key that signed this request may no longer sign for the account",
        )
    }

    pub(crate) fn not_found(what: &str) -> Refusal {
        Refusal::new(
            Class::NotFound,
            &format!("{}_not_found", what.replace(' ', "_")),
            format!("there is no such {what}, or it is not yours"),
        )
    }

    /// Refuses to take `id` for other content: `members` say in what the content differs.
    pub(crate) fn unless_same(
        what: &str,
        id: &str,
        members: &[(&str, bool)],
    ) -> Result<(), Refusal> {
        let different = differing(members);
        if different.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Class::Conflict,
            "external_id_taken",
            format!(
                "{what} {id:?} exists with other content; different: {}. Repeat it unchanged or use a new id",
                different.join(", ")
            ),
        ))
    }

    pub(crate) fn nonce_taken() -> Refusal {
        Refusal::new(
            Class::Conflict,
            "nonce_taken",
            "this nonce was used for another request of the enterprise; sign the request with a fresh one",
        )
    }
}

/// The names of the members that differ.
pub(crate) fn differing<'name>(members: &[(&'name str, bool)]) -> Vec<&'name str> {
    let different = members.iter().filter(|(_, differs)| *differs);
    different.map(|(member, _)| *member).collect()
}
