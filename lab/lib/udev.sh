# What udev on a host says of devices, and is told of them.
# shellcheck shell=bash

# udev_property NAME DEVICE PROPERTY: what udev on a host says of a device node or of a folder in sysfs.
udev_property() {
    on "$1" udevadm info --query=property --property="$3" --value "$2"
}

# udev_rule NAME PROPERTIES: what a host's administrator says of disks of the gadgets' vendor from now on, of those that
# are plugged in as well: PROPERTIES as a rule has them (ENV{P2PUSB_SHARE}="1"), or none.
udev_rule() {
    on "$1" mkdir -p /run/udev/rules.d
    on "$1" tee /run/udev/rules.d/91-p2pusb-local.rules >/dev/null <<RULES
ACTION!="remove", SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="0525"${2:+, $2}
RULES
    on "$1" udevadm control --reload
    on "$1" udevadm trigger --subsystem-match=usb
}
