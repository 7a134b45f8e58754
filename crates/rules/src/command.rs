//! Commands: what they declare and how they are decided.

use ledger::Timestamp;

use crate::{Draft, Keys, Refusal, View, accepted};

/// An act that may change the network's state.
///
/// A command is decided inside a batch: storage loads [`Command::keys`] of all its commands,
/// then [`Command::more_keys`], and then decides them one after the other on the same view. The
/// same command may be decided again (after a conflict) and has to come to the same result on
/// the same view: everything random is drawn before.
pub trait Command: Send + Sync + 'static {
    /// What whoever asked gets back when the command is accepted.
    type Outcome: Send + 'static;

    /// What it reads, as far as it can be told from the command alone.
    fn keys(&self) -> Keys;

    /// What else it reads, now that [`Command::keys`] are loaded.
    fn more_keys(&self, _view: &View) -> Keys {
        Keys::default()
    }

    /// How much work it is, in the size of one ordinary command.
    fn weight(&self) -> usize {
        1
    }

    /// Decides: writes to the draft and answers, or refuses, and then nothing of the draft stays.
    ///
    /// `now` is the business time of the batch and the same for all of its commands.
    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Self::Outcome, Refusal>;
}

/// A command of any kind, waiting in a batch.
pub trait Decidable: Send {
    /// See [`Command::keys`].
    fn keys(&self) -> Keys;
    /// See [`Command::more_keys`].
    fn more_keys(&self, view: &View) -> Keys;
    /// See [`Command::weight`].
    fn weight(&self) -> usize;
    /// Decides on `view`, keeps the answer for later, and changes the view if it is accepted.
    fn decide(&mut self, view: &mut View, now: Timestamp);
}

/// A command together with the answer it got.
#[derive(Debug)]
pub struct Submission<C: Command> {
    command: C,
    /// The answer of the last decision, if there was one.
    pub answer: Option<Result<C::Outcome, Refusal>>,
}

impl<C: Command> Submission<C> {
    /// A command that was not decided yet.
    pub fn new(command: C) -> Submission<C> {
        Submission {
            command,
            answer: None,
        }
    }
}

impl<C: Command> Decidable for Submission<C> {
    fn keys(&self) -> Keys {
        self.command.keys()
    }

    fn more_keys(&self, view: &View) -> Keys {
        self.command.more_keys(view)
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }

    fn decide(&mut self, view: &mut View, now: Timestamp) {
        // An earlier decision on another view counts no more, even if this one should panic.
        self.answer = None;
        let mut draft = Draft::on(view);
        let answer = self.command.decide(&mut draft, now);
        if answer.is_ok() {
            accepted::note::<C>();
            let written = draft.into_written();
            view.accept(written);
        }
        self.answer = Some(answer);
    }
}
