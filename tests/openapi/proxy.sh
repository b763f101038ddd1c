# nginx by the files of deploy/nginx in front of a server that runs, as `fronted` has it, for clients that are no Rust:
# `start_proxy SERVER_URL` sets PROXY_URL and PROXY_AUTHORITY (a file with the authority of its certificate); `stop_proxy`
# ends it. Sourced, after deploy/setup-build.sh.
# shellcheck shell=bash

start_proxy() {
  local server=${1#http://} port folder
  PROXY_FOLDER=$(mktemp -d)
  folder=$PROXY_FOLDER
  PROXY_AUTHORITY=$folder/authority.pem
  local new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2)
  "${new[@]}" -subj "/CN=authority of a test" -keyout "$folder/authority.key" -out "$PROXY_AUTHORITY" 2>/dev/null
  "${new[@]}" -CA "$PROXY_AUTHORITY" -CAkey "$folder/authority.key" -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "basicConstraints=critical,CA:FALSE" \
    -keyout "$folder/site.key" -out "$folder/site.pem" 2>/dev/null
  touch "$folder/passwords"
  sed "s|/etc/nginx/joulemark.htpasswd|$folder/passwords|" deploy/nginx/joulemark-identity-basic.conf >"$folder/identity.conf"
  local user=
  [ "$(id -u)" -ne 0 ] || user='user root;'
  printf '%s\n' "$user daemon off; pid $folder/nginx.pid; error_log $folder/error.log; events { }" \
    "http { access_log off; client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;" \
    "uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi; include $folder/site.conf; }" >"$folder/nginx.conf"
  # A port that is free now may be another's when nginx comes to it: then again.
  for _ in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -e "s|listen 443|listen 127.0.0.1:$port|; /listen \[::\]/d; s|listen 80;|listen unix:$folder/plain.sock;|" \
      -e "s|unix:/run/joulemark/http.sock|$server|; s|/etc/nginx/snippets/joulemark-identity.conf|$folder/identity.conf|" \
      -e "s|/etc/ssl/certs/gpubox.example.org.pem|$folder/site.pem|" \
      -e "s|/etc/ssl/private/gpubox.example.org.key|$folder/site.key|" deploy/nginx/joulemark.conf >"$folder/site.conf"
    nginx -c "$folder/nginx.conf" -e "$folder/error.log" -p "$folder" 2>/dev/null &
    PROXY_PROCESS=$!
    PROXY_URL=https://127.0.0.1:$port/joulemark
    for _ in $(seq 100); do
      curl --noproxy '*' -fsS --cacert "$PROXY_AUTHORITY" -o /dev/null "$PROXY_URL/healthz" 2>/dev/null && return
      kill -0 "$PROXY_PROCESS" 2>/dev/null || break
      sleep 0.1
    done
    kill "$PROXY_PROCESS" 2>/dev/null || true
  done
  cat "$folder/error.log" >&2
  fail "nginx does not answer"
}

stop_proxy() {
  [ -n "${PROXY_PROCESS:-}" ] || return 0
  kill "$PROXY_PROCESS" 2>/dev/null || true
  wait "$PROXY_PROCESS" 2>/dev/null || true
  rm -rf "$PROXY_FOLDER"
}
