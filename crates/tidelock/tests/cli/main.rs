//! The command line as people and scripts meet it: the real binary, its output, its exit codes.

mod clock;
mod disputes;
mod installation;
mod keeping;
mod recovering;

use std::time::Duration;

use installation::{Installation, Ran, tidelock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::{
    request_hmac::{AuthVersion, request_hmac, token_hash},
    signature::ExtendedKey,
};

/// The example of a description, complete and commented.
const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/network.toml");

const ACCOUNT: &str = "c1000000000000000000000000000001";
const USER: &str = "c0000000000000000000000000000001";

#[tokio::test]
async fn the_demo_plays_to_the_end_and_the_books_agree() {
    let ran = tidelock(&["demo", "--once"], &[]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.output.contains("the books agree"), "{ran}");
    assert!(!ran.output.contains("do NOT agree"), "{ran}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_keeps_little_free_memory_unless_it_is_told_how_long() {
    let name = "MIMALLOC_PURGE_DELAY";
    let installation = Installation::make().await;
    let server = installation.serve().await;
    assert_eq!(server.environment(name).as_deref(), Some("5"));
    server.stop().await;
    let server = installation.serve_in(&[(name, "700")], &[]).await;
    assert_eq!(server.environment(name).as_deref(), Some("700"));
    server.stop().await;
}

#[tokio::test]
async fn the_openapi_document_is_printed_as_json() {
    let ran = tidelock(&["openapi"], &[]).await;
    assert_eq!(ran.code, 0, "{ran}");
    let document: Value = serde_json::from_str(&ran.output).expect("JSON");
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|v| v.starts_with("3."))
    );
    assert!(document["paths"]["/api/operator/v1/acts"]["get"].is_object());
}

/// A second one would make a second first operator.
#[tokio::test]
async fn an_installation_is_made_once() {
    let installation = Installation::make().await;
    let keys = installation.read("master.key");
    let again = installation.run(&["init"]).await;
    assert_eq!(again.code, 1, "{again}");
    assert!(again.error.contains("has access tokens already"), "{again}");
    assert!(!again.output.contains("tlk_"), "{again}");
    assert_eq!(installation.read("master.key"), keys, "the keys stay");
}

#[tokio::test]
async fn a_server_needs_an_installation() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let listen = ["serve", "--listen", "127.0.0.1:0", "--data", data];
    let ran = tidelock(&listen, &[]).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.error.contains("tidelock init"),
        "it says what to do: {ran}"
    );
}

#[tokio::test]
async fn a_description_is_applied_once_however_often_it_is_applied() {
    let installation = Installation::make().await;
    let server = installation.serve().await;

    let first = server.operator(&["apply", NETWORK]).await;
    assert_eq!(first.code, 0, "{first}");
    let described = first.output.lines().count();
    assert_eq!(described, 17, "{first}");
    assert!(
        first.output.lines().all(|line| line.ends_with(": created")),
        "{first}"
    );

    let agreed = server.done(&["partner-configuration", "list"]).await.json();
    let agreed = &agreed["partnerConfigurations"][0];
    assert_eq!(agreed["onChainLateAfterSeconds"], 43_200, "{agreed}");

    let acts = server
        .operator(&["act", "list", "--page-size", "500"])
        .await
        .json();
    let second = server.operator(&["apply", NETWORK]).await;
    assert_eq!(second.code, 0, "{second}");
    assert_eq!(second.output.lines().count(), described);
    assert!(
        second
            .output
            .lines()
            .all(|line| line.ends_with(": unchanged")),
        "{second}"
    );
    let after = server
        .operator(&["act", "list", "--page-size", "500"])
        .await
        .json();
    assert_eq!(acts, after, "nothing was done the second time");

    // What differs is changed, and only that is.
    let text = std::fs::read_to_string(NETWORK).expect("the example");
    let name = "Northwind Capital";
    assert_eq!(text.matches(name).count(), 1);
    let changed = installation.write("changed.toml", &text.replace(name, "Northwind Ltd"));
    let third = server.operator(&["apply", &changed]).await;
    let told: Vec<&str> = third
        .output
        .lines()
        .filter(|l| !l.ends_with(": unchanged"))
        .collect();
    assert_eq!(told, ["enterprise northwind: changed"], "{third}");

    server.stop().await;
    let verified = installation.run(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified}");
}

/// An old file does not bring a key back that somebody has revoked.
#[tokio::test]
async fn a_revoked_key_stays_revoked_when_the_file_is_applied_again() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    server.done(&["apply", NETWORK]).await;
    let keys = server.done(&["key", "list", ACCOUNT]).await.json();
    let key = keys["keys"][0]["id"].as_str().expect("a key");
    server.done(&["key", "revoke", key]).await;
    let again = server.done(&["apply", NETWORK]).await;
    let told = again
        .output
        .lines()
        .filter(|l| l.contains("stays revoked"))
        .count();
    assert_eq!(told, 1, "{again}");
    let keys = server.done(&["key", "list", ACCOUNT]).await.json();
    assert!(keys["keys"][0]["revokedAt"].is_string());
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    server.stop().await;
}

#[tokio::test]
async fn mistakes_in_a_description_are_told_with_their_place() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    let currency = "[[currency]]\nticker = \"ofcbtc\"\nbacking = \"btc\"\ndecimals = 8\n";
    let unknown = "[[partner_configuration]]\nenterprise_id = \"nowhere\"\n\
        institution_identifier = \"quay\"\nbase_url = \"https://quay.example\"\n";
    for (text, told) in [
        (
            format!("{currency}custody = \"vault\"\n"),
            &["line 5", "custody"][..],
        ),
        (currency.to_owned(), &["custody_source"]),
        ("[[currency]\n".to_owned(), &["line 1"]),
        (
            format!("{currency}custody_source = \"v\"\n").repeat(2),
            &["currency ofcbtc is described twice"],
        ),
        (
            unknown.to_owned(),
            &["partner configuration quay of nowhere", "404", "enterprise"],
        ),
    ] {
        let file = installation.write("faulty.toml", &text);
        let ran = server.operator(&["apply", &file]).await;
        assert_eq!(ran.code, 1, "{ran}");
        for word in told {
            assert!(ran.error.contains(word), "{word}: {ran}");
        }
    }
    let missing = server.operator(&["apply", "no-such-file.toml"]).await;
    assert_eq!(missing.code, 1);
    assert!(missing.error.contains("no-such-file.toml"), "{missing}");
    server.stop().await;
}

/// One command after another, for each noun, as an operator would type them.
#[tokio::test]
async fn each_noun_has_its_commands() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    server.done(&["apply", NETWORK]).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();

    let currency = [
        "--backing",
        "eth",
        "--decimals",
        "18",
        "--custody-source",
        "vault",
    ];
    let put = server
        .done(&[&["currency", "put", "ofceth"], &currency[..]].concat())
        .await;
    assert_eq!(put.json()["currency"]["decimals"], 18);
    let listed = server.done(&["currency", "list"]).await.json();
    assert_eq!(listed["currencies"].as_array().map(Vec::len), Some(3));

    let words = "enterprise put quay --name Quay --trust-org T --licensed false";
    let put = server
        .done(&words.split(' ').collect::<Vec<_>>())
        .await
        .json();
    assert_eq!(put["enterprise"]["licensed"], false);
    let listed = server
        .done(&["enterprise", "list", "--page-size", "1"])
        .await
        .json();
    assert_eq!(listed["enterprises"].as_array().map(Vec::len), Some(1));

    let account = "d1000000000000000000000000000001";
    server
        .done(&["go-account", "put", "quay", account, "--label", "main"])
        .await;
    let listed = server
        .done(&["go-account", "list", "--enterprise", "quay"])
        .await
        .json();
    assert_eq!(listed["goAccounts"][0]["id"], account);
    let stands = server
        .done(&["go-account", "balances", ACCOUNT])
        .await
        .json();
    assert_eq!(stands["balances"]["ofcbtc"]["available"], "2500000000");

    let xpub = ExtendedKey::from_seed(&[3; 32]).expect("a key").xpub();
    let added = server
        .done(&["key", "add", account, &xpub, "--label", "laptop"])
        .await
        .json();
    let key = text(&added["key"]["id"]);
    let revoked = server.done(&["key", "revoke", &key]).await.json();
    assert!(revoked["key"]["revokedAt"].is_string());
    let listed = server.done(&["key", "list", account]).await.json();
    assert_eq!(listed["keys"], json!([revoked["key"]]));

    let user = "b0000000000000000000000000000001";
    let put = ["user", "put", user, "--name", "Bo", "--role", "auditor"];
    assert_eq!(server.done(&put).await.json()["user"]["role"], "auditor");
    let listed = server.done(&["user", "list"]).await.json();
    assert_eq!(listed["users"].as_array().map(Vec::len), Some(5));

    server
        .done(&["member", "put", "quay", user, "--role", "member"])
        .await;
    let listed = server.done(&["member", "list", "quay"]).await.json();
    assert_eq!(listed["members"][0]["userId"], user);
    server.done(&["member", "remove", "quay", user]).await;
    let listed = server.done(&["member", "list", "quay"]).await.json();
    assert_eq!(listed["members"], json!([]));

    let issued = [
        "token",
        "issue",
        user,
        "--label",
        "bot",
        "--kind",
        "v2x",
        "--scope",
        "settlement_network_read",
        "--scope",
        "settlement_network_write",
        "--network",
        "127.0.0.0/8",
        "--expires-at",
        "2999-01-31T12:00:00Z",
    ];
    let issued = server.done(&issued).await.json();
    assert!(
        issued["token"]
            .as_str()
            .is_some_and(|token| token.starts_with("v2x"))
    );
    let token = text(&issued["accessToken"]["id"]);
    let revoked = server.done(&["token", "revoke", &token]).await.json();
    assert!(revoked["accessToken"]["revokedAt"].is_string());
    let listed = server.done(&["token", "list", "--user", user]).await.json();
    assert_eq!(listed["accessTokens"][0]["id"], json!(token));

    let terms = "enterprise_id = \"quay\"\ninstitution_identifier = \"quay side\"\n\
        base_url = \"https://quay.example\"\n";
    let file = installation.write("quay.toml", terms);
    let put = server
        .done(&["partner-configuration", "put", &file])
        .await
        .json();
    assert_eq!(put["partnerConfiguration"]["version"], 1);
    let listed = server.done(&["partner-configuration", "list"]).await.json();
    assert_eq!(
        listed["partnerConfigurations"].as_array().map(Vec::len),
        Some(2)
    );

    assert_eq!(
        server.done(&["partner", "list"]).await.json()["partners"],
        json!([])
    );
    assert_eq!(
        server.done(&["hold", "list"]).await.json()["holds"],
        json!([])
    );

    let movement = [ACCOUNT, "ofcbtc", "70", "--reference", "tx"];
    let booked = server
        .done(&[&["deposit", "book"], &movement[..]].concat())
        .await
        .json();
    let again = server
        .done(&[&["deposit", "book"], &movement[..]].concat())
        .await
        .json();
    assert_eq!(booked, again);
    let listed = ["deposit", "list", "--go-account", ACCOUNT];
    let listed = server.done(&listed).await.json();
    assert_eq!(listed["deposits"].as_array().map(Vec::len), Some(2));
    for (reference, ending) in [("out-1", "paid"), ("out-2", "cancelled")] {
        let asked = [
            "withdrawal",
            "request",
            ACCOUNT,
            "ofcbtc",
            "7",
            "--reference",
            reference,
        ];
        let asked = server.done(&asked).await.json();
        let id = text(&asked["withdrawal"]["id"]);
        let ended = server.done(&["withdrawal", ending, &id]).await.json();
        assert_eq!(ended["withdrawal"]["status"], ending);
    }
    let listed = server.done(&["withdrawal", "list"]).await.json();
    assert_eq!(listed["withdrawals"].as_array().map(Vec::len), Some(2));
    let stands = server
        .done(&["go-account", "balances", ACCOUNT])
        .await
        .json();
    assert_eq!(stands["balances"]["ofcbtc"]["available"], "2500000063");

    let listed = server
        .done(&["act", "list", "--page-size", "1"])
        .await
        .json();
    assert_eq!(listed["acts"].as_array().map(Vec::len), Some(1));
    server.stop().await;
}

/// A person reads what is wrong; a script sees the exit code; nothing goes to the output.
#[tokio::test]
async fn refusals_are_readable_and_exit_with_one() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    server.done(&["apply", NETWORK]).await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let currency = [
        "--backing",
        "btc",
        "--decimals",
        "9",
        "--custody-source",
        "meridian-vault",
    ];
    let decimals = [&["currency", "put", "ofcbtc"], &currency[..]].concat();
    let amount = [
        "deposit",
        "book",
        ACCOUNT,
        "ofcbtc",
        "1.5",
        "--reference",
        "r",
    ];
    let insufficient = [
        "withdrawal",
        "request",
        ACCOUNT,
        "ofcusdt",
        "1",
        "--reference",
        "r",
    ];
    let cases: [(&[&str], &[&str]); 8] = [
        (&decimals, &["422", "decimals"]),
        (&amount, &["400", "amount"]),
        (&insufficient, &["422", "available"]),
        (
            &["key", "list", "xyz"],
            &["400", "goAccountId", "32 hexadecimal digits"],
        ),
        (&["key", "revoke", USER], &["404", "signing key"]),
        (
            &["partner", "update", nobody, "--active", "false"],
            &["404", "partner"],
        ),
        (&["hold", "ask", nobody], &["404", "allocation"]),
        (
            &["hold", "release", nobody, "--reason", "r"],
            &["404", "allocation"],
        ),
    ];
    for (words, told) in cases {
        let ran = server.operator(words).await;
        assert_eq!(ran.code, 1, "{words:?}: {ran}");
        assert_eq!(ran.output, "", "{words:?}");
        for word in told {
            assert!(ran.error.contains(word), "{word}: {words:?}: {ran}");
        }
        assert_eq!(ran.error.lines().count(), 1, "one line: {ran}");
    }

    let list = ["operator", "user", "list", "--url", &server.url];
    let ran = tidelock(&list, &[]).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.error.contains("TIDELOCK_OPERATOR_TOKEN"), "{ran}");
    let wrong = tidelock(&list, &[("TIDELOCK_OPERATOR_TOKEN", "tlk_wrong")]).await;
    assert_eq!(wrong.code, 1, "{wrong}");
    assert!(wrong.error.contains("401"), "{wrong}");
    assert!(!wrong.error.contains("tlk_wrong"), "{wrong}");

    let url = server.url.clone();
    server.stop().await;
    let list = ["operator", "key", "revoke", USER, "--url", &url];
    let gone = tidelock(&list, &[("TIDELOCK_OPERATOR_TOKEN", "tlk_any")]).await;
    assert_eq!(gone.code, 1, "{gone}");
    assert!(gone.error.contains("no answer"), "{gone}");
}

#[tokio::test]
async fn verification_tells_sound_unsound_and_unreadable_books_apart() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    server.done(&["apply", NETWORK]).await;
    // Read while the server runs.
    let sound = installation.run(&["verify"]).await;
    assert_eq!(sound.code, 0, "{sound}");
    assert!(sound.output.contains("the books agree"), "{sound}");
    server.stop().await;

    // Somebody makes himself rich: one more base unit on a Go Account.
    let other = "x'80000000000000000000000095032901'";
    let alter = format!(
        "UPDATE balances SET available = {other} WHERE owner_kind = 1 AND currency = 'ofcbtc'"
    );
    installation.database.execute(&alter).await;
    let unsound = installation.run(&["verify"]).await;
    assert_eq!(unsound.code, 2, "{unsound}");
    assert!(unsound.output.contains("FAULT: "), "{unsound}");
    assert!(unsound.output.contains("ofcbtc"), "it says what: {unsound}");
    assert!(unsound.output.contains("do NOT agree"), "{unsound}");

    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let missing = tidelock(&["verify", "--data", data], &[]).await;
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.error.contains("tidelock.db"), "{missing}");
    let left = std::fs::read_dir(folder.path())
        .expect("the folder")
        .count();
    assert_eq!(left, 0, "reading made no database");
}

/// Whoever is asked to stop does so at once, whatever others have left open.
#[cfg(unix)]
#[tokio::test]
async fn a_server_stops_although_somebody_has_sent_half_a_request() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    let address = server
        .url
        .strip_prefix("http://")
        .expect("an address")
        .to_owned();
    let mut half = TcpStream::connect(&address).await.expect("a connection");
    half.write_all(b"GET /readyz HTTP/1.1\r\nHost: tide")
        .await
        .expect("half a head");
    // The server has taken it when it answers a later one.
    let mut whole = TcpStream::connect(&address).await.expect("a connection");
    let get = b"GET /readyz HTTP/1.1\r\nHost: tidelock\r\nConnection: close\r\n\r\n";
    whole.write_all(get).await.expect("a request");
    let mut answer = String::new();
    whole.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let began = std::time::Instant::now();
    server.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    drop(half);
    let verified = installation.run(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified}");
}

/// Whoever got the id of a request finds in the log what went wrong in it, and the answer does not
/// tell.
#[tokio::test]
async fn what_goes_wrong_inside_is_found_by_the_id_of_the_request() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    server.done(&["apply", NETWORK]).await;
    let issue = ["token", "issue", USER, "--label", "bot", "--kind", "v2x"];
    let issued = server.done(&issue).await.json();
    let token = issued["token"].as_str().expect("a token");
    // The sealed token no longer opens: a fault of the installation's, not of the request.
    let spoil = "UPDATE access_tokens SET sealed = x'00' WHERE sealed IS NOT NULL";
    installation.database.execute(spoil).await;

    let path = "/api/network/v1/enterprises/northwind/clients/balances";
    let now = jiff::Timestamp::now().as_millisecond().to_string();
    let hash: String = token_hash(token)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let answer = reqwest::Client::new()
        .get(format!("{}{path}", server.url))
        .bearer_auth(hash)
        .header(
            "hmac",
            request_hmac(token, AuthVersion::V2, "GET", &now, path, b""),
        )
        .header("auth-timestamp", now)
        .header("request-id", "asked-by-a-person")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 500);
    let answer: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(answer["requestId"], "asked-by-a-person");
    assert!(!answer.to_string().contains("seal"), "{answer}");

    let log = server.stop().await;
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|l| serde_json::from_str(l).ok())
        .collect();
    let faults: Vec<&Value> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert!(!faults.is_empty(), "{log}");
    for fault in faults {
        assert!(fault.to_string().contains("asked-by-a-person"), "{fault}");
    }
    assert!(!log.contains(token), "a token is in the log");
}

impl Ran {
    /// What was printed, as JSON.
    fn json(&self) -> Value {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}
