//! Signatures of requests as AWS defines them (Signature Version 4), for what S3 needs of them.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};

/// What is signed with.
pub(crate) struct Credentials<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) secret_key: &'a [u8],
    pub(crate) region: &'a str,
}

/// What is signed: one request without a query.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// As it goes over the wire.
    pub(crate) path: &'a str,
    /// Small names and their values.
    pub(crate) fields: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body, in hexadecimal digits.
    pub(crate) content: &'a str,
    /// `20130524T000000Z`.
    pub(crate) at: &'a str,
}

/// The value of the field `Authorization`.
pub(crate) fn authorization(credentials: &Credentials<'_>, signed: &Signed<'_>) -> String {
    let mut fields = signed.fields.to_vec();
    fields.sort_unstable();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = format!("{}\n{}\n\n", signed.method, signed.path);
    for (name, value) in &fields {
        writeln!(canonical, "{name}:{}", value.trim()).unwrap_or_default(); // a String takes everything
    }
    write!(canonical, "\n{names}\n{}", signed.content).unwrap_or_default();
    let day = signed.at.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/s3/aws4_request", credentials.region);
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", signed.at, sha256(canonical.as_bytes()));
    let mut first = zeroize::Zeroizing::new(b"AWS4".to_vec());
    first.extend_from_slice(credentials.secret_key);
    let mut key = mac(&first, day.as_bytes());
    for part in [credentials.region, "s3", "aws4_request"] {
        key = mac(key.as_ref(), part.as_bytes());
    }
    let signature = hex(mac(key.as_ref(), text.as_bytes()).as_ref());
    let access_key = credentials.access_key;
    format!("AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn mac(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples in AWS's own description of the signature for S3.
    #[test]
    fn requests_are_signed_like_the_published_examples() {
        let credentials = Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE",
            secret_key: b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
        };
        let (host, at) = (("host", "examplebucket.s3.amazonaws.com"), "20130524T000000Z");
        let nothing = sha256(b"");
        let fields = [host, ("range", "bytes=0-9"), ("x-amz-content-sha256", &nothing), ("x-amz-date", at)];
        let get = Signed { method: "GET", path: "/test.txt", fields: &fields, content: &nothing, at };
        let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(authorization(&credentials, &get).ends_with(signature));
        let content = sha256(b"Welcome to Amazon S3.");
        let fields = [
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-date", at),
            host,
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-content-sha256", &content),
        ];
        let put = Signed { method: "PUT", path: "/test%24file.text", fields: &fields, content: &content, at };
        let expected = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                        SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, \
                        Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert_eq!(authorization(&credentials, &put), expected);
    }
}
