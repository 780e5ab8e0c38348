//! What the program says on the bus: one look, then exactly the call that the verb stands for. The other end
//! is no daemon but a recorder with a fixed set of objects.

// The helpers belong to the tests: what they don't expect is a failure.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test uses some of it.
mod common;
#[path = "calls/pins.rs"]
mod pins;

use common::recorder::{Call, DESK, WORKSHOP, ask};
use p2pusb_dbus::{attachment_path, peer_path, remote_device_path, share_path};
use zbus::OwnedObjectPath;

fn call(path: &OwnedObjectPath, member: &str, body: &str) -> Call {
    Call { path: path.to_string(), member: member.to_owned(), body: body.to_owned(), pin: None, interactive: true }
}

fn root() -> OwnedObjectPath {
    OwnedObjectPath::try_from(p2pusb_dbus::names::ROOT_PATH).unwrap()
}

#[tokio::test]
async fn reading_changes_nothing() {
    for verb in [&[][..], &["list"], &["list", "--all"], &["peers"], &["status"], &["--json", "status"]] {
        let ((code, stdout, stderr), calls) = ask(verb).await;
        assert_eq!((code, stderr.as_str()), (0, ""), "{verb:?}");
        assert!(!stdout.is_empty() && !stdout.contains('\x1b'), "{verb:?}: {stdout}");
        assert_eq!(calls, [], "{verb:?}");
    }
}

#[tokio::test]
async fn share_names_device_peers_and_force() {
    let ((code, stdout, _), calls) =
        ask(&["share", "0403:6001", "--peer", "desk", "--peer", "8f0c", "--peer", "desk", "--force"]).await;
    assert_eq!((code, stdout.as_str()), (0, "Shared FTDI Serial (1-2) with desk; id 00c0ffee.\n"));
    assert_eq!(calls.len(), 1);
    let body = &calls[0].body;
    // The order within a dictionary is nobody's business.
    for part in [
        "objectpath \"/org/p2pusb1/devices/1_2\"",
        "\"force\": <true>",
        "\"peers\": <[objectpath \"/org/p2pusb1/peers/1111111111111111\", \"/org/p2pusb1/peers/8f0c6a1d2b3e4f50\"]>",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let (_, calls) = ask(&["share", "1-2", "--grace", "2m"]).await;
    let expected = "(objectpath \"/org/p2pusb1/devices/1_2\", {\"grace\": <uint32 120>})";
    assert_eq!(calls, [call(&root(), "ShareDevice", expected)]);
    let (_, calls) = ask(&["share", "1-2", "--follow", "2e8a:0003", "--follow", "1209:*"]).await;
    let expected = "(objectpath \"/org/p2pusb1/devices/1_2\", {\"follows\": <[\"2e8a:0003\", \"1209:*\"]>})";
    assert_eq!(calls, [call(&root(), "ShareDevice", expected)]);
    let (_, calls) = ask(&["share", "1-2"]).await;
    let expected = "(objectpath \"/org/p2pusb1/devices/1_2\", @a{sv} {})";
    assert_eq!(calls, [call(&root(), "ShareDevice", expected)]);
}

#[tokio::test]
async fn what_is_never_shared_is_refused_by_the_daemon_and_in_its_words() {
    let ((code, stdout, stderr), calls) = ask(&["share", "usb1"]).await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "p2pusb: usb1 can't be shared: it is a root hub\n");
    assert_eq!(calls.len(), 1);
}

#[tokio::test]
async fn unshare_forget_and_attach_call_their_objects() {
    let nothing = "(@a{sv} {},)";
    for (arguments, expected) in [
        (&["unshare", "1-2"][..], call(&share_path("00c0ffee"), "Revoke", nothing)),
        (&["forget", "desk"], call(&peer_path(DESK), "Forget", nothing)),
        (&["block", "desk"], call(&peer_path(DESK), "SetTrust", "(\"blocked\", @a{sv} {})")),
        (&["unblock", "desk"], call(&peer_path(DESK), "SetTrust", "(\"paired\", @a{sv} {})")),
        (&["rename", "desk", "office"], call(&peer_path(DESK), "SetLabel", "(\"office\", @a{sv} {})")),
        (&["attach", "disk"], call(&remote_device_path(WORKSHOP, "0000000a"), "Attach", nothing)),
        (&["attach", "disk", "--peer", "workshop"], call(&remote_device_path(WORKSHOP, "0000000a"), "Attach", nothing)),
        (&["detach", "9-1"], call(&attachment_path(1), "Detach", nothing)),
    ] {
        let ((code, stdout, stderr), calls) = ask(arguments).await;
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        assert_eq!(calls, [expected], "{arguments:?}");
        assert_eq!(stdout.lines().count(), 1, "{arguments:?}: {stdout}");
    }
}

#[tokio::test]
async fn attach_says_how_long_it_outlives_its_connection_and_what_it_may_come_back_as() {
    let disk = remote_device_path(WORKSHOP, "0000000a");
    let ((code, ..), calls) = ask(&["attach", "disk", "--grace", "200s"]).await;
    assert_eq!((code, calls), (0, vec![call(&disk, "Attach", "({\"grace\": <uint32 200>},)")]));
    let ((code, ..), calls) = ask(&["attach", "disk", "--follow", "2e8a:0003"]).await;
    assert_eq!((code, calls), (0, vec![call(&disk, "Attach", "({\"follow\": <[\"2e8a:0003\"]>},)")]));
    let ((code, ..), calls) = ask(&["attach", "disk", "--once"]).await;
    assert_eq!((code, calls), (0, vec![call(&disk, "Attach", "({\"keep\": <false>},)")]));
    let ((code, ..), calls) = ask(&["attach", "disk", "--once", "--grace", "0s"]).await;
    assert_eq!((code, calls.len()), (0, 1));
    // The order within a dictionary is nobody's business.
    for part in ["\"keep\": <false>", "\"grace\": <uint32 0>"] {
        assert!(calls[0].body.contains(part), "{part}: {}", calls[0].body);
    }
}

#[tokio::test]
async fn status_says_on_either_side_what_reconnects_and_how_to_end_what_waits() {
    let ((code, stdout, _), calls) = ask(&["status"]).await;
    assert_eq!((code, calls.len()), (0, 0));
    for part in
        ["reconnecting, 0 s left", "waiting for the peer", "`p2pusb detach NUMBER`", "reconnecting to desk, 0 s left"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[tokio::test]
async fn a_name_that_fits_nothing_calls_nothing() {
    for arguments in [
        &["share", "scanner"][..],
        &["share", "1-2", "--peer", "nobody"],
        &["unshare", "scanner"],
        &["attach", "scanner"],
        &["attach", "disk", "--peer", "desk"],
        &["detach", "disk"],
        &["forget", "nobody"],
        &["invite", "--device", "scanner"],
        &["block", "nobody"],
        &["unblock", "nobody"],
        &["rename", "nobody", "somebody"],
    ] {
        let ((code, stdout, stderr), calls) = ask(arguments).await;
        assert_eq!((code, stdout.as_str()), (3, ""), "{arguments:?}: {stderr}");
        assert_eq!(calls, [], "{arguments:?}");
    }
}

#[tokio::test]
async fn invite_prints_the_ticket_alone() {
    let ((code, stdout, stderr), calls) = ask(&["invite", "--expires", "2h"]).await;
    assert_eq!((code, stdout.as_str()), (0, "p2pusbticket\n"));
    assert!(stderr.contains("within 2 h: p2pusb pair"), "{stderr}");
    assert_eq!(calls, [call(&root(), "CreateTicket", "({\"expires-usec\": <uint64 7200000000>},)")]);
    let ((code, ..), calls) = ask(&["invite", "--device", "1-2", "--access", "2h"]).await;
    assert_eq!((code, calls.len()), (0, 1));
    // The order within a dictionary is nobody's business.
    for part in ["\"share\": <objectpath \"/org/p2pusb1/shares/00c0ffee\">", "\"access-usec\": <uint64 7200000000>"] {
        assert!(calls[0].body.contains(part), "{part}: {}", calls[0].body);
    }
}

#[tokio::test]
async fn pair_hands_the_ticket_on_and_names_the_peer() {
    let ((code, stdout, _), calls) = ask(&["pair", " p2pusbticket "]).await;
    assert_eq!(code, 0);
    assert!(stdout.starts_with("Paired with workshop."), "{stdout}");
    assert_eq!(calls, [call(&root(), "AddPeer", "(\"p2pusbticket\", @a{sv} {})")]);
}

#[tokio::test]
async fn reload_calls_the_daemon_and_says_what_needs_a_restart() {
    let ((code, stdout, _), calls) = ask(&["reload"]).await;
    let expected = "The settings are in effect, but for network.relay: systemctl restart p2pusbd\n";
    assert_eq!((code, stdout.as_str()), (0, expected));
    assert_eq!(calls, [call(&root(), "Reload", "(@a{sv} {},)")]);
}

#[tokio::test]
async fn no_ask_password_forbids_asking() {
    let (_, calls) = ask(&["invite", "--no-ask-password"]).await;
    assert_eq!(calls.iter().map(|call| call.interactive).collect::<Vec<_>>(), [false]);
}

#[tokio::test]
async fn detach_all_goes_on_after_a_failure_and_reports_it() {
    let ((code, stdout, stderr), calls) = ask(&["detach", "--all"]).await;
    assert_eq!((code, stdout.as_str()), (4, "Detached Disk of workshop\n"));
    assert!(stderr.starts_with("p2pusb: not authorized\n"), "{stderr}");
    assert_eq!(
        calls.iter().map(|call| call.path.as_str()).collect::<Vec<_>>(),
        [attachment_path(1).as_str(), attachment_path(2).as_str()]
    );
}
