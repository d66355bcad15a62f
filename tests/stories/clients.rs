//! Real clients, as they come from their makers, get what they ask for.

mod slow;
