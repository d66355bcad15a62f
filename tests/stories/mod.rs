//! Promises of the whole, one file per subject.

mod admin;
mod audit;
mod bad_input;
mod clients;
mod cors;
mod crash;
mod echo;
mod files;
mod grpc;
mod headers;
mod life;
mod limits;
mod matrix;
mod protocols;
mod reload;
mod requests;
mod responses;
mod tenants;
mod tokens;
mod upstreams;
mod walls;
