//! Filters of lists. An input is a query string in one line, and a body that is all the rest.

use std::fmt::Debug;

use url::form_urlencoded::Serializer;
use wire::{
    api::{
        allocations::{ClientAllocationsFilter, PartnerAllocationsFilter},
        balances::{ClientBalancesFilter, PartnerBalancesFilter},
        connections::{ClientConnectionsFilter, PartnerConnectionsFilter},
        partners::PartnersFilter,
        settlements::{
            ClientSettlementFilter, ClientSettlementsFilter, PartnerSettlementFilter,
            PartnerSettlementsFilter, SettlementTransfersFilter,
        },
    },
    body::Fault,
    filters::{ENTRIES_MAX, Filters, PAGE_NUMBER_MAX, PAGE_SIZE_MAX, Page},
};

use crate::words::{are_bounded, lines, text};

pub(crate) fn hold(bytes: &[u8]) {
    let [query, body] = lines(bytes);
    let Some(query) = text(query) else {
        return;
    };
    macro_rules! each {
        ($($filter:ty),+ $(,)?) => {$(
            check(query, body, <$filter>::read, |filter| (filter.page, filter.pairs()));
        )+};
    }
    each!(
        ClientAllocationsFilter,
        PartnerAllocationsFilter,
        ClientBalancesFilter,
        PartnerBalancesFilter,
        ClientConnectionsFilter,
        PartnerConnectionsFilter,
        PartnersFilter,
        ClientSettlementFilter,
        ClientSettlementsFilter,
        PartnerSettlementFilter,
        PartnerSettlementsFilter,
        SettlementTransfersFilter,
    );
}

/// A page, and the filter as query parameters.
type Written = (Page, Vec<(&'static str, String)>);

/// A filter that is read and written again is the same filter, and asks for no more than a page.
fn check<T: PartialEq + Debug>(
    query: &str,
    body: &[u8],
    read: fn(Filters) -> Result<T, Vec<Fault>>,
    written: fn(&T) -> Written,
) {
    let filter = match Filters::new(Some(query), body).and_then(read) {
        Ok(filter) => filter,
        Err(faults) => return are_bounded(&faults),
    };
    let (page, pairs) = written(&filter);
    assert!((1..=PAGE_SIZE_MAX).contains(&page.size));
    assert!(page.number <= PAGE_NUMBER_MAX && i64::try_from(page.offset()).is_ok());
    assert!(pairs.len() <= 12 * ENTRIES_MAX);
    // A query cannot say everything that an array in a body can: in it commas separate, and what
    // surrounds an entry is cut off.
    if pairs
        .iter()
        .any(|(_, text)| text.contains(',') || text.trim() != text)
    {
        return;
    }
    let again = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let read_again = Filters::new(Some(&again), b"").and_then(read);
    assert_eq!(read_again.as_ref(), Ok(&filter), "{again}");
    // The query wins over the body, member by member. An empty member of a query wins too.
    if query.is_empty() {
        let both = Filters::new(Some(&again), body).and_then(read);
        assert_eq!(both.as_ref(), Ok(&filter), "{again}");
    }
}
