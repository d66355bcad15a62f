use http::Method;
use pingora::{Error, ErrorSource, ErrorType, RetryType};

use crate::echo::LEAK;
use crate::ends;

/// How an attempt failed, as far as it matters for another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// A status came that is worth another attempt.
    Answered,
    /// It broke off before a response had begun.
    Broke,
    /// What came is no response.
    Garbage,
    /// No response began in time.
    Late,
    /// The backend says that it has not looked at the request (RFC 9113 §8.7).
    Refused,
    /// A connection that was kept from an earlier request had ended in the meantime.
    Stale,
    /// No connection stood.
    Unconnected,
}

/// How much of the request's body was handed to the backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    /// Some, and all of it is still here.
    Kept,
    /// Some, and not all of it is still here.
    Lost,
    /// Nothing.
    Unsent,
}

impl Failure {
    /// What an error after the connection stood means. `None`: it is not the backend's doing.
    pub(crate) fn of(error: &Error, connection: Connection) -> Option<Self> {
        if *error.esource() != ErrorSource::Upstream || *error.etype() == LEAK {
            return None; // a leak is a response, and whoever looks for it must find it: another one would hide it
        }
        let cause = error.root_cause().downcast_ref::<h2::Error>();
        let is = |kinds: &[ErrorType]| kinds.contains(error.etype());
        Some(if cause.is_some_and(says_unprocessed) {
            Self::Refused
        } else if is(&[ErrorType::ReadTimedout, ErrorType::WriteTimedout]) {
            Self::Late
        } else if is(&[ErrorType::H2Downgrade]) || ends::is_malformed(error) {
            Self::Garbage
        } else if connection == Connection::Kept && error.retry == RetryType::ReusedOnly {
            Self::Stale
        } else {
            Self::Broke
        })
    }

    /// Whether a request may be sent again after this. What the backend never saw may, whatever it is; what it may have
    /// seen only if twice is the same as once (RFC 9110 §9.2.2) and no byte of its body has left.
    pub(crate) fn allows_another(self, method: &Method, body: Body) -> bool {
        match self {
            Self::Unconnected | Self::Refused => body != Body::Lost,
            Self::Answered | Self::Broke | Self::Stale => method.is_idempotent() && body == Body::Unsent,
            Self::Garbage | Self::Late => false, // the next answer would not be better, or not be there in time
        }
    }
}

/// Where the connection of an attempt came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connection {
    /// It was kept from an earlier request.
    Kept,
    /// It was made for this one.
    New,
}

/// A stream that was refused, or that is above the last one that a closing connection still looked at: a GOAWAY ends only
/// those (RFC 9113 §6.8).
fn says_unprocessed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_again() {
        use Body::{Kept, Lost, Unsent};
        use Failure::{Answered, Broke, Garbage, Late, Refused, Stale, Unconnected};
        // failure, then for each of GET and POST: no body byte left, some that are kept, some that are lost
        let table = [
            (Answered, [true, false, false], [false, false, false]),
            (Broke, [true, false, false], [false, false, false]),
            (Garbage, [false, false, false], [false, false, false]),
            (Late, [false, false, false], [false, false, false]),
            (Refused, [true, true, false], [true, true, false]),
            (Stale, [true, false, false], [false, false, false]),
            (Unconnected, [true, true, false], [true, true, false]),
        ];
        for (failure, get, post) in table {
            for (method, expected) in [(Method::GET, get), (Method::POST, post)] {
                let allowed = [Unsent, Kept, Lost].map(|body| failure.allows_another(&method, body));
                assert_eq!(allowed, expected, "{failure:?} of {method}");
            }
        }
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            assert!(Broke.allows_another(&method.parse().unwrap(), Unsent), "{method}");
        }
        for method in ["POST", "PATCH", "PURGE", "LOCK"] {
            assert!(!Broke.allows_another(&method.parse().unwrap(), Unsent), "{method}");
        }
    }

    #[test]
    fn what_is_ours_or_the_clients_doing_or_a_leak_is_no_failure_of_the_attempt() {
        for error in [Error::new_down(ErrorType::ReadError), Error::new_in(ErrorType::ReadError), Error::new_up(LEAK)] {
            assert_eq!(Failure::of(&error, Connection::Kept), None);
        }
        let mut closed = Error::new_up(ErrorType::ConnectionClosed);
        assert_eq!(Failure::of(&closed, Connection::Kept), Some(Failure::Broke));
        closed.retry = RetryType::ReusedOnly;
        assert_eq!(Failure::of(&closed, Connection::Kept), Some(Failure::Stale));
        assert_eq!(Failure::of(&closed, Connection::New), Some(Failure::Broke));
    }
}
