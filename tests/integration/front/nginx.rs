use std::process::{Command, Stdio};

use super::{HOST, Identity, PASSWORD, PROMETHEUS, Scene, USER, rewritten};

/// nginx with `deploy/nginx/` as its only site.
pub fn command(scene: &Scene) -> Command {
    let path = |name: &str| scene.folder.join(name).display().to_string();
    let port = format!("listen 127.0.0.1:{}", scene.port);
    let site = rewritten(
        "nginx/joulemark.conf",
        &[
            // The plain site on a socket: port 80 is the machine's.
            (
                "listen 80;\n    listen [::]:80;",
                &format!("listen unix:{};", path("plain.sock")),
            ),
            ("    listen [::]:443 ssl http2;\n", ""),
            ("    listen [::]:443 ssl http2 default_server;\n", ""),
            (
                &format!("set $joulemark_host {HOST};"),
                &format!("set $joulemark_host {HOST}:{};", scene.port),
            ),
            ("listen 443", &port),
            (
                "unix:/run/joulemark/http.sock",
                &format!("unix:{}", scene.socket.display()),
            ),
            (
                "/etc/ssl/certs/gpubox.example.org.pem",
                &scene.certificate.certificate.display().to_string(),
            ),
            (
                "/etc/ssl/private/gpubox.example.org.key",
                &scene.certificate.key.display().to_string(),
            ),
            ("/etc/nginx/snippets/joulemark-identity.conf", &path("identity.conf")),
            (
                "/etc/nginx/snippets/joulemark-prometheus*.conf",
                &path("prometheus*.conf"),
            ),
        ],
    );
    let identity = match scene.identity {
        Identity::Basic => rewritten(
            "nginx/joulemark-identity-basic.conf",
            &[("/etc/nginx/joulemark.htpasswd;", &format!("{};", path("passwords")))],
        ),
        Identity::Provider(address) => rewritten(
            "nginx/joulemark-identity-sso.conf",
            &[("127.0.0.1:4180/", &format!("{address}/"))],
        ),
    };
    // Its workers would otherwise be somebody who may not read the test's folder.
    let user = if nix::unistd::Uid::effective().is_root() {
        "user root;"
    } else {
        ""
    };
    let folder = scene.folder.display();
    let main = format!(
        "{user} daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/proxy.log;
         events {{ worker_connections 1024; }}
         http {{
             access_log {folder}/access.log;
             client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
             uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
             include {folder}/site.conf;
         }}"
    );
    let write = |name: &str, text: &str| std::fs::write(scene.folder.join(name), text).expect("it is written");
    write("site.conf", &site);
    write("identity.conf", &identity);
    write("prometheus.conf", &format!("allow {PROMETHEUS};\n"));
    write("nginx.conf", &main);
    write("passwords", &format!("{USER}:{}\n", hashed_password()));
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(path("nginx.conf"))
        .arg("-e")
        .arg(path("proxy.log"))
        .arg("-p")
        .arg(scene.folder);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// As the file's own comment says it is made.
fn hashed_password() -> String {
    let output = Command::new("openssl")
        .args(["passwd", "-6", PASSWORD])
        .output()
        .expect("openssl is there");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
