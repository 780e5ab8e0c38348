//! Saying on the terminal what is being waited for, when it takes longer than a moment.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

use tokio::time::sleep;

/// What is done within this needs no words.
const MOMENT: Duration = Duration::from_millis(600);

/// Wait for `work`, and say `what` once if it takes longer than a moment. Nothing is said where standard
/// error is no terminal, and nothing where `quiet`: a password is being asked for there.
pub(crate) async fn during<T>(what: &str, quiet: bool, work: impl Future<Output = T>) -> T {
    if quiet || !stderr().is_terminal() {
        return work.await;
    }
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = sleep(MOMENT) => {}
    }
    // A whole line, never erased: it stays true, and nothing on the terminal is overwritten.
    let _ = writeln!(stderr(), "{what} …");
    work.await
}
