#!/bin/bash
# title: a machine whose kernel has no vhci_hcd says so when something is to be attached
# machines: uml qemu
# timeout: 120
. "${0%/*}/../lib/lab.sh"

step 'A has a disk; on B vhci_hcd is missing'
if grep -q '^vhci_hcd ' /proc/modules; then
    modprobe --remove vhci_hcd
    # Nor can anybody bring it back.
    echo 'install vhci_hcd /bin/false' >/etc/modprobe.d/lab.conf
    expect 'vhci_hcd can not be loaded' not modprobe vhci_hcd
else
    for controller in /sys/bus/platform/drivers/vhci_hcd/vhci_hcd.*; do
        echo "${controller##*/}" >/sys/bus/platform/drivers/vhci_hcd/unbind
    done
fi
host_start A exporter
# Without vhci an exporter and an importer differ in nothing but A's devices, which B must not see.
host_start B importer
gadget_disk disk 16M
on A p2pusb share "$(device_path disk)"
pair A B
wait_for 10 'B is offered the disk' offered B A 'Lab disk'

step 'B can not attach it, and is told why'
expect_failure 1 'vhci' on B p2pusb attach 'Lab disk'
object=$(remote_device B A 'Lab disk')
expect_failure 1 'vhci' bus_call B "$object" RemoteDevice Attach 'a{sv}' 0
expect_equal 'the share of A' available "$(share_state A)"
expect_equal "the driver of A's disk" usb-storage "$(driver_of "$(device_path disk)")"
