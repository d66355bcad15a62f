//! Promises of the whole, one file per subject.

mod addresses;
mod admin;
mod audit;
mod bad_input;
mod certificates;
mod client_certificates;
mod clients;
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
mod services;
mod systemd;
mod tenants;
mod tokens;
mod upgrade;
mod upstreams;
mod walls;
