//! Attacks that must fail, as tables: what is sent, byte for byte, and what comes of it. See `tests/README.md`.

mod arena;
mod bodies;
mod expect;
mod floods;
mod http1;
mod http2;
mod identity;
mod paths;
mod reader;
mod recorder;
mod seeds;
mod slow_clients;
mod smuggling1;
mod smuggling2;
mod views;
