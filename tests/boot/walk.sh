#!/usr/bin/env bash
# The walk of boot.sh, in the system that it booted.
set -euo pipefail
cd /opt/joulemark
site=https://gpubox.example.org/joulemark
api=$site/v1/experiments
database=sqlite:///var/lib/joulemark/joulemark.db

fail() {
  printf 'FAILED: %s\n' "$*"
  journalctl -u joulemark -n 30 --no-pager
  exit 1
}

# expect WHAT PATTERN TEXT
expect() {
  grep -Eq -- "$2" <<<"$3" || fail "$1: $3"
  printf 'ok: %s\n' "$1"
}

web() {
  curl -sS --cacert /etc/ssl/certs/gpubox.example.org.pem --resolve gpubox.example.org:443:127.0.0.1 "$@"
}

main_pid() {
  systemctl show -p MainPID --value joulemark
}

# The service tells that it is ready, and the proxies need a moment.
until_up() {
  for _ in $(seq 100); do
    [ "$(web -o /dev/null -w '%{http_code}' "$site/readyz" || true)" = 200 ] && return
    sleep 0.1
  done
  fail "$site/readyz does not answer"
}

# Which files the two programs are, since one that is written over stays the same.
installed() {
  stat -c %i /usr/local/bin/joulemark /usr/local/libexec/joulemark/joulemark-mistral
}

# Runs a command with the service's options.
jm() {
  sudo systemd-run --quiet --wait --pipe -p User=joulemark -p WorkingDirectory=/var/lib/joulemark \
    -p EnvironmentFile=/etc/joulemark/joulemark.env "$(command -v joulemark)" "$@"
}

deploy/install.sh >/dev/null
expect "the unit verifies" '^$' "$(systemd-analyze verify /etc/systemd/system/joulemark.service 2>&1)"
expect "the socket's folder is the proxy's group's" 'drwxr-s--- .* joulemark joulemark-proxy' "$(ls -ld /run/joulemark)"
echo JOULEMARK_ALLOW_SYNTHETIC_ENGINE=true >>/etc/joulemark/joulemark.env
systemctl enable --quiet --now joulemark
expect "its status" 'Active: active \(running\)' "$(systemctl status joulemark --no-pager)"
expect "it is ready when it says so" 'listening on unix:/run/joulemark/http.sock' "$(systemctl show -p StatusText joulemark)"
expect "the socket is the proxy's group's" 'srw-rw---- .* joulemark joulemark-proxy' "$(ls -l /run/joulemark/http.sock)"
key=$(sudo -u joulemark joulemark key create --name ada --role admin --database-url "$database")
expect "the first key" '^jm_' "$key"
expect "it is listed" 'ada' "$(jm key list)"
other=$(sudo -u joulemark joulemark key create --name eve --role reader --database-url "$database" 2>/dev/null)
expect "another is revoked" 'is revoked' "$(jm key revoke "$(cut -d_ -f2 <<<"$other")" 2>&1)"
expect "the options in force" 'models_dir = "/srv/models"  # environment JOULEMARK_MODELS_DIR' "$(jm config)"
unknown() {
  comm -23 <(sudo grep -o '^JOULEMARK_[A-Z_]*' /etc/joulemark/joulemark.env | sort) \
    <(joulemark config | sed 's/ =.*//; s/.*/JOULEMARK_\U&/' | sort)
}
expect "every name is an option" '^$' "$(unknown)"
echo JOULEMARK_LISTEM=x >>/etc/joulemark/joulemark.env
expect "a name that is none is found" '^JOULEMARK_LISTEM$' "$(unknown)"
sed -i '/^JOULEMARK_LISTEM/d' /etc/joulemark/joulemark.env
printf 'idle, the server has %s in memory\n' "$(grep VmRSS "/proc/$(main_pid)/status")"

# nginx
usermod -aG joulemark-proxy www-data
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=gpubox.example.org \
  -addext subjectAltName=DNS:gpubox.example.org -keyout /etc/ssl/private/gpubox.example.org.key \
  -out /etc/ssl/certs/gpubox.example.org.pem 2>/dev/null
rm -f /etc/nginx/sites-enabled/default
cp deploy/nginx/joulemark.conf /etc/nginx/sites-enabled/
cp deploy/nginx/joulemark-identity-basic.conf /etc/nginx/snippets/joulemark-identity.conf
install -m 640 -g www-data /dev/null /etc/nginx/joulemark.htpasswd
printf 'grace:%s\n' "$(openssl passwd -6 secret)" | tee -a /etc/nginx/joulemark.htpasswd >/dev/null
nginx -t 2>/dev/null || fail "nginx -t"
systemctl stop caddy
systemctl restart nginx
until_up
expect "without a password or a key: 401" '^401$' "$(web -o /dev/null -w '%{http_code}' "$api")"
created=$(web -u grace:secret -i "$api" -H 'Content-Type: application/json' -d '{
  "model_name": "SmolLM2-135M-Instruct.Q4_1.gguf", "prompts": {"dataset": "short-32"}, "max_output_tokens": 4,
  "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0}')
expect "grace submits by nginx" '^HTTP/2 201' "$created"
expect "as grace" '"submitter":"grace"' "$created"
location=$(sed -n 's/^location: //p' <<<"$created" | tr -d '\r')
expect "its link has the prefix" "^$api/" "$location"
expect "a real model runs in the sandbox" '"state":"completed"' "$(web -u grace:secret "$location?wait=200")"

# What it may
pid=$(main_pid)
status=$(cat "/proc/$pid/status")
expect "no capability at all" 'CapBnd:\s+0000000000000000' "$status"
expect "no new privileges" 'NoNewPrivs:\s+1' "$status"
expect "a filter of system calls" 'Seccomp:\s+2' "$status"
for path in /usr/x /etc/x /srv/models/x /home/x; do
  expect "it cannot write $path" 'Read-only file system' "$(nsenter -t "$pid" -m touch "$path" 2>&1 || true)"
done
useradd mallory
refused=$(sudo -u mallory curl -sS --unix-socket /run/joulemark/http.sock -H 'X-Remote-User: root' http://x/v1/devices 2>&1 || true)
expect "another user of the host does not reach the socket" "Couldn't connect|Permission denied" "$refused"

# The engine, as the user of the service sees it. The doctor fails where nothing measures energy, as in here.
expect "the doctor names the engine that works" \
  'works  mistral [0-9.]+ \(/usr/local/libexec/joulemark/joulemark-mistral\), built for the CPU only$' \
  "$(sudo -u joulemark joulemark doctor | sed -n '/^Engines$/,/^$/p' || true)"

# Models in a home folder, which the unit hides
install -d -m 700 /home/ada
install -d /home/ada/models
touch /home/ada/models/in-a-home
install -D -m 0644 /dev/stdin /etc/systemd/system/joulemark.service.d/models.conf <<'UNIT'
[Service]
BindReadOnlyPaths=/home/ada/models:/srv/models
UNIT
systemctl daemon-reload
systemctl restart joulemark
until_up
pid=$(main_pid)
expect "a bound folder is seen" '^in-a-home$' "$(nsenter -t "$pid" -m setpriv --reuid joulemark --regid joulemark --clear-groups ls /srv/models)"
expect "and not written" 'Read-only file system' "$(nsenter -t "$pid" -m touch /srv/models/x 2>&1 || true)"
expect "nothing else of the home is seen" 'No such file|Permission denied' \
  "$(nsenter -t "$pid" -m setpriv --reuid joulemark --regid joulemark --clear-groups ls /home/ada 2>&1 || true)"
rm -r /etc/systemd/system/joulemark.service.d
systemctl daemon-reload
systemctl restart joulemark
until_up

# RAPL, which a virtual machine has not: a tree of files with the rule's owner and mode
mkdir -p /srv/powercap/intel-rapl:0
echo package-0 >/srv/powercap/intel-rapl:0/name
echo 12345 >/srv/powercap/intel-rapl:0/energy_uj
chgrp joulemark /srv/powercap/intel-rapl:0/energy_uj
chmod 0440 /srv/powercap/intel-rapl:0/energy_uj
expect "the service's group reads RAPL" 'works +package-0' "$(sudo -u joulemark joulemark doctor --rapl-root /srv/powercap)"
expect "others do not" 'permission denied' "$(sudo -u mallory joulemark doctor --rapl-root /srv/powercap)"

# Memory that runs out ends one experiment
submit() {
  web -D - -o /dev/null -H "Authorization: Bearer $key" "$api" -H 'Content-Type: application/json' -d "$1" |
    sed -n 's/^location: //p' | tr -d '\r'
}
if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then
  mkdir -p /etc/systemd/system/joulemark.service.d
  printf '[Service]\nMemoryMax=400M\nMemorySwapMax=0\n' >/etc/systemd/system/joulemark.service.d/memory.conf
  systemctl daemon-reload
  systemctl restart joulemark
  until_up
  pid=$(main_pid)
  killed=$(submit '{"model_name": "synthetic:memory_mb=2000", "prompts": ["a"], "max_output_tokens": 1, "num_cycles": 1,
    "warmup_iterations": 0, "idle_baseline_sec": 0}')
  expect "a worker that takes too much is killed" '"signal":"SIGKILL"' "$(web -H "Authorization: Bearer $key" "$killed?wait=60")"
  expect "by the kernel" 'oom_kill [1-9]' "$(cat /sys/fs/cgroup/system.slice/joulemark.service/memory.events)"
  [ "$(main_pid)" = "$pid" ] || fail "the server went with it"
  printf 'ok: the server is the same\n'
  after=$(submit '{"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 1, "num_cycles": 1,
    "warmup_iterations": 0, "idle_baseline_sec": 0}')
  expect "and runs the next" '"state":"completed"' "$(web -H "Authorization: Bearer $key" "$after?wait=60")"
  seeded=$(submit '{"model_name": "synthetic:decode_ms=600000", "max_output_tokens": 4, "num_cycles": 1,
    "warmup_iterations": 0, "idle_baseline_sec": 0,
    "prompts": {"synthetic": {"input_tokens": 50000, "count": 100000, "seed": 1}}}')
  for _ in $(seq 200); do
    shown=$(web -H "Authorization: Bearer $key" "$seeded")
    grep -q '"state":"measuring"' <<<"$shown" && break
    sleep 0.1
  done
  expect "20 GB of prompts made from a seed fit into 400 MB" '"state":"measuring"' "$shown"
  web -o /dev/null -X POST -H "Authorization: Bearer $key" "$seeded/cancel"
  rm /etc/systemd/system/joulemark.service.d/memory.conf
  systemctl daemon-reload
  systemctl restart joulemark
  until_up
else
  printf 'left out: memory that runs out, since this container has no memory controller\n'
fi

# Stop and start
endless='{"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4, "warmup_iterations": 0,
  "idle_baseline_sec": 0}'
location=$(submit "$endless")
for _ in $(seq 100); do
  pgrep -f parent-pid >/dev/null && break
  sleep 0.1
done
pgrep -f parent-pid >/dev/null || fail "no worker runs"
systemctl stop joulemark
expect "it stops in order" 'Result=success' "$(systemctl show -p Result joulemark)"
expect "its workers are gone" '^$' "$(pgrep -fa parent-pid || true)"
expect "nginx says so, as a problem" '"status":503' "$(web "$site/readyz")"
systemctl start joulemark
until_up
expect "what ran is run again" '"attempt":[12],' "$(sleep 2; web -H "Authorization: Bearer $key" "$location")"

# The capability in place of the group
mkdir -p /etc/systemd/system/joulemark.service.d
cp deploy/joulemark-perfmon.conf /etc/systemd/system/joulemark.service.d/
systemctl daemon-reload
systemctl restart joulemark
for _ in $(seq 100); do
  worker=$(pgrep -f parent-pid | head -n 1 || true)
  [ -n "$worker" ] && break
  sleep 0.1
done
expect "perfmon: the server has CAP_PERFMON alone" 'CapEff:\s+0000004000000000' "$(cat "/proc/$(main_pid)/status")"
expect "perfmon: its workers have nothing" 'CapPrm:\s+0000000000000000' "$(cat "/proc/$worker/status")"
rm -r /etc/systemd/system/joulemark.service.d

# The watchdog, with less patience than the unit's
sed -i 's/^WatchdogSec=.*/WatchdogSec=4/' /etc/systemd/system/joulemark.service
systemctl daemon-reload
systemctl restart joulemark
sleep 8
expect "it lives: no restart" 'NRestarts=0' "$(systemctl show -p NRestarts joulemark)"
kill -STOP "$(main_pid)"
for _ in $(seq 300); do
  [ "$(systemctl show -p NRestarts --value joulemark)" = 1 ] && break
  sleep 0.1
done
expect "a server that hangs is ended" 'Watchdog timeout' "$(journalctl -u joulemark --no-pager -o cat)"
until_up
printf 'ok: and started again\n'

# Backup, upgrade, rollback
figures() {
  sudo curl -sS --unix-socket /run/joulemark/http.sock -H 'X-Remote-User: root' http://localhost/metrics |
    grep -E '^joulemark_(running_experiments|experiments.*queued)'
}
expect "what runs and waits can be read at the socket" '^joulemark_running_experiments [0-9]' "$(figures)"
sudo install -d -o joulemark -g joulemark -m 700 /var/backups/joulemark
sudo cp deploy/joulemark-backup.service deploy/joulemark-backup.timer /etc/systemd/system/
expect "the units of the backup verify" '^$' "$(systemd-analyze verify /etc/systemd/system/joulemark-backup.timer 2>&1)"
systemctl daemon-reload && systemctl enable --quiet --now joulemark-backup.timer
expect "a backup comes every night" 'joulemark-backup.timer' "$(systemctl list-timers --no-pager)"
touch -d '20 days ago' /var/backups/joulemark/joulemark-old.backup
systemctl start joulemark-backup || fail "the backup: $(journalctl -u joulemark-backup --no-pager)"
backup=$(find /var/backups/joulemark -type f)
expect "there is one backup, and it is private" '^600 joulemark /var/backups/joulemark/joulemark-[0-9-]*.backup$' \
  "$(stat -c '%a %U %n' /var/backups/joulemark/*)"
sudo -u joulemark joulemark db check --database-url "sqlite://$backup" >/dev/null || fail "db check"
sudo mkdir /root/joulemark-old
sudo cp -a /usr/local/bin/joulemark /usr/local/libexec/joulemark/. /root/joulemark-old/
key_after=$(sudo -u joulemark joulemark key create --name late --role reader --database-url "$database" 2>/dev/null)
before=$(installed)
deploy/install.sh "$PWD/target/release/joulemark" >/dev/null
# Neither of the old files is among the new ones.
expect "upgraded: both programs are other files" '^$' "$(installed | grep -Fxf - <(echo "$before") || true)"
expect "upgraded: nothing is left beside them" '^$' "$(find /usr/local/bin /usr/local/libexec -name '*.new')"
systemctl restart joulemark
until_up
expect "upgraded: a key works" '^200$' "$(web -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $key_after" "$api")"
systemctl stop joulemark
deploy/install.sh /root/joulemark-old/joulemark >/dev/null
sudo -u joulemark cp "$backup" /var/lib/joulemark/joulemark.db
rm -f /var/lib/joulemark/joulemark.db-wal /var/lib/joulemark/joulemark.db-shm
systemctl start joulemark
until_up
expect "rolled back: what came later is gone" '^401$' \
  "$(web -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $key_after" "$api")"
expect "and what came earlier is there" '"submitter":"grace"' "$(web -H "Authorization: Bearer $key" "$api")"

# Caddy
systemctl stop nginx
usermod -aG joulemark-proxy caddy
cp deploy/caddy/Caddyfile /etc/caddy/Caddyfile
cp deploy/caddy/joulemark-identity-basic /etc/caddy/joulemark-identity
install -m 640 -g caddy /dev/null /etc/caddy/joulemark-users
printf 'grace %s\n' "$(caddy hash-password --plaintext secret)" | tee -a /etc/caddy/joulemark-users >/dev/null
chown root:caddy /etc/ssl/private /etc/ssl/private/gpubox.example.org.key
chmod 0640 /etc/ssl/private/gpubox.example.org.key
chmod 0750 /etc/ssl/private
systemctl start caddy || { journalctl -u caddy -n 20 --no-pager; fail "caddy does not start"; }
until_up
expect "grace is known by Caddy" '"items"' "$(web -u grace:secret "$api")"
expect "a key passes by Caddy" '"items"' "$(web -H "Authorization: Bearer $key" "$api")"

# Postgres
systemctl start postgresql
sudo -u postgres createuser joulemark
sudo -u postgres createdb --owner joulemark joulemark
sed -i 's|^JOULEMARK_DATABASE_URL=.*|JOULEMARK_DATABASE_URL=postgres://joulemark@localhost/joulemark?host=/run/postgresql|' \
  /etc/joulemark/joulemark.env
echo JOULEMARK_SPOOL_DIR=/var/lib/joulemark/spool >>/etc/joulemark/joulemark.env
systemctl restart joulemark
until_up
expect "on Postgres the queue is empty" '"items":\[\]' "$(web -u grace:secret "$api")"
expect "and takes an experiment" '"state":"queued"' \
  "$(web -u grace:secret "$api" -H 'Content-Type: application/json' -d "$endless")"

install -D -m 0644 /dev/null /etc/systemd/system/joulemark.service.d/override.conf
deploy/install.sh --uninstall >/dev/null
expect "uninstalled: the admin's drop-in stays" 'override.conf' "$(ls /etc/systemd/system/joulemark.service.d)"
rm -rf /etc/systemd/system/joulemark.service.d
expect "uninstalled: the data stays" 'joulemark.db$' "$(ls /var/lib/joulemark/joulemark.db)"
for gone in /usr/local/bin/joulemark /usr/local/libexec/joulemark /etc/systemd/system/joulemark.service /etc/udev/rules.d/60-joulemark.rules; do
  [ ! -e "$gone" ] || fail "$gone is left"
done
rm -r /var/lib/joulemark /var/cache/joulemark /etc/joulemark
userdel joulemark
groupdel joulemark-proxy
printf 'the walk is done\n'
