#!/usr/bin/env bash
# The walk of deb.sh, in the system that it booted.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
debs=/opt/joulemark
socket=/run/joulemark/http.sock
database=sqlite:///var/lib/joulemark/joulemark.db
conffile=/etc/joulemark/joulemark.env

fail() {
  printf 'FAILED: %s\n' "$*"
  journalctl -u joulemark -n 30 --no-pager
  exit 1
}

# expect WHAT PATTERN TEXT
expect() {
  grep -Eq -- "$2" <<<"$3" || fail "$1: ${3:0:2000}"
  printf 'ok: %s\n' "$1"
}

# absent WHAT FILE…
absent() {
  local file
  for file in "${@:2}"; do
    [ ! -e "$file" ] || fail "$1: $file is there"
  done
  printf 'ok: %s\n' "$1"
}

apt() {
  apt-get -q -y "$@" >/root/apt.log 2>&1 || { cat /root/apt.log; fail "apt-get $*"; }
}

# All that a package could leave; what the system's own services write is none of it.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp -o -path /root -o -path /var/log \
    -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd -o -path /var/lib/joulemark \) \
    -prune -o -print | LC_ALL=C sort
}

as_service() {
  setpriv --reuid joulemark --regid joulemark --init-groups "$@"
}

api() {
  curl -sS --unix-socket "$socket" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "http://localhost$1" "${@:2}"
}

main_pid() {
  systemctl show -p MainPID --value joulemark
}

files >/root/before

# Installed
apt install "$debs/this.deb"
expect "the service" '^joulemark [0-9.]+$' "$(joulemark --version)"
expect "the engine" '"protocol' "$(/usr/libexec/joulemark/joulemark-mistral --describe)"
expect "it was started, and listens where only a proxy may go" "listening on unix:$socket" "$(systemctl show -p StatusText joulemark)"
expect "it starts with the system" '^enabled$' "$(systemctl is-enabled joulemark)"
expect "the socket is the proxy's group's" 'srw-rw---- .* joulemark joulemark-proxy' "$(ls -l "$socket")"
expect "the unit is the package's" '^/(usr/)?lib/systemd/system/joulemark.service$' "$(systemctl show -p FragmentPath --value joulemark)"
expect "the unit verifies" '^$' "$(systemd-analyze verify joulemark.service 2>&1)"
expect "its documentation is there" '^# Running joulemark' "$(head -n 1 "$(systemctl show -p Documentation --value joulemark | sed 's|^file://||')")"
expect "the configuration is root's, and readable by the service" '^640 root joulemark$' "$(stat -c '%a %U %G' "$conffile")"
expect "dpkg knows it as configuration" " $conffile " "$(dpkg-query -W -f '${Conffiles}' joulemark) "
for file in /usr/bin/joulemark /usr/libexec/joulemark/joulemark-mistral; do
  expect "$file is root's" '^755 root root$' "$(stat -c '%a %U %G' "$file")"
done
expect "no other file of it may be written by others" '^$' "$(dpkg -L joulemark | xargs -d '\n' stat -c '%A %n' | grep -v '^l' | grep -E '^.{5}w|^.{8}w')"
expect "dpkg finds its files whole" '^$' "$(dpkg --verify joulemark)"
expect "udev's rule" 'SUBSYSTEM=="powercap"' "$(cat /usr/lib/udev/rules.d/60-joulemark.rules)"
expect "the manual" 'joulemark-serve' "$(man -P cat joulemark)"
expect "that of a subcommand" 'NVML|listen' "$(man -P cat joulemark-serve)"
expect "completions of bash" 'complete .*joulemark' "$(bash -c '. /usr/share/bash-completion/completions/joulemark && complete -p joulemark')"
for file in zsh/vendor-completions/_joulemark fish/vendor_completions.d/joulemark.fish doc/joulemark/copyright doc/joulemark/LICENSE-MIT \
  doc/joulemark/LICENSE-APACHE doc/joulemark/examples/zeusd-joulemark.conf; do
  [ -s "/usr/share/$file" ] || fail "/usr/share/$file is not there"
done

# Configured, and used
echo JOULEMARK_ALLOW_SYNTHETIC_ENGINE=true >>"$conffile"
systemctl restart joulemark
key=$(as_service joulemark key create --name ada --role admin --database-url "$database")
expect "the first key" '^jm_' "$key"
submitted=$(api /v1/experiments -d '{"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0}')
id=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' <<<"$submitted")
expect "an experiment is measured" '"output_throughput":[0-9]' "$(api "/v1/experiments/$id/results?wait=60")"
expect "its engine is found" '"mistral"' "$(api /v1/nodes)"

# Upgraded
pid=$(main_pid)
apt -o Dpkg::Options::=--force-confold install "$debs/next.deb"
expect "the next version" '\+next$' "$(dpkg-query -W -f '${Version}' joulemark)"
[ "$(main_pid)" != "$pid" ] || fail "the old program still runs"
expect "it runs again" '^active$' "$(systemctl is-active joulemark)"
expect "what was edited is kept" 'ALLOW_SYNTHETIC_ENGINE=true' "$(cat "$conffile")"
expect "the version's own is beside it" 'A line that the next version has' "$(cat "$conffile.dpkg-dist")"
expect "its owner and mode are kept" '^640 root joulemark$' "$(stat -c '%a %U %G' "$conffile")"
expect "the result is there" '"output_throughput":[0-9]' "$(api "/v1/experiments/$id/results")"
systemctl disable --quiet --now joulemark
apt -o Dpkg::Options::=--force-confold --allow-downgrades install "$debs/this.deb"
expect "who has disabled it finds it disabled" '^disabled$' "$(systemctl is-enabled joulemark || true)"
systemctl enable --quiet --now joulemark

# Removed
apt remove joulemark
expect "it does not run" '^inactive$|^failed$' "$(systemctl is-active joulemark || true)"
expect "no process is left" '^$' "$(pgrep -a joulemark || true)"
absent "programs, unit and rule are gone" /usr/bin/joulemark /usr/libexec/joulemark /usr/lib/systemd/system/joulemark.service \
  /usr/lib/udev/rules.d/60-joulemark.rules
expect "the configuration is kept" 'ALLOW_SYNTHETIC_ENGINE=true' "$(cat "$conffile")"

# Purged
apt purge joulemark
absent "configuration and cache are gone" /etc/joulemark /var/cache/joulemark /run/joulemark
[ -s /var/lib/joulemark/joulemark.db ] || fail "purging took the database away"
files >/root/after
expect "nothing else is left or missing" '^$' "$(diff /root/before /root/after)"
expect "nor in the unit's folders" '^$' "$(find /etc/systemd /run/systemd /var/lib/systemd -name '*joulemark*')"

# Installed again, and purged with the data
apt install "$debs/this.deb"
expect "the key of before is known" '"id"' "$(api "/v1/experiments/$id")"
echo 'joulemark joulemark/purge-data boolean true' | debconf-set-selections
apt purge joulemark
absent "with the answer yes the data is gone as well" /var/lib/joulemark /etc/joulemark
files >/root/after
expect "nothing is left" '^$' "$(diff /root/before /root/after)"
expect "nor in debconf" '^$' "$(debconf-show joulemark)"
printf 'the package is installed, upgraded, removed and purged\n'
