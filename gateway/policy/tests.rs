//! Promises about whole policies. What one module promises stands beside that module.

mod bindings;
mod claims;
mod clients;
mod compare;
mod conditions;
mod demands;
mod destination;
mod examples;
mod explained;
mod findings;
mod glass;
mod limits;
mod lookup;
mod matrix;
mod opaque;
mod outlook;
mod own;
mod promise;
mod replay;
mod retention;
mod roles;
mod services;
mod shadow;
mod weights;

use std::collections::HashSet;
use std::sync::Arc;

use tenancy::MembershipSource;

use crate::{Compiled, Known, Source, compile};

/// Issuers `dev` and `corp` (whose members are in the directory), upstreams `orders` and `streams`,
/// and partners, who vouch for services of acme and globex.
fn known() -> Known {
    Known {
        issuers: [
            ("dev".parse().unwrap(), MembershipSource::Claims),
            ("corp".parse().unwrap(), MembershipSource::Directory),
        ]
        .into(),
        authorities: [(
            "partners".parse().unwrap(),
            Arc::new(HashSet::from(["acme", "globex"].map(|name| name.parse().unwrap()))),
        )]
        .into_iter()
        .collect(),
        upstreams: ["orders", "streams"].map(|name| name.parse().unwrap()).into(),
        ..Known::default()
    }
}

#[track_caller]
fn compiled(text: &str) -> Compiled {
    match compile(&[Source { path: "p.yaml", text }], &known()) {
        Ok(compiled) => compiled,
        Err(findings) => panic!("{findings}\n{text}"),
    }
}

/// What is wrong with one file, a finding a line.
#[track_caller]
fn refused(text: &str) -> String {
    match compile(&[Source { path: "p.yaml", text }], &known()) {
        Ok(_) => panic!("this compiles:\n{text}"),
        Err(findings) => findings.to_string(),
    }
}
