//! PINs: from a file, from standard input, from a terminal; and that none is shown.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use p2pusb_dbus::share_path;

use super::{
    call,
    common::{
        p2pusb,
        recorder::{Call, ask, ask_by},
        run,
    },
};

const PIN: &str = "73905518";

/// The calls' members and PINs.
fn told(calls: &[Call]) -> Vec<(&str, Option<&str>)> {
    calls.iter().map(|call| (call.member.as_str(), call.pin.as_deref())).collect()
}

/// Run the program on a terminal of its own, where somebody answers each question.
async fn typed(arguments: &'static [&str], answers: &'static [(&str, &str)]) -> ((i32, String), Vec<Call>) {
    ask_by(move |address| {
        let words = [env!("CARGO_BIN_EXE_p2pusb")].iter().chain(arguments);
        let line: Vec<_> = words.map(|word| format!("'{word}'")).collect();
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &line.join(" "), "/dev/null"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is needed by this test (package bsdutils)");
        let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = Vec::new();
        let mut byte = [0];
        for (question, answer) in answers {
            while !String::from_utf8_lossy(&seen).ends_with(question) {
                assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
                seen.push(byte[0]);
            }
            keyboard.write_all(answer.as_bytes()).unwrap();
        }
        screen.read_to_end(&mut seen).unwrap();
        (child.wait().unwrap().code().unwrap(), String::from_utf8(seen).unwrap())
    })
    .await
}

#[tokio::test]
async fn a_pin_is_read_from_a_file_or_standard_input_and_handed_on_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pin");
    std::fs::write(&file, format!("{PIN}\n")).unwrap();
    let file = file.to_str().unwrap();
    let handed = Some("73905518\n");
    for (arguments, member) in [
        (&["share", "1-2", "--pin-file", file][..], "ShareDevice"),
        (&["pin", "1-2", "--pin-file", file], "SetPin"),
        (&["attach", "disk", "--pin-file", file], "Attach"),
        (&["attach", "token", "--pin-file", file], "Attach"),
    ] {
        let ((code, _, stderr), calls) = ask(arguments).await;
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        assert_eq!(told(&calls), [(member, handed)], "{arguments:?}");
        assert!(!calls[0].body.contains(PIN), "{arguments:?}: {}", calls[0].body);
    }
    let (code, calls) = ask_by(|address| {
        let mut command = p2pusb(address);
        command.args(["pin", "1-2", "--pin-file", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(PIN.as_bytes()).unwrap();
        child.wait().unwrap().code()
    })
    .await;
    assert_eq!((code, told(&calls)), (Some(0), vec![("SetPin", Some(PIN))]));
    let ((code, ..), calls) = ask(&["pin", "1-2", "--clear"]).await;
    assert_eq!((code, calls), (0, vec![call(&share_path("00c0ffee"), "ClearPin", "(@a{sv} {},)")]));
    let ((code, _, stderr), calls) = ask(&["pin", "1-2", "--pin-file", "/nonexistent/pin"]).await;
    assert_eq!((code, calls), (1, vec![]));
    assert!(stderr.starts_with("p2pusb: /nonexistent/pin can't be read: "), "{stderr}");
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked() {
    let ((code, stdout, stderr), calls) = ask(&["attach", "token"]).await;
    assert_eq!((code, stdout.as_str()), (6, ""));
    assert!(stderr.contains("asks for a PIN") && stderr.contains("--pin-file FILE"), "{stderr}");
    assert_eq!(told(&calls), [("Attach", None)]);
    let ((code, _, stderr), calls) = ask_by(|address| {
        // The test may have a terminal; in a session of its own the program has none.
        let mut command = Command::new("setsid");
        command.args(["--wait", env!("CARGO_BIN_EXE_p2pusb"), "attach", "token", "--pin"]);
        run(command.env("DBUS_SYSTEM_BUS_ADDRESS", address).stdin(Stdio::null()))
    })
    .await;
    assert_eq!((code, calls), (2, vec![]));
    assert!(stderr.contains("no terminal") && stderr.contains("--pin-file FILE"), "{stderr}");
}

#[tokio::test]
async fn a_pin_that_is_typed_is_not_shown() {
    let ((code, seen), calls) = typed(&["attach", "disk", "--pin"], &[("Disk of workshop: ", "73905518\n")]).await;
    assert_eq!((code, told(&calls)), (0, vec![("Attach", Some(PIN))]), "{seen}");
    assert!(!seen.contains(PIN) && seen.contains("Attached Disk of workshop"), "{seen}");

    // Whoever did not know that the device asks for one is asked then.
    let ((code, seen), calls) = typed(&["attach", "token"], &[("PIN for Token of workshop: ", "73905518\n")]).await;
    assert_eq!((code, told(&calls)), (0, vec![("Attach", None), ("Attach", Some(PIN))]), "{seen}");
    assert!(!seen.contains(PIN), "{seen}");
    let ((code, seen), calls) = typed(&["--no-ask-password", "attach", "token"], &[]).await;
    assert_eq!((code, told(&calls)), (6, vec![("Attach", None)]), "{seen}");
}

#[tokio::test]
async fn a_new_pin_is_typed_twice() {
    let twice = &[("New PIN for FTDI Serial (1-2): ", "73905518\n"), ("The same again: ", "73905518\n")];
    let ((code, seen), calls) = typed(&["pin", "1-2"], twice).await;
    assert_eq!((code, told(&calls)), (0, vec![("SetPin", Some(PIN))]), "{seen}");
    let twice = &[("New PIN for FTDI Serial: ", "73905518\n"), ("The same again: ", "73905518\n")];
    let ((code, seen), calls) = typed(&["share", "1-2", "--pin"], twice).await;
    assert_eq!((code, told(&calls)), (0, vec![("ShareDevice", Some(PIN))]), "{seen}");
    assert!(!seen.contains(PIN), "{seen}");

    let twice = &[("New PIN for FTDI Serial (1-2): ", "73905518\n"), ("The same again: ", "73905519\n")];
    let ((code, seen), calls) = typed(&["pin", "1-2"], twice).await;
    assert_eq!((code, calls), (1, vec![]), "{seen}");
    assert!(seen.contains("two different PINs"), "{seen}");
    // Nothing at all, and the key that would have ended the program.
    for nothing in [&[("1-2): ", "\n")], &[("1-2): ", "739\u{3}")]] {
        let ((code, seen), calls) = typed(&["pin", "1-2"], nothing).await;
        assert_eq!((code, calls), (1, vec![]), "{seen}");
        assert!(seen.contains("no PIN was typed") && !seen.contains("739"), "{seen}");
    }
}
