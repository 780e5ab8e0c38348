#!/bin/bash
# title: settings of several files; read anew by SIGHUP and over the bus while a disk is in use; wrong ones change nothing
# machines: uml
# clock: virtual
# timeout: 120
. "${0%/*}/../lib/lab.sh"

# settings NAME FILE LINE...: writes a file below /etc/p2pusb of a host.
settings() {
    local name=$1 file=/etc/p2pusb/$2
    shift 2
    on "$name" mkdir -p "${file%/*}"
    printf '%s\n' "$@" | on "$name" tee "$file" >/dev/null
}

step 'a wrong file is named with its line, by --check-config and by a daemon that does not start'
host_up A exporter
settings A p2pusb.toml '[session]' 'grace = 30'
settings A p2pusb.d/10-lab.toml '[network]' 'relay = "none"' 'bnd = ["0.0.0.0:47800"]'
wrong='/etc/p2pusb/p2pusb.d/10-lab.toml, line 3: unknown field `bnd`.*did you mean `bind`'
expect_failure 1 "$wrong" on A p2pusbd --check-config
on A lab-tool supervise "$LAB_HOSTS/A" "$LAB_BIN/p2pusbd" </dev/null >>"$LAB_HOSTS/A/daemon.log" 2>&1 &
wait_for 20 'the daemon ends' test -e "$LAB_HOSTS/A/exit-status"
expect_equal 'its exit status' 1 "$(<"$LAB_HOSTS/A/exit-status")"
expect 'it has said why' daemon_logged A "$wrong"

step 'good ones: the later file counts'
settings A p2pusb.d/10-lab.toml '[network]' 'bind = ["0.0.0.0:47800"]'
settings A p2pusb.d/20-lab.toml 'session.grace = 20'
expect_match '--check-config' 'p2pusb.toml.*10-lab.toml.*20-lab.toml.*are good' "$(on A p2pusbd --check-config | tr '\n' ' ')"
daemon_start A
host_start B importer
gadget_disk disk 16M
on A p2pusb share "$(device_path disk)"
share=$(bus_objects A shares)
expect_equal 'the grace time of the share' 20 "$(bus_get A "$share" Share Grace)"
pair A B
attach B A disk
attachment=$(bus_objects B attachments)

step 'SIGHUP in mid-use: the grace time counts at once, and the disk is the same'
settings A p2pusb.d/20-lab.toml 'session.grace = 10'
kill -HUP "$(daemon_pid A)"
wait_for 5 'the share has the new grace time' bus_is 10 A "$share" Share Grace
expect_equal "B's attachment" attached "$(bus_get B "$attachment" Attachment State)"

step 'Manager.Reload: what needs a restart is said'
settings A p2pusb.d/20-lab.toml 'session.grace = 40' 'network.bind = ["0.0.0.0:47801"]'
expect_match 'p2pusb reload' 'but for network.bind: systemctl restart p2pusbd' "$(on A p2pusb reload)"
expect_equal 'the grace time of the share' 40 "$(bus_get A "$share" Share Grace)"
settings B p2pusb.toml '[session]' 'grace = 90'
expect_equal 'p2pusb reload' 'The settings are in effect.' "$(on B p2pusb reload)"
expect_equal 'the session keeps its grace time' 60 "$(bus_get B "$attachment" Attachment Grace)"

step 'a wrong file keeps the old settings, and is an error that names file and line'
settings A p2pusb.d/20-lab.toml '' 'session.grace = "long"'
expect_failure 1 'p2pusb.d/20-lab.toml, line 2: "long" is no grace time.*from 0 to 3600' on A p2pusb reload
kill -HUP "$(daemon_pid A)"
wait_for 5 'the journal says so, too' daemon_logged A 'settings stay as they were: .*20-lab.toml, line 2'
expect_equal 'the grace time of the share' 40 "$(bus_get A "$share" Share Grace)"
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
expect_equal 'what ended on B' '' "$(ended_reasons B)"
