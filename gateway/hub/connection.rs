use std::fmt;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisFuture, Value};

/// A connection that many use at a time. Cloned, it is still the same one.
#[derive(Clone)]
pub struct Connection(pub(crate) Link);

#[derive(Clone)]
pub(crate) enum Link {
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
    /// To one server.
    One(MultiplexedConnection),
}

/// Which keys one script may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Together {
    /// All of them.
    All,
    /// Those that have the same in their braces: a cluster keeps them in one place.
    SameTag,
}

impl Connection {
    /// Which keys one script may have there.
    #[must_use]
    pub const fn together(&self) -> Together {
        match self.0 {
            Link::Cluster(_) => Together::SameTag,
            Link::One(_) => Together::All,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Link::Cluster(connection) => connection.req_packed_command(command),
            Link::One(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Link::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
            Link::One(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Link::Cluster(connection) => connection.get_db(),
            Link::One(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
