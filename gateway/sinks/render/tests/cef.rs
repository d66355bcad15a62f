use proptest::prelude::*;

use super::*;

/// The headers, and what stands behind them by name.
type Parsed = (Vec<String>, Vec<(String, String)>);

/// Takes a line apart as its specification says, which nothing in the product does.
fn parsed(line: &str) -> Result<Parsed, String> {
    if line.chars().any(char::is_control) {
        return Err("a control character".into());
    }
    let mut letters = line.strip_prefix("CEF:").ok_or("no beginning")?.chars().peekable();
    let mut headers = vec![String::new()];
    while headers.len() < 8 {
        match letters.next().ok_or("an end within the header")? {
            '|' => headers.push(String::new()),
            '\\' => match letters.next() {
                Some(escaped @ ('|' | '\\')) => headers.last_mut().unwrap().push(escaped),
                other => return Err(format!("\\{other:?} in the header")),
            },
            other => headers.last_mut().unwrap().push(other),
        }
    }
    headers.pop();
    // A key is the word before an equals sign that is not escaped.
    let (mut words, mut escaped) = (Vec::<(String, String)>::new(), false);
    let mut value = String::new();
    for letter in letters {
        match (escaped, letter) {
            (true, 'n') => value.push('\n'),
            (true, 'r') => value.push('\r'),
            (true, '=' | '\\') => value.push(letter),
            (true, other) => return Err(format!("\\{other} in the extension")),
            (false, '\\') => {}
            (false, '=') => {
                let (before, key) = value.rsplit_once(' ').unwrap_or(("", &value));
                let key = key.to_owned();
                if !words.is_empty() {
                    let before = before.to_owned();
                    words.last_mut().unwrap().1 = before;
                }
                words.push((key, String::new()));
                value = String::new();
            }
            (false, other) => value.push(other),
        }
        escaped = !escaped && letter == '\\';
    }
    if let Some(last) = words.last_mut() {
        last.1 = value;
    }
    Ok((headers, words))
}

fn value<'a>(words: &'a [(String, String)], key: &str) -> Option<&'a str> {
    words.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

#[test]
fn every_kind_of_record_is_one_line_that_reads_back() {
    for record in every_kind() {
        let line = rendered(Rendering::Cef, &record);
        let (headers, words) = parsed(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(headers[..3], ["0", "Cloister", "Cloister"]);
        let code = record.get("kind").or(record.get("reason")).unwrap();
        assert_eq!(headers[4], code.as_str().unwrap());
        assert!(["2", "4", "6", "8"].contains(&headers[6].as_str()), "{line}");
        assert_eq!(value(&words, "rt"), Some("1795805641007"), "{line}");
        assert_eq!(value(&words, "externalId"), Some("07070707070707070707070707070707:41"));
    }
}

#[test]
fn a_refused_request_looks_like_this() {
    let record = json!({ "v": 1, "id": "0191", "time": "2026-11-27T18:54:01.007Z", "stage": "final", "instance": "eu-1",
        "tenant": "acme", "ip": "203.0.113.0/24", "method": "GET", "host": "a=b|c", "decision": "deny",
        "reason": "policy.denied", "status": 403 });
    let line = rendered(Rendering::Cef, &record);
    let leaf = leaf_hash(record.to_string().as_bytes()).to_string().replace('=', "\\=");
    assert!(line.starts_with("CEF:0|Cloister|Cloister|"), "{line}");
    assert!(line.contains("|policy.denied|Request|6|rt=1795805641007 outcome=failure "), "{line}");
    for part in
        [" src=203.0.113.0", " dhost=a\\=b|c", " cs1=acme cs1Label=tenant", " act=deny", &format!(" cs2={leaf}")]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
}

proptest! {
    #[test]
    fn no_text_leaves_its_place(host in any::<String>(), why in "[|=\\\\ \\n\\r\\ta-z]{0,40}") {
        let record = json!({ "v": 1, "time": "2026-11-27T18:54:01.007Z", "host": host, "why": why, "reason": "allowed" });
        let line = rendered(Rendering::Cef, &record);
        let (_, words) = parsed(&line).map_err(TestCaseError::fail)?;
        let seen = |text: &str| -> String {
            text.chars().map(|it| if it.is_control() && it != '\n' && it != '\r' { ' ' } else { it }).collect()
        };
        let (host, why) = (seen(&host), seen(&why));
        prop_assert_eq!(value(&words, "dhost"), Some(host.as_str()));
        prop_assert_eq!(value(&words, "msg"), Some(why.as_str()));
    }
}
