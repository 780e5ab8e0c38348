//! `p2pusb doctor`: whether everything is there that p2pusb needs, and what to do where it is not.

mod bus;
mod machine;

use std::collections::HashSet;

use serde::Serialize;

use crate::{
    exit::Failure,
    format::{Cell, Colours, Table, Tone, clean},
    report::Report,
};

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, but somebody may want to know.
    Note,
    /// It does not work.
    Problem,
    /// It can't be told from here.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// A name that never changes; p2pusb-doctor(1) has them all.
    pub(crate) id: String,
    pub(crate) state: State,
    /// How it is, in words.
    pub(crate) detail: String,
    /// What to do about it, or nothing.
    pub(crate) advice: Option<String>,
}

impl Check {
    fn new(id: &str, state: State, detail: impl Into<String>) -> Self {
        Self { id: id.to_owned(), state, detail: clean(&detail.into()), advice: None }
    }

    fn ok(id: &str, detail: impl Into<String>) -> Self {
        Self::new(id, State::Ok, detail)
    }

    fn problem(id: &str, detail: impl Into<String>, advice: &str) -> Self {
        Self { advice: Some(advice.to_owned()), ..Self::new(id, State::Problem, detail) }
    }

    fn note(id: &str, detail: impl Into<String>, advice: &str) -> Self {
        Self { advice: Some(advice.to_owned()), ..Self::new(id, State::Note, detail) }
    }
}

#[derive(Serialize)]
struct Json {
    problems: usize,
    checks: Vec<Check>,
}

pub(super) async fn run() -> Result<Report, Failure> {
    Ok(report(checks().await, Colours::of_stdout()))
}

/// Looks at everything. Nothing is changed, and nothing is started.
pub(crate) async fn checks() -> Vec<Check> {
    let mut checks = machine::checks().await;
    checks.extend(bus::checks().await);
    // The daemon looks at some things, too; what it finds in the same words is said once.
    let mut seen = HashSet::new();
    checks.retain(|check| seen.insert((check.id.clone(), check.detail.clone())));
    checks
}

fn report(checks: Vec<Check>, colours: Colours) -> Report {
    let problems = checks.iter().filter(|check| check.state == State::Problem).count();
    let mut table = Table::new();
    for check in &checks {
        let (word, tone) = match check.state {
            State::Ok => ("ok", Tone::Good),
            State::Note => ("note", Tone::Busy),
            State::Problem => ("problem", Tone::Bad),
            State::Unknown => ("unknown", Tone::Dim),
        };
        table.row([Cell::new(word, tone), check.id.as_str().into(), check.detail.as_str().into()]);
        if let Some(advice) = &check.advice {
            table.row([Cell::default(), Cell::default(), Cell::new(format!("→ {advice}"), Tone::Heading)]);
        }
    }
    let text = table.render(colours, "");
    let failure = (problems > 0).then_some(Failure::Problems(problems));
    Report { failure, ..Report::new(text, &Json { problems, checks }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_with_what_to_do_and_an_exit_code() {
        let checks = vec![Check::ok("udev", "udevd runs"), Check::problem("bus", "there is no bus", "Start dbus.")];
        let told = report(checks.clone(), Colours::none());
        assert_eq!(
            told.text,
            "ok       udev  udevd runs\nproblem  bus   there is no bus\n               → Start dbus.\n"
        );
        assert_eq!(told.failure.unwrap().to_string(), "1 problem was found");
        let json: serde_json::Value = serde_json::from_str(&told.json).unwrap();
        assert_eq!(json["problems"], 1);
        let expected = serde_json::json!({
            "id": "bus", "state": "problem", "detail": "there is no bus", "advice": "Start dbus.",
        });
        assert_eq!(json["checks"][1], expected);
        assert!(report(checks[..1].to_vec(), Colours::none()).failure.is_none());
    }
}
