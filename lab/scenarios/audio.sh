#!/bin/bash
# title: sound cards play and record ten seconds at once, at no delay and at 20 ms, and not a sample is lost
# machines: uml
# clock: virtual
# timeout: 240
. "${0%/*}/../lib/lab.sh"

rate=44100
samples=$((10 * rate))
# As somebody would choose for a device that is far away. The driver queues no more than 18 ms of it.
format=(-t raw -f S16_LE -c 2 -r "$rate" --period-time 20000 --buffer-time 400000)

# play_and_record NAME BUSPATH: ten seconds both ways at once. What the device has heard must be what was played, and what
# was recorded what it has said; no frame may have passed without a packet.
play_and_record() {
    local player heard started=$EPOCHREALTIME
    sound_ready "$2"
    : >"$(audio_log "$1")"
    timeout 60 aplay -q -D "hw:$card" "${format[@]}" /run/played.raw &
    player=$!
    timeout 60 arecord -q -D "hw:$card" "${format[@]}" -s "$samples" /run/recorded.raw
    wait "$player"
    echo "   took $(seconds_since "$started") s"
    expect_equal 'bytes recorded' $((samples * 4)) "$(stat -c %s /run/recorded.raw)"
    echo "   recorded: $(lab-tool check-samples /run/recorded.raw)"
    wait_for 5 'both endpoints are switched off' endpoints_are_off "$1"
    heard=$(<"$(audio_log "$1")")
    echo "   the device: ${heard//$'\n'/$'\n   the device: '}"
    expect_match 'what the device has heard' "played samples 1 to $samples, every one in its place" "$heard"
    expect_equal 'endpoints that have not missed a frame' 2 "$(grep -c ', 0 frames missed' <<<"$heard")"
}

# endpoints_are_off NAME: the device has told about the loudspeaker and the microphone.
endpoints_are_off() {
    (($(wc -l <"$(audio_log "$1")") == 2))
}

# play_a_second NAME BUSPATH: what plays and records is ended in the middle.
play_a_second() {
    local heard
    sound_ready "$2"
    : >"$(audio_log "$1")"
    timeout 1 aplay -q -D "hw:$card" "${format[@]}" /run/played.raw 2>/dev/null &
    expect_failure 124 '' timeout 1 arecord -q -D "hw:$card" "${format[@]}" /run/recorded.raw
    wait_for 5 'both endpoints are switched off' endpoints_are_off "$1"
    heard=$(<"$(audio_log "$1")")
    echo "   the device: ${heard//$'\n'/$'\n   the device: '}"
    expect_match 'what the device has heard' 'played samples 1 to [0-9]+, every one in its place' "$heard"
}

step "a sound card in A, and ten seconds both ways in A's own kernel"
simulated_ports
host_start A exporter
host_start B importer
lab-tool write-samples /run/played.raw "$samples"
audio_plug audio
usb=$(simulated_path audio)
play_and_record audio "$usb"

step 'A shares it, B attaches it'
expect_failure 1 'another USB/IP program' on A p2pusb share "$usb"
on A p2pusb share --force "$usb"
pair A B
attach B A audio
wait_for 5 "B's kernel drives it" has_driver "$attached" snd-usb-audio

for rtt in 0ms 20ms; do
    net_delay "$rtt"
    step "a second both ways over p2pusb at $rtt, and in the middle it ends"
    play_a_second audio "$attached"
    step "ten seconds both ways over p2pusb at $rtt"
    play_and_record audio "$attached"
    net_reset
done

step 'B gives it back'
detach B audio
wait_for 5 'no port of B is in use' vhci_is_empty
wait_for 5 "A's own kernel has it back" has_driver "$usb" snd-usb-audio

step 'one at high speed, where a packet goes in every microframe, at 20 ms'
audio_plug fast high
on A p2pusb share --force "$(simulated_path fast)"
net_delay 20ms
attach B A fast
play_and_record fast "$attached"
net_reset
detach B fast
wait_for 5 'no port of B is in use' vhci_is_empty
