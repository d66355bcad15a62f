use aws_lc_rs::digest::{self, Context, SHA256, SHA512};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

/// The field `Content-Digest` (RFC 9530 §2) of a body that was read to its end. Only [`BodyDigest::finish`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentDigest(String);

impl ContentDigest {
    /// The value of the field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A body that is being read, and what its sender says of it.
pub struct BodyDigest {
    sha256: Context,
    claimed_sha256: Option<Vec<u8>>,
    /// Another sum only for who claims one.
    sha512: Option<(Context, Vec<u8>)>,
}

/// Why a body has no digest that anybody could rely on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidDigest {
    /// The sender has sent something else.
    #[error("the body is not the one that its sender has made a digest of")]
    Differs,
    /// It is no dictionary of sums.
    #[error("the digest that came with the body cannot be read")]
    Malformed,
}

impl BodyDigest {
    /// Begins with what the sender says, in all the fields of that name.
    ///
    /// # Errors
    /// Nobody can say what is claimed.
    pub fn begin<'a>(claims: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Self, InvalidDigest> {
        let (mut claimed_sha256, mut sha512) = (None, None);
        for field in claims {
            let text = field.to_str().map_err(|_| InvalidDigest::Malformed)?;
            for member in text.split(',') {
                let (algorithm, sum) =
                    member.trim_matches([' ', '\t']).split_once('=').ok_or(InvalidDigest::Malformed)?;
                let sum =
                    sum.strip_prefix(':').and_then(|sum| sum.strip_suffix(':')).ok_or(InvalidDigest::Malformed)?;
                let sum = BASE64_STANDARD.decode(sum).map_err(|_| InvalidDigest::Malformed)?;
                // Others are ignored (RFC 9530 §2): the old ones prove nothing, and new ones may come.
                let again = match algorithm {
                    "sha-256" => claimed_sha256.replace(sum).is_some(),
                    "sha-512" => sha512.replace((Context::new(&SHA512), sum)).is_some(),
                    _ => false,
                };
                if again {
                    return Err(InvalidDigest::Malformed); // two readers could look at one each
                }
            }
        }
        Ok(Self { sha256: Context::new(&SHA256), claimed_sha256, sha512 })
    }

    /// The next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some((sum, _)) = &mut self.sha512 {
            sum.update(bytes);
        }
    }

    /// The digest of all of it. A body without a byte has one, too: then nobody can put one there.
    ///
    /// # Errors
    /// It is not what the sender has sent.
    pub fn finish(self) -> Result<ContentDigest, InvalidDigest> {
        let Self { sha256, claimed_sha256, sha512 } = self;
        let sum = sha256.finish();
        let is = |sum: &digest::Digest, claimed: &[u8]| sum.as_ref() == claimed;
        let same = claimed_sha256.is_none_or(|claimed| is(&sum, &claimed))
            && sha512.is_none_or(|(sum, claimed)| is(&sum.finish(), &claimed));
        if !same {
            return Err(InvalidDigest::Differs);
        }
        let mut field = String::with_capacity(64);
        field.push_str("sha-256=:");
        BASE64_STANDARD.encode_string(sum.as_ref(), &mut field);
        field.push(':');
        Ok(ContentDigest(field))
    }
}

impl std::fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyDigest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9530, appendices D and E: `{"hello": "world"}` and a line end.
    const BODY: &[u8] = b"{\"hello\": \"world\"}\n";
    const SHA256_OF_IT: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    const SHA512_OF_IT: &str =
        "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:";

    fn read(claims: &[&str], body: &[u8]) -> Result<ContentDigest, InvalidDigest> {
        let claims: Vec<_> = claims.iter().map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap()).collect();
        let mut reading = BodyDigest::begin(&claims)?;
        body.chunks(5).for_each(|piece| reading.update(piece));
        reading.finish()
    }

    #[test]
    fn a_body_has_the_digest_of_the_rfc_however_it_comes() {
        assert_eq!(read(&[], BODY).unwrap().as_str(), SHA256_OF_IT);
        assert_eq!(read(&[], b"").unwrap().as_str(), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
    }

    #[test]
    fn what_the_sender_says_must_be_true_or_is_nothing_that_anybody_relies_on() {
        use InvalidDigest::{Differs, Malformed};
        let both = format!("{SHA512_OF_IT} ,\t{SHA256_OF_IT}");
        let other = SHA256_OF_IT.replace("RK", "RL");
        for (claims, said) in [
            (vec![SHA256_OF_IT], Ok(())),
            (vec![SHA512_OF_IT], Ok(())),
            (vec![&both], Ok(())),
            (vec![SHA512_OF_IT, SHA256_OF_IT], Ok(())),
            (vec!["md5=:AAAA:, sha-256000=:AAAA:"], Ok(())),
            (vec![&other], Err(Differs)),
            (vec![SHA512_OF_IT, &other], Err(Differs)),
            (vec!["sha-512=:AAAA:", SHA256_OF_IT], Err(Differs)),
            (vec!["sha-256=::"], Err(Differs)),
            (vec![SHA256_OF_IT, SHA256_OF_IT], Err(Malformed)),
            (vec![""], Err(Malformed)),
            (vec!["sha-256"], Err(Malformed)),
            (vec!["sha-256=RK"], Err(Malformed)),
            (vec!["sha-256=:RK:"], Err(Malformed)),
            (vec!["sha-256=:AAA:"], Err(Malformed)),
            (vec!["sha-256=:AAAA:;a=1"], Err(Malformed)),
            (vec!["sha-256=:\u{e4}:"], Err(Malformed)),
        ] {
            assert_eq!(read(&claims, BODY).map(drop), said, "{claims:?}");
        }
    }
}
