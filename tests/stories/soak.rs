//! What lasts: memory and descriptors stay where they are, and every request is on record, however many there were.

mod slow;
