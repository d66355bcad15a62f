use assertion::{Forwarded, MintError};
use pingora::http::RequestHeader;

use crate::backends::Backend;
use crate::context::Admitted;
use crate::proxy::Proxy;

impl Proxy {
    /// What the backend of an admitted request is told about who asks. On a public route that is nothing: nobody was asked.
    pub(crate) fn inject(
        &self,
        admitted: &Admitted,
        backend: &Backend,
        came: &RequestHeader,
    ) -> Result<Option<assertion::Injected>, MintError> {
        let Some(identity) = admitted.permit.identity() else { return Ok(None) };
        let target = match &admitted.forward.target {
            Some(target) => target.as_str(),
            None => std::str::from_utf8(came.raw_path()).map_err(|_| MintError::Unsignable)?,
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let authority = admitted.forward.host.to_str().map_err(|_| MintError::Unsignable)?;
        let held = admitted.held.as_ref();
        if admitted.permit.route().body_digest.is_some() && held.is_none() {
            return Err(MintError::Unsignable); // FAIL CLOSED: a body that nobody has read is covered by nothing
        }
        let (id, method, digest) = (admitted.arrival.id, came.method.as_str(), held.map(|held| &held.digest));
        let request = Forwarded { id, method, authority, path, query, digest };
        self.minter().inject(&identity, &request, backend.assertion()).map(Some)
    }
}
