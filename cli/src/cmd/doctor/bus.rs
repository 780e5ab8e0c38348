//! The system bus and who is on it: the daemon, which is asked about what only it sees, and polkit.

use std::time::Duration;

use p2pusb_dbus::{
    Options,
    names::{BUS_NAME, ROOT_PATH, interface},
};
use tokio::time::timeout;
use zbus::{Connection, fdo::DBusProxy, names::BusName, proxy::MethodFlags};

use super::{Check, State};
use crate::{bus::Bus, exit::Failure, snapshot::Snapshot};

const POLKIT: &str = "org.freedesktop.PolicyKit1";
const TIMEDATE: &str = "org.freedesktop.timedate1";

/// A daemon that answers at all has answered within this.
const ANSWER_MAX: Duration = Duration::from_secs(10);

pub(super) async fn checks() -> Vec<Check> {
    let bus = match Bus::connect(true).await {
        Ok(bus) => bus,
        Err(failure) => return vec![Check::problem("bus", failure.to_string(), "Start it: systemctl start dbus")],
    };
    let mut checks = vec![Check::ok("bus", "the system bus answers")];
    let Ok(dbus) = DBusProxy::new(bus.connection()).await else { return checks };
    checks.push(polkit(&dbus).await);
    checks.extend(synchronised(bus.connection()).await);
    checks.extend(daemon(&dbus, &bus).await);
    checks
}

async fn owned(dbus: &DBusProxy<'_>, name: &str) -> bool {
    match BusName::try_from(name.to_owned()) {
        Ok(name) => dbus.name_has_owner(name).await.unwrap_or(false),
        Err(_) => false,
    }
}

async fn activatable(dbus: &DBusProxy<'_>, name: &str) -> bool {
    let names = dbus.list_activatable_names().await.unwrap_or_default();
    names.iter().any(|other| other.as_str() == name)
}

async fn polkit(dbus: &DBusProxy<'_>) -> Check {
    if owned(dbus, POLKIT).await || activatable(dbus, POLKIT).await {
        return Check::ok("polkit", "polkit is there: users other than root may be allowed to change something");
    }
    let detail = "polkit is not there: only root may change anything";
    Check::problem("polkit", detail, "If others should: install polkitd (Debian: apt install polkitd)")
}

/// Whether the clock is set by the network, where the service that knows is there.
async fn synchronised(connection: &Connection) -> Option<Check> {
    let read = async {
        let proxy = zbus::Proxy::new(connection, TIMEDATE, "/org/freedesktop/timedate1", TIMEDATE).await.ok()?;
        proxy.get_property::<bool>("NTPSynchronized").await.ok()
    };
    match timeout(ANSWER_MAX, read).await.ok().flatten()? {
        true => Some(Check::ok("time-synchronised", "the clock is set by the network")),
        false => {
            let detail = "the clock is not set by the network: tickets may expire too early or too late";
            Some(Check::note("time-synchronised", detail, "timedatectl set-ntp true"))
        }
    }
}

async fn daemon(dbus: &DBusProxy<'_>, bus: &Bus) -> Vec<Check> {
    const ID: &str = "daemon";
    if !owned(dbus, BUS_NAME).await {
        let advice = "Start it, and with every boot: systemctl enable --now p2pusbd";
        let detail = if activatable(dbus, BUS_NAME).await {
            "p2pusbd does not run"
        } else {
            "p2pusbd does not run, and the bus can't start it"
        };
        return vec![Check::problem(ID, detail, advice)];
    }
    match timeout(ANSWER_MAX, bus.look()).await {
        Ok(Ok(all)) => {
            let mut checks = vec![Check::ok(ID, format!("p2pusbd {} runs", all.manager.version)), version(&all)];
            checks.extend(asked(bus).await);
            checks
        }
        Ok(Err(failure)) if failure.is_denied() => {
            let detail = "the bus does not let this user talk to p2pusbd";
            vec![Check::problem("bus-policy", detail, "Install the package again; then: systemctl reload dbus")]
        }
        Ok(Err(failure)) => vec![Check::problem(ID, failure.to_string(), failure.advice().unwrap_or_default())],
        Err(_) => vec![Check::problem(ID, "p2pusbd does not answer", "Restart it: systemctl restart p2pusbd")],
    }
}

fn version(all: &Snapshot) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    if all.manager.version == own {
        return Check::ok("version", format!("p2pusb and p2pusbd are both {own}"));
    }
    let detail = format!("p2pusb is {own} and p2pusbd {}", all.manager.version);
    Check::problem("version", detail, "After an upgrade: systemctl restart p2pusbd")
}

/// What the daemon has found out about itself.
async fn asked(bus: &Bus) -> Vec<Check> {
    let proxy = match bus.proxy(ROOT_PATH, interface::MANAGER).await {
        Ok(proxy) => proxy,
        Err(failure) => return vec![Check::problem("daemon", failure.to_string(), "")],
    };
    let arguments = (Options::new(),);
    let call = proxy.call_with_flags("Diagnose", MethodFlags::NO_AUTO_START, &arguments);
    let findings: Vec<(String, String, String)> = match timeout(ANSWER_MAX, call).await {
        Ok(Ok(findings)) => findings.unwrap_or_default(),
        Ok(Err(error)) => {
            let detail = format!("p2pusbd could not be asked how it is: {}", Failure::from_call(error));
            return vec![Check::new("daemon", State::Unknown, detail)];
        }
        Err(_) => return vec![Check::problem("daemon", "p2pusbd does not answer", "systemctl restart p2pusbd")],
    };
    let check = |(id, state, detail): (String, String, String)| {
        let state = match state.as_str() {
            "ok" => State::Ok,
            "note" => State::Note,
            "problem" => State::Problem,
            _ => State::Unknown,
        };
        Check::new(&id, state, detail)
    };
    findings.into_iter().map(check).collect()
}
