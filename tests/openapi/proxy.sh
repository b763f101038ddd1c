# nginx or Caddy by the files of deploy/ in front of a server that runs, as `fronted` has them, for clients that are no Rust:
# `start_proxy nginx|caddy SERVER_URL` sets PROXY_URL and PROXY_AUTHORITY (a file with the authority of its certificate);
# `stop_proxy` ends it. Sourced, after deploy/setup-build.sh.
# shellcheck shell=bash

start_proxy() {
  local kind=$1 server=${2#http://} port folder
  PROXY_FOLDER=$(mktemp -d)
  folder=$PROXY_FOLDER
  PROXY_AUTHORITY=$folder/authority.pem
  local new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2)
  "${new[@]}" -subj "/CN=authority of a test" -keyout "$folder/authority.key" -out "$PROXY_AUTHORITY" 2>/dev/null
  "${new[@]}" -CA "$PROXY_AUTHORITY" -CAkey "$folder/authority.key" -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "basicConstraints=critical,CA:FALSE" \
    -keyout "$folder/site.key" -out "$folder/site.pem" 2>/dev/null
  # A port that is free now may be another's when the proxy comes to it: then again.
  for _ in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "start_$kind" "$server" "$port" "$folder"
    PROXY_URL=https://127.0.0.1:$port/joulemark
    for _ in $(seq 100); do
      curl --noproxy '*' -fsS --cacert "$PROXY_AUTHORITY" -o /dev/null "$PROXY_URL/healthz" 2>/dev/null && return
      kill -0 "$PROXY_PROCESS" 2>/dev/null || break
      sleep 0.1
    done
    kill "$PROXY_PROCESS" 2>/dev/null || true
  done
  cat "$folder/error.log" >&2
  fail "$kind does not answer"
}

# start_nginx SERVER PORT FOLDER
start_nginx() {
  local user=
  [ "$(id -u)" -ne 0 ] || user='user root;'
  if [ "${PROXY_IDENTITY:-basic}" = none ]; then
    # This proxy knows nobody: people sign in at the server.
    printf 'set $%s "";\n' joulemark_user joulemark_groups >"$3/identity.conf"
  else
    touch "$3/passwords"
    sed "s|/etc/nginx/joulemark.htpasswd|$3/passwords|" deploy/nginx/joulemark-identity-basic.conf >"$3/identity.conf"
  fi
  printf '%s\n' "$user daemon off; pid $3/nginx.pid; error_log $3/error.log; events { }" \
    "http { access_log off; client_body_temp_path $3/body; proxy_temp_path $3/proxy; fastcgi_temp_path $3/fastcgi;" \
    "uwsgi_temp_path $3/uwsgi; scgi_temp_path $3/scgi; include $3/site.conf; }" >"$3/nginx.conf"
  sed -e "s|listen 443|listen 127.0.0.1:$2|; /listen \[::\]/d; s|listen 80;|listen unix:$3/plain.sock;|" \
    -e "s|unix:/run/joulemark/http.sock|$1|; s|/etc/nginx/snippets/joulemark-identity.conf|$3/identity.conf|" \
    -e "s|/etc/ssl/certs/gpubox.example.org.pem|$3/site.pem|" \
    -e "s|/etc/ssl/private/gpubox.example.org.key|$3/site.key|" \
    -e "s|server_name gpubox.example.org|server_name 127.0.0.1|; s|host gpubox.example.org|host 127.0.0.1:$2|" \
    deploy/nginx/joulemark.conf >"$3/site.conf"
  nginx -c "$3/nginx.conf" -e "$3/error.log" -p "$3" 2>/dev/null &
  PROXY_PROCESS=$!
}

# start_caddy SERVER PORT FOLDER
start_caddy() {
  printf 'nobody %s\n' "$(caddy hash-password --plaintext "$RANDOM$RANDOM")" >"$3/users"
  sed "s|/etc/caddy/joulemark-users|$3/users|" deploy/caddy/joulemark-identity-basic >"$3/identity"
  # Its other doors are shut: the admin's, and port 80 with what leads from there.
  sed -e "s|^{\$|{\n\tadmin off\n\tauto_https disable_redirects|" \
    -e "s|^https://gpubox.example.org {|https://127.0.0.1:$2 {\n\tbind 127.0.0.1|" \
    -e "s|^http:// {|&\n\tbind unix/$3/plain.sock|; s|^https:// {|https://:$2 {\n\tbind 127.0.0.1|" \
    -e "s|\(header_up .*Host\) gpubox.example.org|\1 127.0.0.1:$2|" \
    -e "s|unix//run/joulemark/http.sock|$1|; s|/etc/caddy/joulemark-identity\$|$3/identity|" \
    -e "s|/etc/ssl/certs/gpubox.example.org.pem|$3/site.pem|" \
    -e "s|/etc/ssl/private/gpubox.example.org.key|$3/site.key|" deploy/caddy/Caddyfile >"$3/Caddyfile"
  HOME=$3 XDG_DATA_HOME=$3 XDG_CONFIG_HOME=$3 caddy run --adapter caddyfile --config "$3/Caddyfile" 2>"$3/error.log" &
  PROXY_PROCESS=$!
}

stop_proxy() {
  [ -n "${PROXY_PROCESS:-}" ] || return 0
  kill "$PROXY_PROCESS" 2>/dev/null || true
  wait "$PROXY_PROCESS" 2>/dev/null || true
  PROXY_PROCESS=
  rm -rf "$PROXY_FOLDER"
}
