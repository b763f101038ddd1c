#!/usr/bin/env bash
# Makes the passwords of deploy/compose.yaml, as files that only root and their own containers' users can read. One that is
# there is left as it is. Run it as root: the files are given to users that exist in the images alone.
# Usage: compose-secrets.sh [FOLDER]     default: compose/secrets beside this file
set -euo pipefail
folder=${1:-$(dirname "${BASH_SOURCE[0]}")/compose/secrets}
# Of the images: joulemark (Dockerfile) and grafana.
joulemark_user=10001
grafana_user=472

[ "$(id -u)" -eq 0 ] || { printf 'error: run it as root\n' >&2; exit 1; }
umask 077
mkdir -p "$folder"

# Hexadecimal: nothing in it has to be quoted anywhere.
random() {
  od -An -v -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# PostgreSQL's own format.
pgpass() {
  printf 'db:5432:joulemark:joulemark:%s\n' "$(cat "$folder/postgres-password")"
}

# write NAME OWNER COMMAND: what the command says, unless the file is there. Whole or not at all.
write() {
  if [ -e "$folder/$1" ]; then
    printf '%s is there and left as it is\n' "$folder/$1"
    return
  fi
  "$3" >"$folder/.new"
  chmod 0400 "$folder/.new"
  chown "$2:$2" "$folder/.new"
  mv "$folder/.new" "$folder/$1"
  printf '%s\n' "$folder/$1"
}

# Postgres' entry point reads it as root.
write postgres-password 0 random
write pgpass "$joulemark_user" pgpass
write grafana-password "$grafana_user" random
