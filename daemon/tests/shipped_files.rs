//! The files beside the binaries (systemd, D-Bus, polkit, udev, packaging, man pages) say the same as the code,
//! and the package contains all of them.

#[path = "shipped_files/xml.rs"]
mod xml;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use p2pusb_dbus::{
    ErrorName, names,
    values::{EndReason, Exclusion},
    xml::ALL as INTERFACE_FILES,
};

/// What `systemd-analyze security` may say about the unit at most, in tenths.
const EXPOSURE_LIMIT: &str = "20";

/// Standard interfaces that everybody may call, besides our own.
const STANDARD_INTERFACES: [&str; 4] = [
    "org.freedesktop.DBus.Introspectable",
    "org.freedesktop.DBus.ObjectManager",
    "org.freedesktop.DBus.Peer",
    "org.freedesktop.DBus.Properties",
];

const UNIT: &str = "systemd/p2pusbd.service";
const BUS_POLICY: &str = "packaging/dbus/org.p2pusb1.conf";
const BUS_ACTIVATION: &str = "packaging/dbus/org.p2pusb1.service";
const POLKIT_POLICY: &str = "packaging/polkit/org.p2pusb1.policy";
const UDEV_RULES: &str = "udev-rules/90-p2pusb.rules";
const CONFIG: &str = "packaging/config/p2pusb.toml";
const API_PAGE: &str = "packaging/man/org.p2pusb1.5";
const DAEMON_PAGE: &str = "packaging/man/p2pusbd.8";
const CONFIG_PAGE: &str = "packaging/man/p2pusb.toml.5";

/// The workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the daemon's folder is in the workspace")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parse_xml(path: &str) -> xml::Element {
    xml::parse(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The values of a key in a file of systemd's or D-Bus's kind.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::trim).collect()
}

/// The text of a man page without its markup, with one blank between words.
fn man_text(path: &str) -> String {
    let page = read(path).replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", "\"");
    let page = ["\\fB", "\\fI", "\\fR", "\\fP", "\\&"].iter().fold(page, |page, escape| page.replace(escape, ""));
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the package contains: source (relative to the workspace, or below target/release) and destination.
fn package_assets() -> Vec<(String, String)> {
    let manifest: toml::Table = read("daemon/Cargo.toml").parse().expect("Cargo.toml is TOML");
    let deb = &manifest["package"]["metadata"]["deb"];
    let mut found = Vec::new();
    for asset in deb["assets"].as_array().expect("assets is an array") {
        let part = |index: usize| asset[index].as_str().expect("an asset is an array of strings");
        let (source, destination) = (part(0), part(1));
        assert!(matches!(part(2), "644" | "755"), "{source} has mode {}", part(2));
        let source = source.strip_prefix("../").unwrap_or(source);
        for source in expand(source) {
            let name = source.rsplit('/').next().expect("a path has a last part");
            let destination =
                if destination.ends_with('/') { format!("{destination}{name}") } else { destination.to_owned() };
            found.push((source, destination));
        }
    }
    // cargo-deb installs the unit by itself, from the folder that it is told.
    let units = &deb["systemd-units"];
    let unit = units["unit-name"].as_str().expect("the unit has a name");
    let folder =
        units["unit-scripts"].as_str().and_then(|folder| folder.strip_prefix("../")).expect("the units' folder");
    found.push((format!("{folder}/{unit}.service"), format!("usr/lib/systemd/system/{unit}.service")));
    found
}

/// The files that a path stands for, whose last part may begin with `*`.
fn expand(path: &str) -> Vec<String> {
    let Some((folder, suffix)) = path.split_once("/*") else { return vec![path.to_owned()] };
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.expect("the folder can be read").file_name().into_string().expect("names are UTF-8"))
        .filter(|name| name.ends_with(suffix))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{path} matches nothing");
    files
}

fn destination_of(source: &str) -> String {
    let found = package_assets().into_iter().find(|(from, _)| from == source);
    format!("/{}", found.unwrap_or_else(|| panic!("the package lacks {source}")).1)
}

#[test]
fn every_file_that_the_package_lists_exists() {
    let missing: Vec<_> = package_assets()
        .into_iter()
        .map(|(source, _)| source)
        .filter(|source| !source.starts_with("target/release/") && !root().join(source).is_file())
        .collect();
    assert!(missing.is_empty(), "the package lists files that do not exist: {missing:?}");
}

#[test]
fn the_package_lists_every_file_that_is_there_to_be_shipped() {
    let listed: BTreeSet<_> = package_assets().into_iter().map(|(source, _)| source).collect();
    for folder in [
        "packaging/dbus",
        "packaging/polkit",
        "packaging/config",
        "packaging/completions",
        "packaging/man",
        "systemd",
        "udev-rules",
    ] {
        for file in expand(&format!("{folder}/*")) {
            assert!(listed.contains(&file) || file.ends_with("README.md"), "{file} is not in the package");
        }
    }
    for (interface, _) in INTERFACE_FILES {
        let file = format!("dbus-interfaces/{interface}.xml");
        assert_eq!(destination_of(&file), format!("/usr/share/dbus-1/interfaces/{interface}.xml"));
    }
}

#[test]
fn the_package_does_not_enable_the_daemon_by_itself() {
    let manifest: toml::Table = read("daemon/Cargo.toml").parse().expect("Cargo.toml is TOML");
    let units = &manifest["package"]["metadata"]["deb"]["systemd-units"];
    assert_eq!((units["enable"].as_bool(), units["start"].as_bool()), (Some(false), Some(false)));
    for script in ["postinst", "prerm", "postrm"] {
        let text = read(&format!("packaging/debian/{script}"));
        assert!(text.starts_with("#!/bin/sh\nset -e\n") && text.contains("\n#DEBHELPER#\n"), "{script}");
    }
}

#[test]
fn xml_files_are_well_formed() {
    for (source, _) in package_assets() {
        if source.ends_with(".xml") || source.ends_with(".conf") || source.ends_with(".policy") {
            parse_xml(&source);
        }
    }
}

#[test]
fn the_polkit_policy_has_the_actions_that_the_code_asks_about() {
    let policy = parse_xml(POLKIT_POLICY);
    let in_file: BTreeSet<_> = policy.all("action").iter().map(|action| action.attribute("id").to_owned()).collect();
    let in_code: BTreeSet<_> = names::action::ALL.iter().map(|&action| action.to_owned()).collect();
    assert_eq!(in_file, in_code);
    for action in policy.all("action") {
        let one = |name: &str| match action.all(name)[..] {
            [element] => element.text.trim().to_owned(),
            _ => panic!("{} needs one {name}", action.attribute("id")),
        };
        assert!(!one("description").is_empty() && !one("message").is_empty());
        let defaults = [one("allow_any"), one("allow_inactive"), one("allow_active")];
        let id = action.attribute("id");
        let active = match id {
            // What may hurt this machine is asked each time.
            names::action::SHARE_DEVICE_SENSITIVE => "auth_admin",
            // Whoever sits here may be asked; to agree takes another action.
            names::action::REGISTER_AGENT => "yes",
            _ => "auth_admin_keep",
        };
        assert_eq!(defaults, ["auth_admin", "auth_admin", active], "{id}");
    }
}

#[test]
fn the_bus_policy_allows_our_interfaces_and_nothing_else() {
    let policy = parse_xml(BUS_POLICY);
    let mut allowed = BTreeSet::new();
    for section in policy.all("policy") {
        assert!(section.all("deny").is_empty());
        for rule in section.all("allow") {
            let attributes: Vec<_> =
                rule.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            match (section.attribute("user"), section.attribute("context"), &attributes[..]) {
                ("root", "", [("own", name)]) => assert_eq!(*name, names::BUS_NAME),
                ("", "default", [("send_destination", name), ("send_interface", interface)]) => {
                    assert_eq!(*name, names::BUS_NAME);
                    assert!(allowed.insert((*interface).to_owned()), "{interface} twice");
                }
                // What the daemon calls, and nobody else may.
                ("root", "", [("send_interface", interface)]) => assert_eq!(*interface, names::interface::AGENT),
                other => panic!("{other:?} is not a rule that this file should have"),
            }
        }
    }
    let expected: BTreeSet<_> =
        names::interface::SERVED.iter().chain(&STANDARD_INTERFACES).map(|&interface| interface.to_owned()).collect();
    assert_eq!(allowed, expected);
    assert!(read(BUS_POLICY).contains(names::interface::AGENT), "the daemon may call agents");
}

#[test]
fn every_interface_has_its_xml_and_every_xml_its_interface() {
    let in_files: BTreeSet<_> = expand("dbus-interfaces/*.xml").into_iter().collect();
    let in_code: BTreeSet<_> = names::interface::ALL.iter().map(|name| format!("dbus-interfaces/{name}.xml")).collect();
    assert_eq!(in_files, in_code);
    for name in names::interface::ALL {
        let text = read(&format!("dbus-interfaces/{name}.xml"));
        let node = zbus_xml::Node::from_reader(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let interfaces: Vec<_> = node.interfaces().iter().map(|interface| interface.name().to_string()).collect();
        assert_eq!(interfaces, [name]);
    }
}

#[test]
fn only_systemd_starts_the_daemon_and_only_where_it_is_enabled() {
    let (activation, unit) = (read(BUS_ACTIVATION), read(UNIT));
    assert_eq!(values(&activation, "Name"), [names::BUS_NAME]);
    assert_eq!(values(&activation, "Exec"), ["/bin/false"]);
    assert_eq!(values(&activation, "User"), ["root"]);
    assert_eq!(values(&activation, "SystemdService"), values(&unit, "Alias"));
    assert_eq!(
        destination_of(BUS_ACTIVATION),
        format!("/usr/share/dbus-1/system-services/{}.service", names::BUS_NAME)
    );
    assert_eq!(destination_of(BUS_POLICY), format!("/usr/share/dbus-1/system.d/{}.conf", names::BUS_NAME));
}

#[test]
fn the_unit_and_the_code_agree() {
    let unit = read(UNIT);
    let daemon = destination_of("target/release/p2pusbd");
    assert_eq!(values(&unit, "ExecStart"), [daemon.as_str()]);
    assert_eq!(values(&unit, "ExecStopPost"), [format!("-{daemon} --cleanup")]);
    let client = destination_of("target/release/p2pusb");
    assert_eq!(values(&unit, "ExecReload"), [format!("{client} --no-ask-password reload")]);
    assert_eq!(values(&unit, "BusName"), [names::BUS_NAME]);
    let below = |folder: &str, path: &'static str| path.strip_prefix(folder).expect("the default is what systemd sets");
    assert_eq!(values(&unit, "StateDirectory"), [below("/var/lib/", names::STATE_DIRECTORY_DEFAULT)]);
    assert_eq!(values(&unit, "RuntimeDirectory"), [below("/run/", names::RUNTIME_DIRECTORY_DEFAULT)]);
    assert_eq!(destination_of(CONFIG), names::CONFIG_FILE_DEFAULT);
    assert_eq!(client, "/usr/bin/p2pusb");
}

/// Runs systemd-analyze on a copy of the unit whose program exists here.
fn systemd_analyze(arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy: PathBuf = folder.path().join("p2pusbd.service");
    let daemon = destination_of("target/release/p2pusbd");
    let client = destination_of("target/release/p2pusb");
    // Any program will do for the client: systemd only looks whether it is there.
    let unit =
        read(UNIT).replace(&daemon, env!("CARGO_BIN_EXE_p2pusbd")).replace(&client, env!("CARGO_BIN_EXE_p2pusbd"));
    fs::write(&copy, unit).expect("the copy can be written");
    let output =
        Command::new("systemd-analyze").args(arguments).arg(&copy).env("SYSTEMD_PAGER", "").output().unwrap_or_else(
            |error| panic!("this test needs systemd-analyze (Debian: apt-get install systemd): {error}"),
        );
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn systemd_understands_the_unit() {
    let (good, said) = systemd_analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(good && said.is_empty(), "{said}");
}

#[test]
fn the_unit_is_hardened() {
    let threshold = format!("--threshold={EXPOSURE_LIMIT}");
    let (good, said) = systemd_analyze(&["security", "--offline=true", "--no-pager", &threshold]);
    assert!(good, "{said}");
}

#[test]
fn udev_rules_run_nothing_and_start_nothing() {
    let rules = read(UDEV_RULES);
    for line in rules.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for word in ["RUN", "PROGRAM", "IMPORT{program}", "IMPORT{builtin}", "SYSTEMD_WANTS", "MODE", "OWNER", "GROUP"]
        {
            assert!(!line.contains(word), "{line}");
        }
    }
    assert!(rules.contains("ACTION==\"remove\", GOTO=\"p2pusb_end\"") && rules.contains("LABEL=\"p2pusb_end\""));
}

#[test]
fn the_settings_stub_is_the_defaults() {
    let stub: toml::Table = read(CONFIG).parse().expect("the stub is TOML");
    assert!(stub.is_empty(), "{stub:?}");
    p2pusbd::config::Source::new(root().join(CONFIG), true).read().expect("the daemon reads the stub");
}

#[test]
fn the_page_about_the_api_names_every_member_error_and_reason() {
    let page = man_text(API_PAGE);
    let names = page.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).collect::<BTreeSet<_>>();
    let mut missing = Vec::new();
    for (interface, text) in INTERFACE_FILES {
        let node = xml::parse(text).unwrap_or_else(|error| panic!("{interface}: {error}"));
        let members = ["method", "property", "signal"].into_iter().flat_map(|kind| node.all(kind));
        let members = members.map(|member| member.attribute("name").to_owned());
        missing.extend(members.chain([interface.to_owned()]).filter(|name| !names.contains(name.as_str())));
    }
    let errors = ErrorName::ALL.iter().map(|error| error.as_str().rsplit('.').next().expect("a name has parts"));
    missing.extend(errors.filter(|error| !names.contains(error)).map(str::to_owned));
    let values =
        EndReason::ALL.iter().map(|value| value.as_str()).chain(Exclusion::ALL.iter().map(|value| value.as_str()));
    missing.extend(values.filter(|value| !value.is_empty() && !names.contains(value)).map(str::to_owned));
    missing
        .extend(names::action::ALL.iter().filter(|action| !names.contains(*action)).map(|&action| action.to_owned()));
    assert!(missing.is_empty(), "org.p2pusb1(5) lacks {missing:?}");
}

#[test]
fn the_page_about_the_daemon_names_its_journal_fields_and_actions() {
    let page = man_text(DAEMON_PAGE);
    for name in names::journal::ALL.iter().chain(&names::action::ALL) {
        assert!(page.contains(name), "p2pusbd(8) lacks {name}");
    }
    for name in ["P2PUSB_IGNORE", "P2PUSB_SHARE", "P2PUSB_PEERS"] {
        assert!(page.contains(name), "p2pusbd(8) lacks {name}");
        assert!(
            read("udev-rules/README.md").contains(name) && read("udev-rules/90-p2pusb.rules").contains(name),
            "{name}"
        );
    }
    for name in [names::env::LOG, names::env::STATE_DIRECTORY, names::env::RUNTIME_DIRECTORY] {
        assert!(page.contains(name), "p2pusbd(8) lacks {name}");
    }
    // Those that the rules hand on from an attached device.
    let rules = read(UDEV_RULES);
    let handed_on: Vec<&str> =
        rules.split("IMPORT{parent}=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(handed_on.len(), 4);
    for name in handed_on {
        assert!(page.contains(name), "p2pusbd(8) lacks {name}");
    }
}

#[test]
fn the_example_in_the_page_about_the_settings_is_understood() {
    let page = read(CONFIG_PAGE).replace("\\-", "-").replace("\\&", "");
    let examples = page.split(".EX\n").skip(1).filter_map(|part| part.split("\n.EE").next());
    let example = examples.collect::<Vec<_>>().join("\n");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p2pusb.toml");
    fs::write(&file, &example).expect("the example can be written");
    let table: toml::Table = example.parse().unwrap_or_else(|error| panic!("{error}"));
    assert!(table.contains_key("network"), "{example}");
    p2pusbd::config::Source::new(&file, true).read().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn no_shipped_file_names_a_folder_of_the_machine_that_it_was_written_on() {
    let own = root().to_str().expect("the path is UTF-8").to_owned() + "/";
    let documents = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"];
    let files = package_assets().into_iter().map(|(source, _)| source).filter(|source| !source.starts_with("target/"));
    let scripts = expand("packaging/debian/*").into_iter().chain(expand("udev-rules/*"));
    for file in files.chain(documents.map(str::to_owned)).chain(scripts) {
        let text = read(&file);
        for folder in [own.as_str(), "/home/", "/Users/", "/root/", "/tmp/", "/build/", "target/debug"] {
            assert!(!text.contains(folder), "{file} names {folder}");
        }
    }
}
