use std::fs::File;
use std::process::{Command, Stdio};

use super::{HOST, Identity, PASSWORD, PROMETHEUS, Scene, USER, rewritten};

/// Caddy with `deploy/caddy/` as its whole configuration.
pub fn command(scene: &Scene) -> Command {
    let path = |name: &str| scene.folder.join(name).display().to_string();
    let site = rewritten(
        "caddy/Caddyfile",
        &[
            // Its other doors: the admin's, and port 80 with what leads from there.
            (
                "{\n\tservers {",
                "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {",
            ),
            (
                &format!("https://{HOST} {{"),
                &format!("https://{HOST}:{} {{\n\tbind 127.0.0.1", scene.port),
            ),
            ("http:// {", &format!("http:// {{\n\tbind unix/{}", path("plain.sock"))),
            (
                "\nhttps:// {",
                &format!("\nhttps://:{} {{\n\tbind 127.0.0.1", scene.port),
            ),
            (
                &format!("header_up Host {HOST}"),
                &format!("header_up Host {HOST}:{}", scene.port),
            ),
            (
                &format!("header_up X-Forwarded-Host {HOST}"),
                &format!("header_up X-Forwarded-Host {HOST}:{}", scene.port),
            ),
            (
                "unix//run/joulemark/http.sock",
                &format!("unix/{}", scene.socket.display()),
            ),
            (
                "/etc/ssl/certs/gpubox.example.org.pem",
                &scene.certificate.certificate.display().to_string(),
            ),
            (
                "/etc/ssl/private/gpubox.example.org.key",
                &scene.certificate.key.display().to_string(),
            ),
            (
                "import /etc/caddy/joulemark-identity\n",
                &format!("import {}\n", path("identity")),
            ),
        ],
    );
    let identity = match scene.identity {
        Identity::Basic => rewritten(
            "caddy/joulemark-identity-basic",
            &[(
                "import /etc/caddy/joulemark-users",
                &format!("import {}", path("users")),
            )],
        ),
        Identity::Provider(address) => rewritten(
            "caddy/joulemark-identity-sso",
            &[("127.0.0.1:4180", &address.to_string())],
        ),
    };
    let write = |name: &str, text: &str| std::fs::write(scene.folder.join(name), text).expect("it is written");
    write("Caddyfile", &site);
    write("identity", &identity);
    write("users", &format!("{USER} {}\n", hashed_password()));
    let log = File::create(scene.folder.join("proxy.log")).expect("a log");
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(path("Caddyfile"));
    for home in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(home, scene.folder);
    }
    command.env("PROMETHEUS_HOST", PROMETHEUS);
    command.stdout(Stdio::null()).stderr(log);
    command
}

/// As the file's own comment says it is made.
fn hashed_password() -> String {
    let output = Command::new("caddy")
        .args(["hash-password", "--plaintext", PASSWORD])
        .output();
    String::from_utf8(output.expect("caddy is there").stdout)
        .expect("text")
        .trim()
        .to_owned()
}
