# Times of the day, as the hours of a share have them.
# shellcheck shell=bash

# minute SECONDS: the minute that begins, or goes on, in so many seconds, as a window has it.
minute() {
    date -d "+$1 seconds" +%H:%M
}

# hours FROM TO: a window that begins and ends in so many seconds.
hours() {
    local end
    end=$(minute "$2")
    printf '%s-%s\n' "$(minute "$1")" "${end/#00:00/24:00}"
}
