use std::fmt;
use std::time::Duration;

use redis::RedisError;
use secrets::Kept;

use crate::{Connection, Login};

/// Where Redis is, who we are there, and what our keys begin with.
#[derive(Clone)]
pub struct Server {
    login: Kept<Login>,
    prefix: Box<str>,
}

impl Server {
    /// The Redis that is reached by this login. Everything of ours there begins with the prefix.
    pub fn new(login: impl Into<Kept<Login>>, prefix: &str) -> Self {
        Self { login: login.into(), prefix: prefix.into() }
    }

    /// What one of our keys is called.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Connects. An answer may take so long, besides what it takes in any case.
    ///
    /// # Errors
    /// It cannot be reached, or does not let us in.
    pub async fn connect(&self, waits: Duration) -> Result<Connection, RedisError> {
        let login = std::sync::Arc::clone(&self.login.glance());
        login.connect(waits).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("login", &**self.login.glance()).finish_non_exhaustive()
    }
}
