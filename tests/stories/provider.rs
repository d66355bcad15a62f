//! With a real OpenID provider.

mod slow;
