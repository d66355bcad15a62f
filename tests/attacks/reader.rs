//! Readers of paths that have nothing in common with the gateway's.

/// The routes of the policy that paths are judged by.
pub const TEMPLATES: [(&str, &str); 6] = [
    ("root", "/**"),
    ("exact", "/exact"),
    ("me", "/@me"),
    ("file", "/files/{name}"),
    ("raw", "/files/{name}/raw/**"),
    ("admin", "/admin/**"),
];

/// The route whose template fits a target, as `policies/README.md` has it. A plain reader of RFC 3986: the path ends at the
/// first question mark, segments at slashes, and only then escapes are undone, once.
pub fn route_of(target: &str) -> &'static str {
    let path = target.split('?').next().unwrap();
    let segments: Vec<String> =
        path.strip_prefix('/').unwrap().split('/').map(|segment| text(&decode(segment))).collect();
    let fitting = TEMPLATES.iter().filter_map(|(id, template)| Some((rank(template, &segments)?, *id)));
    fitting.min().expect("`/**` fits everything").1
}

/// How special a template is for these segments, less is more: a word is 0, a name 1, the rest 2. `None`: it does not fit.
fn rank(template: &str, segments: &[String]) -> Option<Vec<u8>> {
    let mut rank = Vec::new();
    let mut segments = segments.iter();
    for part in template.trim_start_matches('/').split('/') {
        if part == "**" {
            rank.push(2);
            return Some(rank);
        }
        let segment = segments.next()?;
        match part {
            _ if part.starts_with('{') && !segment.is_empty() => rank.push(1),
            _ if part == segment => rank.push(0),
            _ => return None,
        }
    }
    segments.next().is_none().then_some(rank)
}

/// The path as the most lenient of all backends reads it: escapes undone until there are none, parameters dropped,
/// backslashes turned, empty and dot segments resolved, cut at a NUL. What was an escaped question mark begins no query: that a path may hold one is the rule (RFC 3986 §2.2).
pub fn lenient(target: &str) -> String {
    let mut path = target.split('?').next().unwrap().to_string();
    for _ in 0..4 {
        path = text(&decode(&path));
    }
    let path = path.split('\0').next().unwrap().replace('\\', "/");
    let mut segments = Vec::new();
    for segment in path.split('/').map(|segment| segment.split(';').next().unwrap()) {
        match segment.trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment), // spaces are part of a name, and `/admin%20` is another one than `/admin`
        }
    }
    format!("/{}", segments.join("/"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is no escape stays as it is.
fn decode(segment: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), segment.as_bytes());
    while let [first, tail @ ..] = rest {
        let escape = tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escape.filter(|_| *first == b'%' && tail[0] != b'+') {
            Some(byte) => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}
