//! The partner that keeps everybody waiting.
//!
//! It accepts every connection at once. Whoever asks it for anything else gets no answer as long
//! as it stalls, and "later" otherwise, as an asynchronous partner says. So the network's outbox
//! grows by its ordinary rules while load is made, and can be watched afterwards being worked off.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{self, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use uuid::Uuid;
use wire::partner_call::{
    ConnectRequest, ConnectResponse, MovementRequest, MovementResponse, MovementStatus,
    StatusResponse,
};

use crate::process::Process;

/// A partner in a process of its own, for `tidelock bench`.
#[derive(clap::Args, Clone, Debug)]
pub struct Partner {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

struct Shared {
    stalls: watch::Sender<bool>,
    /// Whom it was asked about, and answered.
    answered: Mutex<HashSet<Uuid>>,
    /// What it is asked about, by its own name for it.
    known: Mutex<HashMap<Uuid, MovementRequest>>,
}

impl Partner {
    /// Serves until it is killed.
    ///
    /// # Errors
    ///
    /// An address that cannot be listened on.
    pub async fn run(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", self.listen))?;
        println!("listening on http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            stalls: watch::Sender::new(false),
            answered: Mutex::default(),
            known: Mutex::default(),
        });
        let routes = Router::new()
            .route("/bitgo/v1/connections", post(accept))
            .route("/bitgo/v1/allocations", post(reserve))
            .route("/bitgo/v1/allocation/{id}", get(status))
            .route("/bitgo/v1/settlements/{id}/finalize", put(finalize))
            .route("/control/stalls", put(stall))
            .route("/control/answered", get(count))
            .with_state(shared);
        Ok(axum::serve(listener, routes).await?)
    }
}

async fn accept(Json(request): Json<ConnectRequest>) -> Json<ConnectResponse> {
    Json(ConnectResponse {
        client_id: Some(request.client_id),
        connection_id: Some(request.connection_id),
        partners_client_id: Some(request.client_id.to_string()),
        partners_connection_id: Some(request.connection_id.to_string()),
        reject_reason: None,
    })
}

async fn reserve(
    State(shared): State<Arc<Shared>>,
    Json(request): Json<MovementRequest>,
) -> Json<MovementResponse> {
    shared.wait().await;
    let id = request.subject.id();
    let response = MovementResponse::to(&request, Some(id.to_string()));
    lock(&shared.known).insert(id, request);
    lock(&shared.answered).insert(id);
    Json(response)
}

async fn status(
    State(shared): State<Arc<Shared>>,
    extract::Path(id): extract::Path<String>,
) -> Response {
    shared.wait().await;
    let id: Uuid = id.parse().unwrap_or_default();
    let request = lock(&shared.known).get(&id).cloned();
    let Some(request) = request else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "not known"}))).into_response();
    };
    let response = StatusResponse {
        id,
        kind: Some(request.subject.kind()),
        status: MovementStatus::Pending,
        amount: Some(request.amount),
        reject_reason: None,
        partners_allocation_id: Some(id.to_string()),
        partners_deallocation_id: None,
    };
    Json(response).into_response()
}

async fn finalize(Json(told): Json<Value>) -> Json<Value> {
    Json(told)
}

async fn stall(State(shared): State<Arc<Shared>>, Json(stalls): Json<bool>) {
    shared.stalls.send_replace(stalls);
}

async fn count(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(lock(&shared.answered).len()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn wait(&self) {
        let mut stalls = self.stalls.subscribe();
        let _ = stalls.wait_for(|stalls| !stalls).await;
    }
}

/// The partner as the benchmark sees it.
pub(crate) struct StallingPartner {
    process: Process,
    http: reqwest::Client,
}

impl StallingPartner {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<StallingPartner> {
        let log = folder.join("tidelock-bench-partner.log");
        let process = Process::start(&["bench-partner"], &log).await;
        let _ = std::fs::remove_file(log);
        Ok(StallingPartner {
            process: process?,
            http: reqwest::Client::new(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.process.url
    }

    /// Lets everybody wait from now on, or no longer.
    pub(crate) async fn stall(&self, stalls: bool) -> anyhow::Result<()> {
        let url = format!("{}/control/stalls", self.url());
        let request = self
            .http
            .put(url)
            .header("content-type", "application/json");
        request
            .body(stalls.to_string())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// About how many allocations it has been asked, and has answered.
    pub(crate) async fn answered(&self) -> anyhow::Result<usize> {
        let url = format!("{}/control/answered", self.url());
        let text = self
            .http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        Ok(text.parse()?)
    }

    pub(crate) async fn kill(mut self) {
        self.process.kill().await;
    }
}
