//! What the shells are told: each gets its script, and bash the verbs, their options and the words that fit.

// The helpers belong to the tests: what they don't expect is a failure.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test uses some of it.
mod common;

use common::{p2pusb, run};

fn completions(words: &[&str]) -> Vec<String> {
    let mut command = p2pusb("unix:path=/nonexistent");
    command.env("COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    let (code, stdout, stderr) = run(command.arg("--").args(words));
    assert_eq!((code, stderr.as_str()), (0, ""), "{words:?}");
    stdout.lines().map(str::to_owned).collect()
}

#[test]
fn verbs_and_options_are_completed_without_a_daemon() {
    assert_eq!(completions(&["p2pusb", "doc"]), ["doctor"]);
    assert_eq!(completions(&["p2pusb", "status", "--wa"]), ["--watch"]);
    assert!(completions(&["p2pusb", "attach", ""]).iter().all(|word| word.starts_with('-')), "no device is known");
}

#[test]
fn each_shell_gets_a_script_that_asks_the_program() {
    for (shell, file, part) in [
        ("bash", include_str!("../../packaging/completions/p2pusb.bash"), "complete"),
        ("zsh", include_str!("../../packaging/completions/_p2pusb"), "_clap_dynamic_completer_p2pusb"),
        ("fish", include_str!("../../packaging/completions/p2pusb.fish"), "complete"),
    ] {
        let (code, stdout, _) = run(p2pusb("unix:path=/nonexistent").env("COMPLETE", shell));
        assert!(code == 0 && stdout.contains(part) && stdout.contains("p2pusb"), "{shell}: {stdout}");
        assert!(file.contains(&format!("COMPLETE={shell} /usr/bin/p2pusb")), "{shell}: {file}");
    }
}
