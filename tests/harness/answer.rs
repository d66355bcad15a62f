//! What a client got, read to its end.

use serde_json::Value;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, fields) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("the body ends well").to_vec();
        Self { status, fields, body }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.to_str().unwrap())
    }

    /// The `code` of the problem document (RFC 9457).
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).expect("the body is a problem document");
        problem["code"].as_str().expect("a problem has a code").to_string()
    }

    pub fn request_id(&self) -> String {
        self.field("x-request-id").expect("every answer names its request").to_string()
    }
}
