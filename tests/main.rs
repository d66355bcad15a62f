//! The promises of the program as a whole, told against the real binary. Promises that a part can show by itself stand
//! in that part.

#![expect(unreachable_pub, reason = "a test binary has no face")]

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod stories;
