//! The first bytes of a connection from a proxy: a header of the PROXY protocol, part of one, or none.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the part is taken in by its source: with pingora, the build would take minutes"
)]

use libfuzzer_sys::fuzz_target;

#[path = "../../../gateway/ingress"]
mod ingress {
    pub(crate) mod proxy_header;
}

use ingress::proxy_header::ProxyHeader;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = ProxyHeader::parse(bytes) else { return };
    assert!(header.length <= bytes.len() && header.length > 0);
    // What is behind it is not looked at.
    assert_eq!(ProxyHeader::parse(&bytes[..header.length]), Ok(Some(header)));
    // Before it is whole, it is neither whole nor wrong.
    for length in 0..header.length {
        assert_eq!(ProxyHeader::parse(&bytes[..length]), Ok(None), "{length} of {}", header.length);
    }
});
