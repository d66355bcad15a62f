/// The same bytes as a text that can be searched quickly. What is searched for is ASCII.
pub fn plain(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
}

/// A page of memory that was not used.
const NOTHING: [u8; 4096] = [0; 4096];

/// What the process has in its memory, as far as it may be looked at.
pub fn memory(process: i32) -> String {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ") && !line.contains("[stack]")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut part = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut part, from).is_ok() {
            // Most of it was never touched.
            part.chunks(NOTHING.len()).filter(|page| **page != NOTHING[..page.len()]).for_each(|page| all.extend(page));
        }
    }
    plain(&all)
}
