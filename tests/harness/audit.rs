//! What the log says, through the same commands that an auditor has.

use std::path::Path;

use serde_json::Value;

use super::process::run;

/// Final records, oldest first.
#[derive(Debug)]
pub struct Records(Vec<Value>);

impl Records {
    /// Asks `cloister audit query`.
    pub fn query(log: &Path, conditions: &[&str]) -> Self {
        let log_text = log.display().to_string();
        let mut arguments = vec!["audit", "query", "--dir", &log_text, "--format", "json", "--limit", "100000000"];
        arguments.extend(conditions);
        let (code, out, err) = run(&arguments, log);
        assert_eq!(code, 0, "{err}");
        Self(out.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect())
    }

    /// The final records of requests, without those about the log itself.
    pub fn finals(&self) -> Vec<&Value> {
        self.0.iter().filter(|record| record["stage"] == "final").collect()
    }

    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// The final record of one request.
    pub fn of(&self, request_id: &str) -> &Value {
        let found: Vec<_> = self.finals().into_iter().filter(|record| record["id"] == request_id).collect();
        assert_eq!(found.len(), 1, "one final record of {request_id}");
        found[0]
    }
}

/// Asks `cloister audit verify`, and gives exit code and report.
pub fn verify(log: &Path) -> (i32, Value) {
    let (code, out, err) = run(&["audit", "verify", "--dir", &log.display().to_string(), "--format", "json"], log);
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
}
