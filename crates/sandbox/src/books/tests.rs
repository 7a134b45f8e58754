//! The rules of the books.

use wire::connection_key::ConnectionKeySchema;
use wire::partner_call::{CallAmount, MovementKind, MovementRequest, MovementStatus, Subject};

use super::*;

const CLIENT: Uuid = Uuid::from_u128(1);
const CONNECTION: Uuid = Uuid::from_u128(2);

fn connect_request(connection_id: Uuid, key: &KeyFields) -> ConnectRequest {
    ConnectRequest {
        client_id: CLIENT,
        client_wallet_id: "f".repeat(32),
        connection_id,
        partner_id: Uuid::from_u128(3),
        key: key.clone(),
    }
}

fn connect(
    books: &mut Books,
    connection_id: Uuid,
    key: &KeyFields,
) -> Result<ConnectResponse, Refusal> {
    let token = key.key(ConnectionKeySchema::Token).unwrap();
    books.connect(&connect_request(connection_id, key), &token)
}

/// Books with one connected account.
struct Scene {
    books: Books,
    account: String,
    partners_connection_id: String,
}

impl Scene {
    fn new() -> Self {
        let mut books = Books::default();
        let account = books.open_account(None, &BTreeMap::new());
        let connected = connect(&mut books, CONNECTION, &account.key).unwrap();
        Self {
            books,
            account: account.id,
            partners_connection_id: connected.partners_connection_id.unwrap(),
        }
    }

    /// With an allocation of BTC that is cleared.
    fn with(quantity: i128) -> Self {
        let mut scene = Self::new();
        let request = scene.request(MovementKind::Allocation, 999, quantity);
        scene.books.reserve(&request, Taking::Decide).unwrap();
        scene.books.clear(&request).unwrap();
        scene
    }

    fn request(&self, kind: MovementKind, id: u128, quantity: i128) -> MovementRequest {
        MovementRequest {
            subject: Subject::new(kind, Uuid::from_u128(id)),
            amount: CallAmount {
                currency: "BTC".to_owned(),
                quantity: quantity.to_string(),
            },
            client_id: CLIENT,
            connection_id: CONNECTION,
            partners_connection_id: self.partners_connection_id.clone(),
            partners_client_id: self.account.clone(),
        }
    }

    fn reserve(&mut self, request: &MovementRequest) -> Result<Option<String>, Refusal> {
        let response = self.books.reserve(request, Taking::Decide)?;
        Ok(response.reject_reason)
    }

    fn position(&self, currency: &str) -> Position {
        let positions = &self.books.accounts[&self.account].positions;
        positions.get(currency).copied().unwrap_or_default()
    }

    fn btc(&self) -> (i128, i128, i128) {
        let position = self.position("BTC");
        (position.balance, position.held, position.locked)
    }

    fn status(&self, request: &MovementRequest) -> MovementStatus {
        self.books.status(request.subject).unwrap().status
    }

    /// Sells BTC for USD.
    fn sell(&mut self, btc: i128, usd: i128) -> Result<Trade, Refusal> {
        let leg = |currency: &str, units| Leg {
            currency: currency.to_owned(),
            units,
        };
        let account = self.account.clone();
        self.books
            .trade(&account, leg("BTC", -btc), leg("USD", usd))
    }
}

#[test]
fn an_account_is_connected_once_and_repeats_are_answered_the_same() {
    let mut books = Books::default();
    let account = books.open_account(Some("Ada".to_owned()), &BTreeMap::new());
    let first = connect(&mut books, CONNECTION, &account.key).unwrap();
    assert_eq!(first.partners_client_id, Some(account.id.clone()));
    assert_eq!(connect(&mut books, CONNECTION, &account.key), Ok(first));

    let other = Uuid::from_u128(9);
    assert!(matches!(
        connect(&mut books, other, &account.key),
        Err(Refusal::Refused(_))
    ));
    let second = books.open_account(None, &BTreeMap::new());
    assert!(matches!(
        connect(&mut books, CONNECTION, &second.key),
        Err(Refusal::Conflict(_))
    ));
    let mut request = connect_request(CONNECTION, &account.key);
    request.client_id = other;
    let token = account.key.key(ConnectionKeySchema::Token).unwrap();
    assert!(matches!(
        books.connect(&request, &token),
        Err(Refusal::Conflict(_))
    ));
}

#[test]
fn keys_have_to_be_right_in_every_field() {
    let mut books = Books::default();
    let account = books.open_account(None, &BTreeMap::new());
    for (_, schema) in ConnectionKeySchema::CHOICES {
        let mut wrong = account.key.clone();
        for field in [
            &mut wrong.signature,
            &mut wrong.api_secret,
            &mut wrong.connection_token,
        ] {
            *field = Some("wrong".to_owned());
        }
        let key = wrong.key(schema).unwrap();
        let refused = books.connect(&connect_request(CONNECTION, &wrong), &key);
        assert!(matches!(refused, Err(Refusal::Refused(_))));
    }
    let key = account.key.key(ConnectionKeySchema::Clearloop).unwrap();
    assert!(
        books
            .connect(&connect_request(CONNECTION, &account.key), &key)
            .is_ok()
    );
}

#[test]
fn an_account_has_to_be_empty() {
    let mut books = Books::default();
    let balances = BTreeMap::from([("BTC".to_owned(), Amount::new(1).unwrap())]);
    let account = books.open_account(None, &balances);
    assert!(matches!(
        connect(&mut books, CONNECTION, &account.key),
        Err(Refusal::Refused(_))
    ));
}

#[test]
fn an_allocation_is_credited_once_and_only_when_cleared() {
    let mut scene = Scene::new();
    let request = scene.request(MovementKind::Allocation, 10, 100);
    let first = scene.books.reserve(&request, Taking::Decide).unwrap();
    assert!(first.partners_allocation_id.is_some());
    assert_eq!(
        scene.books.reserve(&request, Taking::Decide),
        Ok(first.clone())
    );
    assert_eq!(scene.btc(), (0, 0, 0));
    assert_eq!(scene.status(&request), MovementStatus::Reserved);
    for _ in 0..2 {
        scene.books.clear(&request).unwrap();
        assert_eq!(scene.btc(), (100, 0, 0));
    }
    assert_eq!(scene.books.reserve(&request, Taking::Decide), Ok(first));
    assert!(matches!(
        scene.books.release(&request),
        Err(Refusal::Conflict(_))
    ));
    assert_eq!(scene.status(&request), MovementStatus::Cleared);
    assert_eq!(scene.btc(), (100, 0, 0));
}

#[test]
fn a_deallocation_is_held_then_debited_or_returned() {
    let mut scene = Scene::with(100);
    let request = scene.request(MovementKind::Deallocation, 11, 60);
    assert_eq!(scene.reserve(&request), Ok(None));
    assert_eq!(scene.reserve(&request), Ok(None));
    assert_eq!(scene.btc(), (100, 60, 0));
    let too_much = scene.request(MovementKind::Deallocation, 12, 41);
    let reason = scene.reserve(&too_much).unwrap();
    assert!(reason.is_some());
    assert_eq!(scene.status(&too_much), MovementStatus::Rejected);
    for _ in 0..2 {
        scene.books.clear(&request).unwrap();
        assert_eq!(scene.btc(), (40, 0, 0));
    }
    // Rejected stays rejected, even where it would be possible by now.
    assert_eq!(scene.reserve(&too_much), Ok(reason));

    let returned = scene.request(MovementKind::Deallocation, 13, 40);
    assert_eq!(scene.reserve(&returned), Ok(None));
    for _ in 0..2 {
        scene.books.release(&returned).unwrap();
        assert_eq!(scene.btc(), (40, 0, 0));
    }
    assert!(scene.reserve(&returned).unwrap().is_some());
    assert!(matches!(
        scene.books.clear(&returned),
        Err(Refusal::Conflict(_))
    ));
    assert!(matches!(
        scene.books.clear(&too_much),
        Err(Refusal::Conflict(_))
    ));
}

#[test]
fn what_was_released_before_it_was_known_is_refused() {
    let mut scene = Scene::with(100);
    for (kind, id) in [
        (MovementKind::Allocation, 20),
        (MovementKind::Deallocation, 21),
    ] {
        let request = scene.request(kind, id, 5);
        let unknown = scene.books.status(request.subject);
        assert!(matches!(unknown, Err(Refusal::NotKnown(_))));
        assert!(matches!(
            scene.books.clear(&request),
            Err(Refusal::NotKnown(_))
        ));
        scene.books.release(&request).unwrap();
        assert_eq!(scene.status(&request), MovementStatus::Released);
        assert!(scene.reserve(&request).unwrap().is_some());
        assert!(scene.books.clear(&request).is_err());
        assert_eq!(scene.btc(), (100, 0, 0));
    }
}

#[test]
fn an_id_is_known_with_one_content_of_one_kind() {
    let mut scene = Scene::with(100);
    let request = scene.request(MovementKind::Allocation, 30, 5);
    scene.reserve(&request).unwrap();
    let mut other_currency = request.clone();
    other_currency.amount.currency = "ETH".to_owned();
    for other in [
        scene.request(MovementKind::Allocation, 30, 6),
        scene.request(MovementKind::Deallocation, 30, 5),
        other_currency,
    ] {
        assert!(matches!(scene.reserve(&other), Err(Refusal::Conflict(_))));
        assert!(matches!(
            scene.books.clear(&other),
            Err(Refusal::Conflict(_))
        ));
        assert!(matches!(
            scene.books.release(&other),
            Err(Refusal::Conflict(_))
        ));
    }
    let other_kind = Subject::Deallocation(request.subject.id());
    assert!(matches!(
        scene.books.status(other_kind),
        Err(Refusal::NotKnown(_))
    ));
    assert_eq!(scene.btc(), (100, 0, 0));
}

#[test]
fn unknown_connections_and_odd_amounts_are_refused() {
    let mut scene = Scene::new();
    let good = scene.request(MovementKind::Allocation, 40, 5);
    let with = |change: fn(&mut MovementRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for request in [
        with(|r| r.connection_id = Uuid::nil()),
        with(|r| r.client_id = Uuid::nil()),
        with(|r| r.partners_client_id = "x".to_owned()),
        with(|r| r.partners_connection_id = "x".to_owned()),
    ] {
        assert!(matches!(scene.reserve(&request), Err(Refusal::Refused(_))));
    }
    for quantity in ["0", "-1", "1.5", ""] {
        let mut request = good.clone();
        request.amount.quantity = quantity.to_owned();
        assert!(matches!(
            scene.reserve(&request),
            Err(Refusal::Malformed(_))
        ));
    }
    // Nothing of this was remembered.
    assert_eq!(scene.reserve(&good), Ok(None));
    let mut too_large = scene.request(MovementKind::Allocation, 41, 1);
    too_large.amount.quantity = "9".repeat(38);
    scene.books.clear(&good).unwrap();
    assert!(scene.reserve(&too_large).unwrap().is_some());
}

#[test]
fn open_orders_lock_their_part() {
    let mut scene = Scene::with(100);
    let order = |units| Order {
        account_id: scene.account.clone(),
        currency: "BTC".to_owned(),
        amount: Amount::new(units).unwrap(),
    };
    let (ninety, eleven) = (order(90), order(11));
    let id = scene.books.lock(ninety).unwrap();
    assert!(matches!(scene.books.lock(eleven), Err(Refusal::Refused(_))));
    assert!(matches!(scene.sell(11, 1), Err(Refusal::Refused(_))));
    let deallocation = scene.request(MovementKind::Deallocation, 50, 11);
    assert!(scene.reserve(&deallocation).unwrap().is_some());
    scene.books.unlock(&id).unwrap();
    assert!(matches!(scene.books.unlock(&id), Err(Refusal::NotKnown(_))));
    assert_eq!(scene.btc(), (100, 0, 0));
    assert!(scene.sell(100, 1).is_ok());
}

#[test]
fn asynchronous_requests_wait_for_a_decision() {
    let mut scene = Scene::with(100);
    let later = |scene: &mut Scene, id, quantity| {
        let request = scene.request(MovementKind::Deallocation, id, quantity);
        let response = scene.books.reserve(&request, Taking::Later).unwrap();
        assert_eq!(response.reject_reason, None);
        assert_eq!(scene.status(&request), MovementStatus::Pending);
        request
    };
    let accepted = later(&mut scene, 60, 70);
    let uncovered = later(&mut scene, 61, 70);
    let rejected = later(&mut scene, 62, 1);
    let released = later(&mut scene, 63, 1);
    assert_eq!(scene.btc(), (100, 0, 0));
    for _ in 0..2 {
        let decided = scene
            .books
            .decide(accepted.subject.id(), &Verdict::Accept)
            .unwrap();
        assert_eq!(decided.state, State::Reserved);
        assert_eq!(scene.btc(), (100, 70, 0));
    }
    let decided = scene
        .books
        .decide(uncovered.subject.id(), &Verdict::Accept)
        .unwrap();
    assert!(matches!(decided.state, State::Rejected(_)));
    let no = Verdict::Reject("no".to_owned());
    let decided = scene.books.decide(rejected.subject.id(), &no).unwrap();
    assert_eq!(decided.state, State::Rejected("no".to_owned()));
    scene.books.release(&released).unwrap();
    for (request, verdict) in [
        (&accepted, &no),
        (&rejected, &Verdict::Accept),
        (&released, &no),
    ] {
        let again = scene.books.decide(request.subject.id(), verdict);
        assert!(matches!(again, Err(Refusal::Conflict(_))));
    }
    scene.books.clear(&accepted).unwrap();
    assert_eq!(scene.btc(), (30, 0, 0));

    // The network may decide without us, as far as the balance carries.
    let pending = later(&mut scene, 64, 30);
    let too_much = later(&mut scene, 65, 31);
    assert!(matches!(
        scene.books.clear(&too_much),
        Err(Refusal::Conflict(_))
    ));
    scene.books.clear(&pending).unwrap();
    assert_eq!(scene.btc(), (0, 0, 0));
}

#[test]
fn trades_move_the_balance_and_wait_for_settlement() {
    let mut scene = Scene::with(100);
    assert!(matches!(scene.sell(101, 5), Err(Refusal::Refused(_))));
    assert!(matches!(scene.sell(-5, 5), Err(Refusal::Malformed(_))));
    assert!(matches!(scene.sell(0, 5), Err(Refusal::Malformed(_))));
    scene.sell(40, 7).unwrap();
    scene.sell(10, 3).unwrap();
    let (btc, usd) = (scene.position("BTC"), scene.position("USD"));
    assert_eq!((btc.balance, btc.unsettled), (50, -50));
    assert_eq!((usd.balance, usd.unsettled), (10, 10));
    assert_eq!(scene.books.trades().len(), 2);
    let stranger = scene.books.open_account(None, &BTreeMap::new());
    scene.account = stranger.id;
    assert!(matches!(scene.sell(1, 1), Err(Refusal::Refused(_))));
}

#[test]
fn a_settlement_nets_and_completes_once() {
    let mut scene = Scene::with(100);
    let nothing = scene.books.begin_settlement(None);
    assert!(matches!(nothing, Err(Refusal::Refused(_))));
    scene.sell(40, 7).unwrap();
    scene.sell(10, 3).unwrap();
    let first = scene.books.begin_settlement(Some("s1".to_owned())).unwrap();
    let expected = BTreeMap::from([("BTC".to_owned(), -50), ("USD".to_owned(), 10)]);
    assert_eq!(first.amounts, BTreeMap::from([(CONNECTION, expected)]));

    // What is traded meanwhile waits for the next one; what has no answer is repeated as it was.
    scene.sell(5, 1).unwrap();
    scene.books.end_settlement(&first, Outcome::Unknown);
    let other = scene.books.begin_settlement(Some("s2".to_owned()));
    assert!(matches!(other, Err(Refusal::Conflict(_))));
    assert_eq!(scene.books.begin_settlement(None), Ok(first.clone()));
    scene.books.end_settlement(&first, Outcome::Completed);
    scene.books.end_settlement(&first, Outcome::Completed);
    let (btc, usd) = (scene.position("BTC"), scene.position("USD"));
    assert_eq!((btc.balance, btc.unsettled), (45, -5));
    assert_eq!((usd.balance, usd.unsettled), (11, 1));
    let again = scene.books.begin_settlement(Some("s1".to_owned()));
    assert!(matches!(again, Err(Refusal::Conflict(_))));
}

#[test]
fn a_settlement_that_did_not_complete_is_repeated_or_netted_anew() {
    let mut scene = Scene::with(100);
    scene.sell(40, 7).unwrap();
    let failed = scene.books.begin_settlement(None).unwrap();
    scene.books.end_settlement(&failed, Outcome::NotBooked);
    scene.sell(1, 1).unwrap();
    assert_eq!(scene.books.begin_settlement(None), Ok(failed.clone()));
    scene.books.end_settlement(&failed, Outcome::NotBooked);
    let anew = scene
        .books
        .begin_settlement(Some("anew".to_owned()))
        .unwrap();
    assert_eq!(anew.amounts[&CONNECTION]["BTC"], -41);

    // Refused outright: nothing remains of it. Refused after an attempt without an answer: that
    // attempt may still have been booked.
    scene.books.end_settlement(&anew, Outcome::Refused);
    let next = scene.books.begin_settlement(None).unwrap();
    assert_ne!(next.external_id, anew.external_id);
    scene.books.end_settlement(&next, Outcome::Unknown);
    scene.books.begin_settlement(None).unwrap();
    scene.books.end_settlement(&next, Outcome::Refused);
    let other = scene.books.begin_settlement(Some("other".to_owned()));
    assert!(matches!(other, Err(Refusal::Conflict(_))));
    assert_eq!(scene.position("BTC").unsettled, -41);
}

#[test]
fn a_correction_moves_the_balance_and_nothing_becomes_unsettled() {
    let mut scene = Scene::with(100);
    scene.sell(40, 7).unwrap();
    let before = scene.position("BTC");
    scene.books.correct(CONNECTION, "BTC", 5);
    let more = scene.position("BTC");
    assert_eq!(
        more,
        Position {
            balance: 65,
            ..before
        }
    );
    // What was spent and never came is owed: nothing is free until more is allocated.
    scene.books.correct(CONNECTION, "BTC", -70);
    let less = scene.position("BTC");
    assert_eq!((less.balance, less.unsettled), (-5, -40));
    let wanted = scene.request(MovementKind::Deallocation, 1, 1);
    assert!(scene.reserve(&wanted).unwrap().is_some());
    let more = scene.request(MovementKind::Allocation, 2, 6);
    assert_eq!(scene.reserve(&more), Ok(None));
    scene.books.clear(&more).unwrap();
    assert_eq!(scene.position("BTC").balance, 1);

    // A currency that the account never had, and a connection that nobody has.
    scene.books.correct(CONNECTION, "ETH", 3);
    let eth = scene.position("ETH");
    assert_eq!((eth.balance, eth.unsettled), (3, 0));
    scene.books.correct(Uuid::from_u128(77), "BTC", 9);
    assert_eq!(scene.position("BTC").balance, 1);
    let settlement = scene.books.begin_settlement(None).unwrap();
    let expected = BTreeMap::from([("BTC".to_owned(), -40), ("USD".to_owned(), 7)]);
    assert_eq!(settlement.amounts[&CONNECTION], expected);
}
