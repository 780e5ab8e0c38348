//! A device that is gone before the kernel knows.

use super::*;

const ESHUTDOWN: i32 = -108;

async fn go(bench: &Bench) -> oneshot::Receiver<()> {
    let (quiet, is_quiet) = oneshot::channel();
    bench.switches.send(Switch::Gone { quiet }).await.unwrap();
    is_quiet
}

#[tokio::test]
async fn what_the_hub_driver_waits_for_is_answered_and_what_drivers_wait_for_is_not() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut bulk = bench.lane().await;
    bulk.submit().await;
    bench.kernel.submit_in(2, 0, 18).await;
    let mut control = bench.lane().await;
    control.submit().await;

    let is_quiet = go(&bench).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.command, answer.seqnum, answer.status), (RET_SUBMIT, 2, ESHUTDOWN));
    // It asks again at once.
    bench.kernel.submit_in(3, 0, 18).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.command, answer.seqnum, answer.status), (RET_SUBMIT, 3, ESHUTDOWN));
    must("silence", is_quiet).await.unwrap();

    bench.pump.abort();
    bench.kernel.hears_no_more().await;
    bench.stop().await;
}

#[tokio::test]
async fn a_cancelled_request_is_answered_as_cancelled() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 0, 18).await;
    let mut control = bench.lane().await;
    control.submit().await;
    bench.kernel.unlink(2, 1).await;
    // Behind the unlink: when this one is there, that one has been seen.
    bench.kernel.submit_in(3, 0, 18).await;
    control.submit().await;

    let is_quiet = go(&bench).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.command, answer.seqnum, answer.status), (RET_UNLINK, 2, CANCELLED));
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.command, answer.seqnum, answer.status), (RET_SUBMIT, 3, ESHUTDOWN));
    must("silence", is_quiet).await.unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn where_nothing_is_asked_for_there_is_silence_at_once() {
    let bench = Bench::new().await;
    let is_quiet = go(&bench).await;
    must("silence", is_quiet).await.unwrap();
    bench.stop().await;
}
