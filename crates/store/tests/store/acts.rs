//! What operators did is listed, is covered by the hashes of the commits, and cannot be altered,
//! taken away or added afterwards without being found.

use ledger::Timestamp;
use rules::record::OperatorAct;
use store::{ActFilter, RecordedAct};
use testkit::TestDatabase;

use crate::books::Books;
use crate::fixture::{ALL, Alpha, Beta, Network, START, btc, identifier, index, put};
use crate::records::TEXT;
use crate::verifying::{Case, case};

on_both! {
    acts_come_back_as_they_were_and_by_what_they_are_looked_for
    every_altered_word_of_an_act
    an_act_said_to_be_another_user_s
    a_removed_act
    an_added_act
    an_act_that_no_commit_covers
    an_added_act_that_no_commit_covers
    an_act_moved_to_another_commit
    an_act_beyond_the_head
}

async fn acts_come_back_as_they_were_and_by_what_they_are_looked_for(database: TestDatabase) {
    let network = Network::bare(database).await;
    let act = |number, at, user_id, name: &str| OperatorAct {
        id: identifier(13, number),
        user_id,
        act: name.to_owned(),
        subject: TEXT.repeat(index(number)),
        detail: TEXT.repeat(1_000),
        at: Timestamp(at),
    };
    let (alpha, beta) = (Some(Alpha.user()), Some(Beta.user()));
    let acts = [
        act(2, 1, None, "ends"),
        act(1, 1, alpha, "begins"),
        act(3, 2, beta, "begins"),
        act(4, 3, alpha, "ends"),
    ];
    for act in acts.clone() {
        network.done(put(act)).await;
    }
    let [second, first, third, fourth] = acts;
    let found = async |filter| {
        let found = network.store.operator_acts(filter, ALL).await;
        let found: Vec<RecordedAct> = found.expect("a list");
        found.into_iter().map(|found| found.act).collect::<Vec<_>>()
    };
    let any = ActFilter::default;
    let (a, b, c, d) = (&first, &second, &third, &fourth);
    let cases = [
        (any(), vec![d, c, b, a]),
        (
            ActFilter {
                act: Some("begins".to_owned()),
                ..any()
            },
            vec![c, a],
        ),
        (
            ActFilter {
                subject: Some(TEXT.repeat(2)),
                ..any()
            },
            vec![b],
        ),
        (
            ActFilter {
                user_id: alpha,
                ..any()
            },
            vec![d, a],
        ),
        (
            ActFilter {
                from: Some(Timestamp(2)),
                ..any()
            },
            vec![d, c],
        ),
        (
            ActFilter {
                before: Some(Timestamp(2)),
                ..any()
            },
            vec![b, a],
        ),
        (
            ActFilter {
                act: Some("ends".to_owned()),
                user_id: alpha,
                before: Some(Timestamp(3)),
                ..any()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        let shown = format!("{filter:?}");
        let found: Vec<OperatorAct> = found(filter).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{shown}");
    }
    // Each stands in the commit that it was done in.
    let recorded = network.store.operator_acts(any(), ALL).await;
    let commits: Vec<_> = recorded
        .expect("a list")
        .iter()
        .map(|recorded| recorded.commit_sequence)
        .collect();
    assert_eq!(commits, [Some(4), Some(3), Some(1), Some(2)]);
}

/// A case and the act that booked its deposit, which is entry 1.
async fn with_deposit(database: TestDatabase) -> (Case, RecordedAct) {
    let case = case(database).await;
    let filter = ActFilter {
        act: Some("book_deposit".to_owned()),
        ..ActFilter::default()
    };
    let found = case.network.store.operator_acts(filter, ALL).await;
    let recorded = found.expect("a list").pop().expect("the deposit's");
    assert_eq!(recorded.commit_sequence, Some(case.commit_of(1).await));
    (case, recorded)
}

fn named(recorded: &RecordedAct) -> String {
    format!("operator act {} ({})", recorded.act.id, recorded.act.act)
}

async fn every_altered_word_of_an_act(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    let id = case.books.uuid(recorded.act.id);
    for column in ["act", "subject", "detail"] {
        let set =
            |what: &str| format!("UPDATE operator_acts SET {column} = {what} WHERE id = {id}");
        case.books.change(&set(&format!("{column} || '.'"))).await;
        case.has_changed(case.commit_of(1).await).await;
        case.is_faulty(&format!("{}", recorded.act.id)).await;
        let length = format!("substr({column}, 1, length({column}) - 1)");
        case.books.change(&set(&length)).await;
        case.network.is_sound().await;
    }
    // The same words, one of them on the other side of a boundary.
    let sql = format!(
        "UPDATE operator_acts SET act = act || substr(subject, 1, 1), subject = substr(subject, 2)
            WHERE id = {id}"
    );
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(1).await).await;
    let sql = format!(
        "UPDATE operator_acts SET subject = substr(act, length(act)) || subject,
            act = substr(act, 1, length(act) - 1) WHERE id = {id}"
    );
    case.books.change(&sql).await;
    case.network.is_sound().await;
    let sql = format!("UPDATE operator_acts SET at = at + 1 WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(1).await).await;
}

async fn an_act_said_to_be_another_user_s(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    let id = case.books.uuid(recorded.act.id);
    let other = case.books.uuid(identifier(9, 9));
    for user in [other.as_str(), "NULL"] {
        let sql = format!("UPDATE operator_acts SET user_id = {user} WHERE id = {id}");
        case.books.change(&sql).await;
        case.has_changed(case.commit_of(1).await).await;
        case.is_faulty(&named(&recorded)).await;
    }
}

async fn a_removed_act(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    let id = case.books.uuid(recorded.act.id);
    let sql = format!("DELETE FROM operator_acts WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(1).await).await;
    case.is_faulty("it has none of the last").await;
}

/// Adds an act to the rows of a commit.
async fn add(case: &Case, commit: &str, at: Timestamp) {
    let id = case.books.uuid(identifier(200, 1));
    let sql = format!(
        "INSERT INTO operator_acts (id, user_id, act, subject, detail, at, commit_sequence)
            VALUES ({id}, NULL, 'put_user', 'nobody', '', {}, {commit})",
        at.0
    );
    case.books.change(&sql).await;
}

async fn an_added_act(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    // Beside another act, and to a commit that had none.
    for entry in [1, 2] {
        let commit = case.commit_of(entry).await;
        add(&case, &commit.to_string(), recorded.act.at).await;
        case.has_changed(commit).await;
        let added = format!("operator act {} (put_user) was added", identifier(200, 1));
        case.is_faulty(&added).await;
        let sql = "DELETE FROM operator_acts WHERE act = 'put_user' AND subject = 'nobody'";
        case.books.change(sql).await;
        case.network.is_sound().await;
    }
}

async fn an_act_that_no_commit_covers(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    let id = case.books.uuid(recorded.act.id);
    let sql = format!("UPDATE operator_acts SET commit_sequence = NULL WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(1).await).await;
    case.is_faulty(&format!("operator act {} names no commit", recorded.act.id))
        .await;
}

async fn an_added_act_that_no_commit_covers(database: TestDatabase) {
    let (case, _) = with_deposit(database).await;
    // Every commit of this database covered its acts, so that none can be from before.
    add(&case, "NULL", START).await;
    case.is_faulty("names no commit, and is not from before commits covered acts")
        .await;
    // One that began before acts were covered: its first acts, but no later ones.
    let all = case.network.store.operator_acts(ActFilter::default(), ALL);
    let all = all.await.expect("a list");
    for first in all.iter().filter(|act| act.commit_sequence == Some(1)) {
        let id = case.books.uuid(first.act.id);
        let sql = format!("UPDATE operator_acts SET commit_sequence = NULL WHERE id = {id}");
        case.books.change(&sql).await;
    }
    case.has_changed(1).await;
    let told = |report: store::Report| {
        let told = |fault: &String| fault.contains("names no commit");
        report.faults.iter().filter(|fault| told(fault)).count()
    };
    assert_eq!(told(case.network.verify().await), 0);
    for at in [START.plus_seconds(3_600), START.plus_seconds(-1)] {
        let sql = format!(
            "UPDATE operator_acts SET at = {} WHERE subject = 'nobody'",
            at.0
        );
        case.books.change(&sql).await;
        assert_eq!(told(case.network.verify().await), 1);
    }
}

async fn an_act_moved_to_another_commit(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    let (from, to) = (case.commit_of(1).await, case.commit_of(2).await);
    let id = case.books.uuid(recorded.act.id);
    let sql = format!("UPDATE operator_acts SET commit_sequence = {to} WHERE id = {id}");
    case.books.change(&sql).await;
    case.is_faulty(&format!("commit {from} was changed")).await;
    let added = format!("commit {to} was changed: {} was added", named(&recorded));
    case.is_faulty(&added).await;
}

async fn an_act_beyond_the_head(database: TestDatabase) {
    let (case, recorded) = with_deposit(database).await;
    let beyond = case.books.commits().await + 5;
    add(&case, &beyond.to_string(), recorded.act.at).await;
    case.is_faulty(&format!(
        "rows of operator_acts that no commit up to the head took in: 1, the first of commit {beyond}"
    ))
    .await;
    case.network
        .done(case.network.deposit(Alpha, &btc(), 1))
        .await;
    let books = Books::of(&case.network.database).await;
    books
        .change("DELETE FROM operator_acts WHERE subject = 'nobody'")
        .await;
    case.network.is_sound().await;
}
