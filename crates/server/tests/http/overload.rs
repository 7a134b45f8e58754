//! More requests than can be worked on: some are told to come again, at once and in our own form,
//! and a partner that does not answer takes no place from anybody.

use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    fixture::{CLIENT, Heard, Options, PARTNER, World, hear, on_each_database, request},
    movements::{Kind, appears, delay, eventually, idle, prepare, send, status, stocked, text},
};

/// Enough for setting up the world.
const AT_ONCE: usize = 4;

/// How long the partner takes.
const SLOW: Duration = Duration::from_secs(2);

fn narrow() -> Options {
    let mut options = idle();
    options.network.requests_at_once = AT_ONCE;
    options
}

fn all_places(world: &World) -> Option<Vec<network::Place>> {
    (0..AT_ONCE)
        .map(|_| world.network.take_place().ok())
        .collect()
}

async fn balances(world: &World) -> Heard {
    let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/balances");
    hear(
        world
            .ask(Method::GET, &path)
            .bearer_auth(&world.client_token),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_no_place_is_told_to_come_again() {
    on_each_database(narrow(), async |world| {
        let places = all_places(world).expect("all places");
        let (status, headers, body) = balances(world).await;
        assert_eq!(
            (status, body["name"].as_str()),
            (503, Some("busy")),
            "{body}"
        );
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(
            body["requestId"],
            headers["request-id"].to_str().expect("text")
        );

        // A stranger learns nothing about it.
        let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/balances");
        let stranger = world.ask(Method::GET, &path).bearer_auth("nobody");
        assert_eq!(hear(stranger).await.0, 401);

        drop(places);
        assert_eq!(balances(world).await.0, 200);
    })
    .await;
}

/// The status that one connection is answered with.
async fn asked_over(stream: &mut TcpStream, world: &World) -> u16 {
    let token = &world.client_token;
    let request = format!(
        "GET /api/network/v1/enterprises/{CLIENT}/clients/balances HTTP/1.1\r\n\
         host: here\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    // What is read does not reach into the next answer, for that is not asked for yet.
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("read"), 0);
    }
    let text = String::from_utf8(answer).expect("text");
    let status = text.split(' ').nth(1).expect("a status line");
    status.parse().expect("a status")
}

/// Those who come again at once must not keep the server busy with refusing them.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_again_sooner_than_they_were_told_to() {
    on_each_database(narrow(), async |world| {
        let address = world.url.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let places = all_places(world).expect("all places");
        assert_eq!(asked_over(&mut stream, world).await, 503);
        drop(places);
        let began = Instant::now();
        assert_eq!(asked_over(&mut stream, world).await, 200);
        assert!(began.elapsed() > Duration::from_millis(700));
        // Others are listened to meanwhile, and so is this one afterwards.
        let began = Instant::now();
        assert_eq!(asked_over(&mut stream, world).await, 200);
        assert!(began.elapsed() < Duration::from_millis(700));
    })
    .await;
}

/// A settlement of more bytes than all large bodies together may have: nobody else's fits beside it.
const LARGEST: usize = 16 * 1024 * 1024;

/// Larger than an ordinary request, and no settlement.
fn large_body() -> String {
    format!("{{\"notes\":\"{}\"}}", "x".repeat(100_000))
}

async fn sends_large_body(world: &World, enterprise: &str, token: &str) -> Heard {
    let path = format!("/api/network/v1/enterprises/{enterprise}/partners/settlements");
    let request = world.ask(Method::POST, &path).bearer_auth(token);
    hear(request.body(large_body())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_find_room_or_are_told_to_come_again() {
    on_each_database(narrow(), async |world| {
        let (partner, client) = (&world.partner_token, &world.client_token);
        let address = world.url.strip_prefix("http://").expect("an address");
        let mut slow = TcpStream::connect(address).await.expect("a connection");
        let head = format!(
            "POST /api/network/v1/enterprises/{PARTNER}/partners/settlements HTTP/1.1\r\n\
             host: here\r\nauthorization: Bearer {partner}\r\ncontent-length: {LARGEST}\r\n\r\n"
        );
        slow.write_all(head.as_bytes()).await.expect("sent");
        slow.write_all(large_body().as_bytes()).await.expect("sent");
        let full = async || {
            let (status, headers, body) = sends_large_body(world, CLIENT, client).await;
            let busy = (status, body["name"].as_str()) == (503, Some("busy"));
            busy.then(|| assert_eq!(headers["retry-after"], "1"))
        };
        eventually("no room", full).await;
        // Small ones need no room, and a stranger learns nothing.
        assert_eq!(balances(world).await.0, 200);
        assert_eq!(sends_large_body(world, CLIENT, "nobody").await.0, 401);

        drop(slow);
        let heard = async || {
            let (status, _, body) = sends_large_body(world, PARTNER, partner).await;
            (status != 503).then_some((status, body))
        };
        let (status, body) = eventually("room", heard).await;
        assert_eq!(status, 400, "{body}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_partner_takes_no_place() {
    on_each_database(narrow(), async |world| {
        let (connection, _) = stocked(world, Kind::Allocation).await;
        delay(world, Kind::Allocation.calls().reserve, SLOW).await;
        let new = request("ofcbtc", 5, "slow");
        let slow = prepare(world, Kind::Allocation, connection, new);
        let asked = async {
            let id = text(&appears(world, "slow").await["id"]);
            // A moment passes between its commit and its waiting.
            eventually("all places", async || all_places(world)).await;
            assert_eq!(status(world, &id).await, "reserved");
        };
        let (answer, ()) = tokio::join!(send(world, &slow), asked);
        answer.cleared(Kind::Allocation);
        // And afterwards as many places as before.
        let places = all_places(world).expect("all places");
        assert!(world.network.take_place().is_err());
        drop(places);
    })
    .await;
}
