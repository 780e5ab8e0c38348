//! `p2pusb peers --discovered`: machines on the local network that are not paired with this one.

use p2pusb_dbus::DiscoveredEntry;
use serde::Serialize;

use crate::{
    bus::Bus,
    exit::Failure,
    format::{Colours, Table},
    report::Report,
};

#[derive(Serialize)]
struct Json {
    discovered: Vec<Machine>,
}

#[derive(Serialize)]
struct Machine {
    endpoint_id: String,
    label: String,
}

pub(super) async fn run(bus: &Bus) -> Result<Report, Failure> {
    Ok(report(&bus.snapshot().await?.manager.discovered, Colours::of_stdout()))
}

fn report(machines: &[DiscoveredEntry], colours: Colours) -> Report {
    let machine = |(id, label): &DiscoveredEntry| Machine { endpoint_id: id.clone(), label: label.clone() };
    let json = Json { discovered: machines.iter().map(machine).collect() };
    if machines.is_empty() {
        let text = "No machine announces itself on the local network, or all that do are paired with this one.\n";
        return Report::new(text, &json);
    }
    let mut table = Table::with_headings(&["MACHINE", "ENDPOINT ID"]);
    for (id, label) in machines {
        table.row([label.as_str().into(), id.as_str().into()]);
    }
    let note = "What they call themselves is not proven. To pair: p2pusb invite there, p2pusb pair here.\n";
    Report { note: note.to_owned(), ..Report::new(table.render(colours, ""), &json) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_listed_with_their_whole_id() {
        let id = crate::snapshot::tests::WORKSHOP;
        let report = report(&[(id.to_owned(), "workshop".to_owned())], Colours::none());
        assert_eq!(report.text, format!("MACHINE   ENDPOINT ID\nworkshop  {id}\n"));
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(json, serde_json::json!({"discovered": [{"endpoint_id": id, "label": "workshop"}]}));
    }

    #[test]
    fn nobody_may_be_there() {
        assert!(report(&[], Colours::none()).text.contains("No machine announces itself"));
    }
}
