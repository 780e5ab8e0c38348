//! Exit codes, and everything that can go wrong with what to do about it.

use std::{io, process::ExitCode};

use p2pusb_dbus::{ErrorName, MethodError};
use serde::Serialize;

use crate::select::SelectError;

/// The exit codes of this program. They are documented and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// Wrong usage; the parser of arguments exits with it by itself.
    Usage = 2,
    /// Nothing, or more than one thing, by that name.
    NotFound = 3,
    /// Not authorized.
    NotAuthorized = 4,
    /// p2pusbd is not running.
    NoDaemon = 5,
    /// The peer refused.
    PeerRefused = 6,
    /// The peer can't be reached.
    PeerUnreachable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What can go wrong. The text says what was wrong; [`Failure::advice`] what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The daemon answered with an error.
    #[error("{}", sentence(.0))]
    Call(MethodError),
    /// What was typed stands for nothing, or for several things.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// No system bus.
    #[error("the D-Bus system bus can't be reached: {0}")]
    NoBus(#[source] zbus::Error),
    /// The bus does not know the daemon, or could not start it.
    #[error("p2pusbd is not running ({0})")]
    NoDaemon(String),
    /// The daemon went away in the middle of a call.
    #[error("p2pusbd ended before it answered")]
    DaemonEnded,
    /// The daemon owns its name and says nothing.
    #[error("p2pusbd does not answer")]
    NoAnswer,
    /// The daemon does not have this part of the API.
    #[error("p2pusbd does not know how to do this ({0}): it is of another version than p2pusb")]
    OtherVersion(String),
    /// The bus failed in another way.
    #[error("the call to p2pusbd failed: {0}")]
    Bus(#[source] zbus::Error),
    /// The kernel has no epoll instance or file descriptor left for this program.
    #[error("p2pusb can't start: {0}")]
    Runtime(#[source] io::Error),
    /// Standard input ended without a ticket.
    #[error("there is no ticket on standard input")]
    NoTicket,
    /// Machines were allowed to ask to be paired, and none has been.
    #[error("no machine was paired within {0}")]
    NobodyAsked(String),
    /// Standard input could not be read.
    #[error("standard input can't be read: {0}")]
    Input(#[source] io::Error),
    /// Nobody can be asked for a PIN.
    #[error("there is no terminal on which the PIN could be typed")]
    NoTerminal,
    /// Whoever was asked for a PIN would rather not.
    #[error("no PIN was typed")]
    NotTyped,
    /// A new PIN was typed twice, in two ways.
    #[error("these were two different PINs; nothing was changed")]
    PinsDiffer,
    /// The terminal does not do what terminals do.
    #[error("the PIN can't be asked for on the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// The kernel has no pipe for a PIN.
    #[error("the PIN can't be handed to p2pusbd: {0}")]
    Pipe(#[source] io::Error),
    /// A file can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(String, #[source] io::Error),
    /// A program that does the work is not there.
    #[error("{0} can't be run: {1}")]
    Program(String, #[source] io::Error),
    /// Something is wrong with this machine; the report says what.
    #[error("{}", problems(*.0))]
    Problems(usize),
    /// A file can't be written.
    #[error("{0} can't be written: {1}")]
    File(String, #[source] io::Error),
    /// Standard output takes nothing any more.
    #[error("nothing can be written to standard output: {0}")]
    Output(#[source] io::Error),
    /// Whoever read standard output does so no longer; that is no failure.
    #[error("nobody reads any longer")]
    ReaderGone,
    /// Some of several things failed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<Failure>),
}

/// What the daemon says, or a text for the rare error that comes without one.
fn sentence(error: &MethodError) -> &str {
    let message = error.message.trim();
    if !message.is_empty() {
        return message;
    }
    error.name.as_str().rsplit('.').next().unwrap_or_default()
}

fn problems(number: usize) -> String {
    if number == 1 { "1 problem was found".to_owned() } else { format!("{number} problems were found") }
}

impl Failure {
    /// Whether somebody does not let the caller do it.
    pub(crate) fn is_denied(&self) -> bool {
        self.exit() == Exit::NotAuthorized
    }

    /// What a failed call means.
    pub(crate) fn from_call(error: zbus::Error) -> Self {
        let (name, message) = match &error {
            zbus::Error::FDO(error) => {
                let error: &dyn zbus::DBusError = error.as_ref();
                (error.name().to_string(), error.description().unwrap_or_default().to_owned())
            }
            zbus::Error::MethodError(name, message, _) => (name.to_string(), message.clone().unwrap_or_default()),
            zbus::Error::InputOutput(_) => return Self::NoBus(error),
            _ => return Self::Bus(error),
        };
        if let Some(known) = MethodError::from_call(&error) {
            return Self::Call(known);
        }
        match name.strip_prefix("org.freedesktop.DBus.Error.") {
            Some("ServiceUnknown" | "NameHasNoOwner" | "NoServer" | "TimedOut") => Self::NoDaemon(message),
            Some("NoReply" | "Disconnected") => Self::DaemonEnded,
            Some("UnknownMethod" | "UnknownInterface") => Self::OtherVersion(message),
            Some(other) if other.starts_with("Spawn.") => Self::NoDaemon(message),
            // systemd answers in the place of a service that it can't start.
            None if name.starts_with("org.freedesktop.systemd1.") => Self::NoDaemon(message),
            // An error of this API that this version does not know.
            None if name.starts_with(p2pusb_dbus::names::ERROR_PREFIX) => {
                Self::Call(MethodError::new(ErrorName::Failed, message))
            }
            _ => Self::Bus(error),
        }
    }

    /// The exit code that tells scripts what went wrong.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Select(_) => Exit::NotFound,
            Self::NoBus(_) | Self::NoDaemon(_) | Self::DaemonEnded => Exit::NoDaemon,
            Self::NoAnswer
            | Self::OtherVersion(_)
            | Self::Bus(_)
            | Self::Input(_)
            | Self::NobodyAsked(_)
            | Self::Runtime(_)
            | Self::Output(_)
            | Self::Program(..)
            | Self::Problems(_)
            | Self::NotTyped
            | Self::PinsDiffer
            | Self::Terminal(_)
            | Self::Pipe(_)
            | Self::Unreadable(..)
            | Self::File(..) => Exit::Failed,
            Self::ReaderGone => Exit::Done,
            Self::NoTicket | Self::NoTerminal => Exit::Usage,
            Self::Several(all) => all.first().map_or(Exit::Failed, Self::exit),
            Self::Call(error) => match error.name {
                ErrorName::AccessDenied | ErrorName::InteractiveAuthorizationRequired => Exit::NotAuthorized,
                ErrorName::PeerRefused
                | ErrorName::ProtocolMismatch
                | ErrorName::PinRequired
                | ErrorName::PinWrong
                | ErrorName::PinLocked => Exit::PeerRefused,
                ErrorName::PeerUnreachable => Exit::PeerUnreachable,
                // It was there a moment ago, when the list was read.
                ErrorName::UnknownObject | ErrorName::PeerUnknown => Exit::NotFound,
                _ => Exit::Failed,
            },
        }
    }

    /// The D-Bus name of the error, where the daemon answered with one.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Call(error) => Some(error.name.as_str()),
            Self::Several(all) => all.first().and_then(Self::name),
            _ => None,
        }
    }

    /// What to do about it, where the text does not say it already.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NoBus(_) => Some("p2pusb talks to p2pusbd over it: is dbus running?"),
            Self::NoDaemon(_) => Some("Start it: systemctl start p2pusbd"),
            Self::DaemonEnded => Some("Look why, and start it again: journalctl -u p2pusbd; systemctl start p2pusbd"),
            Self::NoAnswer => Some("Look why: journalctl -u p2pusbd; systemctl restart p2pusbd"),
            Self::OtherVersion(_) => Some("After an upgrade: systemctl restart p2pusbd"),
            Self::NoTicket => Some("On the other machine: p2pusb invite"),
            Self::NobodyAsked(_) => Some("Can the machines reach each other? Or use a ticket: p2pusb invite"),
            Self::Several(all) => all.first().and_then(Self::advice),
            Self::Call(error) => match error.name {
                ErrorName::AccessDenied => Some("Run it as root, or as a user whom polkit allows it."),
                ErrorName::InteractiveAuthorizationRequired => {
                    Some("It takes a password: run it as root, or on a terminal without --no-ask-password.")
                }
                ErrorName::PinRequired => Some("Say --pin to type it, or --pin-file FILE to have it read."),
                ErrorName::UnknownObject => Some("It is gone. See what there is: p2pusb list"),
                _ => None,
            },
            Self::NoTerminal => Some("Say --pin-file FILE; `-` stands for standard input."),
            Self::Select(_)
            | Self::Bus(_)
            | Self::Input(_)
            | Self::Runtime(_)
            | Self::Output(_)
            | Self::Program(..)
            | Self::Problems(_)
            | Self::NotTyped
            | Self::PinsDiffer
            | Self::Terminal(_)
            | Self::Pipe(_)
            | Self::Unreadable(..)
            | Self::File(..)
            | Self::ReaderGone => None,
        }
    }

    /// The error as `--json` writes it to standard error.
    pub(crate) fn json(&self) -> FailureJson {
        FailureJson {
            error: ErrorJson {
                exit_code: self.exit() as u8,
                name: self.name(),
                message: self.to_string(),
                advice: self.advice(),
            },
        }
    }
}

/// Documented in p2pusb(1).
#[derive(Debug, Serialize)]
pub(crate) struct FailureJson {
    error: ErrorJson,
}

#[derive(Debug, Serialize)]
struct ErrorJson {
    exit_code: u8,
    name: Option<&'static str>,
    message: String,
    advice: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use zbus::{Message, fdo};

    use super::*;

    /// What zbus makes of an error reply with this name.
    fn failed(name: &'static str, message: &str) -> Failure {
        let call = Message::method_call("/org/p2pusb1", "Do").build(&()).unwrap();
        let name = zbus::names::ErrorName::try_from(name).unwrap();
        Failure::from_call(Message::error(&call.header(), name).build(&message).unwrap().into())
    }

    #[test]
    fn every_error_of_the_api_has_an_exit_code_and_its_own_text() {
        for &name in ErrorName::ALL {
            let failure = failed(name.as_str(), "something happened");
            assert!(matches!(failure, Failure::Call(_)), "{name}");
            assert_eq!(failure.to_string(), "something happened", "no prefix");
            assert_eq!(failure.name(), Some(name.as_str()));
        }
        for (name, exit) in [
            ("org.p2pusb1.Error.Failed", Exit::Failed),
            ("org.p2pusb1.Error.DeviceExcluded", Exit::Failed),
            ("org.freedesktop.DBus.Error.UnknownObject", Exit::NotFound),
            ("org.p2pusb1.Error.PeerUnknown", Exit::NotFound),
            ("org.freedesktop.DBus.Error.AccessDenied", Exit::NotAuthorized),
            ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", Exit::NotAuthorized),
            ("org.p2pusb1.Error.PeerRefused", Exit::PeerRefused),
            ("org.p2pusb1.Error.ProtocolMismatch", Exit::PeerRefused),
            ("org.p2pusb1.Error.PinRequired", Exit::PeerRefused),
            ("org.p2pusb1.Error.PinWrong", Exit::PeerRefused),
            ("org.p2pusb1.Error.PinLocked", Exit::PeerRefused),
            ("org.p2pusb1.Error.PeerUnreachable", Exit::PeerUnreachable),
            ("org.p2pusb1.Error.OfTheFuture", Exit::Failed),
        ] {
            assert_eq!(failed(name, "x").exit(), exit, "{name}");
        }
    }

    #[test]
    fn a_daemon_that_is_not_there_is_told_from_one_that_fails() {
        for name in [
            "org.freedesktop.DBus.Error.ServiceUnknown",
            "org.freedesktop.DBus.Error.NameHasNoOwner",
            "org.freedesktop.DBus.Error.Spawn.ChildExited",
            "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
            "org.freedesktop.DBus.Error.TimedOut",
            "org.freedesktop.systemd1.NoSuchUnit",
            "org.freedesktop.DBus.Error.NoReply",
            "org.freedesktop.DBus.Error.Disconnected",
        ] {
            let failure = failed(name, "x");
            assert_eq!(failure.exit(), Exit::NoDaemon, "{name}");
            assert!(failure.advice().unwrap().contains("systemctl start p2pusbd"), "{name}");
        }
        assert_eq!(failed("org.freedesktop.DBus.Error.Failed", "x").exit(), Exit::Failed);
        let no_socket = zbus::Error::InputOutput(std::sync::Arc::new(io::Error::other("gone")));
        assert_eq!(Failure::from_call(no_socket).exit(), Exit::NoDaemon);
    }

    #[test]
    fn an_older_daemon_is_told_by_what_it_does_not_know() {
        let failure = failed("org.freedesktop.DBus.Error.UnknownMethod", "no method Fly");
        assert!(failure.to_string().contains("no method Fly"));
        assert_eq!(failure.exit(), Exit::Failed);
    }

    #[test]
    fn an_error_without_a_message_still_says_something() {
        assert_eq!(failed("org.p2pusb1.Error.DeviceBusy", " ").to_string(), "DeviceBusy");
    }

    #[test]
    fn the_first_of_several_failures_gives_the_exit_code() {
        let denied = fdo::Error::AccessDenied("no".into());
        let several = Failure::Several(vec![
            Failure::from_call(denied.into()),
            failed("org.p2pusb1.Error.NotAttached", "it has ended"),
        ]);
        assert_eq!(several.exit(), Exit::NotAuthorized);
        assert_eq!(several.to_string(), "no\nit has ended");
    }

    #[test]
    fn json_has_what_the_text_has() {
        let json = serde_json::to_value(failed("org.p2pusb1.Error.DeviceBusy", "in use").json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"error": {
                "exit_code": 1, "name": "org.p2pusb1.Error.DeviceBusy", "message": "in use", "advice": null,
            }})
        );
    }
}
