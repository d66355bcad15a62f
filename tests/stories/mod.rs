//! Promises of the whole, one file per subject.

mod addresses;
mod admin;
mod audit;
mod backend_tls;
mod bad_input;
mod chaos;
mod clients;
mod continues;
mod crash;
mod files;
mod grpc;
mod headers;
mod life;
mod limits;
mod matrix;
mod protocols;
mod reload;
mod requests;
mod shedding;
mod sockets;
mod streams;
mod tenants;
mod tokens;
mod upgrade;
mod upstreams;
mod walls;
