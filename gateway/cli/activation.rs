//! Sockets that listen already when the process starts: systemd's socket activation (sd_listen_fds(3)).

use ingress::Inherited;
use listenfd::ListenFd;

use crate::failure::Failure;

/// Takes what was passed. Each socket is known by its address, and told by the name that its unit gives it.
///
/// # Errors
/// When something else than a listening TCP socket was passed.
pub(crate) fn passed() -> Result<Inherited, Failure> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut inherited = Inherited::default();
    let mut passed = ListenFd::from_env();
    for at in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unnamed");
        let what = || format!("the socket `{name}` that was passed");
        let socket = passed.take_tcp_listener(at).map_err(|error| Failure::setup(what(), &error))?;
        let Some(socket) = socket else { continue };
        let address = socket.local_addr().map_err(|error| Failure::setup(what(), &error))?;
        if !rustix::net::sockopt::socket_acceptconn(&socket).unwrap_or(false) {
            return Err(Failure::Setup(format!("{} ({address}) does not listen", what())));
        }
        tracing::info!(%address, name, "a socket was passed");
        inherited.push(address, socket);
    }
    Ok(inherited)
}

/// What was passed must be of use: a socket that nobody accepts from would let clients wait for ever.
pub(crate) fn all_taken(inherited: &Inherited) -> Result<(), Failure> {
    let left: Vec<_> = inherited.left().map(|address| format!("`{address}`")).collect();
    if left.is_empty() {
        return Ok(());
    }
    let message = "sockets were passed that no listener is bound to in the configuration";
    Err(Failure::Setup(format!("{message}: {}", left.join(", "))))
}
