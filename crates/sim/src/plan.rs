//! What a run is made of and what it has to suffer, drawn from its seed.
//!
//! Every kind of fault is left out of some runs and frequent in others: where everything fails at
//! once, nothing gets far enough to go wrong.

use crate::chance::Chance;

macro_rules! plan {
    ($($(#[$doc:meta])* $name:ident: $draw:expr;)+) => {
        /// How often what happens, in a thousand times where nothing else is said.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Plan {
            $($(#[$doc])* pub(crate) $name: u64,)+
        }

        impl Plan {
            pub(crate) fn draw(chance: &Chance) -> Plan {
                Plan { $($name: $draw(chance),)+ }
            }
        }
    };
}

fn between(first: u64, last: u64) -> impl Fn(&Chance) -> u64 {
    move |chance| chance.within(first, last)
}

fn either(choices: &'static [u64]) -> impl Fn(&Chance) -> u64 {
    move |chance| chance.pick(choices).copied().unwrap_or_default()
}

/// Left out of two runs in five; in the others up to `most`.
fn sometimes(most: u64) -> impl Fn(&Chance) -> u64 {
    move |chance| match chance.below(5) {
        0 | 1 => 0,
        _ => chance.within(1, most),
    }
}

plan! {
    /// How many servers share the database.
    servers: either(&[1, 1, 2]);
    /// How many clients there are.
    clients: between(1, 3);
    /// How many partners there are.
    partners: between(1, 2);
    /// How much each client does.
    client_steps: between(4, 12);
    /// How much each partner does.
    partner_steps: between(3, 8);
    /// How much the operator does.
    operator_steps: between(3, 8);
    /// The longest pause between two steps of anybody, in milliseconds.
    pause_ms: either(&[20, 300, 3_000]);
    /// By how much the clock of a server may be off, in milliseconds.
    skew_ms: either(&[0, 0, 50, 2_000]);
    /// The time limit of a call to a partner, in milliseconds.
    call_timeout_ms: either(&[500, 2_000, 5_000]);
    /// After how many seconds an unanswered reservation is released.
    release_after_s: either(&[20, 90, 900]);
    /// How often servers look for messages of others, in seconds.
    look_around_s: either(&[1, 5, 20]);
    /// How many calls a server has at once.
    calls_at_once: either(&[64, 64, 16]);

    begin_fails: sometimes(60);
    load_fails: sometimes(40);
    commit_conflicts: sometimes(100);
    commit_fails: sometimes(60);
    commit_lost_but_done: sometimes(100);
    commit_lost_and_undone: sometimes(60);
    /// Asking what became of a commit.
    probe_fails: sometimes(300);
    dies_before_commit: sometimes(15);
    dies_after_commit: sometimes(25);
    dies_before_call: sometimes(20);
    dies_after_call: sometimes(30);
    /// At any moment, looked at every 500 ms.
    dies_anyhow: sometimes(30);

    request_lost: sometimes(150);
    answer_lost: sometimes(200);
    /// By up to a minute.
    request_late: sometimes(100);
    request_doubled: sometimes(150);
    /// After the partner has done what it was asked, or before.
    call_fails: sometimes(150);
    garbage: sometimes(100);
    partner_rejects: sometimes(250);
    /// A partner that answers later does so only when asked.
    never_answers: sometimes(400);
    answers_wrongly: sometimes(150);

    /// Whether the first partner stages its settlements, and its clients may dispute them.
    staged: either(&[0, 0, 1]);
    /// Whether partners settle over the chain as well.
    on_chain: either(&[0, 0, 0, 1]);
    /// Whether operators suspend clients, connections and partners, and reactivate them.
    suspensions: either(&[0, 0, 1]);
}

impl Plan {
    /// How much longer everybody acts whose settlements take longer.
    pub(crate) fn longer(&self) -> u64 {
        1 + self.staged + self.on_chain
    }
}
