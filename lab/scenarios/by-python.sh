#!/bin/bash
# title: what p2pusb can be asked for, by a Python program over D-Bus that waits for signals alone
# machines: uml
# clock: virtual
# timeout: 240
. "${0%/*}/../lib/lab.sh"

step 'A has a disk; B and C are there; nobody has the command p2pusb'
mount --bind /dev/null "$LAB_BIN/p2pusb"
host_start A exporter
host_start B importer
host_start C importer
gadget_disk disk 16M

step 'by-python.py'
export PYTHONPATH=$LAB_LIB PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 "${0%.sh}.py" "$(daemon_pid A)" "$(daemon_pid B)" "$(daemon_pid C)"
expect 'no vhci port is in use' vhci_is_empty
