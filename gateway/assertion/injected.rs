use http::{HeaderName, HeaderValue};

static X_TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
static X_USER_ID: HeaderName = HeaderName::from_static("x-user-id");
static X_ROLES: HeaderName = HeaderName::from_static("x-roles");
static X_CLOISTER_ASSERTION: HeaderName = HeaderName::from_static("x-cloister-assertion");
static X_CLOISTER_DB_CONTEXT: HeaderName = HeaderName::from_static("x-cloister-db-context");
static SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
static SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// The fields that a backend gets. They replace whatever the request carried under a `terms::reserved` name.
#[derive(Clone, Debug)]
pub struct Injected {
    pub(crate) tenant: HeaderValue,
    pub(crate) user: HeaderValue,
    pub(crate) roles: Option<HeaderValue>,
    pub(crate) assertion: HeaderValue,
    pub(crate) signature: Option<Signature>,
    pub(crate) database: Option<HeaderValue>,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) input: HeaderValue,
    pub(crate) signature: HeaderValue,
}

impl Injected {
    /// Those that say claims of the token, each name once. They are in the assertion, too.
    pub fn take_told(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        std::mem::take(&mut self.fields)
    }

    /// The fields, each name once, without those that [`Injected::take_told`] gives. Who has no role has no `X-Roles`.
    pub fn into_fields(self) -> impl Iterator<Item = (&'static HeaderName, HeaderValue)> {
        let Self { tenant, user, roles, assertion, signature, database, fields: _ } = self;
        let (input, signature) = signature.map(|Signature { input, signature }| (input, signature)).unzip();
        [
            (&X_TENANT_ID, Some(tenant)),
            (&X_USER_ID, Some(user)),
            (&X_ROLES, roles),
            (&X_CLOISTER_ASSERTION, Some(assertion)),
            (&SIGNATURE_INPUT, input),
            (&SIGNATURE, signature),
            (&X_CLOISTER_DB_CONTEXT, database),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
