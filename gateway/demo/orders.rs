use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::trust::{Identity, Trust, believe};
use crate::web::problem;

/// Orders per tenant. Nobody pages through more in a demo.
const ORDERS: usize = 1_000;

#[derive(Clone, Debug, Serialize)]
struct Order {
    id: u64,
    item: String,
    quantity: u32,
    placed_by: String,
}

/// An order as a client writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    item: String,
    quantity: u32,
}

#[derive(Debug, Default)]
struct Book {
    orders: BTreeMap<u64, Order>,
    last: u64,
}

impl Book {
    fn place(&mut self, draft: Draft, user: &str) -> Option<Order> {
        if self.orders.len() >= ORDERS {
            return None;
        }
        self.last += 1;
        let order = Order { id: self.last, item: draft.item, quantity: draft.quantity, placed_by: user.into() };
        self.orders.insert(order.id, order.clone());
        Some(order)
    }
}

/// The orders of each tenant, in memory. The tenant of a request chooses the book; no handler sees another one.
type Books = Arc<Mutex<HashMap<String, Book>>>;

/// A backend such as there are many: JSON over HTTP, one database for all tenants, and no idea of tokens. All that it
/// needed to stand behind the gateway is the line with [`believe`].
pub(crate) fn router(trust: Arc<Trust>) -> Router {
    let mut books = HashMap::new();
    for (tenant, user, item) in [("acme", "ada", "anvil"), ("acme", "bob", "rocket skates"), ("globex", "eve", "laser")]
    {
        let book: &mut Book = books.entry(tenant.into()).or_default();
        book.place(Draft { item: item.into(), quantity: 1 }, user);
    }
    let books: Books = Arc::new(Mutex::new(books));
    Router::new()
        .route("/api/orders", get(list).post(place))
        .route("/api/orders/{id}", get(show).put(change).delete(cancel))
        .route("/api/exports", get(export))
        .route("/api/whoami", get(whoami))
        .layer(from_fn_with_state(trust, believe))
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state(books)
}

fn with_book<T>(books: &Books, who: &Identity, act: impl FnOnce(&mut Book) -> T) -> T {
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    act(books.entry(who.tenant.clone()).or_default())
}

async fn list(State(books): State<Books>, Extension(who): Extension<Identity>, headers: HeaderMap) -> Response {
    let orders: Vec<_> = with_book(&books, &who, |book| book.orders.values().cloned().collect());
    Json(json!({ "seen": who, "orders": orders, "received": received(&headers) })).into_response()
}

async fn place(State(books): State<Books>, Extension(who): Extension<Identity>, Json(draft): Json<Draft>) -> Response {
    match with_book(&books, &who, |book| book.place(draft, &who.user)) {
        Some(order) => {
            let location = format!("/api/orders/{}", order.id);
            (StatusCode::CREATED, [(LOCATION, location)], Json(json!({ "seen": who, "order": order }))).into_response()
        }
        None => problem(StatusCode::INSUFFICIENT_STORAGE, "a thousand orders are enough for a demo"),
    }
}

async fn show(State(books): State<Books>, Extension(who): Extension<Identity>, Path(id): Path<u64>) -> Response {
    answer(&who, with_book(&books, &who, |book| book.orders.get(&id).cloned()))
}

async fn change(
    State(books): State<Books>,
    Extension(who): Extension<Identity>,
    Path(id): Path<u64>,
    Json(draft): Json<Draft>,
) -> Response {
    let changed = with_book(&books, &who, |book| {
        let order = book.orders.get_mut(&id)?;
        order.item = draft.item;
        order.quantity = draft.quantity;
        Some(order.clone())
    });
    answer(&who, changed)
}

async fn cancel(State(books): State<Books>, Extension(who): Extension<Identity>, Path(id): Path<u64>) -> Response {
    answer(&who, with_book(&books, &who, |book| book.orders.remove(&id)))
}

async fn export(State(books): State<Books>, Extension(who): Extension<Identity>) -> Response {
    let count = with_book(&books, &who, |book| book.orders.len());
    Json(json!({ "seen": who, "export": format!("{count} orders of {}", who.tenant) })).into_response()
}

async fn whoami(Extension(who): Extension<Identity>, headers: HeaderMap) -> Response {
    Json(json!({ "seen": who, "received": received(&headers) })).into_response()
}

fn answer(who: &Identity, order: Option<Order>) -> Response {
    match order {
        Some(order) => Json(json!({ "seen": who, "order": order })).into_response(),
        None => problem(StatusCode::NOT_FOUND, "this tenant has no such order"),
    }
}

/// Every header that arrived, with what proves an identity cut short: it would be valid for a minute.
fn received(headers: &HeaderMap) -> Value {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let shown = match name.as_str() {
            "authorization" | "cookie" | "x-cloister-assertion" => value.chars().take(12).chain(['…']).collect(),
            _ => value.into_owned(),
        };
        all.entry(name.as_str()).or_default().push(shown);
    }
    json!(all)
}

#[cfg(test)]
mod tests;
