//! The reference in the browser: the page and its files, as far as they can be seen without one.
//! That it works in a browser under its policy is checked by `checks/run browser`.

use reqwest::{Method, header};

use crate::fixture::{Options, World, on_each_database};

async fn get(world: &World, path: &str) -> reqwest::Response {
    let asked = world.ask(Method::GET, path);
    asked.send().await.expect("an answer")
}

fn header(response: &reqwest::Response, name: header::HeaderName) -> &str {
    let value = response.headers().get(&name);
    let value = value.unwrap_or_else(|| panic!("no {name}"));
    value.to_str().expect("text")
}

/// What stands between quotation marks behind each `word`.
fn quoted<'a>(page: &'a str, word: &str) -> Vec<&'a str> {
    let mark = format!("{word}=\"");
    let behind = page.split(&mark).skip(1);
    behind.filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_all_it_needs_come_from_the_server() {
    on_each_database(Options::default(), async |world| {
        let response = get(world, "/reference").await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            header(&response, header::CONTENT_TYPE),
            "text/html; charset=utf-8"
        );
        let policy = header(&response, header::CONTENT_SECURITY_POLICY).to_owned();
        assert!(policy.starts_with("default-src 'self'; "), "{policy}");
        for loose in ["script-src", "connect-src", "http", "unsafe-eval", "*"] {
            assert!(!policy.contains(loose), "{policy}");
        }
        let page = response.text().await.expect("a page");
        // Nothing inline, which the policy would not let run.
        assert!(!page.contains("style="), "{page}");
        for handler in ["onclick", "onload", "onerror", "onsubmit", "onchange"] {
            assert!(!page.contains(handler), "{page}");
        }
        let scripts = quoted(&page, "<script src");
        assert_eq!(page.matches("<script").count(), scripts.len());
        assert_eq!(scripts, ["/reference/scalar.js", "/reference/page.js"]);
        let style = "<link rel=\"stylesheet\" href";
        assert_eq!(quoted(&page, style), ["/reference/page.css"]);

        for (path, kind, least) in [
            (
                "/reference/scalar.js",
                "text/javascript; charset=utf-8",
                1_000_000,
            ),
            (
                "/reference/page.js",
                "text/javascript; charset=utf-8",
                1_000,
            ),
            ("/reference/page.css", "text/css; charset=utf-8", 1_000),
        ] {
            let response = get(world, path).await;
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(header(&response, header::CONTENT_TYPE), kind);
            let etag = header(&response, header::ETAG).to_owned();
            let plain = response.bytes().await.expect("a file");
            assert!(plain.len() > least, "{path}: {}", plain.len());

            let known = world.ask(Method::GET, path).header("if-none-match", &etag);
            assert_eq!(known.send().await.expect("it").status(), 304, "{path}");
            let packed = world
                .ask(Method::GET, path)
                .header("accept-encoding", "gzip");
            let packed = packed.send().await.expect("it");
            assert_eq!(header(&packed, header::CONTENT_ENCODING), "gzip");
            let mut unpacked = Vec::new();
            let packed = packed.bytes().await.expect("it");
            let mut reader = flate2::read::GzDecoder::new(&*packed);
            std::io::Read::read_to_end(&mut reader, &mut unpacked).expect("gzip");
            assert!(unpacked == plain, "{path}");
        }
        let script = get(world, "/reference/page.js").await.text().await;
        let script = script.expect("a script");
        assert!(!script.contains("://"), "somebody else's address");
        assert!(!script.contains("innerHTML"), "text has to stay text");
    })
    .await;
}
