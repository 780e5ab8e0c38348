//! `p2pusb attach`: use a remote device here.

use std::path::Path;

use p2pusb_dbus::{
    ErrorName, MethodError, Options,
    names::{interface, option},
    values::AttachmentState,
};
use serde::Serialize;
use zbus::{OwnedObjectPath, wire::DynamicDeserialize};

use crate::{
    args::{Attach, Remote},
    bus::Bus,
    exit::Failure,
    json, nodes, pin,
    report::Report,
    select,
    snapshot::{RemoteDevice, Snapshot},
};

#[derive(Serialize)]
struct Json {
    attachment: Option<json::Attachment>,
    nodes: Vec<String>,
}

pub(super) async fn run(bus: &mut Bus, args: &Attach) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let device = chosen(&all, &args.what)?;
    let wishes = |options: &mut Options<'_>| {
        if args.once {
            options.insert(option::KEEP, false.into());
        }
        if args.queue {
            options.insert(option::QUEUE, true.into());
        }
        if !args.follow.is_empty() {
            options.insert(option::FOLLOW, args.follow.clone().into());
        }
    };
    let attachment: OwnedObjectPath = attach(bus, &all, device, &args.what, "Attach", wishes).await?;

    let after = bus.snapshot().await?;
    let attached = after.attachment(&attachment).and_then(|a| a.local_device.as_ref());
    let nodes = match attached.and_then(|path| after.device(path)) {
        Some(local) => nodes::below(Path::new(&local.sysfs_path)),
        None => Vec::new(),
    };
    Ok(report(&after, device, &attachment, nodes))
}

/// The device that is meant.
pub(super) fn chosen<'a>(all: &'a Snapshot, what: &Remote) -> Result<&'a RemoteDevice, Failure> {
    let peer = what.peer.as_ref().map(|typed| select::peer(all, typed)).transpose()?;
    Ok(select::remote_device(all, &what.device, peer)?)
}

/// Attaches it in one way or another. Where it asks for a PIN that was not given, whoever sits there is asked.
pub(super) async fn attach<R>(
    bus: &mut Bus,
    all: &Snapshot,
    device: &RemoteDevice,
    how: &Remote,
    method: &'static str,
    wishes: impl Fn(&mut Options<'_>),
) -> Result<R, Failure>
where
    R: for<'d> DynamicDeserialize<'d>,
{
    let whose = format!("{} of {}", device.name(), all.peer_name(&device.peer));
    let mut pin = pin::given(&how.pin, &whose).await?;
    loop {
        let mut options = Options::new();
        wishes(&mut options);
        if let Some(grace) = how.grace {
            options.insert(option::GRACE, grace.into());
        }
        if let Some(pin) = &pin {
            options.insert(option::PIN, pin.for_daemon()?.into());
        }
        let what = format!("Attaching {whose}");
        match bus.call(&what, &device.path, interface::REMOTE_DEVICE, method, &(options,)).await {
            Err(Failure::Call(MethodError { name: ErrorName::PinRequired, .. }))
                if pin.is_none() && bus.may_ask() && pin::may_ask() =>
            {
                pin = Some(pin::ask(&whose).await?);
            }
            result => return result,
        }
    }
}

fn report(all: &Snapshot, device: &RemoteDevice, attachment: &str, nodes: Vec<String>) -> Report {
    let attachment = all.attachment(attachment);
    if attachment.is_some_and(|attachment| AttachmentState::from_value(&attachment.state) == AttachmentState::Waiting) {
        let text = format!(
            "{} of {} is not free. It is attached here by itself when it is; `p2pusb detach` ends the waiting.\n",
            device.name(),
            all.peer_name(&device.peer)
        );
        return Report::new(text, &Json { attachment: attachment.map(|a| json::Attachment::new(all, a)), nodes });
    }
    let mut text = format!("Attached {} of {}", device.name(), all.peer_name(&device.peer));
    match attachment {
        Some(attachment) if !attachment.local_bus_path.is_empty() => {
            text.push_str(&format!(" as {}", attachment.local_bus_path));
        }
        _ => {}
    }
    if !nodes.is_empty() {
        text.push_str(&format!(": {}", nodes.join(" ")));
    }
    text.push('\n');
    Report::new(text, &Json { attachment: attachment.map(|a| json::Attachment::new(all, a)), nodes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    fn attached(nodes: &[&str]) -> Report {
        let all = example();
        let nodes = nodes.iter().map(|&node| node.to_owned()).collect();
        report(&all, &all.remote_devices[0], "/org/p2pusb1/attachments/1", nodes)
    }

    #[test]
    fn where_it_appeared_is_told() {
        assert_eq!(attached(&[]).text, "Attached Cruzer Blade of Workshop as 9-1\n");
        let report = attached(&["/dev/sdb", "/dev/sg1"]);
        assert_eq!(report.text, "Attached Cruzer Blade of Workshop as 9-1: /dev/sdb /dev/sg1\n");
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(json["attachment"]["bus_path"], "9-1");
        assert_eq!(json["nodes"], serde_json::json!(["/dev/sdb", "/dev/sg1"]));
    }
}
