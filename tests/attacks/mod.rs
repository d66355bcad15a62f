//! Attacks that must fail, as tables: what is sent, byte for byte, and what comes of it. See `tests/README.md`.

mod recorder;
