//! What can be typed: verbs, options and their help. packaging/man/p2pusb.1 says the same at length, and a
//! test in man.rs holds the two together.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use p2pusb_dbus::names::{
    ACCEPTING_MAX_USEC, ACCEPTING_MIN_USEC, ACCESS_MAX_USEC, ACCESS_MIN_USEC, BANDWIDTH_MAX, BANDWIDTH_MIN,
    GRACE_MAX_SECONDS, SESSION_LIMIT_MAX_SECONDS, SESSION_LIMIT_MIN_SECONDS, SHARE_LIFETIME_MAX_USEC,
    SHARE_LIFETIME_MIN_USEC, TICKET_LIFETIME_MAX_USEC, TICKET_LIFETIME_MIN_USEC,
};

use crate::{complete, duration};

/// Use a USB device that is plugged into another machine, as if it were plugged in here.
#[derive(Debug, Parser)]
#[command(
    name = "p2pusb",
    version,
    max_term_width = 100,
    after_help = "\
Without a verb, p2pusb lists devices.

A DEVICE is a bus path (1-2.3), vendor and product (0403:6001), an id from `p2pusb list` or `p2pusb status`, or \
a part of the product's name. A PEER is its label or the beginning of its endpoint id.

Example: use the serial adapter of the machine “workshop” on the machine “desk”.
  workshop$ p2pusb share 0403:6001
  workshop$ p2pusb invite
  desk$     p2pusb pair TICKET
  desk$     p2pusb attach 0403:6001

Exit codes: 0 done, 1 failed, 2 usage, 3 nothing or more than one thing by that name,
  4 not authorized, 5 p2pusbd is not running, 6 the peer refused, 7 the peer can't be reached."
)]
pub(crate) struct Cli {
    /// Write JSON instead of tables, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Never ask for a password: where one is needed, fail with exit code 4
    #[arg(long, global = true)]
    pub(crate) no_ask_password: bool,

    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

// What stands below a verb's first line is in its long help and in its own page of the manual, in place of that line.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the devices of this machine and those that peers offer
    ///
    /// First come the devices that are plugged in here and can be shared, with what is done with each, then those that the
    /// peers that are online offer to this machine.
    List(List),
    /// Offer a device of this machine to peers
    ///
    /// The device stays usable here until a peer attaches it. It is shared until `p2pusb unshare`, also after it has been
    /// unplugged and plugged in again, and after a reboot. A device that has no serial number of its own is known by where
    /// it is plugged in.
    Share(Share),
    /// End the offer of a device
    ///
    /// A peer that uses the device loses it, as if it had been unplugged.
    Unshare(Unshare),
    /// Say anew which peers may use a shared device, and how long they keep it without a connection
    ///
    /// A peer that uses the device and may not any longer loses it, as if it had been unplugged.
    Change(Change),
    /// Take a shared device back for now
    ///
    /// A peer that uses the device loses it, as if it had been unplugged, and is told why. The device stays shared, and goes
    /// to whoever waits for it with `p2pusb resume`.
    Pause(Pause),
    /// Give a device again that was taken back
    ///
    /// It goes to whoever waits for it, in the order in which they came.
    Resume(Resume),
    /// Say how fast a shared device, or all that a peer uses, may be
    ///
    /// The limit counts at once, for what is in use as well, and for both directions together. Only transfers of data wait
    /// for their turn; keyboards, sound and commands do not.
    Limit(Limit),
    /// Have a shared device ask for a PIN, for another one, or for none
    ///
    /// The PIN is typed twice, and not shown. It has 4 to 64 bytes. Whoever has the device keeps it, and has to show the new
    /// PIN the next time. What comes back by itself need not show it again, until somebody detaches it.
    Pin(Pin),
    /// Make a ticket by which another machine can pair with this one
    ///
    /// The ticket, and nothing else, goes to standard output. It pairs one machine, once. Treat it like a password until
    /// then.
    Invite(Invite),
    /// Pair with the machine that made a ticket
    ///
    /// Other users of this machine can see the arguments of a program that runs; with `-` the ticket stays between the two
    /// machines.
    ///
    /// Without a ticket, both machines show a code of six digits, and somebody compares them and agrees on both.
    Pair(Pair),
    /// Ask here what p2pusbd wants to know: whether to pair with a machine, whether a peer may have a device
    ///
    /// It goes on until Ctrl-C. Machines are asked about while `p2pusb pair --accept` runs somewhere, devices when they are
    /// shared with --ask.
    #[command(after_help = "\
Example:
  p2pusb agent")]
    Agent,
    /// End the pairing with a peer
    ///
    /// Every device that one of the two machines uses from the other is given back. Pairing again takes a new ticket. The
    /// peer need not be reachable.
    Forget(Forget),
    /// Call a peer something else
    ///
    /// The name counts on this machine only; the other one is not told. No two peers have the same.
    Rename(Rename),
    /// Have nothing to do with a peer until `p2pusb unblock`
    ///
    /// Every device that one of the two machines uses from the other is given back, and the peer is refused from then on. It
    /// stays paired: `p2pusb unblock` needs no new ticket.
    Block(Block),
    /// End the blocking of a peer
    ///
    /// What was attached before it was blocked is not attached again by itself.
    Unblock(Unblock),
    /// List the paired machines
    ///
    /// For each it says whether it is online, and on which path: directly, or through a relay. Machines that are not paired
    /// are found where they announce themselves (`mdns = "announce"` in the settings there). What they say of themselves is
    /// not proven.
    Peers(Peers),
    /// Use a device that a peer offers
    ///
    /// It returns when the kernel has set up the device, and prints where it is plugged in here. The device is attached
    /// again by itself when its machine was gone or this one was restarted, until `p2pusb detach`.
    Attach(Attach),
    /// Use a device that a peer offers while a command runs
    ///
    /// The device is attached before the command starts and given back when it has ended, also when p2pusb is killed. The
    /// exit status is the command's, or 128 and the number of the signal that ended it.
    With(With),
    /// Give an attached device back
    ///
    /// It returns when the device is gone from this machine. File systems are not unmounted: unmount a disk first. What
    /// waits for its machine is no longer waited for.
    Detach(Detach),
    /// Show what is attached, what is shared and what ended lately
    ///
    /// What somebody has to see to, such as a damaged file of the daemon, comes first.
    Status(Status),
    /// Show what the daemon has logged, of one peer, device or attachment
    ///
    /// What is given together has to be true together. The daemon need not run. Reading the journal takes root, or the group
    /// adm or systemd-journal.
    Logs(Logs),
    /// Show whatever appears, changes or goes, a line each, until it is stopped
    ///
    /// A daemon that is stopped is waited for; this does not start it.
    #[command(after_help = "\
Examples:
  p2pusb monitor
  p2pusb --json monitor | jq -r 'select(.event == \"appeared\") | .name'")]
    Monitor,
    /// Look for what is wrong with this machine, and say what to do about it
    ///
    /// Nothing is changed, and the daemon is not started. The exit status is 1 where there is a problem; notes are none.
    #[command(after_help = "\
Examples:
  p2pusb doctor
  p2pusb --json doctor | jq -r '.checks[] | select(.state == \"problem\") | .id'")]
    Doctor,
    /// Write what somebody needs who looks into a problem, without secrets
    ///
    /// Keys, tickets, serial numbers and whole endpoint ids are left out. Look through it all the same before you give it
    /// away: names of machines and devices are in it. As root it has more.
    Bugreport(Bugreport),
    /// Have the daemon read its settings anew
    ///
    /// It returns when they are in effect, and names those that count only after a restart. Wrong settings are an error that
    /// names the file and the line, and change nothing.
    #[command(after_help = "\
Example:
  p2pusb reload")]
    Reload,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  p2pusb list
  p2pusb --json list | jq -r '.remote_devices[].product'")]
pub(crate) struct List {
    /// Show also what can't be shared: hubs, and devices that are attached here
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb share 1-2.3
  p2pusb share 0403:6001 --peer desk --peer laptop
  p2pusb share flash --grace 10s
  p2pusb share scanner --for 2h
  p2pusb share scope --window 'mon-fri 08:00-18:00' --session-limit 1h
  p2pusb share 2e8a:000a --follow 2e8a:0003
  p2pusb share token --pin")]
pub(crate) struct Share {
    /// The device: bus path, vendor:product or a part of the product's name
    #[arg(add = complete::devices())]
    pub(crate) device: String,

    /// Only this peer may attach it (may be given several times) [default: every paired peer]
    #[arg(long = "peer", value_name = "PEER", add = complete::peers())]
    pub(crate) peers: Vec<String>,

    /// Share it even if this machine depends on it: its only keyboard, a disk that is mounted, a security key
    #[arg(long)]
    pub(crate) force: bool,

    /// How long a peer keeps it that can't be reached: 0s to 1h [default: what the settings say, 60s]
    #[arg(long, value_name = "TIME", value_parser = grace)]
    pub(crate) grace: Option<u32>,

    /// For how long it is shared: 1s to 366d [default: until `p2pusb unshare`]
    #[arg(long = "for", value_name = "TIME", value_parser = share_lifetime)]
    pub(crate) lifetime: Option<Duration>,

    /// Share it until the first peer that attaches it gives it back
    #[arg(long)]
    pub(crate) once: bool,

    /// When it may be attached, such as 'mon-fri 08:00-18:00' (may be given several times) [default: always]
    #[arg(long = "window", value_name = "WINDOW")]
    pub(crate) windows: Vec<String>,

    /// For how long a peer may have it at a time: 10s to 31d [default: for as long as it likes]
    #[arg(long, value_name = "TIME", value_parser = session_limit)]
    pub(crate) session_limit: Option<Duration>,

    /// Ask somebody here (`p2pusb agent`) each time that a peer wants to have it
    #[arg(long)]
    pub(crate) ask: bool,

    /// How fast it may be used, in bytes a second, such as 500k or 10M: 10k to 10G [default: as fast as it goes]
    #[arg(long, value_name = "RATE", value_parser = share_bandwidth)]
    pub(crate) bandwidth: Option<u64>,

    /// An id under which it may come back on the same port, such as that of its bootloader, 2e8a:0003 or 2e8a:* (may be given
    /// several times)
    #[arg(long = "follow", value_name = "ID", conflicts_with = "once")]
    pub(crate) follows: Vec<String>,

    #[command(flatten)]
    pub(crate) pin: PinFrom,
}

/// Where a PIN comes from. Not from the command line: every user of the machine can see that.
#[derive(Debug, Default, Args)]
pub(crate) struct PinFrom {
    /// Protect it by a PIN, or show its PIN; it is typed on the terminal
    #[arg(long)]
    pub(crate) pin: bool,

    /// The same, with the PIN read from this file; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "pin", allow_hyphen_values = true)]
    pub(crate) pin_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb pin token
  pwgen 12 1 | tee /dev/tty | p2pusb pin token --pin-file -
  p2pusb pin token --clear")]
pub(crate) struct Pin {
    /// The device or its share: bus path, vendor:product, share id or a part of the product's name
    #[arg(add = complete::shares())]
    pub(crate) device: String,

    /// Read the PIN from this file instead of asking for it; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "clear", allow_hyphen_values = true)]
    pub(crate) pin_file: Option<PathBuf>,

    /// Ask for no PIN any longer
    #[arg(long)]
    pub(crate) clear: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb change flash --peer desk --peer laptop
  p2pusb change flash --every-peer
  p2pusb change flash --grace 5m")]
#[group(id = "what", required = true, multiple = true, args = ["peers", "every_peer", "grace"])]
pub(crate) struct Change {
    /// The device or its share: bus path, vendor:product, share id or a part of the product's name
    #[arg(add = complete::shares())]
    pub(crate) device: String,

    /// This peer may attach it, and no other (may be given several times)
    #[arg(long = "peer", value_name = "PEER", add = complete::peers())]
    pub(crate) peers: Vec<String>,

    /// Every paired peer may attach it
    #[arg(long, conflicts_with = "peers")]
    pub(crate) every_peer: bool,

    /// How long a peer keeps it that can't be reached: 0s to 1h
    #[arg(long, value_name = "TIME", value_parser = grace)]
    pub(crate) grace: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb limit 2M flash
  p2pusb limit 10M --peer laptop
  p2pusb limit none flash")]
pub(crate) struct Limit {
    /// Bytes a second, such as 500k or 10M: 10k to 10G; or none
    #[arg(value_name = "RATE", value_parser = rate)]
    pub(crate) bandwidth: Rate,

    /// The device or its share: bus path, vendor:product, share id or a part of the product's name
    #[arg(add = complete::shares(), required_unless_present = "peer")]
    pub(crate) device: Option<String>,

    /// All that this peer uses of this machine, together
    #[arg(long, value_name = "PEER", conflicts_with = "device", add = complete::peers())]
    pub(crate) peer: Option<String>,
}

/// A limit; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) u64);

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb unshare 1-2.3")]
pub(crate) struct Unshare {
    /// The device or its share: bus path, vendor:product, share id or a part of the product's name
    #[arg(add = complete::shares())]
    pub(crate) device: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb pause scanner")]
pub(crate) struct Pause {
    /// The device or its share: bus path, vendor:product, share id or a part of the product's name
    #[arg(add = complete::shares())]
    pub(crate) device: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb resume scanner")]
pub(crate) struct Resume {
    /// The device or its share: bus path, vendor:product, share id or a part of the product's name
    #[arg(add = complete::shares())]
    pub(crate) device: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb invite --expires 2h
  p2pusb invite --device 0403:6001 --access 8h
  p2pusb invite | ssh desk p2pusb pair -")]
pub(crate) struct Invite {
    /// How long the ticket is good for: 1s to 7d, such as 90s, 10m, 2h, 7d
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = ticket_lifetime)]
    pub(crate) expires: Duration,

    /// The only device of this machine that the other one may use; it has to be shared already
    #[arg(long, value_name = "DEVICE", add = complete::shares())]
    pub(crate) device: Option<String>,

    /// How long the pairing lasts: 1s to 365d [default: until `p2pusb forget`]
    #[arg(long, value_name = "TIME", value_parser = access)]
    pub(crate) access: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb pair TICKET
  ssh workshop p2pusb invite | p2pusb pair -
  workshop$ p2pusb pair --accept
  desk$     p2pusb pair --with workshop")]
pub(crate) struct Pair {
    /// What `p2pusb invite` printed on the other machine; `-` reads it from standard input
    #[arg(allow_hyphen_values = true, required_unless_present_any = ["with", "accept"])]
    pub(crate) ticket: Option<String>,

    /// Pair with this machine, without a ticket: by its endpoint id, or by its name in `p2pusb peers --discovered`
    #[arg(long, value_name = "MACHINE", conflicts_with_all = ["ticket", "accept"], add = complete::machines())]
    pub(crate) with: Option<String>,

    /// Let machines ask to be paired with this one, without a ticket, until one is
    #[arg(long, conflicts_with = "ticket")]
    pub(crate) accept: bool,

    /// How long machines may ask: 1s to 1h
    #[arg(long = "for", value_name = "TIME", default_value = "5m", requires = "accept", value_parser = accepting)]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb forget laptop")]
pub(crate) struct Forget {
    /// The peer: its label or the beginning of its endpoint id
    #[arg(add = complete::peers())]
    pub(crate) peer: String,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  p2pusb peers
  p2pusb peers --discovered")]
pub(crate) struct Peers {
    /// List the machines on the local network that are not paired with this one
    #[arg(long)]
    pub(crate) discovered: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb rename raspberrypi workshop")]
pub(crate) struct Rename {
    /// The peer: its label or the beginning of its endpoint id
    #[arg(add = complete::peers())]
    pub(crate) peer: String,

    /// What to call it from now on; no other peer may have that name
    pub(crate) label: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb block laptop")]
pub(crate) struct Block {
    /// The peer: its label or the beginning of its endpoint id
    #[arg(add = complete::peers())]
    pub(crate) peer: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  p2pusb unblock laptop")]
pub(crate) struct Unblock {
    /// The peer: its label or the beginning of its endpoint id
    #[arg(add = complete::peers())]
    pub(crate) peer: String,
}

/// A device of a peer, and how it is to be here.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The remote device: vendor:product, its id or a part of the product's name
    #[arg(add = complete::remote_devices())]
    pub(crate) device: String,

    /// Only among the devices of this peer
    #[arg(long, value_name = "PEER", add = complete::peers())]
    pub(crate) peer: Option<String>,

    /// How long it stays while its machine can't be reached: 0s to 1h [default: what the settings say, 60s]
    #[arg(long, value_name = "TIME", value_parser = grace)]
    pub(crate) grace: Option<u32>,

    #[command(flatten)]
    pub(crate) pin: PinFrom,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb attach 0403:6001
  p2pusb attach flash --peer workshop --grace 5m
  p2pusb attach scanner --once
  p2pusb attach 2e8a:000a --follow 2e8a:0003")]
pub(crate) struct Attach {
    #[command(flatten)]
    pub(crate) what: Remote,

    /// Don't attach it again by itself: once it is gone, for whatever reason, that was it
    #[arg(long)]
    pub(crate) once: bool,

    /// Where another machine has it: wait in the queue, and attach it when it is free
    #[arg(long)]
    pub(crate) queue: bool,

    /// Attach it again by itself under this id as well, such as that of its bootloader, 2e8a:0003 or 2e8a:* (may be given
    /// several times)
    #[arg(long, value_name = "ID", conflicts_with = "once")]
    pub(crate) follow: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb with scanner scanimage --output page.png
  p2pusb with 0483:3748 --peer lab -- st-flash write firmware.bin 0x8000000")]
pub(crate) struct With {
    #[command(flatten)]
    pub(crate) what: Remote,

    /// The command
    pub(crate) command: String,

    /// What the command is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb detach 9-1
  p2pusb detach --all")]
#[group(required = true, multiple = false)]
pub(crate) struct Detach {
    /// The attached device: bus path here, vendor:product, number of the attachment or a part of the product's name
    #[arg(add = complete::attachments())]
    pub(crate) device: Option<String>,

    /// Everything that is attached here
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb status
  p2pusb status --watch")]
pub(crate) struct Status {
    /// Show it again every second, with what goes through each attachment, until it is stopped
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb bugreport | less
  sudo p2pusb bugreport --output report.txt")]
pub(crate) struct Bugreport {
    /// Write it to this file, which must not exist yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  p2pusb logs --follow
  p2pusb logs --peer workshop --lines 50
  p2pusb logs --device 1-2.3")]
pub(crate) struct Logs {
    /// Only what is about this peer: its label or its endpoint id
    #[arg(long, value_name = "PEER", add = complete::peers())]
    pub(crate) peer: Option<String>,

    /// Only what is about this device: its bus path here, vendor:product or a part of the product's name
    #[arg(long, value_name = "DEVICE", add = complete::devices())]
    pub(crate) device: Option<String>,

    /// Only what is about this attachment: its number
    #[arg(long, value_name = "NUMBER", add = complete::attachments())]
    pub(crate) attachment: Option<u32>,

    /// Go on with what is logged from now on, until it is stopped
    #[arg(long)]
    pub(crate) follow: bool,

    /// Only so many of the newest entries
    #[arg(long, value_name = "COUNT")]
    pub(crate) lines: Option<u32>,
}

fn ticket_lifetime(text: &str) -> Result<Duration, String> {
    within("a ticket is good for", text, TICKET_LIFETIME_MIN_USEC, TICKET_LIFETIME_MAX_USEC)
}

fn accepting(text: &str) -> Result<Duration, String> {
    within("machines may ask for", text, ACCEPTING_MIN_USEC, ACCEPTING_MAX_USEC)
}

fn share_lifetime(text: &str) -> Result<Duration, String> {
    within("a device is shared for", text, SHARE_LIFETIME_MIN_USEC, SHARE_LIFETIME_MAX_USEC)
}

fn share_bandwidth(text: &str) -> Result<u64, String> {
    let bytes = p2pusb_dbus::bandwidth::parse(text)?;
    if (BANDWIDTH_MIN..=BANDWIDTH_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("a limit is 10k to 10G bytes a second".to_owned())
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "none" { Ok(Rate(0)) } else { share_bandwidth(text).map(Rate) }
}

fn session_limit(text: &str) -> Result<Duration, String> {
    let usec = |seconds: u32| u64::from(seconds) * 1_000_000;
    within("a session lasts for", text, usec(SESSION_LIMIT_MIN_SECONDS), usec(SESSION_LIMIT_MAX_SECONDS))
}

fn access(text: &str) -> Result<Duration, String> {
    within("a pairing lasts for", text, ACCESS_MIN_USEC, ACCESS_MAX_USEC)
}

/// A length of time that is not shorter than the one and not longer than the other.
fn within(what: &str, text: &str, min_usec: u64, max_usec: u64) -> Result<Duration, String> {
    let length = duration::parse(text)?;
    let (min, max) = (Duration::from_micros(min_usec), Duration::from_micros(max_usec));
    if (min..=max).contains(&length) {
        Ok(length)
    } else {
        Err(format!("{what} {} to {}", duration::words(min), duration::words(max)))
    }
}

/// A grace time, in seconds.
fn grace(text: &str) -> Result<u32, String> {
    let grace = duration::parse(text)?;
    let longest = Duration::from_secs(GRACE_MAX_SECONDS.into());
    match u32::try_from(grace.as_secs()) {
        Ok(seconds) if grace <= longest => Ok(seconds),
        _ => Err(format!("a grace time is {} at most", duration::words(longest))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use p2pusb_dbus::names::TICKET_LIFETIME_DEFAULT_USEC;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("p2pusb").chain(arguments.iter().copied()))
    }

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_verb_is_allowed_and_global_options_may_stand_anywhere() {
        assert!(parse(&[]).unwrap().verb.is_none());
        for arguments in [["--json", "peers"], ["peers", "--json"]] {
            assert!(parse(&arguments).unwrap().json);
        }
        assert!(parse(&["attach", "--no-ask-password", "x"]).unwrap().no_ask_password);
    }

    #[test]
    fn the_default_lifetime_is_the_daemons() {
        let Some(Verb::Invite(invite)) = parse(&["invite"]).unwrap().verb else { panic!() };
        assert_eq!(invite.expires, Duration::from_micros(TICKET_LIFETIME_DEFAULT_USEC));
    }

    #[test]
    fn a_lifetime_out_of_range_is_a_usage_error() {
        for ok in ["1s", "7d"] {
            parse(&["invite", "--expires", ok]).unwrap();
        }
        for wrong in ["0s", "8d", "169h", "10", ""] {
            assert_eq!(parse(&["invite", "--expires", wrong]).unwrap_err().exit_code(), 2, "{wrong}");
        }
        for wrong in ["0s", "366d", "2", ""] {
            assert_eq!(parse(&["invite", "--access", wrong]).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn a_grace_time_has_a_unit_and_an_end() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("1h", 3600)] {
            let Some(Verb::Share(share)) = parse(&["share", "x", "--grace", text]).unwrap().verb else { panic!() };
            assert_eq!(share.grace, Some(seconds));
            let Some(Verb::Attach(attach)) = parse(&["attach", "x", "--grace", text]).unwrap().verb else { panic!() };
            assert_eq!((attach.what.grace, attach.once), (Some(seconds), false));
        }
        for wrong in ["3601s", "61m", "1d", "213503982334601d", "60", "-1s", ""] {
            assert_eq!(parse(&["share", "x", "--grace", wrong]).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn the_times_of_a_share_have_units_and_ends() {
        let typed = ["share", "x", "--for", "2h", "--once", "--window", "22:00-06:00", "--session-limit", "31d"];
        let Some(Verb::Share(share)) = parse(&typed).unwrap().verb else { panic!() };
        assert_eq!((share.lifetime, share.once), (Some(Duration::from_secs(7200)), true));
        assert_eq!((share.windows.len(), share.session_limit.unwrap().as_secs()), (1, 2_678_400));
        for wrong in [["--for", "0s"], ["--for", "367d"], ["--session-limit", "9s"], ["--session-limit", "32d"]] {
            assert_eq!(parse(&["share", "x", wrong[0], wrong[1]]).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_pin_is_typed_or_read_but_no_argument() {
        let Some(Verb::Attach(attach)) = parse(&["attach", "x", "--pin-file", "-"]).unwrap().verb else { panic!() };
        assert_eq!((attach.what.pin.pin, attach.what.pin.pin_file.as_deref()), (false, Some("-".as_ref())));
        for wrong in [
            &["attach", "x", "--pin=73905518"][..],
            &["attach", "x", "--pin", "--pin-file", "f"],
            &["share", "x", "--pin", "73905518"],
            &["pin", "x", "--clear", "--pin-file", "f"],
            &["pin", "x", "73905518"],
        ] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn detach_takes_a_device_or_all_but_not_both_and_not_nothing() {
        parse(&["detach", "9-1"]).unwrap();
        parse(&["detach", "--all"]).unwrap();
        assert_eq!(parse(&["detach"]).unwrap_err().exit_code(), 2);
        assert_eq!(parse(&["detach", "9-1", "--all"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_dash_is_a_ticket() {
        let Some(Verb::Pair(pair)) = parse(&["pair", "-"]).unwrap().verb else { panic!() };
        assert_eq!(pair.ticket.as_deref(), Some("-"));
    }

    #[test]
    fn every_argument_has_a_help_text() {
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", verb.get_name(), argument.get_id());
            }
        }
    }
}
