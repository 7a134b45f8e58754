//! Disputes, their closures, and what waits for a settlement because of them.

use std::collections::BTreeSet;

use rules::{
    ConnectionId, DisputeClosureId, DisputeId, PartnerId, SettlementId,
    record::{ClosureStatus, Dispute, DisputeClosure, Transfer},
};
use uuid::Uuid;

use super::{Found, Listed, Owned, Page};
use crate::{Store, select::Select};

/// How many records are looked up by one query.
const LOOKED_UP_AT_ONCE: usize = 1_000;

/// Which disputes are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns of the record")]
pub struct DisputeFilter {
    pub ids: Option<Vec<Uuid>>,
    pub settlement_ids: Option<Vec<Uuid>>,
    pub settled_in_ids: Option<Vec<Uuid>>,
    pub closure_ids: Option<Vec<Uuid>>,
    pub connection_ids: Option<Vec<Uuid>>,
    pub partner_ids: Option<Vec<Uuid>>,
    pub client_ids: Option<Vec<Uuid>>,
    pub settlement_external_ids: Option<Vec<String>>,
    pub settled_in_external_ids: Option<Vec<String>>,
    /// Whether a closure counts.
    pub closed: Option<bool>,
    /// Whether it was taken back.
    pub retracted: Option<bool>,
}

/// Only where a column is set, or not.
fn set_if(select: Select, column: &str, wanted: Option<bool>) -> Select {
    match wanted {
        None => select,
        Some(true) => select.filter(&format!("{column} IS NOT NULL"), Vec::new()),
        Some(false) => select.filter(&format!("{column} IS NULL"), Vec::new()),
    }
}

/// Only where a transfer in which it has ended rides on a settlement of which this holds.
fn riding_on(condition: &str) -> String {
    format!(
        "(SELECT 1 FROM settlement_transfers t WHERE t.dispute_closure_id = disputes.closure_id
            AND {condition} LIMIT 1) = 1"
    )
}

/// Whether the partner's enterprise calls this settlement so: 1, or NULL.
fn named(settlement: &str) -> String {
    format!(
        "(SELECT 1 FROM settlements s WHERE s.id = {settlement}
            AND s.partner_enterprise_id = disputes.partner_enterprise_id
            AND s.external_id IN (*) LIMIT 1)"
    )
}

fn narrowed(select: Select, filter: DisputeFilter) -> Select {
    let select = select
        .named("id", filter.ids)
        .among("settlement_id", filter.settlement_ids)
        .among_in(&riding_on("t.settlement_id IN (*)"), filter.settled_in_ids)
        .among("closure_id", filter.closure_ids)
        .among("connection_id", filter.connection_ids)
        .among("partner_id", filter.partner_ids)
        .among("client_id", filter.client_ids)
        .among_in(
            &format!("{} = 1", named("disputes.settlement_id")),
            filter.settlement_external_ids,
        )
        .among_in(
            &riding_on(&format!("{} = 1", named("t.settlement_id"))),
            filter.settled_in_external_ids,
        );
    // Those that are open are the operator's, by these words; nobody else's are looked for there.
    let select = match filter.closed {
        Some(false) => select.filter("COALESCE(closed_at, 0) = 0", Vec::new()),
        closed => set_if(select, "closed_at", closed),
    };
    set_if(select, "retracted_at", filter.retracted)
}

impl Store {
    /// A dispute.
    pub async fn dispute(&self, id: DisputeId) -> Found<Dispute> {
        self.by_key(&id).await
    }

    /// Disputes of one side, the newest first.
    pub async fn disputes(
        &self,
        owned: &Owned,
        filter: DisputeFilter,
        page: Page,
    ) -> Listed<Dispute> {
        let own = Select::all().equal(owned.column(), owned.enterprise_id.as_str());
        narrowed(own, filter)
            .order("created_at DESC, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// Disputes that no closure counts for, the oldest first, for the operator.
    pub async fn open_disputes(&self, page: Page) -> Listed<Dispute> {
        Select::all()
            .filter("closed_at IS NULL", Vec::new())
            .order("created_at, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// All disputes whose end rides on a settlement, be it a part of it.
    pub async fn disputes_settled_in(&self, settlement: SettlementId) -> Listed<Dispute> {
        // Looked up step by step, for PostgreSQL reads all of a table that it joins and takes for
        // small.
        let riding: Vec<Transfer> = Select::all()
            .equal("settlement_id", settlement.0)
            .filter("dispute_closure_id IS NOT NULL", Vec::new())
            .run(self.reader())
            .await?;
        let closures = riding.iter().filter_map(|part| part.dispute_closure_id);
        let closures: Vec<_> = BTreeSet::from_iter(closures).into_iter().collect();
        let mut disputes: Vec<Dispute> = Vec::new();
        for closures in closures.chunks(LOOKED_UP_AT_ONCE) {
            let closures = self.dispute_closures(closures.to_vec()).await?;
            let ids = closures.iter().map(|closure| closure.dispute_id.0);
            let select = Select::all().named("id", Some(ids.collect()));
            disputes.extend(select.run::<Dispute>(self.reader()).await?);
        }
        disputes.sort_by_key(|dispute| (dispute.created_at, dispute.id));
        Ok(disputes)
    }

    /// All disputes of a settlement.
    pub async fn disputes_of_settlement(&self, settlement: SettlementId) -> Listed<Dispute> {
        let select = Select::all().equal("settlement_id", settlement.0);
        select.order("created_at, id").run(self.reader()).await
    }

    /// How a dispute ends.
    pub async fn dispute_closure(&self, id: DisputeClosureId) -> Found<DisputeClosure> {
        self.by_key(&id).await
    }

    /// Closures by their identifiers.
    pub async fn dispute_closures(&self, ids: Vec<DisputeClosureId>) -> Listed<DisputeClosure> {
        let ids = ids.into_iter().map(|id| id.0).collect();
        let select = Select::all().among::<Uuid>("id", Some(ids));
        select.run(self.reader()).await
    }

    /// Closures that a second operator has yet to look at, the oldest first.
    pub async fn waiting_closures(&self, page: Page) -> Listed<DisputeClosure> {
        Select::all()
            .filter(
                &format!("status = '{}'", ClosureStatus::PendingReview),
                Vec::new(),
            )
            .order("created_at, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// The transfers that closures have made.
    pub async fn transfers_of_closures(&self, ids: Vec<DisputeClosureId>) -> Listed<Transfer> {
        let ids = ids.into_iter().map(|id| id.0).collect();
        Select::all()
            .among::<Uuid>("dispute_closure_id", Some(ids))
            .order("dispute_closure_id, created_at, id")
            .run(self.reader())
            .await
    }

    /// What waits for a settlement of a partner to ride on, the oldest first.
    pub async fn waiting_transfers(&self, partner: PartnerId, at_most: u32) -> Listed<Transfer> {
        Select::all()
            .filter("settlement_id IS NULL", Vec::new())
            .equal("partner_id", partner.0)
            .order("created_at, id")
            .page(Page {
                number: 0,
                size: at_most,
            })
            .run(self.reader())
            .await
    }

    /// What waits for a settlement to ride on, whose ever, the oldest first, for the operator.
    pub async fn all_waiting_transfers(&self, page: Page) -> Listed<Transfer> {
        Select::all()
            .filter("settlement_id IS NULL", Vec::new())
            .order("created_at, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// What a settlement that was posted moves for a connection, without what rides on it.
    pub async fn posted_transfers(
        &self,
        settlement: SettlementId,
        connection: ConnectionId,
    ) -> Listed<Transfer> {
        Select::all()
            .equal("settlement_id", settlement.0)
            .filter(
                "dispute_closure_id IS NULL
                    AND (source_connection_id = ? OR destination_connection_id = ?)",
                vec![connection.0.into(), connection.0.into()],
            )
            .order("position")
            .run(self.reader())
            .await
    }
}
