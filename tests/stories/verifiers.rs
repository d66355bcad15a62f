//! The verifiers for backends do what `tests/vectors` says, each in its own language.

mod slow;
