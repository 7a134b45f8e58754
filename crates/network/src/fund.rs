//! Booking what enters and leaves custody (decisions §2, Q60). Operators do it, or propose it where a
//! second operator is required.

use ledger::{Amount, Currency, EntryId, GoAccountId};
use rules::{
    DepositId, WithdrawalId,
    approve::Undertaken,
    fund::{BookDeposit, FinishWithdrawal, RequestWithdrawal, WithdrawalEnding},
    operate::Act,
    record::{Deposit, ProposedMovement, Withdrawal},
};
use uuid::Uuid;

use crate::{Failure, Operator};

/// Money that crosses the border of custody.
#[derive(Clone, Debug)]
pub struct Movement {
    /// To or from which account.
    pub go_account_id: GoAccountId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// The name under which it is known at the custody source of the currency.
    pub external_reference: String,
}

impl Operator<'_> {
    /// The movement at the custody source of its currency.
    async fn at_custody(&self, movement: Movement) -> Result<ProposedMovement, Failure> {
        let Movement {
            go_account_id,
            currency,
            amount,
            external_reference,
        } = movement;
        let known = self.records().currency(&currency).await?;
        let known = known.ok_or_else(|| {
            Failure::invalid(
                "currency",
                format!("is no currency of the network: {currency}"),
            )
        })?;
        Ok(ProposedMovement {
            go_account_id,
            currency,
            amount,
            custody_source: known.custody_source,
            external_reference,
        })
    }

    pub(crate) fn booking(&self, movement: ProposedMovement, operator: Act) -> BookDeposit {
        BookDeposit {
            id: DepositId(self.draw_id()),
            entry_id: EntryId(self.draw_id()),
            go_account_id: movement.go_account_id,
            currency: movement.currency,
            amount: movement.amount,
            custody_source: movement.custody_source,
            external_reference: movement.external_reference,
            operator,
        }
    }

    pub(crate) fn requesting(
        &self,
        movement: ProposedMovement,
        operator: Act,
    ) -> RequestWithdrawal {
        RequestWithdrawal {
            id: WithdrawalId(self.draw_id()),
            entry_id: EntryId(self.draw_id()),
            go_account_id: movement.go_account_id,
            currency: movement.currency,
            amount: movement.amount,
            custody_source: movement.custody_source,
            external_reference: movement.external_reference,
            operator,
        }
    }

    /// Books money that custody has received.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn book_deposit(&self, movement: Movement) -> Result<Undertaken<Deposit>, Failure> {
        let movement = self.at_custody(movement).await?;
        let deposit = self.undertake(self.booking(movement, self.act())).await?;
        self.network().tell_timers();
        Ok(deposit)
    }

    /// Holds money that is to leave custody.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn request_withdrawal(
        &self,
        movement: Movement,
    ) -> Result<Undertaken<Withdrawal>, Failure> {
        let movement = self.at_custody(movement).await?;
        self.undertake(self.requesting(movement, self.act())).await
    }

    /// Books that a withdrawal was paid, or gives its money back.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn finish_withdrawal(
        &self,
        id: Uuid,
        ending: WithdrawalEnding,
    ) -> Result<Undertaken<Withdrawal>, Failure> {
        self.undertake(FinishWithdrawal {
            id: WithdrawalId(id),
            entry_id: EntryId(self.draw_id()),
            ending,
            operator: self.act(),
        })
        .await
    }
}
