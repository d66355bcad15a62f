//! Who belongs to which tenant, and which tenants there are, as a PostgreSQL says.
//!
//! *What it decides:* the roles of a subject in a tenant, remembered for a while and forgotten within a second when the
//! database says that something has changed (`NOTIFY`).
//!
//! *What it must never do:* let anybody in whom the database does not name, or say that somebody is nobody when it could not
//! ask: that is [`Unavailable`]. It hears of no request, and writes nothing.
//!
//! *Who gives it what:* `cli` the [`Settings`], and it polls [`Directory::run`]; `gate` asks [`Directory::roles`] about a
//! caller whose token was verified, in a tenant that is served.
//!
//! *How it keeps what it knows true:* each answer bears the generation (`generations.rs`) that was in force before its query
//! began. What a notice speaks of gets another generation, so that no answer of before is believed, also one that is still on
//! its way. While no notices can be heard (`ear.rs`), what is remembered is believed for `without_notice` and no longer; when
//! they are heard again, all of it is forgotten.
//!
//! Tenants are read as a whole, over the connection of notices (`tenants.rs`): at its beginning, at each notice about one, and
//! now and then. What was read last stays while nothing can be read.
//!
//! *How to add something that is read:* its query and its columns beside `membership.rs`, checked when a connection is made.
#![forbid(unsafe_code)]

mod connect;
mod directory;
mod ear;
mod fault;
mod generations;
mod health;
mod hearing;
mod lane;
mod membership;
mod memory;
mod notice;
mod settings;
mod tenants;
mod wire;

pub use directory::{Directory, Question, State, Unavailable};
pub use fault::Fault;
pub use settings::{
    Address, Channel, InvalidAddress, InvalidChannel, Memberships, Security, Server, Settings, Subjects, Tenants,
};
