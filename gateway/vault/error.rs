use reqwest::StatusCode;
use secrets::SecretError;

/// Why Vault does not give a value, and what to do about it. None says anything of a value or a token.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It is not the JSON that it should be.
    #[error("the answer of Vault is not one: {0}")]
    Answer(&'static str),
    /// The policy of the role does not let us, or the token is none any longer.
    #[error("Vault does not let us read `{0}`: its policy for us must have `read` on this path")]
    Denied(String),
    /// The latest version was deleted or destroyed.
    #[error("the latest version of `{0}` was deleted; undelete it, or write another one")]
    Deleted(String),
    /// The secret is there, and the field is not.
    #[error("`{path}` has no field `{field}`")]
    Field {
        /// The secret.
        path: String,
        /// The field.
        field: String,
    },
    /// A number, a list or an object.
    #[error("the field `{field}` of `{path}` is not a text")]
    Form {
        /// The secret.
        path: String,
        /// The field.
        field: String,
    },
    /// Something of this machine: no question was asked.
    #[error("nobody here can ask Vault")]
    Here(#[source] std::io::Error),
    /// More than a secret could need.
    #[error("the answer of Vault is longer than 256 KiB")]
    Large,
    /// It took too long.
    #[error("Vault did not answer in time")]
    Late,
    /// Vault does not believe who we are.
    #[error("Vault refused the login ({0}); look at the role and at what proves it")]
    Login(StatusCode),
    /// There is nothing there.
    #[error("Vault has no secret `{0}`, or no KV engine of version 2 is mounted there")]
    Missing(String),
    /// What proves who we are cannot be had.
    #[error("what proves to Vault who we are cannot be had")]
    Proof(#[source] SecretError),
    /// The file of the account's token.
    #[error("the token of the account cannot be read from `{path}`")]
    Account {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It says that somebody else should be asked.
    #[error("Vault says that another address should be asked, which is not done; write the address of the active one")]
    Redirect,
    /// No connection, or it broke off.
    #[error("Vault cannot be reached")]
    Request(#[source] reqwest::Error),
    /// It is sealed, or on standby without anybody to forward to.
    #[error("Vault is sealed or has no active server; unseal it")]
    Sealed,
    /// Another answer.
    #[error("the answer of Vault was {0}")]
    Status(StatusCode),
    /// The value does not do as a secret.
    #[error("what Vault has does not do")]
    Unfit(#[source] SecretError),
}

impl VaultError {
    /// Whether nobody has said anything of the secret: it may be as it was, and Vault is what should be looked at.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Answer(_)
            | Self::Account { .. }
            | Self::Here(_)
            | Self::Large
            | Self::Late
            | Self::Login(_)
            | Self::Proof(_)
            | Self::Redirect
            | Self::Request(_)
            | Self::Sealed
            | Self::Status(_) => true,
            Self::Denied(_)
            | Self::Deleted(_)
            | Self::Field { .. }
            | Self::Form { .. }
            | Self::Missing(_)
            | Self::Unfit(_) => false,
        }
    }

    /// Whether it is worth another attempt within seconds.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Late | Self::Request(_) | Self::Sealed => true,
            Self::Status(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Account { .. }
            | Self::Answer(_)
            | Self::Denied(_)
            | Self::Deleted(_)
            | Self::Field { .. }
            | Self::Form { .. }
            | Self::Here(_)
            | Self::Large
            | Self::Login(_)
            | Self::Missing(_)
            | Self::Proof(_)
            | Self::Redirect
            | Self::Unfit(_) => false,
        }
    }
}
