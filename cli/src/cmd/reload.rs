//! `p2pusb reload`: have the daemon read its settings anew.

use p2pusb_dbus::{
    Options,
    names::{ROOT_PATH, interface},
};
use serde::Serialize;

use crate::{bus::Bus, exit::Failure, format::clean, report::Report};

#[derive(Serialize)]
struct Json {
    need_restart: Vec<String>,
}

pub(super) async fn run(bus: &mut Bus) -> Result<Report, Failure> {
    let need_restart: Vec<String> =
        bus.call("Reading the settings", ROOT_PATH, interface::MANAGER, "Reload", &(Options::new(),)).await?;
    let need_restart: Vec<_> = need_restart.iter().map(|key| clean(key)).collect();
    Ok(report(need_restart))
}

fn report(need_restart: Vec<String>) -> Report {
    let text = match &need_restart[..] {
        [] => "The settings are in effect.\n".to_owned(),
        keys => {
            let keys = keys.join(", ");
            format!("The settings are in effect, but for {keys}: systemctl restart p2pusbd\n")
        }
    };
    Report::new(text, &Json { need_restart })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_told() {
        assert_eq!(report(Vec::new()).text, "The settings are in effect.\n");
        let report = report(vec!["network.relay".to_owned(), "network.bind".to_owned()]);
        assert!(report.text.contains("but for network.relay, network.bind: systemctl restart"), "{}", report.text);
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(json, serde_json::json!({"need_restart": ["network.relay", "network.bind"]}));
    }
}
