#!/bin/bash
# title: a disk shared by a udev rule is attached by itself after a reboot of both machines, and after a power failure
# machines: uml
# clock: virtual
# init: systemd
# disk: 512
# timeout: 300
# needs: P2PUSB_DEB
#
# What is real: the guest boots three times, each time a new kernel with nothing but what is on its disk, an ext4 file
# system. A is the guest itself, with the package installed and enabled: systemd starts its daemon in each boot, and nobody
# says anything there but the udev rule and, once, the ticket. The first reboot is `systemctl reboot`; the second is a power
# failure, a second after the disk was attached, in which what no program has asked to be written is lost.
#
# What is not: A and B are one machine with one kernel, B a host in namespaces of its own, so both are rebooted at the same
# time; the restart of one alone, while the other one goes on, is shown by udev-share for their daemons. B's state is on the
# same disk, and its daemon is started by the scenario. The USB disk is a gadget of the same kernel: that it stays plugged
# in means that it is plugged in anew in each boot. The clock counts waiting, not work, so that a busy machine changes
# nothing.
. "${0%/*}/../lib/lab.sh"

# The most that may pass, in seconds, from the time when both daemons are ready and the disk is plugged in until B's kernel
# has it.
LIMIT=2

# again SINCE WHAT: B has attached the disk by itself, soon after that moment, and reads every byte.
again() {
    local attachment took
    wait_for 20 "the kernel has B's disk" attached_path B 'Lab disk'
    disk_ready "$(attached_path B 'Lab disk')"
    took=$(seconds_since "$1")
    echo "   from $2 to $disk on B: $took s"
    expect "it took $took s" awk "BEGIN { exit !($took <= $LIMIT) }"
    attachment=$(attachments B)
    wait_for 5 'B calls it attached' bus_is attached B "$attachment" Attachment State
    expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
}

boot=$(machine_boot)
host_machine A
host_keep B
step "boot $boot"

if ((boot == 1)); then
    step 'the package is installed and enabled, with one rule'
    package_install
    systemctl enable p2pusbd
    # The lab's target is not the one of a machine with people.
    systemctl add-wants lab.target p2pusbd
    host_name A >/etc/hostname
    mkdir -p /etc/udev/rules.d
    # A's kernel is that of B, too: what B has attached is none of A's.
    cat >/etc/udev/rules.d/91-p2pusb-local.rules <<'RULES'
ACTION!="remove", SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", DEVPATH!="*/vhci_hcd.*", ATTR{idVendor}=="0525", ENV{P2PUSB_SHARE}="1"
RULES
    udevadm control --reload
    systemctl start p2pusbd
fi

expect_equal "A's daemon" active "$(systemctl show --property=ActiveState --value p2pusbd)"
if ((boot == 3)); then gadget_disk disk 16M; fi
host_start B importer
ready=$EPOCHREALTIME

if ((boot == 1)); then
    step 'B pairs with A; a disk is plugged in there, and B attaches it, once'
    pair A B
    gadget_disk disk 16M
    wait_for 2 'B is offered the disk' offered B A 'Lab disk'
    attach B A disk
    disk_ready "$attached"
    step 'an orderly reboot, while B has it'
    machine_reboot clean
fi

if ((boot == 2)); then
    step 'both daemons are there, then the disk is: B has it again'
    expect_equal "B's attachment" waiting "$(bus_get B "$(attachments B)" Attachment State)"
    gadget_disk disk 16M
    again "$EPOCHREALTIME" 'plugging it in'
    step 'the power fails, while B has it'
    machine_reboot hard
fi

step 'the disk was there before the daemon of B: B has it again'
again "$ready" "B's readiness"
expect_equal 'peers of A' 1 "$(bus_count A peers)"
expect_equal 'where the share comes from' udev "$(bus_get A "$(bus_objects A shares)" Share Origin)"
detach B disk
wait_for 5 "A's own kernel has the disk back" has_driver "$(device_path disk)" usb-storage
