//! `/reference`: the API reference in the browser, and the requests that were sent lately.
//!
//! The reference is Scalar, whose bundle is in the binary; the page around it is ours. Everything
//! comes from this server: nothing is loaded from or told to anybody else, which the page's
//! content security policy sees to.

use std::{io::Write, sync::LazyLock};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::{Serving, error::ApiError};

/// What the page may do. Scalar puts its style sheet, and the editor in it its own, into the page
/// as text: that is what styles are loosened for; `data:` are its icons. Scripts come from files
/// of this server alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

static PAGE: LazyLock<File> = LazyLock::new(|| {
    let page = include_bytes!("page.html");
    File::new("text/html; charset=utf-8", Bytes::from_static(page))
});

static STYLE: LazyLock<File> = LazyLock::new(|| {
    let style = include_bytes!("page.css");
    File::new("text/css; charset=utf-8", Bytes::from_static(style))
});

static SCRIPT: LazyLock<File> = LazyLock::new(|| {
    let script = include_bytes!("page.js");
    File::new("text/javascript; charset=utf-8", Bytes::from_static(script))
});

static SCALAR: LazyLock<File> = LazyLock::new(|| {
    let bundle = scalar_api_reference::get_asset("scalar.js").unwrap_or_default();
    File::new("text/javascript; charset=utf-8", bundle.into())
});

/// The page and what it is made of.
pub(crate) fn routes() -> Router<Serving> {
    Router::new()
        .route(
            "/reference",
            get(async |asked: HeaderMap| PAGE.answer(&asked)),
        )
        .route(
            "/reference/page.css",
            get(async |asked: HeaderMap| STYLE.answer(&asked)),
        )
        .route(
            "/reference/page.js",
            get(async |asked: HeaderMap| SCRIPT.answer(&asked)),
        )
        .route("/reference/scalar.js", get(scalar))
}

/// The bundle is packed when somebody asks for it first, which takes a moment.
async fn scalar(asked: HeaderMap) -> Response {
    match tokio::task::spawn_blocking(|| &*SCALAR).await {
        Ok(file) => file.answer(&asked),
        Err(_) => ApiError::internal().into_response(),
    }
}

/// A file of the page, as it is and packed.
struct File {
    kind: HeaderValue,
    plain: Bytes,
    packed: Bytes,
    etag: HeaderValue,
}

impl File {
    fn new(kind: &'static str, plain: Bytes) -> File {
        let digest = hex::encode(&Sha256::digest(&plain)[..16]);
        let etag = HeaderValue::from_str(&format!("\"{digest}\""));
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packer.write_all(&plain).and_then(|()| packer.finish());
        File {
            kind: HeaderValue::from_static(kind),
            packed: packed.map_or_else(|_| Bytes::new(), Bytes::from),
            plain,
            etag: etag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
        }
    }

    /// The file, unless whoever asks has it already.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let mut headers = HeaderMap::new();
        let fixed: [(HeaderName, HeaderValue); 6] = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(CONTENT_SECURITY_POLICY),
            ),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("no-referrer"),
            ),
        ];
        headers.extend(fixed);
        if asked.get(header::IF_NONE_MATCH) == Some(&self.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(header::CONTENT_TYPE, self.kind.clone());
        let accepted = asked.get(header::ACCEPT_ENCODING);
        let accepted = accepted.and_then(|value| value.to_str().ok());
        let takes_packed = accepted.is_some_and(|value| value.contains("gzip"));
        if takes_packed && !self.packed.is_empty() {
            let gzip = HeaderValue::from_static("gzip");
            headers.insert(header::CONTENT_ENCODING, gzip);
            return (headers, self.packed.clone()).into_response();
        }
        (headers, self.plain.clone()).into_response()
    }
}
