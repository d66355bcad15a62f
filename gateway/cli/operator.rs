use terms::Author;

/// The number of the user who runs this: as logged in, where the system keeps that, since `sudo` makes everybody the same.
pub(crate) fn user() -> u32 {
    const NOBODY: u32 = u32::MAX;
    let login = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
    login.filter(|user| *user != NOBODY).unwrap_or_else(|| rustix::process::getuid().as_raw())
}

/// The same, for records.
pub(crate) fn author() -> Author {
    Author::Command(user())
}
