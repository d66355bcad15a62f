//! Starts the real `cloister` on free ports in a temporary folder, with backends that remember what they saw.
//!
//! When a [`Gateway`] goes out of scope it is told to stop; the test fails if it does not end well, if anything in it
//! panicked, if its log does not verify, or if it holds another number of records than requests were made.

mod answer;
mod audit;
mod authority;
mod backend;
pub mod frames;
mod gateway;
mod golden;
mod grpc;
mod h2_raw;
mod h2_recorder;
mod idp;
mod kept;
mod memory;
mod nats;
mod object_store;
mod openbao;
mod postgres;
mod process;
mod provider;
mod raw;
mod raw_backend;
mod recorder;
mod redis;
mod redis_servers;
mod setup;
mod slow;
mod strict;
mod tls;
mod tls_backend;
mod verifying;
mod world;

pub use answer::Answer;
pub use audit::{Records, verify};
pub use authority::TestAuthority;
pub use backend::Backend;
pub use gateway::Gateway;
pub use golden::golden;
pub use grpc::{GrpcBackend, GrpcClient, message};
pub use h2_raw::H2Raw;
pub use h2_recorder::H2Recorder;
pub use idp::{Idp, Mood};
pub use kept::Kept;
pub use memory::{memory, plain};
pub use nats::Nats;
pub use object_store::ObjectStore;
pub use openbao::OpenBao;
pub use postgres::{PASSWORD, Postgres};
pub use process::{PATIENCE, Process, run};
pub use provider::Provider;
pub use raw::raw;
pub use raw_backend::{RawBackend, Then};
pub use recorder::{Play, Recorded, Recorder};
pub use redis::Redis;
pub use redis_servers::{RedisServers, Watched, say};
pub use setup::{ADMIN_TOKEN, Setup, config_text, private};
pub use slow::Slow;
pub use tls::TlsIdentity;
pub use tls_backend::{Authority, TlsBackend};
pub use verifying::{Verifying, named};
pub use world::{POLICIES, claims, now, rfc3339};
