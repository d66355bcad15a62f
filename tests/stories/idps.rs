//! What becomes of users while their identity provider does badly.

mod slow;
