#!/bin/bash
# title: without any network p2pusbd is ready in under a second; without a relay or a route two machines still pair
# machines: uml
# timeout: 120
. "${0%/*}/../lib/lab.sh"

limit_ms=1000

step 'A has no network at all'
host_up A exporter
on A ip link set eth0 down
daemon_start A
ready_ms=$(<"$LAB_HOSTS/A/ready")
echo "   READY=1 after $ready_ms ms"
# Without KVM this machine runs each instruction many times slower than any real one.
if [[ $LAB_MACHINE == qemu ]]; then limit_ms=5000; fi
expect "READY=1 within $limit_ms ms" test "$ready_ms" -lt "$limit_ms"
on A p2pusb list
expect_equal 'the relay mode' none "$(bus_get A "$BUS_ROOT" Manager RelayMode)"

step 'a cable is plugged in, between two machines and nothing else'
on A ip link set eth0 up
net_neighbours eth0 A | grep neighbour | on A ip -batch -
host_start B importer
expect_equal 'default routes of A and B' '' "$(on A ip route show default)$(on B ip route show default)"
gadget_disk disk 16M
on A p2pusb share "$(device_path disk)"
pair A B
attach B A disk
disk_ready "$attached"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
detach B disk
