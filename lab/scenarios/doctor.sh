#!/bin/bash
# title: p2pusb doctor names each of thirteen broken set-ups, and p2pusb bugreport gives nothing away
# machines: uml
# clock: real
# timeout: 180
. "${0%/*}/../lib/lab.sh"

# finds STATE ID REGEX: p2pusb doctor on A has such a finding, and an exit status that goes with it.
finds() {
    local said status=0
    said=$(on A p2pusb doctor 2>/dev/null) || status=$?
    expect_match "what doctor says" "^$1 +$2 .*$3" "$said"
    grep -E -A1 "^$1 +$2 " <<<"$said" | sed 's/^/   /'
    if [[ $1 == problem ]]; then expect_equal 'its exit status' 1 "$status"; fi
}

# sound: nothing is wrong on A.
sound() {
    local said
    said=$(on A p2pusb doctor) || fail "something is wrong: $said"
}

# settings LINE...: the settings of A.
settings() {
    printf '%s\n' "$@" | on A tee /etc/p2pusb/p2pusb.toml >/dev/null
}

step 'a sound machine'
host_start A both
sound
for id in bus daemon kernel-module udev bus-policy polkit polkit-actions settings clock vhci-ports vhci-attach udp relay \
    state-folder state-files version; do
    finds ok "$id" .
done

step '1: the module is gone'
controllers=(/sys/bus/platform/drivers/vhci_hcd/vhci_hcd.*)
for controller in "${controllers[@]}"; do echo "${controller##*/}" >/sys/bus/platform/drivers/vhci_hcd/unbind; done
mkdir -p /lab/empty
on A mount --bind /lab/empty /sys/devices/platform
finds problem kernel-module 'vhci_hcd'
finds problem vhci-ports 'modprobe vhci_hcd'
on A umount /sys/devices/platform
for controller in "${controllers[@]}"; do echo "${controller##*/}" >/sys/bus/platform/drivers/vhci_hcd/bind; done
sound

step '2: the kernel may not be given devices'
on A mount --bind -o ro /sys/devices/platform/vhci_hcd.0 /sys/devices/platform/vhci_hcd.0
on A mount -o remount,bind,ro /sys/devices/platform/vhci_hcd.0
finds problem vhci-attach 'Read-only'
on A umount /sys/devices/platform/vhci_hcd.0
sound

step '3: the bus has no policy for it'
policy=/usr/share/dbus-1/system.d/org.p2pusb1.conf
mv "$policy" /lab/policy
on A busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
finds problem bus-policy 'is missing'
finds problem bus-policy 'does not let this user talk'
mv /lab/policy "$policy"
on A busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
sound

step '4: no polkit; 5: a polkit that does not know p2pusb'
service=/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service
mv "$service" /lab/service
on A busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
finds problem polkit 'only root'
mv /lab/service "$service"
on A busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
actions=/usr/share/polkit-1/actions/org.p2pusb1.policy
mv "$actions" /lab/actions
finds problem polkit-actions 'only root'
mv /lab/actions "$actions"
sound

step '6: the state folder is read-only; 7: a state file is damaged'
on A mount -o remount,ro /var/lib/p2pusb
finds problem state-folder 'Read-only'
on A mount -o remount,rw /var/lib/p2pusb
on A touch /var/lib/p2pusb/peers/0123456789abcdef.toml.damaged
finds problem state-files '0123456789abcdef.toml.damaged'
on A rm /var/lib/p2pusb/peers/0123456789abcdef.toml.damaged
sound

step '8: the settings are wrong, for a daemon that runs'
settings '[network]' 'relai = "none"'
finds problem settings 'p2pusb.toml, line 2: unknown field .relai'

step '9: the daemon does not run, because of them'
daemon_stop A
finds problem daemon 'does not run'
finds problem settings 'p2pusb.toml, line 2: unknown field .relai'

step '10: the relay does not answer'
settings '[network]' 'relay = "https://10.77.0.99/"'
daemon_start A
finds problem relay 'https://10.77.0.99 can.t be reached'
settings
daemon_stop A
daemon_start A
sound

step '11: udev is dead'
pkill -KILL -x systemd-udevd
wait_for 5 'udevd is gone' not pgrep -x systemd-udevd
finds problem udev 'not noticed'
on A /lib/systemd/systemd-udevd --daemon
sound

step '12: the clock is at its beginning; 13: there is no bus'
now=$(date +%s)
date --set=@1000000000 >/dev/null
finds problem clock 'before the release'
date --set="@$now" >/dev/null
expect_failure 1 'problem +bus .*can.t be reached' on A env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere p2pusb doctor

step 'a report has what is needed, and none of the secrets that were planted'
gadget_disk disk 16M
on A p2pusb share "$(device_path disk)"
ticket=$(on A p2pusb invite)
id=$(bus_get A "$BUS_ROOT" Manager EndpointId)
settings '[network]' '# owner password = "swordfish"' 'relay = "https://user:hunter2@relay.example.org/"'
daemon_stop A
daemon_start A
finds problem relay 'https://relay.example.org can.t be reached'
report=$(on A p2pusb bugreport)
serial=$(cat "/sys/bus/usb/devices/$(device_path disk)/serial")
key=$(on A od -An -v -tx1 /var/lib/p2pusb/identity.key | tr -d ' \n')
[[ ${#serial} -gt 3 && ${#key} == 64 && ${#id} == 64 && -n $ticket ]] || fail 'there is nothing to look for'
for secret in "$ticket" "$id" "$serial" "$key" swordfish hunter2; do
    expect "the report does not have ${secret:0:4}…" not grep -qF -- "$secret" <<<"$report"
done
told=$(bus_call A "$BUS_ROOT" Manager Diagnose 'a{sv}' 0)
expect_match 'what the daemon tells everybody' 'relay.example.org' "$told"
expect 'without the password' not grep -qF hunter2 <<<"$told"
for part in '== versions' '== doctor' '"id": "kernel-module"' '== status' 'Lab disk' '== /etc/p2pusb/p2pusb.toml' '== journal'; do
    expect "the report has $part" grep -qF -- "$part" <<<"$report"
done
on A p2pusb bugreport --output /run/report
expect_equal 'the mode of the file' 600 "$(on A stat --format=%a /run/report)"
expect_failure 1 'exists' on A p2pusb bugreport --output /run/report
