//! Pairing by agreement: two daemons, and this test is the people in front of both.

use iroh::SecretKey;
use p2pusb_protocol::{Commitment, MINOR, Nonce, PairProposal};

use super::*;
use crate::{
    net::serve::own_label,
    people::{Answer, Question},
};

/// What somebody is asked, and the way to answer.
struct Shown {
    code: String,
    label: String,
    peer: PeerId,
    asked: Asked,
}

async fn question(daemon: &Daemon) -> Shown {
    let mut questions = daemon.questions.lock().await;
    let asked = must("a question", questions.recv()).await.unwrap();
    let Question::Pairing { peer, label, code } = asked.question.clone() else { panic!("{:?}", asked.question) };
    Shown { code, label, peer, asked }
}

fn say(shown: Shown, answer: Answer) {
    shown.asked.answer.send(answer).unwrap();
}

/// Two daemons, the first of which may be asked by machines, and the second knows where it is.
async fn two() -> (Daemon, Daemon) {
    let (asked, asking) = (Daemon::start(&[]).await, Daemon::start(&[]).await);
    asked.engine.set_accepting(Some(Duration::from_secs(60))).await.unwrap();
    let there = vec![PeerAddress::Ip(address(&asked.endpoint))];
    asking.engine.found(asked.endpoint.id().into(), "asked".to_owned(), there).await;
    (asked, asking)
}

/// A proposal to the first by the second; its end.
fn propose(asked: &Daemon, asking: &Daemon) -> JoinHandle<crate::error::Result<PeerId>> {
    let (engine, id) = (asking.engine.clone(), PeerId::from(asked.endpoint.id()).to_string());
    tokio::spawn(async move { must("an end", engine.propose_pairing(id, None)).await })
}

async fn stop(daemons: [Daemon; 2]) {
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test]
async fn two_who_see_the_same_code_and_agree_are_paired() {
    let (asked, asking) = two().await;
    let proposal = propose(&asked, &asking);
    let (here, there) = (question(&asked).await, question(&asking).await);
    assert_eq!(here.code, there.code);
    assert_eq!((here.peer, there.peer), (asking.endpoint.id().into(), asked.endpoint.id().into()));
    assert_eq!((here.label, here.code.len()), (own_label(), 6));
    // Whoever is faster: it takes both.
    here.asked.answer.send(Answer::Yes).unwrap();
    assert!(!proposal.is_finished());
    say(there, Answer::Yes);
    assert_eq!(proposal.await.unwrap().unwrap(), asked.endpoint.id().into());
    asked.shown("paired there, and connected", |view| view.state == "online").await;
    asking.shown("paired here, and connected", |view| view.state == "online").await;
    stop([asked, asking]).await;
}

#[tokio::test]
async fn a_no_on_either_side_is_one_and_is_heard_of_on_the_other() {
    let (asked, asking) = two().await;
    let proposal = propose(&asked, &asking);
    let (here, mut there) = (question(&asked).await, question(&asking).await);
    say(here, Answer::No);
    let refused = proposal.await.unwrap();
    assert!(matches!(&refused, Err(Error::PeerRefused { detail, .. }) if detail.contains("agreed")), "{refused:?}");
    // Whoever is still being asked need not go on.
    must("the question is taken back", there.asked.answer.closed()).await;
    // Who was declined once does not ask again by itself, until machines may ask anew.
    let refused = propose(&asked, &asking).await.unwrap();
    assert!(matches!(refused, Err(Error::PeerRefused { .. })), "{refused:?}");
    asked.engine.set_accepting(Some(Duration::from_secs(60))).await.unwrap();

    let proposal = propose(&asked, &asking);
    let (mut here, there) = (question(&asked).await, question(&asking).await);
    say(there, Answer::No);
    let cancelled = proposal.await.unwrap();
    assert!(matches!(cancelled, Err(Error::Cancelled(_))), "{cancelled:?}");
    must("the question is taken back", here.asked.answer.closed()).await;
    assert!(asked.seen.borrow().is_empty() && asking.seen.borrow().is_empty(), "nobody is paired");
    stop([asked, asking]).await;
}

#[tokio::test]
async fn nobody_is_asked_unless_machines_may_ask() {
    let (asked, asking) = two().await;
    asked.engine.set_accepting(None).await.unwrap();
    let refused = propose(&asked, &asking).await.unwrap();
    assert!(matches!(&refused, Err(Error::PeerRefused { detail, .. }) if detail.contains("--accept")), "{refused:?}");
    // Its time ends by itself.
    asked.engine.set_accepting(Some(Duration::from_millis(1))).await.unwrap();
    let over = async {
        while asked.engine.hear_proposal(asking.endpoint.id().into()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    must("the time is over", over).await;
    let no_id = asking.engine.propose_pairing("workshop".to_owned(), None).await;
    assert!(matches!(no_id, Err(Error::InvalidArgs(_))), "{no_id:?}");
    let own = asking.engine.propose_pairing(asking.endpoint.id().to_string(), None).await;
    assert!(matches!(own, Err(Error::InvalidArgs(_))), "{own:?}");
    stop([asked, asking]).await;
}

#[tokio::test]
async fn one_machine_is_asked_about_at_a_time_and_one_that_leaves_is_forgotten() {
    let (asked, asking) = two().await;
    let first = propose(&asked, &asking);
    let (mut here, there) = (question(&asked).await, question(&asking).await);
    let other = Daemon::start(&[]).await;
    other
        .engine
        .found(asked.endpoint.id().into(), String::new(), vec![PeerAddress::Ip(address(&asked.endpoint))])
        .await;
    let busy = propose(&asked, &other).await.unwrap();
    assert!(matches!(&busy, Err(Error::PeerRefused { detail, .. }) if detail.contains("another machine")), "{busy:?}");
    // The first one agrees, and is gone before anybody has here.
    say(there, Answer::Yes);
    drop(first);
    asking.endpoint.close().await;
    must("the question is taken back", here.asked.answer.closed()).await;
    let again = propose(&asked, &other);
    let (here, there) = (question(&asked).await, question(&other).await);
    say(here, Answer::Yes);
    say(there, Answer::Yes);
    again.await.unwrap().unwrap();
    stop([asked, other]).await;
}

/// A machine that tells another number than it has committed itself to could choose the code.
#[tokio::test]
async fn a_number_that_was_not_committed_to_ends_it() {
    let (asked, asking) = two().await;
    let cheat = bare(SecretKey::generate()).await;
    let connection = asked.dial(&cheat, PAIRING_ALPN).await;
    let (mut tx, mut rx) = connection.open_bi().await.unwrap();
    let say = async |tx: &mut SendStream, message: PairingMessage| {
        write_frame(tx, message.encode(), Bytes::new()).await.unwrap();
    };
    let hear = async |rx: &mut RecvStream| {
        let frame = must("an answer", read_frame(rx, FrameLimits::PAIRING)).await.unwrap().unwrap();
        PairingMessage::decode(frame.kind, &frame.header).unwrap().unwrap()
    };
    let (label, addresses) = ("desk".to_owned(), Vec::new());
    let commitment = Commitment([1; 32]);
    let proposal = PairProposal { major: MAJOR, minor: MINOR, commitment, label, addresses };
    say(&mut tx, PairingMessage::Proposal(proposal)).await;
    let answer = hear(&mut rx).await;
    assert!(matches!(answer, PairingMessage::Challenge(_)), "{answer:?}");
    say(&mut tx, PairingMessage::Reveal { nonce: Nonce([2; 32]) }).await;
    assert_eq!(hear(&mut rx).await, PairingMessage::Refused(PairRefusal::Cheated));
    assert!(asked.questions.lock().await.try_recv().is_err(), "nobody is asked");
    stop([asked, asking]).await;
}
