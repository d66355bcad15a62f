use pingora::prelude::Result;
use pingora::proxy::Session;

use crate::context::{Context, Stage};

/// Tells a client that waits for it, once, to send its body (`100 Continue`).
pub(crate) async fn tell(session: &mut Session, context: &mut Context) -> Result<()> {
    let waits = matches!(&context.stage, Stage::Admitted(admitted) if admitted.forward.expects_continue);
    if waits && !context.continued {
        context.continued = true;
        let keepalive = session.get_keepalive();
        session.write_continue_response().await?;
        session.set_keepalive(keepalive); // pingora takes it for an answer, and would close behind it
    }
    Ok(())
}
