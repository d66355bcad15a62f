use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Signed by somebody, which moto does not look at; whoever signs nothing is turned away.
const SOMEBODY: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, \
                        Signature=00";

/// A store that speaks S3 (moto's), with a bucket `audit` that has Object Lock; it ends with its test.
pub struct ObjectStore {
    pub url: String,
    http: reqwest::Client,
    child: Child,
}

impl ObjectStore {
    pub async fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default()); // another may have done it
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let target = Path::new(env!("CARGO_BIN_EXE_cloister")).ancestors().nth(2).unwrap();
        let child = Command::new(target.join("tools/clients/venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto, which `tests/run` installs");
        let store = Self { url: format!("http://127.0.0.1:{port}"), http: Self::client(), child };
        let deadline = Instant::now() + PATIENCE;
        while !store.make_bucket().await {
            assert!(Instant::now() < deadline, "moto does not come up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        store
    }

    fn client() -> reqwest::Client {
        let field = (reqwest::header::AUTHORIZATION, SOMEBODY.parse().unwrap());
        reqwest::Client::builder().default_headers([field].into_iter().collect()).build().unwrap()
    }

    async fn make_bucket(&self) -> bool {
        let made = self.http.put(format!("{}/audit", self.url)).header("x-amz-bucket-object-lock-enabled", "true");
        made.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// The names of all objects, in their order.
    pub async fn names(&self) -> Vec<String> {
        let list = self.http.get(format!("{}/audit?list-type=2", self.url)).send().await.unwrap().text().await.unwrap();
        list.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }

    /// The fields and the content of one.
    pub async fn object(&self, name: &str) -> (reqwest::header::HeaderMap, String) {
        let answer = self.http.get(format!("{}/audit/{name}", self.url)).send().await.unwrap();
        (answer.headers().clone(), answer.text().await.unwrap())
    }

    /// Tries to remove one version of an object for good, as an intruder would.
    pub async fn destroy(&self, name: &str, version: &str) -> u16 {
        let url = format!("{}/audit/{name}?versionId={version}", self.url);
        self.http.delete(url).send().await.unwrap().status().as_u16()
    }

    pub async fn put(&self, name: &str, content: &str) {
        let put = self.http.put(format!("{}/audit/{name}", self.url)).body(content.to_owned());
        assert!(put.send().await.unwrap().status().is_success());
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
