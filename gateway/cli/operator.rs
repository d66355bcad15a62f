use terms::Author;

/// Who runs this: as logged in, where the system keeps that, since `sudo` makes everybody the same.
pub(crate) fn author() -> Author {
    const NOBODY: u32 = u32::MAX;
    let login = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
    Author::Command(login.filter(|user| *user != NOBODY).unwrap_or_else(|| rustix::process::getuid().as_raw()))
}
